"""The user's own adapters: found by name, checked, taken in from a folder or a zip, given away, renamed, deleted."""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..adapters import AdapterCard, load, read_card, write_card
from ..adapters.card import CARD
from ..adapters.files import WEIGHTS
from ..core import PemmaError, zips
from ..core.files import place_folder, write_atomically
from ..core.folders import is_plain_name
from ..network.files import models_folder, named
from ..network.library import below, remove_folder
from .identity import check_note

_MOST_BYTES = 4 << 30  # of an unpacked zip; the weights of the reference network in full are 0.4 GB


def adapters_folder() -> Path:
    """Where the user's adapters lie, beside the user's models (PEMMA_SEGMENT_HOME moves both)."""
    return models_folder().parent / "adapters"


def installed() -> list[Path]:
    """Folders of the user's adapters by name."""
    folder = adapters_folder()
    return sorted(f for f in folder.iterdir() if (f / CARD).is_file()) if folder.is_dir() else []


def find_adapter(name_or_folder: str | Path) -> Path:
    """The folder of an adapter given by name or path. Raises PemmaError "adapter-missing", "adapter-ambiguous"."""
    known = {folder.name: folder for folder in installed()}
    if folder := named("adapter", name_or_folder, known, CARD):
        return folder
    names, called = ", ".join(known) or "none", Path(name_or_folder).name
    raise PemmaError("adapter-missing", f"no adapter is called {called!r}; installed are: {names}",
                     "name one of these, or a folder that holds adapter.json, or go on without one", called)


def check_adapter(folder: Path) -> AdapterCard:
    """The card of an adapter whose hash, names and numbers are right in themselves, whatever its base.

    Of the user's adapters the folder tells the name: a renaming that was killed may have left the former one on the card.
    """
    with _present(folder):
        card = load(folder, read_card(folder).base).card
    return replace(card, name=Path(folder).name) if _is_own(folder) else card


def import_adapter(source: Path) -> AdapterCard:
    """Copies an adapter, a folder or a zip, to the user's adapters under its own name, whole or not at all.

    Raises PemmaError for what is no sound adapter, "adapter-zip" for another zip, "adapter-name" and "adapter-exists".
    """
    source = Path(source)
    if source.is_dir() and not (source / CARD).exists():
        raise PemmaError("adapter-missing", f"the folder holds no {CARD}", "choose the folder that does", source.name)
    refused = partial(_no_zip, source.name)
    with zips.opened(source, partial(_adapter_in, refused), _MOST_BYTES, refused) as folder:
        card = check_adapter(folder)
        check_name(card.name)
        place_folder(_free(card.name), partial(_copy_checked, folder))
    return card


def export_adapter(folder: Path, out: Path) -> AdapterCard:
    """Copies a checked adapter to `out`: a zip if it is called so, else a new folder. Raises PemmaError "adapter-exists"."""
    out, card = Path(out), check_adapter(folder)
    if out.exists():
        raise PemmaError("adapter-exists", f"{out.name} is there already", "name a new file or folder", out.name)
    with _present(folder):
        if out.suffix.lower() != ".zip":
            place_folder(out, partial(_copy_checked, Path(folder), name=card.name))
            return card
        try:
            with tempfile.TemporaryDirectory(prefix="pemma-zip-") as aside:
                _copy_checked(Path(folder), Path(aside) / "adapter", card.name)
                write_atomically(out, partial(_zip, Path(aside) / "adapter", card.name))
        except OSError as error:
            raise PemmaError("cannot-write", f"the adapter can't be written: {error.strerror}", "name another place",
                             out.name) from error
    return card


def remove_adapter(name_or_folder: str | Path) -> str:
    """Deletes one of the user's adapters, also a folder of theirs without a card; gives its name.

    Raises PemmaError "adapter-missing", "adapter-foreign" for a folder that is not among them, and as `remove_folder` does.
    """
    folder = _own(below(adapters_folder(), name_or_folder) or find_adapter(name_or_folder))
    remove_folder(folder)
    return folder.name


def rename_adapter(folder: Path, name: str) -> Path:
    """Gives one of the user's adapters another name, and its new folder. Its hash, and with it its results, stay."""
    check_given_name(name)
    folder, target = _own(folder), _free(name)
    with _present(folder):
        read_card(folder)
        try:
            os.rename(folder, target)
        except OSError:
            _free(name)  # another program may have been faster
            raise
    with _present(target):
        write_card(target, replace(read_card(target), name=name))
    return target


def note_adapter(folder: Path, note: str) -> None:
    """Puts the user's own words on an adapter's card. Raises PemmaError "adapter-text" and "adapter-identity"."""
    check_note(note, "adapter")
    with _present(_own(folder)):
        write_card(folder, replace(read_card(folder), note=note))


@contextmanager
def _present(folder: Path) -> Iterator[None]:
    """What goes wrong because another program removes or renames the adapter meanwhile is "adapter-missing"."""
    try:
        yield
    except (OSError, PemmaError) as error:
        if not (Path(folder) / CARD).exists():
            raise PemmaError("adapter-missing", f"there is no adapter {Path(folder).name}, or no longer",
                             "see `pemma-segment adapters list`", Path(folder).name) from error
        if isinstance(error, PemmaError):
            raise
        words = error.strerror or type(error).__name__
        raise PemmaError("cannot-write", f"the adapter can't be read or changed: {words}",
                         "close the programs that use it, or check the permissions", Path(folder).name) from error


def _is_own(folder: Path) -> bool:
    return Path(folder).resolve().parent == adapters_folder().resolve()


def _own(folder: Path) -> Path:
    if not _is_own(folder):
        raise PemmaError("adapter-foreign", f"{Path(folder).name} is not among the installed adapters", "import it first")
    return Path(folder)


def check_name(name: str) -> None:
    """Raises PemmaError "adapter-name" for what can't be a folder's name everywhere, and for "none"."""
    if not is_plain_name(name) or name == "none":
        raise PemmaError("adapter-name", f"{name!r} can't name an adapter",
                         "use letters, digits, dot, dash, plus and underscore, not the word none")


def check_given_name(name: str, words: Collection[str] = ()) -> None:
    """For a name that a person gives. Raises PemmaError as `check_name`, and "adapter-identity" as for a note; words: of its
    cases' studies where these came as folders of images: a library's cases keep no headers, so there only dates and UIDs are
    found."""
    check_name(name)
    check_note(name, "adapter", words, "name")


def _free(name: str) -> Path:
    """Where an adapter of this name, a checked one, goes."""
    target = adapters_folder() / name
    if target.exists():
        raise PemmaError("adapter-exists", f"there is an adapter {name} already", f"pemma-segment adapters remove {name}")
    return target


def _copy(folder: Path, target: Path) -> None:
    """The adapter's two files and nothing that may lie beside them, the card last."""
    target.mkdir(parents=True)
    for name in (WEIGHTS, CARD):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, target / name)


def _copy_checked(folder: Path, target: Path, name: str = "") -> None:
    """Under its own name, or another one."""
    _copy(folder, target)
    card = check_adapter(target)  # what was copied, not what was seen before
    if name and name != card.name:
        write_card(target, replace(card, name=name))


def _zip(folder: Path, called: str, file: Path) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (WEIGHTS, CARD):
            if (folder / name).is_file():
                entry = zips.entry(f"{called}/{name}")
                entry.compress_type = zipfile.ZIP_DEFLATED
                with open(folder / name, "rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                    shutil.copyfileobj(source, target)


def _adapter_in(refused: Callable[[str], PemmaError], folder: Path) -> Path:
    """The folder of an unpacked zip, which is an adapter's; a zip that holds anything else is refused."""
    files = {one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file()}
    if not files or not files <= {CARD, WEIGHTS}:
        raise refused("it holds something else than one adapter")
    return folder


def _no_zip(file: str, why: str) -> PemmaError:
    return PemmaError("adapter-zip", f"no adapter can be taken from the file: {why}", "export the adapter again", file)

"""The user's own models: how one is taken in, from a folder or a zip, and taken out. The bundled ones are never touched."""

import os
import shutil
import tempfile
from functools import partial
from pathlib import Path

from ..core import PemmaError, zips
from ..core.files import give_usual_mode, place_folder
from ..core.folders import is_plain_name
from .files import CARD, ModelCard, bundled, find_model, load_model, models_folder

LARGEST_ZIP = 8 * 2**30  # bytes unpacked; a model with weights of ViT-B width has less than one
_REMOVED = ".pemma-importing-removed-"  # `place_folder` deletes what is called so, once it is a day old


def take_in(source: Path) -> ModelCard:
    """Loads a model folder, or a zip that holds one, and copies it to the user's models; gives its card.

    Raises PemmaError for what is no sound model, and as `import_model` does.
    """
    source = Path(source)
    with zips.opened(source, _model_in, LARGEST_ZIP, partial(_no_zip, source.name)) as folder:
        if folder.is_dir() and not (folder / CARD).is_file():
            raise PemmaError("model-missing", "there is no model in it", f"choose the folder that holds {CARD}, or a zip of it",
                             source.name)
        card = load_model(folder).card  # a hash alone says nothing of what was written
        import_model(folder, card.name)
    return card


def import_model(source: Path, name: str) -> Path:
    """Copies a model folder to the user's models under `name`, whole or not at all; gives the new folder.

    What the copy holds is checked by who asked for it. Raises PemmaError "model-name" for a name that is no plain folder
    name or that of a bundled model, which would always be found in its place, "model-exists" when there is one already.
    """
    if not is_plain_name(name):
        raise PemmaError("model-name", f"{name!r} can't name a model", "use letters, digits, dot, dash, plus and underscore")
    if name in {folder.name for folder in bundled()}:
        raise PemmaError("model-name", f"a bundled model is called {name} already",
                         "a model of your own needs another name in its training configuration")
    target = models_folder() / name
    if target.exists():
        raise PemmaError("model-exists", f"there is a model {name} already", f"pemma-segment models remove {name}")
    place_folder(target, partial(_copy, source))
    return target


def remove_model(name_or_folder: str | Path) -> str:
    """Deletes one of the user's models, also a folder of theirs without a card; gives its name.

    Raises PemmaError "model-unknown", "model-bundled" for a folder that is not among them, and as `remove_folder` does.
    """
    folder = below(models_folder(), name_or_folder) or find_model(name_or_folder)
    if folder.resolve().parent != models_folder().resolve():
        raise PemmaError("model-bundled", f"{folder.name} is not an imported model", "only those can be removed")
    remove_folder(folder)
    return folder.name


def below(place: Path, name: str | Path) -> Path | None:
    """The folder of this plain name in `place`, whatever it holds; None where there is none."""
    folder = place / name
    return folder if is_plain_name(str(name)) and folder.is_dir() else None


def remove_folder(folder: Path) -> None:
    """Deletes a folder that `place_folder` put there: under another name first, so that it is whole or gone.

    What can't be deleted then, or is left by a killed program, goes with what `place_folder` sweeps. Raises PemmaError
    "cannot-write"; the folder stays then.
    """
    try:
        aside = Path(tempfile.mkdtemp(prefix=_REMOVED, dir=folder.parent))
        try:
            os.rename(folder, aside / folder.name)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise PemmaError("cannot-write", f"{folder.name} can't be removed: {error.strerror or type(error).__name__}",
                         "close the programs that use it, or check the permissions", folder.name) from error


def _copy(source: Path, folder: Path) -> None:
    """A copy that can be renamed and removed, also of what can only be read (an installation, a disc)."""
    shutil.copytree(source, folder, copy_function=shutil.copyfile)
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            give_usual_mode(path)


def _model_in(folder: Path) -> Path:
    """The folder of the model in an unpacked zip; where there is none the whole, which is refused later."""
    cards = sorted(folder.rglob(CARD), key=lambda card: len(card.parts))
    return cards[0].parent if cards else folder


def _no_zip(file: str, why: str) -> PemmaError:
    return PemmaError("model-zip", f"no model can be taken from the file: {why}", "choose the folder or zip of a model", file)

"""The user's own models: how one is taken in, from a folder or a zip, and taken out. The bundled ones are never touched."""

import os
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ..core import PemmaError
from .files import CARD, ModelCard, check, models_folder

LARGEST_ZIP = 8 * 2**30  # bytes unpacked; a model with weights of ViT-B width has less than one


def take_in(source: Path) -> ModelCard:
    """Checks a model folder, or a zip that holds one, by hash and copies it to the user's models; gives its card.

    Raises PemmaError for what is no sound model, and as `import_model` does.
    """
    with opened(Path(source)) as folder:
        card = check(folder)
        import_model(folder, card.name)
    return card


@contextmanager
def opened(source: Path) -> Iterator[Path]:
    """The model folder that `source` is, or that lies in the zip `source` is (unpacked for as long as it is needed)."""
    if not source.is_file():
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="pemma-model-") as folder:
        _unpack(source, Path(folder))
        cards = sorted(Path(folder).rglob(CARD), key=lambda card: len(card.parts))
        yield cards[0].parent if cards else Path(folder)


def import_model(source: Path, name: str) -> Path:
    """Copies a model folder to the user's models under `name`, whole or not at all; gives the new folder.

    What the copy holds is checked by who asked for it. Raises PemmaError "model-name" for a name that is no plain folder
    name, "model-exists" when there is one already.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", name):
        raise PemmaError("model-name", f"{name!r} can't name a model", "use letters, digits, dot, dash and underscore")
    target = models_folder() / name
    if target.exists():
        raise PemmaError("model-exists", f"there is a model {name} already", f"pemma-segment models remove {name}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".importing-", dir=target.parent) as folder:
        copied = Path(shutil.copytree(source, Path(folder) / name))
        os.rename(copied, target)
    return target


def remove_model(folder: Path) -> None:
    """Deletes one of the user's models. Raises PemmaError "model-bundled" for a folder that is not among them."""
    if folder.resolve().parent != models_folder().resolve():
        raise PemmaError("model-bundled", f"{folder.name} is not an imported model", "only those can be removed")
    shutil.rmtree(folder)


def _unpack(file: Path, folder: Path) -> None:
    """Refuses what reaches outside `folder` or would fill the disk."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = [PurePosixPath(item.filename.replace("\\", "/")) for item in archive.infolist()]
            outside = any(name.is_absolute() or ".." in name.parts or ":" in str(name) for name in names)
            if outside or sum(item.file_size for item in archive.infolist()) > LARGEST_ZIP:
                raise PemmaError("model-zip", "the zip is not one of a model folder", "zip the folder again", file.name)
            archive.extractall(folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:  # damaged, encrypted ...
        raise PemmaError("model-zip", "the file is no zip that can be read", "choose the folder or zip of a model",
                         file.name) from error

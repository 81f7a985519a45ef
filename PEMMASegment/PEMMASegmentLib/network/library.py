"""The user's own models: how one is taken in and taken out. The bundled ones are never touched."""

import os
import re
import shutil
import tempfile
from pathlib import Path

from ..core import PemmaError
from .files import models_folder


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

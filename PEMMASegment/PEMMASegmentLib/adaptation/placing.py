"""How a case gets its place in a library: under a temporary name first, then renamed whole; what killed programs left."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..core import PemmaError
from ..core.files import STALE_S, flush, folder_made, give_usual_mode

WRITING, REMOVED = ".writing-", ".removed-"


@contextmanager
def writing(place: Path, way_out: str = "free some space or choose another folder") -> Iterator[None]:
    """What the disk refuses inside is PemmaError "cannot-write"."""
    try:
        yield
    except OSError as error:
        words = error.strerror or type(error).__name__
        raise PemmaError("cannot-write", f"the disk refuses: {words}", way_out, Path(place).name) from error


@contextmanager
def temporary(library: Path) -> Iterator[Path]:
    """A temporary folder in the library's own; gone at the end, with the latter where nothing was put into it."""
    with writing(library), folder_made(library):
        sweep(library)
        folder = Path(tempfile.mkdtemp(prefix=WRITING, dir=library))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def place(folder: Path, target: Path) -> bool:
    """Renames a whole folder to `target`; False when there is one already, which stays as it is."""
    give_usual_mode(folder)
    for path in (*folder.iterdir(), folder):
        flush(path)
    try:
        os.rename(folder, target)  # onto a folder that is not empty this fails, whoever was first
    except OSError:
        if target.exists():
            return False
        raise
    flush(target.parent)
    return True


def remove(folder: Path, library: Path) -> bool:
    """Deletes a folder in the library, whole or not at all; False when another program was faster."""
    aside = Path(tempfile.mkdtemp(prefix=REMOVED, dir=library))
    try:
        os.rename(folder, aside / folder.name)
    except FileNotFoundError:
        # another program may have taken our empty folder for a killed one's
        return folder.exists() and remove(folder, library)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return True


def sweep(library: Path) -> None:
    """Deletes what a program that was killed had begun to write or to remove."""
    for left in library.glob(".*-*"):
        try:
            age = time.time() - left.stat().st_mtime
        except FileNotFoundError:  # another program was faster
            continue
        if left.name.startswith(REMOVED) or left.name.startswith(WRITING) and age > STALE_S:
            shutil.rmtree(left, ignore_errors=True)

"""Private folders of requests, and what a killed process left beside a result. Standard library only."""

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path

from .protocol import FOLDER_PREFIX

STALE_S = 24 * 3600.0
TOUCH_S = STALE_S / 24  # between two calls of `touch`


def new_folder(inside: Path) -> Path:
    """A new folder that only this user can enter. Raises OSError."""
    return Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=inside))


def remove(folder: Path) -> bool:
    """Removes a private folder; False when something still holds a file in it, as Windows does."""
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def touch(folder: Path) -> None:
    """Tells other applications that the folder is in use, see `remove_stale`; a training writes nothing into it for days."""
    with contextlib.suppress(OSError):  # its owner has removed it
        os.utime(folder)


def remove_stale(inside: Path) -> None:
    """Removes the folders that an application killed a day ago or earlier could not remove."""
    for folder in inside.glob(f"{FOLDER_PREFIX}*"):
        try:
            stale = time.time() - folder.stat().st_mtime > STALE_S
        except FileNotFoundError:  # another application was faster
            continue
        if stale:
            remove(folder)


def undo_writing(out: Path, pid: int) -> None:
    """Removes what process `pid` had not finished writing to `out`, and puts an earlier result back that stood aside.

    The names are those of `core.folders`: `.writing-<pid>-...` beside `out`, or in it where it keeps its place.
    """
    out = Path(os.path.realpath(out))
    for place in (out.parent, out):
        for left in place.glob(f".writing-{pid}-*"):
            aside = [folder.name for folder in (left / "old").glob("*")]
            if aside == [out.name] and not out.exists():
                os.rename(left / "old" / out.name, out)
            if aside in ([], [out.name]):  # else an earlier process of this id had put aside another result
                shutil.rmtree(left, ignore_errors=True)

"""A folder replaced as a whole: it holds the old files or the new ones, also after its program was killed."""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .files import STALE_S, folder_made, write_text
from .locks import held

WRITING = ".writing-"  # then the process's id, a dash and anything; `worker.folders` knows these names
_LITTER = {".ds_store", "thumbs.db", "desktop.ini", ".directory"}  # what file managers leave in any folder
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}")
_DEVICE = re.compile(r"(CON|PRN|AUX|NUL|(COM|LPT)[1-9])(\..*)?", re.IGNORECASE)  # Windows has no file of these names


def is_plain_name(name: str) -> bool:
    """Whether a folder can have this name on every system: up to 80 letters, digits, dots, dashes, pluses, underscores."""
    return bool(_PLAIN.fullmatch(name)) and not name.endswith(".") and not _DEVICE.fullmatch(name)


def is_litter(name: str) -> bool:
    """Whether a file is none of the user's: left by a file manager, or by a program of ours that was killed."""
    return name.lower() in _LITTER or name.startswith(("._", WRITING))


def replace_folder(out: Path, fill: Callable[[Path], None], last: str) -> list[str]:
    """Calls `fill` with an empty folder, which then takes the place of `out`; gives the names of its files.

    out: absolute; new, or a folder of plain files, which are gone afterwards. last: the file without which the others are
    nothing, where `out` stays in its place and is only filled. Raises what `fill` raises; `out` is as it was then.
    """
    with folder_made(_beside(out)), _working_in(_beside(out), out) as ours:
        new = ours / "new"
        new.mkdir()
        fill(new)
        names = sorted(file.name for file in new.iterdir())
        _move_files(new, out, last) if _stays(out) else _swap(new, out)
    return names


def recover_folder(out: Path) -> None:
    """Puts back what a killed program had put aside from `out` (absolute), and removes what such programs left.

    A folder with nothing put aside may belong to a program that is still writing: it goes when it is a day old.
    """
    for ours in _beside(out).glob(f"{WRITING}[0-9]*-*"):
        old = [folder.name for folder in (ours / "old").glob("*")]
        with suppress(OSError):  # another program was faster
            if old == [out.name]:
                if not out.exists():
                    os.rename(_aside(ours, out), out)
            elif old or time.time() - ours.stat().st_mtime < STALE_S:
                continue
            shutil.rmtree(ours, ignore_errors=True)


def can_replace(out: Path) -> bool:
    """Whether `out` (absolute) may be replaced: tried with a file, and by moving an old folder aside and back.

    Permissions do not tell it all: a disk is full, a share takes no files, a folder of which a program has a file open
    can't be moved on Windows and on its servers.
    """
    place = next((folder for folder in (_beside(out), *out.parents) if folder.exists()), None)  # None: a drive that isn't there
    if place is None or not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        return False
    try:
        with _working_in(place, out) as ours:
            write_text(ours / "tried", "tried")
            if out.exists() and not _stays(out):
                os.rename(_put_aside(ours, out), out)
    except OSError:
        return False
    return True


def unfinished_folder(out: Path) -> Path:
    """Where work for `out` (absolute) is kept until it is done; `replace_folder` leaves it alone."""
    return out / f"{WRITING}unfinished" if _stays(out) else out.parent / f".{out.name}.unfinished"


@contextmanager
def work_held(out: Path) -> Iterator[bool]:
    """Whether this program alone works for `out` (absolute) until it is done, as `locks.held`. Raises OSError."""
    work = unfinished_folder(out)
    with folder_made(work.parent), held(work.with_name(f"{work.name}.lock")) as ours:
        yield ours


def _beside(out: Path) -> Path:
    return out if _stays(out) else out.parent


def _stays(out: Path) -> bool:
    """Whether `out` keeps its place: it is mounted, or this program (and often a shell) works in it, or in a folder of it."""
    if os.path.ismount(out):  # Path.is_mount fails on Windows before Python 3.12
        return True
    with suppress(FileNotFoundError):  # the folder that it worked in was deleted
        return Path.cwd().is_relative_to(out)
    return False


@contextmanager
def _working_in(place: Path, out: Path) -> Iterator[Path]:
    """A folder of this program in `place` for work on `out`, which goes afterwards."""
    ours = Path(tempfile.mkdtemp(prefix=f"{WRITING}{os.getpid()}-", dir=place))
    try:
        yield ours
    finally:
        if out.exists() or not _aside(ours, out).exists():  # else the old files are left there: not ours to throw away
            shutil.rmtree(ours, ignore_errors=True)


def _aside(ours: Path, out: Path) -> Path:
    """Where the old folder stands while the new one takes its place; its name tells whose it is."""
    return ours / "old" / out.name


def _put_aside(ours: Path, out: Path) -> Path:
    aside = _aside(ours, out)
    aside.parent.mkdir()
    os.rename(out, aside)
    return aside


def _swap(new: Path, out: Path) -> None:
    """Renames `new` to `out`; an old one steps aside first and comes back if that fails."""
    aside = _put_aside(new.parent, out) if out.exists() else None
    try:
        os.rename(new, out)
    except OSError:
        if aside is not None:
            os.rename(aside, out)
        raise


def _move_files(new: Path, out: Path, last: str) -> None:
    (out / last).unlink(missing_ok=True)
    for old in [entry for entry in out.iterdir() if not entry.name.startswith(WRITING)]:
        old.unlink()
    for file in sorted(new.iterdir(), key=lambda file: file.name == last):
        os.replace(file, out / file.name)

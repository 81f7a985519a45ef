"""Writing that leaves either the old file or the new one, never half of one."""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import PemmaError

_PLACING = ".pemma-importing-"
STALE_S = 24 * 3600.0  # older than this, what is being written belongs to a program that was killed


def write_atomically(target: Path, write: Callable[[Path], None]) -> None:
    """Calls `write` with a temporary path beside `target` (same suffix), then flushes it to disk and renames it.

    Raises what `write` raises; the temporary file is gone then and `target` is untouched.
    """
    target = Path(target)
    handle, name = tempfile.mkstemp(prefix=".writing-", suffix="".join(target.suffixes), dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        give_usual_mode(temporary)
        flush(temporary)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    flush(target.parent)


@contextmanager
def folder_made(folder: Path) -> Iterator[None]:
    """Makes a folder, and those that it lies in; of the new ones go again, at the end, those that nothing was put into."""
    new = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        with suppress(OSError):  # something lies in it
            for one in new:
                one.rmdir()


def place_folder(target: Path, fill: Callable[[Path], None]) -> None:
    """Calls `fill` with a path that it makes a folder of, then renames that to `target`, which must be new.

    What killed programs had begun to place beside `target` goes when it is a day old.
    Raises what `fill` raises, but PemmaError "cannot-write" for an OSError; nothing is left then.
    """
    try:
        with folder_made(target.parent):
            for left in target.parent.glob(f"{_PLACING}*"):
                with suppress(FileNotFoundError):  # another program was faster
                    if time.time() - left.stat().st_mtime > STALE_S:
                        shutil.rmtree(left, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix=_PLACING, dir=target.parent) as temporary:
                fill(Path(temporary) / target.name)
                os.rename(Path(temporary) / target.name, target)
            flush(target.parent)
    except OSError as error:
        raise PemmaError("cannot-write", f"the files can't be copied: {error.strerror or type(error).__name__}",
                         "free some space, or check the permissions", target.name) from error


def write_text(target: Path, text: str) -> None:
    """`write_atomically` for text: UTF-8, line ends as given."""
    write_atomically(target, lambda path: path.write_bytes(text.encode("utf-8")))


def as_utf8(path: Path) -> str:
    """A path for what takes none but in UTF-8: ITK would end the process. Raises PemmaError "bad-path" for another."""
    for part in Path(path).parts:
        if any("\ud800" <= letter <= "\udfff" for letter in part):  # how Python keeps bytes that are no UTF-8
            name = part.encode(errors="backslashreplace").decode()
            raise PemmaError("bad-path", "the name of a folder or file is not in UTF-8", "rename it", name)
    return str(path)


def sha256_of(path: Path) -> str:
    """Hex digest of a file, read in pieces."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def give_usual_mode(path: Path) -> None:
    """Gives a file or folder that was made for this user alone the permissions of any new one, on disks that keep them."""
    with suppress(OSError):
        path.chmod((0o777 if path.is_dir() else 0o666) & ~umask())


def umask() -> int:
    """The permissions that new files of this process do without."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def flush(path: Path) -> None:
    """Has a file, or the names in a folder, written to the disk, so that a power cut loses nothing.

    Many network and shared folders can't do the second; what was written there stays all the same.
    """
    if not path.is_dir():
        with open(path, "rb+") as stream:
            os.fsync(stream.fileno())
    elif os.name != "nt":  # a folder can't be opened for fsync on Windows; names are journalled there
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

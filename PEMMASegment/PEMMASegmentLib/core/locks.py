"""A file that one program at a time holds; the system lets go of it when that program ends, however it ends."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def held(file: Path) -> Iterator[bool]:
    """Whether this program holds `file`, which is made for it and goes afterwards; False while another one does.

    One that a killed program left is taken over. True on a share that knows no locks.
    """
    stream = open(file, "ab")  # noqa: SIM115  closed before it is removed, which Windows asks for
    ours = _take(stream.fileno()) and _is(stream.fileno(), file)
    try:
        yield ours
    finally:
        if ours and os.name != "nt":
            file.unlink(missing_ok=True)  # while it is held: nobody else's
        stream.close()
        if ours and os.name == "nt":
            with suppress(OSError):  # another program has opened it
                file.unlink(missing_ok=True)


def _take(descriptor: int) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # the second is how Windows says it
        return False
    except OSError:
        return True
    return True


def _is(descriptor: int, file: Path) -> bool:
    """Whether the file still goes by this name: its holder may have ended, and removed it, since it was opened."""
    return file.exists() and os.path.samestat(os.fstat(descriptor), os.stat(file))

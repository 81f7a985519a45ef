"""stdout and stderr of a command that are closed, full, or read by nobody. Imports nothing heavy."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import TextIO


@contextlib.contextmanager
def usable() -> Iterator[None]:
    """What stderr does not take is lost: a log that can't be written is no reason to stop, least of all hours of training.

    A closed stream leads nowhere: left closed, its number would be that of the next file, and libraries would print into it.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", errors="backslashreplace"))
    own, sys.stderr = sys.stderr, _Log(sys.stderr)
    try:
        yield
    finally:
        sys.stderr = own


class _Log:
    """A stream that is written to as far as it takes words."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, words: str) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(words)
        return len(words)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str):
        return getattr(self._stream, name)


@usable()
def tell(words: str) -> None:
    """Prints on stderr, where there is one."""
    print(words, file=sys.stderr)


def answer(words: str) -> None:
    """Prints on stdout, at once. Raises OSError where that takes it not; then it takes nothing any more.

    Else Python would try again when it ends, and tell that in its own words. BrokenPipeError where who read it, `head` or a
    pager, has gone: Windows calls that an invalid argument.
    """
    try:
        print(words, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if sys.platform == "win32" and error.errno == errno.EINVAL:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from error
        raise

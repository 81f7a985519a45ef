"""The two exceptions that callers are meant to catch, and what is told without one.

    Exception
    +-- PemmaError   the user can act on it: one sentence, a way out, a code, the file or tag concerned
    +-- Cancelled    raised out of a progress callback; the work stops at the next window or step

Anything else that escapes is a bug and keeps its traceback. What is true but stops nothing is a `PemmaWarning`.
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

#: How NumPy's MemoryError is called elsewhere: torch on the CPU and on a GPU, ITK, C++. All are RuntimeErrors.
_NO_MEMORY = ("DefaultCPUAllocator", "out of memory", "Failed to allocate memory", "bad_alloc")
#: How Rust, which writes weights, ends the words of what is an OSError in Python.
_OF_RUST = re.compile(r"\(os error (\d+)\)")
#: Windows' numbers of a library that is missing, lacks a function, or does not start.
_NOT_LOADED = (126, 127, 1114)


class PemmaError(Exception):
    """Something that the user can put right.

    code: stable, lower-case words joined by hyphens, e.g. "pet-units".
    sentence: what was found, in one sentence without a full stop and without anything of a patient's identity.
    way_out: what to do now.
    place: file name or DICOM tag concerned, "" if none.
    """

    def __init__(self, code: str, sentence: str, way_out: str = "", place: str = ""):
        super().__init__(code, sentence, way_out, place)
        self.code, self.sentence, self.way_out, self.place = code, sentence, way_out, place

    def __str__(self) -> str:
        place = f" [{self.place}]" if self.place else ""
        way_out = f" ({self.way_out})" if self.way_out else ""
        return f"{self.sentence}{place}{way_out} [{self.code}]"

    def as_json(self) -> dict[str, str]:
        """Its parts under the names that they have in code."""
        return {"code": self.code, "sentence": self.sentence, "way_out": self.way_out, "place": self.place}


class Cancelled(Exception):
    """The user stopped the work."""


@dataclass(frozen=True)
class PemmaWarning:
    """Something true that the user should know; its fields are the keys of a warning in JSON.

    code, way_out: as of a `PemmaError`; way_out is "" where there is nothing to do.
    sentence: one sentence without a full stop and without anything of a patient's identity.
    """

    code: str
    sentence: str
    way_out: str = ""

    def __str__(self) -> str:
        return str(PemmaError(self.code, self.sentence, self.way_out))


@contextmanager
def system_told() -> Iterator[None]:
    """What the system refuses is nothing that a traceback helps with: permissions, names, disks and memory as PemmaErrors."""
    try:
        yield
    except Exception as error:
        told = _of_the_system(_as_pythons(error))
        if told is None:
            raise
        raise told from error


def _as_pythons(error: Exception) -> Exception:
    found = type(error).__name__ == "SafetensorError" and _OF_RUST.search(str(error))
    if not found:
        return error
    number = int(found[1])
    return OSError(number, os.strerror(number), None, number)  # the last is Windows' own number, told to nobody else


def _of_the_system(error: Exception) -> PemmaError | None:
    name = Path(error.filename).name if isinstance(error, OSError) and isinstance(error.filename, str) else ""
    if isinstance(error, PermissionError) or isinstance(error, OSError) and error.errno == errno.EROFS:
        return PemmaError("no-permission", "the system forbids to read or write this file or folder",
                          "change its permissions, or name another place", name)
    if isinstance(error, NotADirectoryError):
        return PemmaError("bad-path", "a part of the path is a file, not a folder", "check the path", name)
    if isinstance(error, OSError) and error.errno == errno.ELOOP or str(error).startswith("Symlink loop"):  # Path.resolve
        return PemmaError("bad-path", "a link in the path leads to itself", "check the path", name)
    if isinstance(error, FileNotFoundError) and _is_nowhere():
        return PemmaError("bad-path", "the folder that the program works in was deleted", "go to another folder")
    if isinstance(error, OSError) and name and error.errno in (errno.ENAMETOOLONG, errno.EINVAL):
        return PemmaError("bad-path", "no file or folder can have this name here", "check the path", name[:80])
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return PemmaError("cannot-write", "there is no space left on the disk", "free some, or name another place", name)
    if isinstance(error, MemoryError) or isinstance(error, RuntimeError) and any(word in str(error) for word in _NO_MEMORY):
        return PemmaError("memory", "there is too little free memory",
                          "close other programs, or look at a part of the study with --roi")
    if getattr(error, "winerror", None) in _NOT_LOADED or isinstance(error, ImportError) and "DLL load failed" in str(error):
        return PemmaError("library-failed", "Windows can't load a part of torch or of another library",
                          "install Microsoft's newest Visual C++ Redistributable, "
                          "https://aka.ms/vs/17/release/vc_redist.x64.exe, and try again")
    if type(error) is OSError and error.strerror:  # what a disk or share does, never a bug
        return PemmaError("file-failed", f"the system could not read or write a file: {error.strerror}",
                          "check the disk or the share, or name another place", name)
    return None


def _is_nowhere() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False

"""The key that makes pseudonyms of Patient IDs in one case library: made with the library, never exported."""

import secrets
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from ..core import PemmaError
from ..core.files import write_text
from .placing import WRITING, place

_FILE = "key"
_WORDS = "This key makes pseudonyms of Patient IDs. Keep it with the library, give it to nobody.\n"


def is_there(private: Path) -> bool:
    """Whether the library's private folder holds a key."""
    return (private / _FILE).is_file()


def make(private: Path) -> None:
    """A new key in the private folder to be; of two programs that make one, the first one's stands."""
    folder = Path(tempfile.mkdtemp(prefix=WRITING, dir=private.parent))
    try:
        write_text(folder / _FILE, f"{_WORDS}{secrets.token_hex(32)}\n")
        with suppress(OSError):  # a network folder may know no permissions
            (folder / _FILE).chmod(0o600)
        place(folder, private)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read(private: Path) -> bytes:
    """The key. Raises PemmaError "library-key" when its file is damaged, OSError when it can't be read."""
    try:
        return bytes.fromhex((private / _FILE).read_text("utf-8").splitlines()[1])
    except (ValueError, IndexError):
        raise PemmaError("library-key", "the library's key for pseudonyms is damaged (private/key)",
                         "bring it back from a copy") from None


def lost(has_cases: bool) -> PemmaError:
    """The refusal of a library that has cases, or only tries, and no key any more."""
    way_out = "take the studies into a case library (`pemma-segment cases add`) and adapt with --library"
    if has_cases:
        way_out = "export the cases and import them into a new library, where the tries on them count too"
    return PemmaError("library-key", "the library's key for pseudonyms is gone (private/key)",
                      f"bring it back from a copy, or {way_out}")

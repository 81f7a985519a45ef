"""Zips from elsewhere: unpacked whole, or refused before anything of them is written; and the entries of our own."""

import errno
import os
import posixpath
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from .errors import PemmaError
from .folders import is_litter

_MOST_FILES, _LONGEST_JSON = 100_000, 4 << 20  # number, bytes
_USUAL = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGED = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


def unpack(file: Path, into: Path, most_bytes: int, refused: Callable[[str], PemmaError]) -> None:
    """Unpacks a zip into an empty folder, without what file managers put into it, and without a folder around all the rest.

    Raises what `refused` makes of the reason why not, a clause like "it is damaged".
    Raises PemmaError "zip-unpack" where the file can't be read or the disk takes no more. No member is checked while it is
    read: zipfile reads no more of it than its stated length, and compares its CRC.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries = [entry for entry in archive.infolist() if not _is_litter(entry)]
            if why := _objection(entries, most_bytes):
                raise refused(why)
            if sum(entry.file_size for entry in entries) > shutil.disk_usage(into).free:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            archive.extractall(into, _without_outer_folder(entries))
    except _DAMAGED as error:
        raise refused("it is no zip, or damaged") from error
    except OSError as error:
        if error.errno == errno.EINVAL:  # the zip names a place before its own beginning
            raise refused("it is no zip, or damaged") from error
        raise PemmaError("zip-unpack", f"the zip can't be unpacked: {error.strerror or type(error).__name__}",
                         "free some space, also for temporary files, or check the file's permissions", file.name) from error


@contextmanager
def opened(
    source: Path, inside: Callable[[Path], Path], most_bytes: int, refused: Callable[[str], PemmaError]
) -> Iterator[Path]:
    """`source` itself if it is a folder, else `inside` of the folder that the zip is unpacked to, as long as it is needed.

    Raises PemmaError as `unpack` does, and "bad-path" where nothing is there.
    """
    if not source.exists():
        raise PemmaError("bad-path", "there is no such file or folder", "check the path", source.name)
    if not source.is_file():
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="pemma-zip-") as folder:
        unpack(source, Path(folder), most_bytes, refused)
        yield inside(Path(folder))


def entry(name: str) -> zipfile.ZipInfo:
    """For a file to be packed under this name; it tells no date of this site."""
    return zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))


def _is_litter(entry: zipfile.ZipInfo) -> bool:
    return any(part == "__MACOSX" or is_litter(part) for part in PurePosixPath(entry.filename).parts)


def _without_outer_folder(entries: Sequence[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """The files, to be unpacked under names that begin below the innermost folder that all of them lie in."""
    files = [entry for entry in entries if not entry.is_dir()]
    outer = posixpath.commonpath([posixpath.dirname(entry.filename) for entry in files]) if files else ""
    for entry in files:
        entry.filename = str(PurePosixPath(entry.filename).relative_to(outer))
    return files


def _objection(entries: Sequence[zipfile.ZipInfo], most_bytes: int) -> str:
    """What speaks against unpacking, "" if nothing does."""
    if not all(entry.filename for entry in entries):
        return "it holds a file without a name"
    names = [PurePosixPath(entry.filename.lower()) for entry in entries]
    files = {name for name, entry in zip(names, entries, strict=True) if not entry.is_dir()}
    if any(name.is_absolute() or ".." in name.parts or {*"\\:"} & {*str(name)} for name in names):
        return "it holds names that reach outside its folder"
    if any(stat.S_ISLNK(entry.external_attr >> 16) for entry in entries):
        return "it holds links"
    if len({*names}) < len(names) or any(parent in files for name in names for parent in name.parents):
        return "it holds one name twice"
    if any(entry.flag_bits & 1 or entry.compress_type not in _USUAL for entry in entries):
        return "it is encrypted, or packed in an unusual way"
    long = any(entry.file_size > _LONGEST_JSON for entry in entries if entry.filename.lower().endswith(".json"))
    if long or len(entries) > _MOST_FILES or sum(entry.file_size for entry in entries) > most_bytes:
        return "it is too large"
    return ""

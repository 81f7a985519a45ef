"""One DICOM file: known by its content, its header read without pixels and without trusting it."""

import errno
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.errors import InvalidDicomError
from pydicom.filereader import data_element_generator
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from ...core import PemmaError
from ..tags import EXPORT_AGAIN, VALUE_ERRORS

LARGEST_VALUE = 1 << 16  # bytes; longer values (private blobs, icons) are skipped, so memory stays bounded
FIRST_TAGS = (b"\x08\x00", b"\x02\x00", b"\x00\x08")  # groups 0008 and 0002, with which a file without preamble begins
#: what pydicom raises for a file that is none, or damaged
READ_ERRORS = (*VALUE_ERRORS, InvalidDicomError, EOFError, RecursionError, MemoryError, zlib.error)
#: tags that must not stand twice in one file, since either value could be meant
CRITICAL = (
    (0x0028, 0x0010),
    (0x0028, 0x0011),
    (0x0028, 0x0030),
    (0x0020, 0x0032),
    (0x0020, 0x0037),
    (0x0028, 0x1053),
    (0x0028, 0x1052),
    (0x0054, 0x1001),
)


@dataclass(frozen=True)
class PixelData:
    """Pixel Data (7FE0,0010) in its file: offset and number of bytes that are really there (0: none); encapsulated or
    one run of plain integers."""

    offset: int
    length: int
    encapsulated: bool


@dataclass(frozen=True)
class File:
    """One DICOM file. header: without pixels and long values. syntax_guessed: the meta header lacks it.

    pixels: where Pixel Data lies, None where that is not known before decoding (deflated or unknown syntax).
    """

    path: Path
    header: Dataset
    syntax: UID
    pixels: PixelData | None
    syntax_guessed: bool = False

    @property
    def name(self) -> str:
        return printable(self.path.name)


def read_header(path: Path) -> File | None:
    """The file with its header, None if it is not DICOM. Refuses a damaged or unreadable one."""
    try:
        with path.open("rb") as stream:
            start = stream.read(132)
            if not begins_as_dicom(start):
                return None
            stream.seek(0)
            return _parse(path, stream, start[128:] != b"DICM")
    except OSError as problem:
        raise unreachable(problem, path.name) from None


def read_again(file: File, stop_before_pixels: bool = False) -> Dataset:
    """The whole file. Refuses one that vanished or that can't be read any more."""
    try:
        dataset = pydicom.dcmread(file.path, force=True, stop_before_pixels=stop_before_pixels)
    except FileNotFoundError as problem:
        raise unreachable(problem, file.name) from None
    except (OSError, *READ_ERRORS):
        raise PemmaError("damaged-file", "the file can't be read", EXPORT_AGAIN, file.name) from None
    dataset.file_meta.TransferSyntaxUID = file.syntax
    return dataset


def begins_as_dicom(start: bytes) -> bool:
    """Whether a file's first 132 bytes are a preamble, or those of a file without one."""
    return start[128:] == b"DICM" or start[:2] in FIRST_TAGS


def printable(name: str) -> str:
    """A name fit for one line of output."""
    return "".join(c if c.isprintable() else "?" for c in name)[-80:]


def unreachable(problem: OSError, name: str) -> PemmaError:
    """The refusal of a file or folder that the system does not give: its permissions, or it or its drive went away."""
    if isinstance(problem, PermissionError):
        return PemmaError(
            "no-permission", "no permission to read a file of the study", "check its permissions", printable(name)
        )
    return PemmaError(
        "series-changed",
        "a file or folder of the study vanished or could not be read from its drive any more",
        "copy the study to a local drive first",
        printable(name),
    )


def _parse(path: Path, stream, bare: bool) -> File | None:
    """bare: no preamble; then only what looks like an image is taken for DICOM."""
    try:
        header = pydicom.dcmread(stream, stop_before_pixels=True, defer_size=LARGEST_VALUE, force=True)
        syntax, guessed = _syntax(header)
        end = stream.tell()
        _drop_skipped(header)
        _check_encoding(header, syntax, path)
        if bare and ("SOPClassUID" not in header or "Modality" not in header):
            return None
        if syntax == DeflatedExplicitVRLittleEndian or not _standard(syntax):
            return File(path, header, syntax, None, guessed)
        _refuse_repeated(path, stream, end, syntax)
        return File(path, header, syntax, _pixel_data(stream, end, syntax), guessed)
    except (OSError, *READ_ERRORS) as problem:
        if getattr(problem, "errno", None) not in (None, errno.EINVAL):  # of the drive, not of a wrong length or place
            raise
        raise _damaged(path) from None


def _pixel_data(stream, start: int, syntax: UID) -> PixelData:
    """Reads the element's own header, at which the header's parser stopped: tag, VR unless implicit, length."""
    left = os.fstat(stream.fileno()).st_size - start
    stream.seek(start)
    order = "<" if syntax.is_little_endian else ">"
    size = 8 if syntax.is_implicit_VR else 12
    head = stream.read(size)
    if len(head) < size or struct.unpack(order + "HH", head[:4]) != (0x7FE0, 0x0010):
        return PixelData(start, 0, False)
    declared = struct.unpack(order + "L", head[-4:])[0]
    encapsulated = declared == 0xFFFFFFFF
    return PixelData(start + size, left - size if encapsulated else min(declared, left - size), encapsulated)


def _damaged(path: Path) -> PemmaError:
    return PemmaError(
        "damaged-file", "the file is damaged, its header can't be read", EXPORT_AGAIN, printable(path.name)
    )


def _syntax(header: Dataset) -> tuple[UID, bool]:
    """Transfer syntax, and whether it had to be guessed from the encoding of the header."""
    stated = header.file_meta.get("TransferSyntaxUID") if hasattr(header, "file_meta") else None
    if stated:
        return UID(stated), False
    implicit, little = header.original_encoding
    if not little:
        return ExplicitVRBigEndian, True
    return ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian, True


def _drop_skipped(header: Dataset) -> None:
    """Removes elements whose values were too long to read."""
    for tag in list(header.keys()):
        element = header.get_item(tag)
        if isinstance(element, RawDataElement) and element.value is None and element.length:
            del header[tag]


def _check_encoding(header: Dataset, syntax: UID, path: Path) -> None:
    """pydicom reads a header that is not encoded as the meta header says; its pixels would be read from a wrong place."""
    raw = next((e for e in map(header.get_item, header.keys()) if isinstance(e, RawDataElement)), None)
    if raw is not None and _standard(syntax):
        if raw.is_implicit_VR != syntax.is_implicit_VR or raw.is_little_endian != syntax.is_little_endian:
            raise _damaged(path)


def _standard(syntax: UID) -> bool:
    """Whether this is a transfer syntax of the standard; all others are refused once the series is judged."""
    return not syntax.is_private and syntax.is_transfer_syntax


def _refuse_repeated(path: Path, stream, end: int, syntax: UID) -> None:
    """Refuses a critical tag that stands twice at the top level. A search for its bytes first: it is nearly always there
    once, or in nested items too, and only then the file is walked."""
    stream.seek(0)
    head = stream.read(end)
    form = "<HH" if syntax.is_little_endian else ">HH"
    suspects = {tag for tag in CRITICAL if head.count(struct.pack(form, *tag)) > 1}
    if not suspects:
        return
    stream.seek(0)
    pydicom.filereader.read_preamble(stream, force=True)
    if head[128:132] == b"DICM":
        pydicom.filereader._read_file_meta_info(stream)
    counts = dict.fromkeys(suspects, 0)
    for element in data_element_generator(
        stream,
        syntax.is_implicit_VR,
        syntax.is_little_endian,
        stop_when=lambda tag, vr, length: tag >= 0x7FE00008,
        defer_size=64,
    ):
        key = (element.tag.group, element.tag.element)
        if key in counts:
            counts[key] += 1
    repeated = [tag for tag, count in counts.items() if count > 1]
    if repeated:
        tag = f"({repeated[0][0]:04X},{repeated[0][1]:04X})"
        raise PemmaError("repeated-tag", f"{tag} stands twice in one file", EXPORT_AGAIN, printable(path.name))

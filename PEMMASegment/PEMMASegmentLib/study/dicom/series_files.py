"""What is wrong or odd about the files of one series, before their slices are looked at."""

import hashlib

from pydicom import filereader

from ...core import PemmaError
from .. import tags
from ..tags import EXPORT_AGAIN
from .examination import refuse_mixed
from .files import File, unreachable
from .series import Series


def check(series: Series) -> None:
    """Refuses files that can't be of one series, drops those that came twice, and tells what is odd."""
    files = series.files
    if not series.uid:
        raise PemmaError(
            "series-uid-missing",
            "Series Instance UID (0020,000E) is missing in a file",
            EXPORT_AGAIN,
            files[0].name,
        )
    refuse_mixed([f.header for f in files], series.modality)
    _tell_odd_identifiers(series)
    _drop_duplicates(series)
    _tell_missing(series)


def _tell_odd_identifiers(series: Series) -> None:
    uids = [tags.text(f.header, "SOPInstanceUID") for f in series.files]
    if not all(uids):
        series.warn(
            "sop-uid-missing",
            "SOP Instance UID (0008,0018) is missing in an image, so a DICOM-SEG can't refer to it",
            EXPORT_AGAIN,
        )
    if any(uid and not _valid_uid(uid) for uid in (*uids, series.uid)):
        series.warn("uid-invalid", "a UID is not valid DICOM and was kept as found", EXPORT_AGAIN)
    if any(f.syntax_guessed for f in series.files):
        series.warn(
            "syntax-guessed",
            "Transfer Syntax UID (0002,0010) is missing and was taken from the encoding of the header",
            EXPORT_AGAIN,
        )
    if any(tags.text(f.header, "BurnedInAnnotation").upper() == "YES" for f in series.files):
        series.warn(
            "burned-in-annotation",
            "Burned In Annotation (0028,0301) is YES: pixels may show identifiers",
            "look before passing pictures on",
        )


def _valid_uid(uid: str) -> bool:
    parts = uid.split(".")
    return len(uid) <= 64 and all(p.isascii() and p.isdigit() and (p == "0" or p[0] != "0") for p in parts)


def _drop_duplicates(series: Series) -> None:
    """Each SOP instance once. Refuses two files of one instance that differ."""
    kept: dict[str, File] = {}
    for file in series.files:
        first = kept.setdefault(tags.text(file.header, "SOPInstanceUID") or str(file.path), file)
        if first is not file and _digest(first) != _digest(file):
            raise PemmaError(
                "conflicting-duplicates",
                "two files have the same SOP Instance UID (0008,0018) and different contents",
                "keep one of the two files",
                f"{first.name}, {file.name}",
            )
    extra = len(series.files) - len(kept)
    if extra:
        series.warn(
            "duplicates-ignored",
            f"{extra} file{'s' * (extra > 1)} of the {series.modality} series came twice and counted once",
        )
    series.files = list(kept.values())


def _digest(file: File) -> bytes:
    """sha256 of the data set with its pixels; the preamble and group 0002 before it only tell who wrote the file."""
    try:
        with file.path.open("rb") as stream:
            filereader.read_preamble(stream, force=True)
            filereader._read_file_meta_info(stream)
            return hashlib.sha256(stream.read()).digest()
    except OSError as problem:
        raise unreachable(problem, file.name) from None


def _tell_missing(series: Series) -> None:
    """Says so when a classic PET states more slices than there are; its count is that of one volume, also of several."""
    if series.modality != "PT" or series.multiframe:
        return
    try:
        stated = min(filter(None, (tags.number(f.header, "NumberOfSlices") for f in series.files)), default=0)
    except PemmaError:
        return
    if stated > len(series.files):
        series.warn(
            "slices-fewer-than-stated",
            f"{len(series.files)} of {stated:.0f} slices of the PET are there ({tags.title('NumberOfSlices')})",
            "export the series again, unless it was cut out on purpose",
        )

"""The DICOM files below a folder, known by content, with the few attributes that are asked for."""

import os
from collections.abc import Iterator
from pathlib import Path

from pydicom.filereader import read_partial
from pydicom.tag import Tag

from ..dicom.files import READ_ERRORS, begins_as_dicom

KEYWORDS = ["SOPClassUID", "SOPInstanceUID", "PatientID"]
_TAGS = [Tag(keyword) for keyword in KEYWORDS]


def headers(folder: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """(file, `KEYWORDS` with their values, "" where absent) in order of the paths; damaged files are passed over."""
    for file in _files(Path(folder)):
        header = header_of(file)
        if header is not None:
            yield file, header


def header_of(file: Path) -> dict[str, str] | None:
    """The values of `KEYWORDS`; None for a file that is no DICOM. A file without preamble can be one."""
    try:
        with open(file, "rb") as stream:
            if not begins_as_dicom(stream.read(132)):
                return None
            stream.seek(0)
            # no farther than needed: what lies behind may be long, or damaged without touching what the file is
            header = read_partial(stream, lambda tag, vr, length: tag > _TAGS[-1], force=True, specific_tags=_TAGS)
        return {keyword: str(header.get(keyword) or "").strip() for keyword in KEYWORDS}
    except (OSError, *READ_ERRORS):
        return None


def _files(folder: Path) -> Iterator[Path]:
    """Plain files below a folder in a fixed order; each folder once, so that links can't lead round in circles."""
    seen = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (path for name in sorted(names) if (path := Path(root) / name).is_file())

"""The DICOM files below a folder, known by content, with the few attributes that are asked for."""

import os
from collections.abc import Iterator
from pathlib import Path

import pydicom

from ..scan import READ_ERRORS


def headers(folder: Path, keywords: list[str]) -> Iterator[tuple[Path, pydicom.Dataset]]:
    """(file, attributes named by `keywords`) in order of the paths; damaged files are passed over."""
    for file in _files(Path(folder)):
        header = header_of(file, keywords)
        if header is not None:
            yield file, header


def header_of(file: Path, keywords: list[str]) -> pydicom.Dataset | None:
    """The named attributes; None for a file that is no DICOM. A file without preamble can be one."""
    try:
        with open(file, "rb") as stream:
            start = stream.read(132)
        if start[128:] != b"DICM" and start[:2] not in (b"\x08\x00", b"\x02\x00"):
            return None
        return pydicom.dcmread(file, force=True, specific_tags=keywords, stop_before_pixels=True)
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

"""Whether a contour began as an output of this software: what a DICOM-SEG says of the algorithm behind its segments, and
the header of a NIfTI file of its making.

Both name it "PEMMASegment <model>": programs that write such a file again often keep that name and nothing else of it.
"""

import gzip
import re
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom import Dataset

from ...core import Identity
from ..dicom.files import READ_ERRORS
from ..tags import items, on_one_line, quiet, text, words
from . import seg

#: How the software names itself: Algorithm Source of its own files, beginning of the algorithm's name in all.
SOFTWARE = "PEMMASegment"
_WITH = " with adapter "
_NIFTI_HEADER, _MAGIC, _DESCRIPTION = 348, slice(344, 347), slice(148, 228)  # bytes; NIfTI-1
_MADE = ("AUTOMATIC", "SEMIAUTOMATIC")
_MODEL = re.compile(r"model_sha256=([0-9a-f]{64})")
_ADAPTER = re.compile(r"adapter=([^=]*) (\S+) sha256 ([0-9a-f]{64})")


@dataclass(frozen=True)
class Author:
    """The model whose output a contour began as, and its adapter; a hash is "" where the file does not state it."""

    model: Identity
    adapter: Identity | None


def algorithm_name(model: Identity, adapter: Identity | None = None) -> str:
    """What a file calls the algorithm that made it; nothing of a patient."""
    return f"{SOFTWARE} {model.name}{_WITH}{adapter.name}" if adapter else f"{SOFTWARE} {model.name}"


@quiet
def author_of(file: Path) -> Author | None:
    """Who made the segments of a SEG, when one of them is ours and not drawn by hand, or a NIfTI file; else None.

    Segments that a person has corrected keep their tags (AUTOMATIC or SEMIAUTOMATIC) and so their author.
    """
    return _author_of(file, lambda dataset: items(dataset, "SegmentSequence"))


@quiet
def author_of_contour(file: Path, roi_name: str | None = None) -> Author | None:
    """As `author_of`, but of a SEG only the segments count that `annotation.read` takes with this name.

    Raises what it raises for a SEG that it takes nothing of.
    """
    return _author_of(file, lambda dataset: _taken(dataset, roi_name))


def _taken(dataset: Dataset, roi_name: str | None) -> list[Dataset]:
    segments = items(dataset, "SegmentSequence")
    numbers = seg.choose(seg.understand(dataset), roi_name)[0] if segments else ()
    return [segment for segment in segments if int(segment.SegmentNumber) in numbers]


def _author_of(file: Path, segments_of: Callable[[Dataset], Iterable[Dataset]]) -> Author | None:
    description = _nifti_description(file)
    if description is not None:
        return _named(description)
    try:
        dataset = pydicom.dcmread(file, stop_before_pixels=True)
    except (OSError, *READ_ERRORS):
        return None
    found = (_author(segment) for segment in segments_of(dataset))
    return next((author for author in found if author is not None), None)


def _author(segment: Dataset) -> Author | None:
    if text(segment, "SegmentAlgorithmType") not in _MADE:
        return None
    for algorithm in items(segment, "SegmentationAlgorithmIdentificationSequence"):
        if text(algorithm, "AlgorithmSource").startswith(SOFTWARE):
            return _stated(algorithm)
    return _named(words(segment, "SegmentAlgorithmName"))


def _named(name: str) -> Author | None:
    """What a name by `algorithm_name` tells, perhaps cut short; None for another one."""
    if not name.startswith(SOFTWARE):
        return None
    model, _, adapter = name.removeprefix(SOFTWARE).strip().partition(_WITH)
    return Author(Identity(model or "unknown", "", ""), Identity(adapter, "", "") if adapter else None)


def _nifti_description(file: Path) -> str | None:
    """The description in the header of a NIfTI file, compressed or not; None for any other file."""
    try:
        with open(file, "rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
        with (gzip.open if packed else open)(file, "rb") as stream:
            header = stream.read(_NIFTI_HEADER)
    except (OSError, EOFError, zlib.error):
        return None
    if header[_MAGIC] not in (b"n+1", b"ni1"):
        return None
    return on_one_line(header[_DESCRIPTION].partition(b"\0")[0].decode("ascii", "replace"))


def _stated(algorithm: Dataset) -> Author:
    parameters = text(algorithm, "AlgorithmParameters")
    version = text(algorithm, "AlgorithmVersion").partition(" with adapter ")[0]
    sha256, adapter = _MODEL.search(parameters), _ADAPTER.search(parameters)
    name = words(algorithm, "AlgorithmName").removeprefix(f"{SOFTWARE} ")
    model = Identity(name, version, sha256.group(1) if sha256 else "")
    return Author(model, Identity(*adapter.groups()) if adapter else None)

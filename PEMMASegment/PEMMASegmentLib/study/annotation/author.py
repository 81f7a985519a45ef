"""Whether a contour began as an output of this software: what a DICOM-SEG says of the algorithm behind its segments."""

import re
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom import Dataset

from ...core import Identity
from ..loading import quiet
from ..scan import READ_ERRORS
from ..tags import items, text

#: How the software names itself: Algorithm Source of its own files, beginning of Segment Algorithm Name in Slicer's.
_SOFTWARE = "PEMMASegment"
_MADE = ("AUTOMATIC", "SEMIAUTOMATIC")
_MODEL = re.compile(r"model_sha256=([0-9a-f]{64})")
_ADAPTER = re.compile(r"adapter=([^=]*) (\S+) sha256 ([0-9a-f]{64})")


@dataclass(frozen=True)
class Author:
    """The model whose output a contour began as, and its adapter; a hash is "" where the file does not state it."""

    model: Identity
    adapter: Identity | None


@quiet
def author_of(file: Path) -> Author | None:
    """Who made the segments of a SEG, when one of them is ours and not drawn by hand; None for any other file.

    Segments that a person has corrected keep their tags (AUTOMATIC or SEMIAUTOMATIC) and so their author.
    """
    try:
        dataset = pydicom.dcmread(file, stop_before_pixels=True)
    except (OSError, *READ_ERRORS):
        return None
    found = (_author(segment) for segment in items(dataset, "SegmentSequence"))
    return next((author for author in found if author is not None), None)


def _author(segment: Dataset) -> Author | None:
    if text(segment, "SegmentAlgorithmType") not in _MADE:
        return None
    for algorithm in items(segment, "SegmentationAlgorithmIdentificationSequence"):
        if text(algorithm, "AlgorithmSource").startswith(_SOFTWARE):
            return _stated(algorithm)
    name = text(segment, "SegmentAlgorithmName")
    if name.startswith(_SOFTWARE):
        return Author(Identity(name.removeprefix(_SOFTWARE).strip() or "unknown", "", ""), None)
    return None


def _stated(algorithm: Dataset) -> Author:
    parameters = text(algorithm, "AlgorithmParameters")
    version = text(algorithm, "AlgorithmVersion").partition(" with adapter ")[0]
    sha256, adapter = _MODEL.search(parameters), _ADAPTER.search(parameters)
    model = Identity(text(algorithm, "AlgorithmName"), version, sha256.group(1) if sha256 else "")
    return Author(model, Identity(*adapter.groups()) if adapter else None)

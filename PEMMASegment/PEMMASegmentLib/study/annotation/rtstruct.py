"""RTSTRUCT to a label: choice of the structure, its closed contours, their place by their own points.

None of the images that an RTSTRUCT references need exist (cropped studies), so Contour Image Sequence is not used.
"""

import re
from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
import SimpleITK as sitk
from pydicom import Dataset

from ...core import PemmaError, PemmaWarning
from ...core.images import like
from ..tags import on_one_line
from .polygons import fill

_TUMOUR = re.compile(r"gtv|tumou?r|lesion", re.IGNORECASE)
_UNNAMED = "unnamed"
_FARTHEST_MM = 1e6
_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")


@dataclass(frozen=True)
class Roi:
    """A structure: its ROI Number; its cleaned name, which no other drawn one has; closed contours (n, 3) in LPS mm."""

    number: str
    name: str
    frames: frozenset[str]
    contours: list[np.ndarray] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)


def looks_like_tumour(name: str) -> bool:
    """Whether a structure's name says GTV, tumour or lesion."""
    return bool(_TUMOUR.search(name))


def clean_name(name: object) -> str:
    """A structure's name on one line, in full."""
    return " ".join(on_one_line(str(name or "")).split()) or _UNNAMED


def short_name(name: str) -> str:
    """A name for messages: 64 characters at most, the middle left out."""
    return name if len(name) <= 64 else f"{name[:40]}...{name[-21:]}"


def same_name(name: str, wanted: str) -> bool:
    """Whether a user means `name`, in full or as messages shorten it; upper and lower case alike."""
    return clean_name(wanted).lower() in (name.lower(), short_name(name).lower())


def frames_of(dataset: Dataset, roi: Roi) -> frozenset[str]:
    """Frame of Reference UIDs that the contours claim: the structure's own and the file's only one."""
    listed = {_text(item, "FrameOfReferenceUID") for item in _items(dataset, "ReferencedFrameOfReferenceSequence")}
    own = roi.frames | (listed if len(listed) == 1 else set())
    return frozenset((own or {_text(dataset, "FrameOfReferenceUID")}) - {""})


def choose(rois: list[Roi], wanted: str | None) -> Roi:
    """The structure named `wanted`; else the only one with an area, or the only one named like a tumour.

    Raises PemmaError that lists the names.
    """
    names = ", ".join(short_name(roi.name) for roi in rois[:20])
    way_out = f"name one with --annotation-roi: {names}"
    solid = [r for r in rois if r.contours]
    if wanted is not None:
        named = [r for r in solid if same_name(r.name, wanted)] or [r for r in rois if same_name(r.name, wanted)]
        found = [r for r in named if r.name == clean_name(wanted)] or named
        if len(found) != 1:
            sentence = f"no single structure is named {short_name(clean_name(wanted))!r}"
            raise PemmaError("annotation-roi", sentence, way_out)
        return found[0]
    if not rois:
        raise PemmaError("annotation-roi", "the RTSTRUCT holds no structure", "give another annotation")
    solid = solid or rois
    tumours = [r for r in solid if looks_like_tumour(r.name)]
    for choice in (solid, tumours):
        if len(choice) == 1:
            return choice[0]
    sentence = f"of the RTSTRUCT's {len(solid)} structures {len(tumours)} are named like a tumour"
    raise PemmaError("annotation-roi", sentence, way_out)


def read_rois(dataset: Dataset) -> list[Roi]:
    """All structures of an RTSTRUCT in file order. Several drawn ones of one name, or of none, bear their ROI Number
    behind it: whether they are one lesion, two, or two readers' versions of one, only a person can tell."""
    drawn: dict[str, list[Dataset]] = {}
    for item in _items(dataset, "ROIContourSequence"):
        drawn.setdefault(_text(item, "ReferencedROINumber"), []).append(item)
    rois = []
    for item in _items(dataset, "StructureSetROISequence"):
        number, frame = _text(item, "ROINumber"), _text(item, "ReferencedFrameOfReferenceUID")
        rois.append(Roi(number, clean_name(item.get("ROIName")), frozenset({frame} - {""})))
        for contours in drawn.get(number, ()):
            _read_contours(contours, rois[-1])
    times = Counter(roi.name for roi in rois if roi.contours)
    return [replace(roi, name=f"{roi.name} #{roi.number}") if times[roi.name] > 1 else roi for roi in rois]


def fill_roi(roi: Roi, grid: sitk.Image) -> tuple[sitk.Image, tuple[PemmaWarning, ...]]:
    """The structure as a label on `grid`, empty (with a warning) when it has no area."""
    told = tuple(PemmaWarning("contour-skipped", f"contours skipped ({why}): {n}") for why, n in roi.skipped.items())
    if not roi.contours:
        columns, rows, slices = grid.GetSize()
        return like(np.zeros((slices, rows, columns), np.uint8), grid), told
    label, more = fill(roi.contours, grid)
    return label, told + more


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    return list(dataset.get(keyword) or [])


def _text(item: Dataset, keyword: str) -> str:
    return str(item.get(keyword) or "")


def _read_contours(item: Dataset, roi: Roi) -> None:
    """Adds the usable contours of one ROI Contour item to `roi` and counts the others by reason."""
    seen = {_outline(c) for c in roi.contours}
    for contour in _items(item, "ContourSequence"):
        points, reason = _points(contour)
        if points is not None and _outline(points) in seen:  # two of the same would cancel by exclusive or
            points, reason = None, "drawn twice"
        if points is None:
            roi.skipped[reason] = roi.skipped.get(reason, 0) + 1
            continue
        seen.add(_outline(points))
        roi.contours.append(points)


def _outline(points: np.ndarray) -> bytes:
    """The same for a polygon wherever it starts, whichever way it runs and whether it comes back to its start."""
    return (np.unique(np.round(points, 3), axis=0) + 0.0).tobytes()  # + 0.0: no minus zero


def _points(contour: Dataset) -> tuple[np.ndarray | None, str]:
    """Points (n, 3) in LPS mm, or None and why the contour has no area."""
    kind = str(contour.get("ContourGeometricType", "CLOSED_PLANAR")).strip()
    if kind not in _CLOSED:
        return None, "not closed"
    try:
        numbers = _numbers(contour)
    except ValueError:
        return None, "points are not numbers"
    if len(numbers) % 3 or not (np.abs(numbers) < _FARTHEST_MM).all():  # false for NaN too
        return None, "points are not numbers"
    points = numbers.reshape(-1, 3)
    if len(points) < 3 or np.linalg.svd(points - points.mean(axis=0), compute_uv=False)[1] < 1e-3:
        return None, "no area"
    return points, ""


def _numbers(contour: Dataset) -> np.ndarray:
    """Contour Data as float64, from the raw text where pydicom has not parsed it (a hundred times faster)."""
    element = contour.get_item("ContourData")
    value = element.value if element is not None else None
    if value is None:
        return np.zeros(0)
    if isinstance(value, bytes):
        text = value.strip(b" \x00")
        return np.array(text.split(b"\\"), dtype=float) if text else np.zeros(0)
    return np.atleast_1d(np.array(value, dtype=float))

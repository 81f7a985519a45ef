"""RTSTRUCT to a label: choice of the structure, its closed contours, their place by their own points.

None of the images that an RTSTRUCT references need exist (cropped studies), so Contour Image Sequence is not used.
"""

import re
from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk
from pydicom import Dataset

from ...core import PemmaError
from ...core.images import like
from ..types import StudyWarning
from .polygons import fill

_TUMOUR = re.compile(r"gtv|tumou?r|lesion", re.IGNORECASE)
_FARTHEST_MM = 1e6
_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")


@dataclass(frozen=True)
class Roi:
    """A structure: its numbers (several when a name is used twice), cleaned name, closed contours (n, 3) in LPS mm."""

    name: str
    frames: frozenset[str]
    contours: list[np.ndarray] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)


def looks_like_tumour(name: str) -> bool:
    """Whether a structure's name says GTV, tumour or lesion."""
    return bool(_TUMOUR.search(name))


def clean_name(name: object) -> str:
    """A structure's name on one line, 64 characters at most."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(name or "")).split())[:64] or "unnamed"


def frames_of(dataset: Dataset, roi: Roi) -> frozenset[str]:
    """Frame of Reference UIDs that the contours claim: the structure's own and the file's only one."""
    listed = {_text(item, "FrameOfReferenceUID") for item in _items(dataset, "ReferencedFrameOfReferenceSequence")}
    own = roi.frames | (listed if len(listed) == 1 else set())
    return frozenset((own or {_text(dataset, "FrameOfReferenceUID")}) - {""})


def choose(rois: list[Roi], wanted: str | None) -> Roi:
    """The structure named `wanted`; else the only one with an area, or the only one named like a tumour.

    Raises PemmaError that lists the names.
    """
    names = ", ".join(roi.name for roi in rois[:20])
    way_out = f"name one with --annotation-roi: {names}"
    if wanted is not None:
        wanted = clean_name(wanted)
        found = [r for r in rois if r.name == wanted] or [r for r in rois if r.name.lower() == wanted.lower()]
        if len(found) != 1:
            raise PemmaError("annotation-roi", f"no single structure is named {wanted!r}", way_out)
        return found[0]
    if not rois:
        raise PemmaError("annotation-roi", "the RTSTRUCT holds no structure", "give another annotation")
    solid = [r for r in rois if r.contours] or rois
    tumours = [r for r in solid if looks_like_tumour(r.name)]
    for choice in (solid, tumours):
        if len(choice) == 1:
            return choice[0]
    sentence = f"of the RTSTRUCT's {len(solid)} structures {len(tumours)} are named like a tumour"
    raise PemmaError("annotation-roi", sentence, way_out)


def read_rois(dataset: Dataset) -> list[Roi]:
    """All structures of an RTSTRUCT in file order; structures of one name are one."""
    drawn: dict[str, list[Dataset]] = {}
    for item in _items(dataset, "ROIContourSequence"):
        drawn.setdefault(_text(item, "ReferencedROINumber"), []).append(item)
    rois: dict[str, Roi] = {}
    for item in _items(dataset, "StructureSetROISequence"):
        name, frame = clean_name(item.get("ROIName")), item.get("ReferencedFrameOfReferenceUID")
        known = rois.get(name, Roi(name, frozenset()))
        rois[name] = Roi(name, known.frames | ({str(frame)} if frame else set()), known.contours, known.skipped)
        for contours in drawn.get(_text(item, "ROINumber"), ()):
            _read_contours(contours, rois[name])
    return list(rois.values())


def fill_roi(roi: Roi, grid: sitk.Image) -> tuple[sitk.Image, tuple[StudyWarning, ...]]:
    """The structure as a label on `grid`, empty (with a warning) when it has no area."""
    notes = tuple(StudyWarning("contour-skipped", f"contours skipped ({why}): {n}") for why, n in roi.skipped.items())
    if not roi.contours:
        columns, rows, slices = grid.GetSize()
        return like(np.zeros((slices, rows, columns), np.uint8), grid), notes
    label, more = fill(roi.contours, grid)
    return label, notes + more


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    return list(dataset.get(keyword) or [])


def _text(item: Dataset, keyword: str) -> str:
    return str(item.get(keyword) or "")


def _read_contours(item: Dataset, roi: Roi) -> None:
    """Adds the usable contours of one ROI Contour item to `roi` and counts the others by reason."""
    seen: set[bytes] = {c.tobytes() for c in roi.contours}
    for contour in _items(item, "ContourSequence"):
        points, reason = _points(contour)
        if points is not None and points.tobytes() in seen:  # two of the same would cancel by exclusive or
            points, reason = None, "drawn twice"
        if points is None:
            roi.skipped[reason] = roi.skipped.get(reason, 0) + 1
            continue
        seen.add(points.tobytes())
        roi.contours.append(points)


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

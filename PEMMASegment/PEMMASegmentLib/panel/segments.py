"""Lesions as segments of a segmentation node: codes, colours, review state, which of them the user keeps; and back."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import SimpleITK as sitk
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ..core import Identity, Lesion
from ..core.types import CATEGORY_CODE, TYPE_CODE
from ..core.voxels import Voxels
from . import volumes
from .looks import Look

#: distinguishable with every kind of colour vision (Okabe and Ito), RGB in 0..1
COLOURS = (
    (0.90, 0.62, 0.00), (0.34, 0.71, 0.91), (0.00, 0.62, 0.45), (0.94, 0.89, 0.26), (0.84, 0.37, 0.00),
    (0.80, 0.47, 0.65), (0.00, 0.45, 0.70),
)  # fmt: skip
TERMINOLOGY = (
    "Segmentation category and type - DICOM master list"
    f"~SCT^{CATEGORY_CODE}^Morphologically Abnormal Structure~SCT^{TYPE_CODE}^Neoplasm~^^"
    "~Anatomic codes - DICOM master list~^^~^^"
)
NUMBER, KEPT = "PEMMASegment.Lesion", "PEMMASegment.Kept"
ALGORITHM_TYPE, ALGORITHM_NAME = "DICOM.SegmentAlgorithmType", "DICOM.SegmentAlgorithmName"
TRACKING_ID, TRACKING_UID = "DICOM.TrackingIdentifier", "DICOM.TrackingUniqueIdentifier"
LABELMAP, SURFACE = "Binary labelmap", "Closed surface"


def draw(node, voxels: Voxels, grid: sitk.Image, lesions: Sequence[Lesion], model: Identity,
         reviewed: frozenset[int] = frozenset(), looks: Mapping[int, Look] | None = None) -> None:  # fmt: skip
    """Replaces the segments of lesions by these, without surfaces; empty segments that the user made stay.

    voxels: on `grid`. looks: lesion number -> what the user gave.
    """
    segmentation = node.GetSegmentation()
    for segment_id in ids(node).values():
        # else it would be cleared out of the labelmap that all share
        segmentation.GetSegment(segment_id).RemoveRepresentation(LABELMAP)
        segmentation.RemoveSegment(segment_id)
    if not lesions:
        return
    labelmap = _labelmap(voxels, grid)
    for lesion in lesions:
        segment = _segment(lesion.number, (looks or {}).get(lesion.number), labelmap)
        segmentation.AddSegment(segment, _free_id(segmentation, f"Lesion_{lesion.number}"))
    describe(node, lesions, model, reviewed)


def looks(node) -> dict[int, Look]:
    """Lesion number -> what the user gave to its segment, where that is anything."""
    segmentation = node.GetSegmentation()
    found = {number: _look(segmentation.GetSegment(segment_id)) for number, segment_id in ids(node).items()}
    return {number: look for number, look in found.items() if any(look)}


def _look(segment) -> Look:
    name, colour, terminology = segment.GetName(), segment.GetColor(), tag(segment, "TerminologyEntry")
    ours = re.fullmatch(r"Tumour \d+", name) is not None
    palette = np.isclose(COLOURS, colour, rtol=0, atol=1e-3).all(axis=1).any()
    return Look(None if ours else name, None if palette else colour, None if terminology == TERMINOLOGY else terminology)


def surfaces(node) -> dict[int, vtk.vtkPolyData]:
    """Lesion number -> its closed surface, as far as there are any."""
    segmentation = node.GetSegmentation()
    found = {n: segmentation.GetSegment(i).GetRepresentation(SURFACE) for n, i in ids(node).items()}
    return {number: surface for number, surface in found.items() if surface is not None}


def make_surfaces(node, known: Mapping[int, vtk.vtkPolyData]) -> None:
    """Gives each segment its closed surface, those that are known without making them anew."""
    segmentation, found = node.GetSegmentation(), ids(node)
    for number in found.keys() & known.keys():
        segmentation.GetSegment(found[number]).AddRepresentation(SURFACE, known[number])
    node.CreateClosedSurfaceRepresentation()


def describe(node, lesions: Sequence[Lesion], model: Identity, reviewed: frozenset[int]) -> None:
    """Brings what the segments tell of the lesions up to date: tracking, who drew them, review state, kept."""
    found = ids(node)
    for lesion in lesions:
        segment = node.GetSegmentation().GetSegment(found[lesion.number])
        if tag(segment, KEPT) != str(int(lesion.kept)):  # else what the user shows and hides stays
            node.GetDisplayNode().SetSegmentVisibility(found[lesion.number], lesion.kept)
        state = slicer.vtkSlicerSegmentationsModuleLogic
        # flagged until the physician has looked at it
        state.SetSegmentStatus(segment, state.Completed if lesion.number in reviewed else state.Flagged)
        tags = {
            ALGORITHM_TYPE: lesion.algorithm_type, ALGORITHM_NAME: f"PEMMASegment {model.name}",
            TRACKING_ID: f"lesion {lesion.number}", TRACKING_UID: lesion.tracking_uid, KEPT: str(int(lesion.kept)),
        }  # fmt: skip
        for name, value in tags.items():
            segment.SetTag(name, value)


def read(node, grid: sitk.Image, free_number: int, former: Voxels | None = None) -> tuple[Voxels, bool]:
    """The lesions on `grid` as the segments are now, and whether segments overlap.

    A segment that the user added and drew into becomes a lesion from `free_number` on; so does one that was copied here
    and brings a number that another segment has. Where segments overlap one counts that has not had the voxel before,
    in `former`; of several the last.
    """
    found, labelmaps, known = [], {}, set()
    segmentation = node.GetSegmentation()
    for segment_id in _all_ids(segmentation):
        segment = segmentation.GetSegment(segment_id)
        if tag(segment, NUMBER) in known:
            for name in (NUMBER, KEPT, TRACKING_ID, TRACKING_UID):
                segment.RemoveTag(name)
        at, values = _voxels(node, segment_id, grid, labelmaps)
        if (values == segment.GetLabelValue()).any():
            if not segment.HasTag(NUMBER):
                segment.SetTag(NUMBER, str(free_number))
                segment.SetTerminology(TERMINOLOGY)
                free_number += 1
            found.append((at, values, segment.GetLabelValue(), int(tag(segment, NUMBER))))
        known |= {tag(segment, NUMBER)} - {""}
    return _put_together(found, grid.GetSize()[::-1], former)


def _put_together(found: Sequence[tuple], shape: tuple[int, ...], former: Voxels | None) -> tuple[Voxels, bool]:
    """As `read`, of segments: `_voxels` of each, its label value and its lesion."""
    if len({id(at) for at, *_ in found}) == 1 and len({value for _, _, value, _ in found}) == len(found):
        at, values, *_ = found[0]  # of one labelmap, in which none overlap
        of = np.zeros(len(at), np.uint16)
        for _, _, value, number in found:
            of[values == value] = number
        voxels = Voxels(shape, at, of)
        return (voxels if of.all() else voxels.only(of > 0)), False
    parts = [at[values == value] for at, values, value, _ in found]
    at = np.concatenate([np.empty(0, np.int64), *parts])
    of = np.repeat(np.array([number for *_, number in found], np.uint16), list(map(len, parts)))
    order = np.argsort(at, kind="stable")
    at, of = at[order], of[order]
    first = np.diff(at, prepend=-1) > 0  # of the segments that have this voxel
    if first.all():
        return Voxels(shape, at, of), False
    last = np.diff(at, append=np.prod(shape)) > 0
    counts = first | (of != (former.under(at) if former is not None else 0))
    chosen = np.maximum.accumulate(np.where(counts, np.arange(len(at)), 0))
    return Voxels(shape, at[last], of[chosen[last]]), True


def ids(node) -> dict[int, str]:
    """Lesion number -> ID of its segment."""
    segmentation = node.GetSegmentation()
    every = {segment_id: segmentation.GetSegment(segment_id) for segment_id in _all_ids(segmentation)}
    return {int(tag(segment, NUMBER)): segment_id for segment_id, segment in every.items() if segment.HasTag(NUMBER)}


def colours(node) -> dict[int, tuple[float, float, float]]:
    """Lesion number -> the colour of its segment, RGB in 0..1."""
    segmentation = node.GetSegmentation()
    return {number: segmentation.GetSegment(segment_id).GetColor() for number, segment_id in ids(node).items()}


def with_tag(node, name: str, value: str) -> frozenset[int]:
    """Lesions whose segment has a tag of this value."""
    return frozenset(number for number, found in tags(node, name).items() if found == value)


def tags(node, name: str) -> Mapping[int, str]:
    """Lesion number -> a tag of its segment, "" where it has none."""
    segmentation = node.GetSegmentation()
    return {number: tag(segmentation.GetSegment(segment_id), name) for number, segment_id in ids(node).items()}


def reviewed(node) -> frozenset[int]:
    """Lesions that the physician has looked at, here or in the Segment Editor."""
    state, segmentation = slicer.vtkSlicerSegmentationsModuleLogic, node.GetSegmentation()
    return frozenset(
        number
        for number, segment_id in ids(node).items()
        if state.GetSegmentStatus(segmentation.GetSegment(segment_id)) == state.Completed
    )


def _all_ids(segmentation) -> list[str]:
    return [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]


def _free_id(segmentation, wanted: str) -> str:
    return wanted if segmentation.GetSegment(wanted) is None else segmentation.GenerateUniqueSegmentID(wanted)


def _voxels(node, segment_id: str, grid: sitk.Image, labelmaps: dict) -> tuple[np.ndarray, np.ndarray]:
    """Flat indices in `grid`, rising, and values of a segment's labelmap, as they lie there when they can be read so.

    Its own are those with its label value. labelmaps: what was read of those that segments share.
    """
    segment = node.GetSegmentation().GetSegment(segment_id)
    labelmap = segment.GetRepresentation(LABELMAP)
    if labelmap is None or labelmap.IsEmpty():
        return np.empty(0, np.int64), np.empty(0, np.uint8)
    if labelmap not in labelmaps:
        labelmaps[labelmap] = _marked(labelmap, grid)
    if labelmaps[labelmap] is None:
        at = np.flatnonzero(_resampled(node, segment_id, grid))
        return at, np.broadcast_to(segment.GetLabelValue(), at.shape)
    return labelmaps[labelmap]


def _marked(labelmap, grid: sitk.Image) -> tuple[np.ndarray, np.ndarray] | None:
    """Flat indices in `grid` of a labelmap's voxels that are not 0, and their values; None where it lies otherwise."""
    matrix, shape = vtk.vtkMatrix4x4(), grid.GetSize()[::-1]
    labelmap.GetImageToWorldMatrix(matrix)
    extent = np.reshape(labelmap.GetExtent(), (3, 2))[::-1]
    fits = (extent[:, 0] >= 0).all() and (extent[:, 1] < shape).all()
    if not fits or not np.allclose(slicer.util.arrayFromVTKMatrix(matrix), volumes.matrix_of(grid), atol=1e-6):
        return None
    values = vtk_to_numpy(labelmap.GetPointData().GetScalars())
    at = np.flatnonzero(values != 0)
    values, low, size = values[at], extent[:, 0], extent[:, 1] - extent[:, 0] + 1
    if (size != shape).any():
        z, y = np.ogrid[: size[0], : size[1]]
        first = ((low[0] + z) * shape[1] + low[1] + y) * shape[2] + low[2]  # of each row along x
        at += (first - (z * size[1] + y) * size[2]).ravel()[at // size[2]]
    return at, values


def _resampled(node, segment_id: str, grid: sitk.Image) -> np.ndarray:
    """A segment's voxels (bool, z y x) on all of `grid`."""
    chosen, geometry, merged = vtk.vtkStringArray(), slicer.vtkOrientedImageData(), slicer.vtkOrientedImageData()
    chosen.InsertNextValue(segment_id)
    geometry.SetDimensions(*grid.GetSize())
    geometry.SetGeometryFromImageToWorldMatrix(slicer.util.vtkMatrixFromArray(volumes.matrix_of(grid)))
    node.GenerateMergedLabelmapForAllSegments(merged, slicer.vtkSegmentation.EXTENT_REFERENCE_GEOMETRY, geometry, chosen)
    return vtk_to_numpy(merged.GetPointData().GetScalars()).reshape(grid.GetSize()[::-1]) != 0


def _labelmap(voxels: Voxels, grid: sitk.Image):
    """Lesion numbers in one labelmap that all segments share, cropped to what they need."""
    index = np.array(np.unravel_index(voxels.at, voxels.shape))
    low, high = index.min(axis=1), index.max(axis=1)
    inside = np.zeros(high - low + 1, np.uint8 if voxels.highest < 256 else np.uint16)
    inside[tuple(index - low[:, None])] = voxels.of
    labelmap = slicer.vtkOrientedImageData()
    labelmap.SetExtent(*np.stack([low, high], axis=1)[::-1].ravel().tolist())
    labelmap.GetPointData().SetScalars(numpy_to_vtk(inside.ravel(), deep=True))
    labelmap.SetGeometryFromImageToWorldMatrix(slicer.util.vtkMatrixFromArray(volumes.matrix_of(grid)))
    return labelmap


def _segment(number: int, look: Look | None, labelmap):
    """A new segment; what the user did not give comes from the number."""
    name, colour, terminology = look or (None, None, None)
    segment = slicer.vtkSegment()
    segment.SetName(name or f"Tumour {number}")
    segment.SetColor(*(colour or COLOURS[(number - 1) % len(COLOURS)]))
    segment.SetTerminology(terminology or TERMINOLOGY)
    segment.SetTag(NUMBER, str(number))
    segment.SetLabelValue(number)
    segment.AddRepresentation(LABELMAP, labelmap)
    return segment


def tag(segment, name: str) -> str:
    """The value of a segment's tag, "" where it has none."""
    value = vtk.reference("")
    segment.GetTag(name, value)
    return str(value)

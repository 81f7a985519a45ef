"""Lesions as segments of a segmentation node: codes, colours, review state, which of them the user keeps."""

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from ..core import Identity, Lesion
from ..results.components import components
from . import volumes

#: distinguishable with every kind of colour vision (Okabe and Ito), RGB in 0..1
COLOURS = (
    (0.90, 0.62, 0.00), (0.34, 0.71, 0.91), (0.00, 0.62, 0.45), (0.94, 0.89, 0.26), (0.84, 0.37, 0.00),
    (0.80, 0.47, 0.65), (0.00, 0.45, 0.70),
)  # fmt: skip
TERMINOLOGY = (
    "Segmentation category and type - DICOM master list"
    "~SCT^49755003^Morphologically Abnormal Structure~SCT^108369006^Neoplasm~^^"
    "~Anatomic codes - DICOM master list~^^~^^"
)
NUMBER, KEPT = "PEMMASegment.Lesion", "PEMMASegment.Kept"
ALGORITHM_TYPE, ALGORITHM_NAME = "DICOM.SegmentAlgorithmType", "DICOM.SegmentAlgorithmName"
TRACKING_ID, TRACKING_UID = "DICOM.TrackingIdentifier", "DICOM.TrackingUniqueIdentifier"
LABELMAP = "Binary labelmap"


def draw(node, label: sitk.Image, lesions: Sequence[Lesion], model: Identity) -> None:
    """Replaces the segments of an earlier `draw` by these lesions; segments that the user made stay.

    lesions: of `measure(label, ...)`. Closed surfaces are made when the node had them.
    """
    segmentation = node.GetSegmentation()
    surfaces = segmentation.ContainsRepresentation("Closed surface")
    for segment_id in ids(node):
        segmentation.RemoveSegment(segment_id)
    if not lesions:
        return
    labelmap = _labelmap(label, max(lesion.number for lesion in lesions))
    for lesion in lesions:
        segmentation.AddSegment(_segment(lesion, labelmap, model), f"Lesion_{lesion.number}")
        show(node, lesion)
    if surfaces:
        node.CreateClosedSurfaceRepresentation()


def ids(node) -> list[str]:
    """IDs of the segments that `draw` made."""
    segmentation = node.GetSegmentation()
    every = [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]
    return [segment_id for segment_id in every if segmentation.GetSegment(segment_id).HasTag(NUMBER)]


def id_of(node, number: int) -> str | None:
    """ID of a lesion's segment, None when it is gone."""
    segmentation = node.GetSegmentation()
    return next((i for i in ids(node) if _tag(segmentation.GetSegment(i), NUMBER) == str(number)), None)


def show(node, lesion: Lesion) -> None:
    """Shows a kept lesion and hides a dropped one, which stays in the node."""
    segment_id = id_of(node, lesion.number)
    if segment_id is not None:
        node.GetSegmentation().GetSegment(segment_id).SetTag(KEPT, str(int(lesion.kept)))
        node.GetDisplayNode().SetSegmentVisibility(segment_id, lesion.kept)


def dropped(node) -> set[int]:
    """Numbers of the lesions that the user has dropped."""
    found = [node.GetSegmentation().GetSegment(segment_id) for segment_id in ids(node)]
    return {int(_tag(segment, NUMBER)) for segment in found if _tag(segment, KEPT) == "0"}


def drawn(node, label: sitk.Image, lesions: Sequence[Lesion], reference) -> bool:
    """Whether the segments are still what `draw` made of these lesions, voxel for voxel; False after an edit.

    reference: the volume node on whose grid `label` lies.
    """
    numbers, _ = components(label)
    if len(ids(node)) != len(lesions):
        return False
    for lesion in lesions:
        segment_id = id_of(node, lesion.number)
        if segment_id is None:
            return False
        voxels = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, reference)
        if voxels is None or not np.array_equal(voxels != 0, numbers == lesion.number):
            return False
    return True


def _labelmap(label: sitk.Image, highest: int):
    """Lesion numbers up to `highest` in one labelmap that all segments share, cropped to what they need."""
    numbers, boxes = components(label)
    boxes = boxes[:highest]
    box = tuple(slice(min(b[axis].start for b in boxes), max(b[axis].stop for b in boxes)) for axis in range(3))
    inside = np.where(numbers[box] <= highest, numbers[box], 0).astype(np.uint8 if highest < 256 else np.uint16)
    labelmap = slicer.vtkOrientedImageData()
    labelmap.SetExtent(*(value for axis in reversed(box) for value in (axis.start, axis.stop - 1)))
    labelmap.GetPointData().SetScalars(numpy_to_vtk(inside.ravel(), deep=True))
    labelmap.SetGeometryFromImageToWorldMatrix(slicer.util.vtkMatrixFromArray(volumes.matrix_of(label)))
    return labelmap


def _segment(lesion: Lesion, labelmap, model: Identity):
    segment = slicer.vtkSegment()
    segment.SetName(f"Tumour {lesion.number}")
    segment.SetColor(*COLOURS[(lesion.number - 1) % len(COLOURS)])
    segment.SetTerminology(TERMINOLOGY)
    segment.SetLabelValue(lesion.number)
    segment.AddRepresentation(LABELMAP, labelmap)
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetSegmentStatus(segment, logic.Flagged)  # until the physician has looked at it
    tags = {
        NUMBER: str(lesion.number), ALGORITHM_TYPE: "AUTOMATIC", ALGORITHM_NAME: f"PEMMASegment {model.name}",
        TRACKING_ID: f"lesion {lesion.number}", TRACKING_UID: lesion.tracking_uid,
    }  # fmt: skip
    for name, value in tags.items():
        segment.SetTag(name, value)
    return segment


def _tag(segment, name: str) -> str:
    value = vtk.reference("")
    segment.GetTag(name, value)
    return str(value)

"""A held-out case in the views: its CT and PET, its contour, and what base and adapter made of it, in two colours."""

from collections.abc import Mapping
from pathlib import Path

import SimpleITK as sitk
import slicer

from ..core.images import array
from . import own_nodes, view, volumes
from .adapt_plot import ADAPTER, BASE
from .host import Host

_CONTOUR = (1.0, 1.0, 1.0)
WINDOW = (0.0, 10.0)  # SUV
THICKNESS = 2
_ROLE, _KINDS = "comparison", ("vtkMRMLScalarVolumeNode", "vtkMRMLSegmentationNode")


class Comparison:
    """One case at a time."""

    def show(self, images: Mapping[str, Path], found: Mapping[str, Path], host: Host) -> None:
        """images: files of "ct", "pet" (either may be missing) and "mask"; found: files of the labels before and after."""
        self.clear()
        ct, pet = (self._volume(images[name], name) if name in images else None for name in ("ct", "pet"))
        contour = sitk.ReadImage(str(images["mask"]), sitk.sitkUInt8)
        self._segments(ct or pet, contour, {when: sitk.ReadImage(str(found[when]), sitk.sitkUInt8) for when in found})
        host.forget_view()
        view.fuse(ct, pet, colour="inverted grey", window=WINDOW, opacity=0.5)
        view.jump_to(volumes.to_ras(_centre(contour)))

    def clear(self) -> None:
        """Takes the case shown before out of the scene."""
        for kind in _KINDS:
            for node in own_nodes.marked(kind, _ROLE):
                slicer.mrmlScene.RemoveNode(node)

    def _volume(self, file: Path, name: str):
        kind = {"ct": sitk.sitkInt16, "pet": sitk.sitkFloat32}[name]
        return own_nodes.mark(volumes.volume_of(sitk.ReadImage(str(file), kind), f"Held-out case {name.upper()}"), _ROLE)

    def _segments(self, reference, contour: sitk.Image, found: Mapping[str, sitk.Image]) -> None:
        node = own_nodes.mark(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Held-out case"), _ROLE)
        node.CreateDefaultDisplayNodes()
        node.SetReferenceImageGeometryParameterFromVolumeNode(reference)
        given = (("Contour", _CONTOUR, contour), ("Base", BASE, found["before"]), ("Adapter", ADAPTER, found["after"]))
        for name, colour, label in given:
            segment_id = node.GetSegmentation().AddEmptySegment(name, name, colour)
            slicer.util.updateSegmentBinaryLabelmapFromArray(array(label), node, segment_id, reference)
        display = node.GetDisplayNode()
        display.SetOpacity2DFill(0.0)
        display.SetSliceIntersectionThickness(THICKNESS)


def _centre(label: sitk.Image) -> tuple[float, float, float]:
    """Of what is marked, LPS millimetres."""
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(label > 0)
    return shape.GetCentroid(1)

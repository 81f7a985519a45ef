"""A region of interest for a study that reaches outside what the model knows: a box in the views that the user moves."""

import numpy as np
import slicer

from ..core.images import extent_mm
from .volumes import image_of

NAME = "PEMMASegment region"


def new_region(volume, longest_mm: float):
    """A box around the middle of a volume node, nowhere longer than `longest_mm`, with handles; returns the ROI node."""
    extent = extent_mm(image_of(volume))  # LPS; a box of whole axes is the same in RAS but for two signs
    middle = extent.mean(axis=1) * [-1, -1, 1]
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", NAME)
    roi.SetCenter(*middle)
    roi.SetSize(*np.minimum(np.ptp(extent, axis=1), longest_mm))
    roi.CreateDefaultDisplayNodes()
    display = roi.GetDisplayNode()
    display.SetHandlesInteractive(True)
    display.SetFillOpacity(0.1)
    return roi


def show(roi, shown: bool) -> None:
    """Shows a region in the views, or puts it aside: it stays in the scene, and can be chosen again."""
    if roi.GetDisplayNode() is not None:
        roi.GetDisplayNode().SetVisibility(shown)


def box_of(roi) -> list[float]:
    """A Slicer ROI as x0, x1, y0, y1, z0, z1 in LPS millimetres."""
    bounds = [0.0] * 6
    roi.GetRASBounds(bounds)
    right, front = sorted((-bounds[0], -bounds[1])), sorted((-bounds[2], -bounds[3]))
    return [*right, *front, bounds[4], bounds[5]]

"""The door between MRML (RAS) and the library (LPS): volume nodes to images and back, geometry in both directions."""

import numpy as np
import SimpleITK as sitk
import slicer
import vtk

from ..core import PemmaError

#: RAS <-> LPS: the first two axes change their sign
FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


def image_of(node) -> sitk.Image:
    """A copy of a scalar volume in LPS millimetres, pixel type as in the node.

    Raises PemmaError for a node without voxels, under a transform, or with axes that are not at right angles.
    """
    if node.GetImageData() is None or node.GetImageData().GetNumberOfScalarComponents() != 1:
        raise PemmaError("volume-empty", "the volume holds no voxels of one value each", "load it again", node.GetName())
    if node.GetParentTransformNode() is not None:
        way_out = "take the volume out of it; harden it only where there is no result yet (Transforms module)"
        raise PemmaError("volume-transformed", "the volume is under a transform", way_out)
    image = sitk.GetImageFromArray(slicer.util.arrayFromVolume(node))
    set_geometry(image, ijk_to_ras(node))
    return image


def ijk_to_ras(node) -> np.ndarray:
    """The node's matrix (4, 4) from voxel indices i, j, k to RAS millimetres."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def set_geometry(image: sitk.Image, to_ras: np.ndarray) -> None:
    """Gives `image` the geometry of an index-to-RAS matrix (4, 4). Raises PemmaError "volume-sheared"."""
    to_lps = FLIP @ to_ras
    spacing = np.linalg.norm(to_lps[:3, :3], axis=0)
    direction = to_lps[:3, :3] / np.where(spacing > 0, spacing, 1.0)
    if not np.allclose(direction.T @ direction, np.eye(3), atol=1e-3):
        raise PemmaError("volume-sheared", "the volume's axes are not at right angles", "resample it to a regular grid")
    image.SetSpacing(spacing.tolist())
    image.SetDirection(direction.ravel().tolist())
    image.SetOrigin(to_lps[:3, 3].tolist())


def matrix_of(image: sitk.Image) -> np.ndarray:
    """The matrix (4, 4) from the image's indices i, j, k to RAS millimetres."""
    to_lps = np.eye(4)
    to_lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    to_lps[:3, 3] = image.GetOrigin()
    return FLIP @ to_lps


def volume_of(image: sitk.Image, name: str):
    """A new scalar volume node with these voxels in the current scene, without a display of its own."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, sitk.GetArrayViewFromImage(image))
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix_of(image)))
    return node


def to_ras(point_lps: tuple[float, float, float]) -> tuple[float, float, float]:
    """A point in LPS millimetres as RAS millimetres; the way back is the same."""
    x, y, z = point_lps
    return -x, -y, z

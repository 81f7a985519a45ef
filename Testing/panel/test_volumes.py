"""The door between RAS and LPS: any geometry that is one, there and back, and what is refused."""

import importlib

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from PEMMASegmentLib.core import PemmaError

pytest.importorskip("slicer", reason="needs the package slicer-core", exc_type=ImportError)
volumes = importlib.import_module("PEMMASegmentLib.panel.volumes")

angle = st.floats(-3.0, 3.0)
length = st.floats(0.3, 9.0)


@given(st.tuples(angle, angle, angle), st.tuples(length, length, length), st.booleans())
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_oblique_and_left_handed_volumes_go_there_and_back(scene, angles, spacing, mirrored):
    voxels = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    image = sitk.GetImageFromArray(voxels)
    direction = np.reshape(sitk.Euler3DTransform((0, 0, 0), *angles).GetMatrix(), (3, 3))
    if mirrored:
        direction[:, 2] *= -1
    image.SetDirection(direction.ravel().tolist())
    image.SetSpacing(spacing)
    image.SetOrigin((10.0, -20.0, 30.0))
    node = volumes.volume_of(image, "oblique")
    again = volumes.image_of(node)
    assert np.array_equal(sitk.GetArrayFromImage(again), voxels)
    assert np.allclose(volumes.matrix_of(again), volumes.matrix_of(image), atol=1e-9)
    ras = volumes.ijk_to_ras(node) @ [3, 2, 1, 1]  # what Slicer says of a voxel, and what ITK says of it
    assert np.allclose(volumes.to_ras(image.TransformIndexToPhysicalPoint((3, 2, 1))), ras[:3])


def test_what_is_no_regular_volume_is_refused(scene):
    import slicer
    import vtk

    node = volumes.volume_of(sitk.Image(4, 4, 4, sitk.sitkInt16), "v")
    sheared = vtk.vtkMatrix4x4()
    sheared.SetElement(0, 2, 0.3)
    node.SetIJKToRASMatrix(sheared)
    with pytest.raises(PemmaError, match="volume-sheared"):
        volumes.image_of(node)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(PemmaError, match="volume-transformed"):
        volumes.image_of(node)
    with pytest.raises(PemmaError, match="volume-empty"):
        volumes.image_of(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode"))

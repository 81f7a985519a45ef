"""Preprocessing keeps places: what lies at a point in millimetres lies there on the network's grid too."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from PEMMASegmentLib.network.architecture import Preprocessing
from PEMMASegmentLib.network.preprocess import network_grid, padding, prepare, resample

P = Preprocessing()


def blob(size, spacing, direction, centre_mm=(10.0, -20.0, 30.0)):
    """A Gaussian blob of 12 mm around a point, on a grid centred on another one."""
    image = sitk.Image(size, sitk.sitkFloat32)
    image.SetSpacing(spacing)
    image.SetDirection(direction)
    half = np.array(direction).reshape(3, 3) @ ((np.array(size) - 1) / 2 * np.array(spacing))
    image.SetOrigin((np.array(centre_mm) + 3.0 - half).tolist())
    axes = np.meshgrid(*[np.arange(n) for n in size], indexing="ij")
    matrix = np.array(direction).reshape(3, 3) * np.array(spacing)
    points = np.stack(axes, -1) @ matrix.T + np.array(image.GetOrigin())
    values = np.exp(-0.5 * ((points - np.array(centre_mm)) ** 2).sum(-1) / 12.0**2)
    out = sitk.GetImageFromArray(values.transpose(2, 1, 0).astype(np.float32))
    out.CopyInformation(image)
    return out


@settings(max_examples=12)
@given(st.tuples(*[st.floats(0.8, 5.5)] * 3), st.permutations([0, 1, 2]), st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3))
def test_a_blob_stays_where_it_is_for_any_spacing_and_axis_order(spacing, order, signs):
    direction = (np.eye(3)[list(order)] * np.array(signs)).reshape(-1).tolist()
    size = [int(120 / s) for s in spacing]
    image = blob(size, spacing, direction)
    out = resample(image, network_grid(image, P), 0.0)
    values = sitk.GetArrayFromImage(out).transpose(2, 1, 0)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in out.GetSize()], indexing="ij"), -1)
    centre = (index * values[..., None]).sum((0, 1, 2)) / values.sum()
    place = np.array(out.TransformContinuousIndexToPhysicalPoint(centre.tolist()))
    inside = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in image.GetSize()], indexing="ij"), -1)
    want = image.TransformContinuousIndexToPhysicalPoint(((index * inside[..., None]).sum((0, 1, 2)) / inside.sum()).tolist())
    assert np.linalg.norm(place - np.array(want)) < 0.5


def test_both_images_lie_on_one_grid_and_outside_is_air_and_no_uptake(shared):
    folder = shared / "data/sts/STS_035"
    ct, pet = (sitk.ReadImage(str(folder / f"{m}.nii.gz"), sitk.sitkFloat32) for m in ("ct", "pet"))
    got = prepare(sitk.Cast(ct, sitk.sitkInt16), pet[:, :, 5:], P)
    shape = tuple(reversed(got.grid.GetSize()))
    assert {t.shape for t in got.tensors.values()} == {(1, *shape)}
    assert float(got.tensors["pet"][:, 0].max()) == 0.0
    assert padding(P) == {"ct": -1.0, "pet": 0.0}
    assert got.grid.GetSpacing() == P.spacing_mm


def test_values_are_mapped_by_fixed_numbers():
    ct = sitk.Image([20, 20, 20], sitk.sitkInt16) + 40
    ct.SetSpacing((4, 4, 4))
    pet = sitk.Cast(ct, sitk.sitkFloat32) / 10
    got = prepare(sitk.Cast(ct, sitk.sitkInt16), pet, P).tensors
    assert float(got["ct"][0, 10, 10, 10]) == pytest.approx(0.0, abs=1e-6)
    assert float(got["pet"][0, 10, 10, 10]) == pytest.approx(np.arcsinh(4.0 / 2) / 2, rel=1e-5)

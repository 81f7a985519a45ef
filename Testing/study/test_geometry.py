"""Where voxels lie: every voxel of a loaded volume has the patient position that DICOM gives its pixel."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from PEMMASegmentLib import study
from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.study.dicom import geometry

from .phantom import Pair, series, stored


@settings(max_examples=25)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing=st.tuples(st.floats(0.5, 6), st.floats(0.5, 6)),
    step=st.floats(0.6, 8),
    corner=st.tuples(*[st.floats(-1500, 1500)] * 3),
    order=st.permutations(range(5)),
)
def test_oblique_volume_in_any_order(angles, spacing, step, corner, order):
    axes = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    row, column, normal = axes.T
    slices = series("CT", 5)
    for k, header in enumerate(slices):
        header.ImageOrientationPatient = [f"{v:.12f}"[:16] for v in (*row, *column)]
        header.ImagePositionPatient = [f"{v:.8f}"[:16] for v in np.array(corner) + k * step * normal]
        header.PixelSpacing = [f"{v:.10f}" for v in spacing]
        header.PixelData = (stored(header) + np.arange(320, dtype=np.int16).reshape(16, 20)).astype(np.int16).tobytes()
    with tempfile.TemporaryDirectory() as folder:
        loaded = study.load(Pair(ct=[slices[k] for k in order], pet=[]).write(Path(folder)))
    assert [h.SOPInstanceUID for h in loaded.ct_headers] == [h.SOPInstanceUID for h in slices]
    for k, header in enumerate(loaded.ct_headers):
        first = np.array(header.ImagePositionPatient, float)
        along, down = np.reshape(np.array(header.ImageOrientationPatient, float), (2, 3))
        for r, c in ((0, 0), (15, 19), (4, 11)):
            point = first + along * c * header.PixelSpacing[1] + down * r * header.PixelSpacing[0]
            assert np.allclose(loaded.ct.TransformIndexToPhysicalPoint((c, r, k)), point, atol=1e-3)
            assert loaded.ct[c, r, k] == stored(slices[k])[r, c] - 1024


def test_feet_first_is_the_same_volume(tmp_path):
    there, back = Pair(), Pair()
    for header in back.all:
        header.PatientPosition = "FFS"
        header.InstanceNumber = 100 - header.InstanceNumber
    back.ct.reverse()
    a, b = (study.load(p.write(tmp_path / n)) for p, n in ((there, "a"), (back, "b")))
    assert a.ct.GetOrigin() == b.ct.GetOrigin()
    assert np.array_equal(sitk.GetArrayFromImage(a.ct), sitk.GetArrayFromImage(b.ct))


def test_extent_of_a_grid_holds_the_outer_faces():
    grid = geometry.grid([geometry.plane(h, "f") for h in series("PT")])
    assert grid.extent().tolist() == [[-40, 40], [-32, 32], [-1.5, 22.5]]


def stack(positions) -> list[geometry.Plane]:
    x, y = np.eye(3)[:2]
    return [geometry.Plane(np.array([0.0, 0.0, z]), x, y, (1.0, 1.0), (4, 4)) for z in positions]


def test_steps_of_a_real_scanner_are_regular_enough():
    steps = [3.19, *[3.27] * 261, *[3.29] * 4]  # of a GE whole body
    assert geometry.grid(stack(np.cumsum([0, *steps]))).spacing[2] == pytest.approx(3.27, abs=1e-3)


@pytest.mark.parametrize("positions, code", [
    ([0, 3, 6, 12, 15], "missing-slices"),
    ([0, 3, 6, 9.8, 12], "irregular-slices"),
    ([0, 3, 6, 12, 15, 18, 21, 27, 30], "missing-slices"),
    ([0, 1, 2, 3, 6, 9, 12], "irregular-slices"),
    ([0, 3, 6, 9, 12, 15, 21, 27], "irregular-slices"),  # thin, then thick
    ([0, *np.arange(3, 18, 1.5), 18, 21], "irregular-slices"),  # a second acquisition half a slice off, and shorter
    ([0, 3], "not-a-volume"),
])  # fmt: skip
def test_refused_positions(positions, code):
    with pytest.raises(PemmaError) as refusal:
        geometry.grid(stack(positions))
    assert refusal.value.code == code
    assert ("as a series of its own" in refusal.value.way_out) is (code == "irregular-slices")


@pytest.mark.parametrize("number, told", [
    (lambda k: 1 + k % 2, True), (lambda k: 1 + k // 4, False), (lambda k: k, False), (lambda k: "", False),
])  # fmt: skip
def test_ct_acquisitions_half_a_step_apart_are_told(number, told, tmp_path):
    pair = Pair()
    for k, header in enumerate(pair.ct):
        header.AcquisitionNumber = number(k)
    assert [w.code for w in study.load(pair.write(tmp_path)).warnings] == ["acquisitions-interleaved"] * told

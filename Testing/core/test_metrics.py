"""The measures against figures worked out by hand, an independent implementation, and laws that must hold."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from monai.metrics import compute_surface_dice

from PEMMASegmentLib.core import metrics

SPACING = (1.0, 2.0, 3.0)  # x, y, z in mm


def image(voxels: np.ndarray, spacing=SPACING) -> sitk.Image:
    out = sitk.GetImageFromArray(voxels.astype(np.uint8))
    out.SetSpacing(spacing)
    return out


def cube(start: tuple, stop: tuple, shape=(16, 16, 16)) -> sitk.Image:
    voxels = np.zeros(shape)
    voxels[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = 1
    return image(voxels)


def ball(radius_mm: float, centre_mm, spacing, shape) -> sitk.Image:
    grids = np.meshgrid(*[np.arange(n) * s for n, s in zip(shape, spacing[::-1], strict=True)], indexing="ij")
    squared = sum((g - c) ** 2 for g, c in zip(grids, centre_mm, strict=True))
    return image(squared <= radius_mm**2, spacing)


EMPTY = image(np.zeros((16, 16, 16)))
BOX = cube((4, 4, 4), (8, 8, 8))  # 4 x 4 x 4 voxels: 4 x 8 x 12 mm, 64 voxels of 6 mm3
MOVED = cube((4, 4, 5), (8, 8, 9))  # one voxel, 1 mm, along x


def test_overlap_and_volumes_of_two_boxes():
    assert metrics.dice(BOX, MOVED) == pytest.approx(2 * 48 / 128)
    assert metrics.missed_ml(BOX, MOVED) == pytest.approx(16 * 6 / 1000)
    assert metrics.extra_ml(BOX, EMPTY) == pytest.approx(64 * 6 / 1000)
    assert metrics.missed_ml(BOX, EMPTY) == 0


@pytest.mark.parametrize("measure", [metrics.dice, lambda a, b: metrics.surface_dice(a, b, 2.0)])
def test_both_empty_is_one_and_one_empty_is_nothing(measure):
    assert measure(EMPTY, EMPTY) == 1
    assert measure(BOX, EMPTY) == 0
    assert measure(EMPTY, BOX) == 0


def test_labels_of_two_grids_are_not_compared():
    other = cube((4, 4, 4), (8, 8, 8))
    other.SetOrigin((0, 0, 1))
    with pytest.raises(ValueError, match="one grid"):
        metrics.dice(BOX, other)


def test_surface_dice_counts_what_lies_within_the_tolerance():
    assert metrics.surface_dice(BOX, MOVED, 1.0) == 1.0  # the far faces are exactly 1 mm apart
    assert metrics.surface_dice(BOX, MOVED, 0.5) < 1.0
    far = cube((4, 4, 12), (8, 8, 16))  # reaches the image's face; the facing planes are 4 mm apart
    assert metrics.surface_dice(BOX, far, 3.9) == 0.0
    assert 0 < metrics.surface_dice(BOX, far, 4.0) < 0.5


def test_area_of_a_box_and_a_ball():
    """Planes along the axes are exact but for rounded edges; a ball made of voxels has some 9 % more than 4 pi r2."""
    _, area = metrics._surface(np.ones((20, 30, 40), bool), np.array([3.0, 2.0, 1.0]))
    assert area.sum() == pytest.approx(2 * (60 * 60 + 60 * 40 + 60 * 40), rel=0.03)
    label = ball(25, (40, 40, 40), (1.0, 1.0, 2.0), (41, 81, 81))
    _, area = metrics._surface(sitk.GetArrayFromImage(label) > 0, np.array([2.0, 1.0, 1.0]))
    assert area.sum() == pytest.approx(1.09 * 4 * np.pi * 25**2, rel=0.02)


def test_surface_dice_of_two_balls_by_geometry():
    """Concentric balls whose surfaces are 5 mm apart: all within 7 mm, nothing within 3 mm."""
    spacing, shape = (1.0, 1.0, 1.0), (64, 64, 64)
    small, large = (ball(r, (31, 31, 31), spacing, shape) for r in (20, 25))
    assert metrics.surface_dice(small, large, 7.0) == 1.0
    assert metrics.surface_dice(small, large, 3.0) == 0.0


def surface_dice_of_monai(a: sitk.Image, b: sitk.Image, tolerance: float) -> float:
    one_hot = [torch.from_numpy(sitk.GetArrayFromImage(i).astype(np.float32))[None, None] for i in (a, b)]
    both = [torch.cat([1 - x, x], dim=1) for x in one_hot]
    return compute_surface_dice(*both, [tolerance], spacing=a.GetSpacing()[::-1], use_subvoxels=True).item()


@pytest.mark.filterwarnings("ignore::FutureWarning:monai")
@pytest.mark.parametrize("tolerance", [2.0, 5.0])
@pytest.mark.parametrize("spacing", [(1.95, 1.95, 3.27), (0.9, 0.9, 5.0), (2.5, 2.5, 1.0)])
def test_surface_dice_of_balls_agrees_with_monai(spacing, tolerance):
    shape = tuple(int(130 / step) for step in spacing[::-1])
    a, b = (ball(28, (65, 60, centre), spacing, shape) for centre in (58, 64))
    assert metrics.surface_dice(a, b, tolerance) == pytest.approx(surface_dice_of_monai(a, b, tolerance), abs=0.02)


@pytest.mark.filterwarnings("ignore::FutureWarning:monai")
@pytest.mark.parametrize("patient", ["STS_008", "STS_042"])
def test_surface_dice_of_real_tumours_agrees_with_monai(shared, patient):
    """Against what a threshold finds in and around the contour, and against the contour moved and shrunk."""
    mask, pet = (sitk.ReadImage(str(shared / "data" / "sts" / patient / f"{name}.nii.gz")) for name in ("mask", "pet"))
    mask = sitk.Cast(mask > 0, sitk.sitkUInt8)
    around = sitk.BinaryDilate(mask, [6] * 3)
    moved = sitk.Resample(mask, sitk.TranslationTransform(3, (0, 0, 3.27)), sitk.sitkNearestNeighbor)
    others = [sitk.Cast(sitk.Resample(pet, mask) >= 2.5, sitk.sitkUInt8) * around, sitk.BinaryErode(mask, [2] * 3), moved]
    for other, closely in zip(others, (0.01, 0.035, 0.035), strict=True):
        for tolerance in (2.0, 5.0):
            theirs = surface_dice_of_monai(mask, other, tolerance)
            assert metrics.surface_dice(mask, other, tolerance) == pytest.approx(theirs, abs=closely)


masks = arrays(bool, (5, 6, 7))


@settings(max_examples=40)
@given(masks, masks, st.floats(0.1, 9))
def test_laws_of_the_measures(a, b, tolerance):
    one, two = image(a), image(b)
    assert metrics.dice(one, one) == metrics.surface_dice(one, one, tolerance) == 1
    assert metrics.dice(one, two) == metrics.dice(two, one)
    nsd = metrics.surface_dice(one, two, tolerance)
    assert 0 <= nsd <= 1
    assert nsd == pytest.approx(metrics.surface_dice(two, one, tolerance))
    assert nsd <= metrics.surface_dice(one, two, tolerance + 3) + 1e-9
    assert metrics.missed_ml(one, two) == metrics.extra_ml(two, one)


@settings(max_examples=20)
@given(masks.filter(np.any), st.integers(0, 3), st.integers(0, 3))
def test_place_in_the_image_does_not_matter(mask, before, after):
    small, padded = np.roll(mask, 1, 0), [np.pad(m, ((before, after),) * 3) for m in (mask, np.roll(mask, 1, 0))]
    expected = metrics.surface_dice(image(mask), image(small), 2.0)
    assert metrics.surface_dice(*map(image, padded), 2.0) == pytest.approx(expected)


def test_blind_guess_of_the_shared_patients(shared):
    """data.md: the best fixed ellipsoid reaches 0.62 (kept-back) and 0.59 (shared) on the cases as published."""
    folders = sorted((shared / "data" / "sts").glob("STS_*"))
    masks = [sitk.ReadImage(str(folder / "mask.nii.gz")) for folder in folders]
    assert np.mean([metrics.blind_dice(mask, 0.5) for mask in masks]) == pytest.approx(0.59, abs=0.03)


def test_interval_holds_the_mean_and_repeats():
    values = [0.5, 0.7, 0.72, 0.8, 0.81, 0.83, 0.9, 0.2]
    low, high = metrics.bootstrap_interval(values)
    assert low < np.mean(values) < high
    assert (low, high) == metrics.bootstrap_interval(values)
    assert np.mean(values) - low > high - np.mean(values)  # BCa follows the long tail


def test_interval_of_many_patients_is_near_the_normal_one():
    values = np.random.default_rng(1).normal(0.8, 0.1, 400)
    low, high = metrics.bootstrap_interval(values)
    half = 1.96 * values.std(ddof=1) / 20
    assert low == pytest.approx(values.mean() - half, abs=0.001)
    assert high == pytest.approx(values.mean() + half, abs=0.001)


def test_interval_of_too_few_and_of_equal_values():
    assert metrics.bootstrap_interval([]) is None
    assert metrics.bootstrap_interval([0.8]) is None
    assert metrics.bootstrap_interval([0.8, 0.8, 0.8]) == (0.8, 0.8)
    assert metrics.bootstrap_interval([0.1] * 3 + [np.nextafter(0.1, 1)] * 2) == pytest.approx((0.1, 0.1))

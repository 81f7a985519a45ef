"""Lesion figures against SimpleITK's statistics, the IBSI phantom, and values worked out by hand."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import UID

from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.core.components import components
from PEMMASegmentLib.core.types import MTV_RULES
from PEMMASegmentLib.results import coverage, measure, totals
from PEMMASegmentLib.results.covered import covered_voxels
from PEMMASegmentLib.results.measure import sphere_means

from .studies import ball, nifti_study, on_grid, segmentation

PATIENTS = ("STS_001", "STS_007", "STS_008", "STS_020", "STS_035", "STS_041", "STS_051")


def image(voxels, spacing=(1.0, 1.0, 1.0), origin=(0.0, 0.0, 0.0), kind=np.float32) -> sitk.Image:
    """voxels: (z, y, x)."""
    out = sitk.GetImageFromArray(np.asarray(voxels, kind))
    out.SetSpacing(spacing)
    out.SetOrigin(origin)
    return out


def largest(mask: sitk.Image) -> sitk.Image:
    numbered = sitk.RelabelComponent(sitk.ConnectedComponent(mask, True), sortByObjectSize=True)
    return numbered == 1


def test_volumes_and_centroids_are_those_of_simpleitk(shared):
    for patient in PATIENTS:
        study, mask = nifti_study(shared / "data" / "sts" / patient)
        shape = sitk.LabelShapeStatisticsImageFilter()
        shape.Execute(sitk.RelabelComponent(sitk.ConnectedComponent(mask, True), sortByObjectSize=True))
        lesions = measure(mask, study.pet, min_volume_ml=0)
        expected = [shape.GetPhysicalSize(n) / 1e3 for n in shape.GetLabels()]
        assert [lesion.volume_ml for lesion in lesions] == pytest.approx(expected)
        assert lesions[0].centroid_mm == pytest.approx(shape.GetCentroid(1), abs=1e-3)


def test_pet_figures_are_those_of_simpleitk_on_the_same_mask(shared):
    for patient in PATIENTS:
        study, mask = nifti_study(shared / "data" / "sts" / patient)
        label = largest(on_grid(mask, study.pet))
        lesion = measure(label, study.pet)[0]
        whole = _statistics(label, study.pet)
        active = _statistics(sitk.Cast(study.pet >= 0.41 * whole.GetMaximum(1), sitk.sitkUInt8) * label, study.pet)
        assert lesion.suv_max == pytest.approx(whole.GetMaximum(1), rel=1e-6)
        assert lesion.suv_mean == pytest.approx(whole.GetMean(1), rel=1e-6)
        assert lesion.mtv_ml == pytest.approx(active.GetPhysicalSize(1) / 1e3, rel=1e-6)
        assert lesion.tlg == pytest.approx(active.GetMean(1) * active.GetPhysicalSize(1) / 1e3, rel=1e-6)


def _statistics(label: sitk.Image, pet: sitk.Image) -> sitk.LabelIntensityStatisticsImageFilter:
    statistics = sitk.LabelIntensityStatisticsImageFilter()
    statistics.Execute(sitk.Cast(label, sitk.sitkUInt8), pet)
    return statistics


def test_a_ct_label_counts_the_pet_voxels_it_half_covers(shared):
    for patient in ("STS_008", "STS_035", "STS_041"):  # the last two: PET slices between those of the CT
        study, mask = nifti_study(shared / "data" / "sts" / patient)
        label = largest(mask)
        share = _share_by_sampling(label, study.pet)
        sure, possible = share >= 0.6, share >= 0.4  # eight points along an edge can't tell much closer
        numbers, boxes = components(label)
        found = np.zeros(share.shape, bool)
        found[tuple(covered_voxels(numbers[boxes[0]] == 1, boxes[0], label, study.pet).T)] = True
        assert np.all(found[sure]) and np.all(possible[found])


def _share_by_sampling(label: sitk.Image, pet: sitk.Image, n: int = 8) -> np.ndarray:
    fine = sitk.Expand(pet, [n] * 3, sitk.sitkNearestNeighbor)
    return sitk.GetArrayFromImage(sitk.BinShrink(sitk.Cast(on_grid(label, fine), sitk.sitkFloat32), [n] * 3))


spacings = st.tuples(*[st.floats(0.7, 3.0)] * 3)
origins = st.tuples(*[st.floats(-3.0, 3.0)] * 3)


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1), spacings, origins, st.tuples(*[st.sampled_from([1, -1])] * 3), st.permutations(range(3)),
    st.sampled_from([0.0, 0.004]),
)  # fmt: skip
def test_covered_share_is_the_overlap_of_boxes(seed, spacing, origin, flips, order, turn):
    """Against a plain sum over all pairs of voxels, with any spacing, shift, flipped axes, and order of the PET's axes.

    Turned by a quarter of a degree, mostly too much to count as parallel, the shares hardly change.
    """
    lesion = np.random.default_rng(seed).random((4, 5, 3)) < 0.6
    label = image(lesion, spacing, origin, np.uint8)
    label.SetDirection(np.diag(flips).astype(float).ravel().tolist())
    pet = image(np.zeros((4, 4, 4)), (2.0, 2.5, 1.5), (-2.0, -2.0, -2.0))
    overlaps = []  # per axis x y z: (PET voxels, label voxels), share of the PET voxel
    for axis in range(3):
        a = label.GetOrigin()[axis] + flips[axis] * spacing[axis] * np.arange(label.GetSize()[axis])
        b = pet.GetOrigin()[axis] + pet.GetSpacing()[axis] * np.arange(4)[:, None]
        reach = (spacing[axis] + pet.GetSpacing()[axis]) / 2 - np.abs(a - b)
        smaller = min(spacing[axis], pet.GetSpacing()[axis])
        overlaps.append(np.clip(reach, 0, smaller) / pet.GetSpacing()[axis])
    share = np.einsum("kji,zk,yj,xi->zyx", lesion, overlaps[2], overlaps[1], overlaps[0])
    about_x = sitk.Euler3DTransform((0, 0, 0), turn, 0, 0)
    label.SetDirection((np.reshape(about_x.GetMatrix(), (3, 3)) @ np.diag(flips)).ravel().tolist())
    label.SetOrigin(about_x.TransformPoint(label.GetOrigin()))
    found = sitk.PermuteAxes(pet, order) > 0
    for index in covered_voxels(lesion, (slice(0, 4), slice(0, 5), slice(0, 3)), label, found).tolist():
        found[index[::-1]] = 1
    found = sitk.GetArrayFromImage(sitk.PermuteAxes(found, np.argsort(order).tolist())) > 0
    clear = np.abs(share - 0.5) > (0.06 if turn else 1e-5)
    assert np.array_equal(found[clear], (share >= 0.5)[clear])


def test_a_rotated_label_covers_the_same_pet_voxels():
    """A ball is a ball on every grid: a CT turned by 30 degrees about two axes finds nearly the same voxels."""
    pet = image(np.zeros((20, 20, 20)), (4.0, 4.0, 3.0), (-38.0, -38.0, -28.0))
    straight = image(np.zeros((80, 80, 80)), origin=(-39.5, -39.5, -39.5))
    turned = sitk.Image(straight)
    euler = sitk.Euler3DTransform((0, 0, 0), np.pi / 6, 0, np.pi / 6)
    turned.SetDirection(euler.GetMatrix())
    turned.SetOrigin(euler.TransformPoint(straight.GetOrigin()))
    counted = []
    for grid in (straight, turned):
        label = image(ball(grid, (3, -2, 4), 18), kind=np.uint8)
        label.CopyInformation(grid)
        numbers, boxes = components(label)
        counted.append(set(map(tuple, covered_voxels(numbers[boxes[0]] == 1, boxes[0], label, pet).tolist())))
    assert len(counted[0]) == pytest.approx(4 / 3 * np.pi * 18**3 / 48, rel=0.02)
    assert len(counted[0] ^ counted[1]) <= 0.02 * len(counted[0])


def test_suv_peak_is_ibsis_consensus_on_the_phantom(shared):
    phantom = sitk.ReadImage(str(shared / "data" / "ibsi" / "phantom.nii.gz"), sitk.sitkFloat32)
    mask = sitk.ReadImage(str(shared / "data" / "ibsi" / "mask.nii.gz"), sitk.sitkUInt8)
    lesion = measure(mask, phantom)[0]
    assert lesion.suv_peak == pytest.approx(3.10345, abs=1e-5)  # global intensity peak
    suv = sitk.GetArrayFromImage(phantom)
    inside = sitk.GetArrayFromImage(mask) == 1
    hottest = np.argwhere(inside & (suv == suv[inside].max()))
    assert sphere_means(suv, phantom.GetSpacing(), hottest).max() == pytest.approx(2.6, abs=1e-6)  # local


def test_suv_peak_of_a_ball_is_its_plateau_and_the_sphere_may_reach_outside():
    grid = image(np.zeros((30, 30, 30)), (2, 2, 2))
    large, small, sphere = (ball(grid, (30, 30, 30), radius) for radius in (12, 4, 6.2035))
    peaks = []
    for hot in (large, small):
        pet = image(1 + 4.0 * hot, (2, 2, 2))
        peaks.append(measure(image(hot, (2, 2, 2), kind=np.uint8), pet, min_volume_ml=0)[0].suv_peak)
    assert peaks == pytest.approx([5, 1 + 4 * small.sum() / sphere.sum()])  # centred, the sphere holds all of the small


def test_suv_peak_at_the_border_uses_the_voxels_that_exist():
    voxels = np.full((9, 9, 9), 2.0)
    at = np.zeros(voxels.shape)
    at[0, 0, 0] = 1
    assert measure(image(at, (2, 2, 2), kind=np.uint8), image(voxels, (2, 2, 2)), min_volume_ml=0)[0].suv_peak == 2.0


def test_mtv_and_tlg_follow_the_rule():
    values = np.array([[[1.0, 2.0, 3.0, 4.0, 4.2, 10.0]]])
    label, pet = image(np.ones((1, 1, 6)), (10, 10, 10), kind=np.uint8), image(values, (10, 10, 10))
    expected = {"41%": (2, 14.2), "50%": (1, 10), "suv2.5": (4, 21.2), "suv4": (3, 18.2), "contour": (6, 24.2)}
    assert set(expected) == set(MTV_RULES)
    for rule, (mtv, tlg) in expected.items():
        lesion = measure(label, pet, mtv_rule=rule)[0]
        assert (lesion.mtv_rule, lesion.mtv_ml) == (rule, mtv) and lesion.tlg == pytest.approx(tlg, rel=1e-6)
        assert lesion.volume_ml == 6  # of the contour, whatever the rule


def test_a_rule_that_does_not_exist_is_refused():
    with pytest.raises(PemmaError, match="mtv-rule"):
        measure(image(np.ones((1, 1, 1)), kind=np.uint8), None, mtv_rule="42%")


def test_a_lesion_between_pet_voxels_takes_the_one_under_its_centroid():
    label = np.zeros((1, 8, 8))
    label[0, 5, 5] = 1  # 1 mm3 in PET voxels of 64 mm3
    pet = image(np.arange(4).reshape(1, 2, 2), (4, 4, 4), (1.5, 1.5, 0))
    lesion = measure(image(label, kind=np.uint8), pet, min_volume_ml=0)[0]
    assert (lesion.suv_max, lesion.suv_mean, lesion.mtv_ml) == (3, 3, pytest.approx(0.064))


@pytest.mark.parametrize(("centre", "suv_max"), [((1.5, 1.5), 0), ((5.5, 1.5), 1), ((5.5, 5.5), 3), ((-0.5, 7.5), 2)])
def test_between_two_pet_voxels_rounding_of_a_grid_does_not_choose(centre, suv_max):
    pet = image(np.arange(4).reshape(1, 2, 2), (4, 4, 4), (1.5, 1.5, 0))  # borders at -0.5, 3.5 and 7.5 mm
    for away in (-1e-12, -1e-14, 0, 1e-14, 1e-12):
        label = image(np.ones((1, 1, 1)), origin=[c + away for c in (*centre, 2.0)], kind=np.uint8)
        assert measure(label, pet, min_volume_ml=0)[0].suv_max == suv_max


def test_a_lesion_outside_the_pet_or_without_one_has_no_pet_figures():
    label = image(np.ones((2, 2, 2)), (10, 10, 10), kind=np.uint8)
    for pet in (None, image(np.ones((2, 2, 2)), (10, 10, 10), (500, 0, 0))):
        lesion = measure(label, pet)[0]
        assert (lesion.suv_max, lesion.suv_mean, lesion.suv_peak, lesion.mtv_ml, lesion.tlg) == (None,) * 5
        assert totals([lesion])["suv_max"] is None and totals([lesion])["volume_ml"] == 8


@pytest.mark.parametrize("turn", [0.0, 0.2])
def test_a_lesion_that_the_pet_shows_in_part_has_no_pet_figures(turn):
    label = image(np.ones((20, 20, 20)), (2, 2, 2), kind=np.uint8)
    label.SetDirection([np.cos(turn), -np.sin(turn), 0, np.sin(turn), np.cos(turn), 0, 0, 0, 1])
    numbers = []
    for slices in (20, 19, 18, 10):
        pet = image(np.full((slices, 60, 60), 5.0), (2, 2, 2), (-40, -40, 0))
        lesions = measure(label, pet)
        notes = [one.sentence for one in coverage(lesions, segmentation(label), pet) if one.code == "pet-coverage"]
        assert (lesions[0].suv_max is None) == bool(notes) and lesions[0].volume_ml == 64
        numbers.append(lesions[0].suv_max)
    assert numbers == [5, 5, None, None]
    assert "lesion 1 reaches beyond" in notes[0] and coverage(lesions, segmentation(label), None) == ()


@pytest.mark.parametrize("turn", [0.0, 0.2])
def test_a_lesion_that_the_ct_cuts_off_is_told_if_the_pet_goes_on(turn):
    voxels = np.zeros((20, 20, 20))
    voxels[12:, 8:12, 8:12] = voxels[2:6, 2:5, 2:5] = 1  # the first and larger one reaches the last slice
    voxels[19, 0, 0] = 1  # no lesion
    label = image(voxels, (2, 2, 2), kind=np.uint8)
    label.SetDirection([np.cos(turn), -np.sin(turn), 0, np.sin(turn), np.cos(turn), 0, 0, 0, 1])
    told = []
    for slices in (10, 12, 13, 20):  # of 4 mm; the CT ends with the tenth
        pet = image(np.full((slices, 60, 60), 5.0), (2, 2, 4), (-40, -40, 1))
        told.append(coverage(measure(label, pet, min_volume_ml=0.1), segmentation(label), pet))
    assert told[:2] == [(), ()] and told[2] == told[3] != ()
    [one] = told[3]
    assert one.code == "ct-coverage" and one.sentence.startswith("lesion 1 reaches the edge of the CT")


@pytest.mark.parametrize("turn", [0.0, 0.2])
def test_a_lesion_that_ends_with_the_pet_is_told_if_the_ct_goes_on(turn):
    """Where the PET ends the network's contour ends about as well, so that nearly all of it lies inside."""
    told = []
    for slices, last in ((10, 20), (8, 16), (7, 14), (7, 13), (7, 10), (5, 10)):  # of 4 mm, of 2 mm
        voxels = np.zeros((20, 20, 20))
        voxels[0:last, 8:12, 8:12] = voxels[2:6, 2:5, 2:5] = 1  # CT and PET begin alike
        label = image(voxels, (2, 2, 2), kind=np.uint8)
        label.SetDirection([np.cos(turn), -np.sin(turn), 0, np.sin(turn), np.cos(turn), 0, 0, 0, 1])
        pet = image(np.full((slices, 60, 60), 5.0), (2, 2, 4), (-40, -40, 1))
        told.append(coverage(measure(label, pet, min_volume_ml=0.1), segmentation(label), pet))
    assert told[:2] == [(), ()] and told[2] == told[3] == told[5] != () == told[4]
    [one] = told[5]
    assert one.code == "pet-coverage" and "lesion 1 reaches the edge of the PET, beyond which the CT goes on" in one.sentence


def test_no_contour_of_a_crop_is_told_to_end_with_ct_or_pet(shared):
    """Their images were cut alike."""
    for patient in ("STS_009", "STS_020", "STS_030", "STS_044"):  # at a face of both, or 2.2 PET voxels of CT beyond the PET
        study, mask = nifti_study(shared / "data" / "sts" / patient)
        assert coverage(measure(mask, study.pet), segmentation(mask), study.pet) == ()


@pytest.mark.parametrize("direction", ["LPS", "RAI", "PIR"])
def test_a_lesion_that_the_region_cuts_is_told_with_a_pet_and_without(direction):
    """By a neighbour that it does not show: at the image's own face there is none, and a voxel further the lesion has ended."""
    voxels = np.zeros((20, 20, 20))
    voxels[0:10, 5:10, 5:10] = voxels[12:16, 2:6, 14:18] = 1  # x 10 to 18 mm, y the same, z 0 to 27
    told = []
    for roi in ((-9, 99, -9, 99, -9, 99), (7, 21, 7, 21, -9, 31), (10, 18, 7, 21, -9, 31), (7, 14, -9, 99, -9, 99)):
        inside = voxels.copy()
        for axis, mm in enumerate((2, 2, 3)):
            centres = mm * np.arange(20)
            np.moveaxis(inside, 2 - axis, 0)[(centres < roi[2 * axis]) | (centres > roi[2 * axis + 1])] = 0
        seen = sitk.DICOMOrient(image(inside, (2, 2, 3), kind=np.uint8), direction)
        for pet in (None, sitk.Cast(seen, sitk.sitkFloat32) + 5.0):
            told.append(coverage(measure(seen, pet, min_volume_ml=0.1), segmentation(seen, roi_mm=roi), pet))
    assert told[:4] == [(), (), (), ()]
    for [one] in told[4:]:
        assert one.code == "roi-coverage" and one.sentence.startswith("lesion 1 reaches the edge of the region")


def test_lesions_are_26_connected_sorted_by_volume_and_not_too_small():
    voxels = np.zeros((6, 12, 12))
    voxels[0, 0, 0] = voxels[1, 1, 1] = 1  # a corner joins them
    voxels[4, 4:8, 4:8] = 1
    voxels[0, 11, 11] = 1
    label = image(voxels, (5, 5, 5), kind=np.uint8)
    assert [lesion.volume_ml for lesion in measure(label, None, min_volume_ml=0)] == [2.0, 0.25, 0.125]
    found = measure(label, None, min_volume_ml=0.25)
    assert [(lesion.number, lesion.volume_ml) for lesion in found] == [(1, 2.0), (2, 0.25)]
    assert totals(found)["number"] == 2 and measure(label, None, min_volume_ml=3) == []


def test_tracking_uids_come_from_the_key_and_the_voxels():
    voxels = np.zeros((4, 9, 9))
    voxels[1, 1:3, 1:3] = voxels[3, 5:8, 5:8] = 1
    label = image(voxels, (9, 9, 9), kind=np.uint8)
    uids = [[lesion.tracking_uid for lesion in measure(label, None, key=key)] for key in "aab"]
    assert uids[0] == uids[1] and len({*uids[0], *uids[2]}) == 4
    assert all(UID(uid).is_valid for uid in uids[0])

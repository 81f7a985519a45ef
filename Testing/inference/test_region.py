"""region.py: body, length and boxes on real studies, and on turned and flipped grids."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.core.images import extent_mm, like
from PEMMASegmentLib.inference import region


@pytest.fixture(scope="module")
def patients(shared) -> list[dict[str, sitk.Image]]:
    """CT, PET and expert's contour of all shared patients."""
    folders = sorted(path.parent for path in (shared / "data" / "sts").glob("STS_*/ct.nii.gz"))
    return [{name: sitk.ReadImage(str(folder / f"{name}.nii.gz"), kind) for name, kind in
             (("ct", sitk.sitkInt16), ("pet", sitk.sitkFloat32), ("mask", sitk.sitkUInt8))} for folder in folders]


def test_no_limb_study_is_outside_the_region(patients):
    longest = max(float(np.diff(extent_mm(images["ct"]), axis=1).max()) for images in patients)
    for images in patients:
        for modality in ("ct", "pet"):
            body = region.find_body(images[modality], modality)
            assert region.check_length(body.longest_mm, longest, whole_study=False) == ()


def test_every_tumour_lies_in_the_body_of_either_image(patients):
    for images in patients:
        label = sitk.LabelShapeStatisticsImageFilter()
        label.Execute(images["mask"])
        x, y, z, nx, ny, nz = label.GetBoundingBox(1)
        tumour = region.box_corners(images["mask"], np.array([(x, x + nx), (y, y + ny), (z, z + nz)]) - 0.5)
        for modality in ("ct", "pet"):
            image = images[modality]
            body = region.index_box(region.box_corners(image, region.find_body(image, modality).box), image, 8.0)
            inner = region.index_box(tumour, image)
            assert (body[:, 0] <= inner[:, 0]).all() and (body[:, 1] >= inner[:, 1]).all()


def _person(length: int, parts=((20, 40),)) -> sitk.Image:
    voxels = np.full((length + 20, 60, 60), -1000, np.int16)
    for low, high in parts:
        voxels[10:-10, 15:45, low:high] = 40
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((4.0, 4.0, 4.0))
    return image


def test_a_long_body_is_refused_with_the_way_out_and_marked_when_forced():
    body = region.find_body(_person(150), "ct")
    assert body.longest_mm == pytest.approx(600)
    with pytest.raises(PemmaError, match=r"--roi.*--whole-study.*outside-region"):
        region.check_length(body.longest_mm, 320, whole_study=False)
    [told] = region.check_length(body.longest_mm, 320, whole_study=True)
    assert told.code == "outside-region" and "600 mm" in told.sentence
    assert region.check_length(416, 320, whole_study=False) == ()


def test_a_region_shortens_the_body():
    assert region.find_body(_person(150), "ct", (0, 240, 0, 240, 100, 300)).longest_mm == pytest.approx(200, abs=4)


@pytest.mark.parametrize("turn", [0.0, 0.6])
@pytest.mark.parametrize("sides", [(20, 20, 20), (6, 6, 6), (60, 60, 3), (0.5, 0.5, 0.5)])
def test_a_small_region_in_tissue_is_looked_at_to_its_borders(turn, sides):
    image = sitk.Resample(_person(40), (240, 240, 160), sitk.Transform(), sitk.sitkNearestNeighbor, (0, 0, 30), (1, 1, 1.25))
    image.SetDirection(np.array(sitk.Euler3DTransform((0, 0, 0), turn, turn, 0).GetMatrix()).tolist())
    index = [120, 118, 60]
    middle = image.TransformIndexToPhysicalPoint(index)
    roi = tuple(m + side * half for m, side in zip(middle, sides, strict=True) for half in (-0.5, 0.5))
    body = region.find_body(image, "ct", roi)
    z, y, x = np.nonzero(region.voxels_inside(image, roi))
    step = np.minimum(4, np.min(sides) / 3) / image.GetSpacing()
    for n, axis in enumerate((x, y, z)):
        assert body.box[n, 0] <= axis.min() + step[n] and axis.max() - step[n] <= body.box[n, 1]
        assert body.box[n, 0] < index[n] + 0.5 and index[n] - 0.5 < body.box[n, 1]
    assert body.longest_mm <= max(sides)


@pytest.mark.parametrize("roi", [(30, 70, 30, 70, 30, 70), (40, 60, 40, 60, 40, 60), (0, 100, 0, 80, 0, 100)])
@pytest.mark.parametrize("wall", [45, 50])
def test_a_nodule_with_lung_around_it_is_looked_at(roi, wall):
    """It is no part of what looks like a body: the box went by chest wall or liver, or the region was refused."""
    voxels = np.full((50, 50, 50), -850, np.int16)
    voxels[20:30, 20:30, 20:30] = 35
    voxels[:, wall:] = 40
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((2, 2, 2))
    body = region.find_body(image, "ct", roi)
    assert (body.box[:, 0] <= 20).all() and (body.box[:, 1] >= 29).all()


def test_air_of_a_wide_region_is_not_searched():
    body = region.find_body(_person(40), "ct", (-500, 500, -500, 500, 0, 200))
    assert body.box.tolist() == region.find_body(_person(40), "ct").box.tolist()


def test_a_thin_region_on_a_turned_grid_is_tissue():
    """Its voxels touch by edges alone, so that each was a part of its own, and too small."""
    image = _person(40)
    image.SetDirection(np.array(sitk.Euler3DTransform((0, 0, 0), 0.5, 0.5, 0.3).GetMatrix()).tolist())
    middle = image.TransformIndexToPhysicalPoint((30, 30, 30))
    sides = (20, 20, 1.5)
    region.find_body(image, "ct", tuple(m + side for m, half in zip(middle, sides, strict=True) for side in (-half, half)))


@pytest.mark.parametrize("roi", [None, (0, 400, 0, 400, 0, 400)])
def test_a_long_pet_in_other_units_is_not_taken_for_a_short_one(roi):
    """Scaled to 0..1 only a bladder of 9 ml is above the threshold: no body was seen, and nothing was said of its length."""
    voxels = np.full((100, 100, 250), 0.05, np.float32)
    voxels[50:54, 50:54, 50:54] = 1.0
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((4, 4, 4))
    if roi is None:
        with pytest.raises(PemmaError, match="no-body"):
            region.find_body(image, "pet")
    else:
        assert region.find_body(image, "pet", roi).longest_mm == 0


def test_a_small_region_beside_the_body_is_refused():
    """Air, and between the centres of two slices."""
    for roi, code in (((0, 12, 0, 12, 60, 72), "no-body"), ((100, 120, 100, 120, 61, 62), "roi")):
        with pytest.raises(PemmaError) as refused:
            region.find_body(_person(40), "ct", roi)
        assert refused.value.code == code


def test_a_table_under_the_patient_does_not_lengthen_the_body():
    image = _person(40)
    long = sitk.ConstantPad(image, (0, 0, 60), (0, 0, 60), -1000)
    long[25:35, 45, :] = 40  # a rim one voxel thick, touching the back
    assert region.find_body(long, "ct").longest_mm == pytest.approx(160)


def test_both_legs_are_looked_at():
    box = region.find_body(_person(40, ((5, 20), (35, 55))), "ct").box
    assert box[0].tolist() == [4.5, 54.5]


@pytest.mark.parametrize("voxels, roi, code", [
    (np.full((20, 20, 20), -1000), None, "no-body"), (np.zeros((20, 20, 20)), (900, 950, 0, 9, 0, 9), "roi")])
def test_nothing_to_look_at(voxels, roi, code):
    image = sitk.GetImageFromArray(voxels.astype(np.int16))
    image.SetSpacing((5, 5, 5))
    with pytest.raises(PemmaError) as refused:
        region.find_body(image, "ct", roi)
    assert refused.value.code == code


@pytest.mark.parametrize("roi", [(5, 5, 0, 1, 0, 1), (0, 1, 3, 2, 0, 1), (0, float("nan"), 0, 1, 0, 1)])
def test_an_empty_region_is_refused(roi):
    with pytest.raises(PemmaError, match="roi"):
        region.check_roi(roi)


#: Angles in radians; rounded, because ITK inverts a matrix with numbers below 1e-300 to NaN.
turns = st.tuples(*[st.floats(-3.1, 3.1).map(lambda angle: round(angle, 6))] * 3)


def _turned(angles, flip) -> sitk.Image:
    image = sitk.Image((11, 9, 13), sitk.sitkInt16)
    turn = sitk.Euler3DTransform((0, 0, 0), *angles)
    matrix = np.array(turn.GetMatrix()).reshape(3, 3) @ np.diag([1, -1 if flip else 1, 1])
    image.SetDirection(matrix.flatten().tolist())
    image.SetSpacing((2.0, 3.0, 1.5))
    image.SetOrigin((10.0, -20.0, 5.0))
    return image


@given(turns, st.booleans())
@settings(max_examples=50)
def test_region_on_a_turned_grid(angles, flip):
    """Voxels inside are those whose centres SimpleITK puts there, and the index box holds every one of them."""
    image = _turned(angles, flip)
    middle = np.array(image.TransformContinuousIndexToPhysicalPoint([5, 4, 6]))
    roi = tuple(np.stack([middle - (4, 6, 5), middle + (5, 7, 8)], axis=1).flatten())
    inside = region.voxels_inside(image, roi)
    for z, y, x in np.ndindex(inside.shape):
        point = np.array(image.TransformIndexToPhysicalPoint((x, y, z)))
        distance = np.minimum(point - roi[0::2], np.array(roi[1::2]) - point).min()
        assert abs(distance) < 1e-3 or inside[z, y, x] == (distance > 0)
    box = region.index_box(region.roi_corners(roi), image)
    z, y, x = np.nonzero(inside)
    for axis, index in enumerate((x, y, z)):
        assert box[axis, 0] <= index.min() and index.max() < box[axis, 1]


@given(turns, st.booleans(), st.tuples(*[st.integers(0, 8)] * 3))
@settings(max_examples=50)
def test_box_there_and_back(angles, flip, start):
    image = like(np.zeros((13, 9, 11), np.int16), _turned(angles, flip))
    box = np.array([(s - 0.5, s + 0.5) for s in start])
    assert region.index_box(region.box_corners(image, box), image).tolist() == [[s, s + 1] for s in start]

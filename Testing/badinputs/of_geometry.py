"""Slices that lie wrongly or oddly in space."""


import numpy as np

from ..study.phantom import ROOT, STEP
from .spoil import case, clone, for_all


@case(35, "R", "missing-geometry")
def position_missing_once(pair):
    del pair.pet[3].ImagePositionPatient


@case(36, "R", "missing-geometry")
def position_missing(pair):
    for k, header in enumerate(pair.ct):
        del header.ImagePositionPatient
        header.SliceLocation = STEP * k


@case(37, "R", "missing-geometry")
def orientation_missing(pair):
    for_all(pair.ct, ImageOrientationPatient=None)


@case(38, "R", "invalid-orientation")
def orientation_not_unit(pair):
    for_all(pair.ct, ImageOrientationPatient=[0.9, 0, 0, 0, 1, 0])


@case(38, "L")
def orientation_rounded(pair):
    for_all(pair.ct, ImageOrientationPatient=[1.0001, 0, 0, 0, 1, 0])


@case(39, "L")
def shuffled(pair):
    np.random.default_rng(1).shuffle(pair.pet)
    for k, header in enumerate(pair.pet):
        header.InstanceNumber = k


@case(40, "L")
def instance_numbers_equal(pair):
    for_all(pair.all, InstanceNumber=1)


@case(41, "L")
def slice_location_contradicts(pair):
    for k, header in enumerate(pair.ct):
        header.SliceLocation = -5.0 * k


@case(43, "R", "missing-slices")
def one_missing(pair):
    del pair.pet[4]


@case(44, "R", "missing-slices")
def three_missing(pair):
    del pair.ct[2:5]


@case(45, "L")
def ends_missing(pair):
    del pair.ct[-1]


@case(45, "W", "slices-fewer-than-stated")
def half_of_the_pet_missing(pair):
    for_all(pair.pet, NumberOfSlices=16)


@case(46, "R", "repeated-positions")
def position_twice(pair):
    pair.pet.append(clone(pair.pet[3], ROOT + ".6.1"))


@case(47, "L")
def steps_rounded(pair):
    for k, header in enumerate(pair.pet):
        header.ImagePositionPatient[2] = STEP * k + 0.03 * (-1) ** k


@case(48, "R", "irregular-slices")
def steps_irregular(pair):
    for k, header in enumerate(pair.pet):
        header.ImagePositionPatient[2] = STEP * (k + 0.2 * (k % 2))


@case(49, "R", "irregular-slices")
def thin_then_thick(pair):
    for k, header in enumerate(pair.ct):
        header.ImagePositionPatient[2] = STEP * (k + max(0, k - 4))


@case(50, "R", "tilted-gantry")
def gantry_tilt(pair):
    for k, header in enumerate(pair.ct):
        header.ImagePositionPatient[1] += STEP * k * np.tan(np.radians(15))
        header.GantryDetectorTilt = 15


@case(51, "L")
def sagittal(pair):
    for k, header in enumerate(pair.pet):
        header.ImageOrientationPatient, header.PixelSpacing = [0, 1, 0, 0, 0, -1], [3, 4]
        header.ImagePositionPatient = [10 - STEP * k, -20, 21]


@case(52, "W", "localizer-dropped")
def scout_in_series(pair):
    scout = clone(pair.ct[0], ROOT + ".6.2")
    scout.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    pair.ct.insert(0, scout)


@case(52, "W", "localizer-dropped")
def localizer_in_series(pair):
    scout = clone(pair.ct[0], ROOT + ".6.2")
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    pair.ct.append(scout)


@case(53, "R", "not-a-volume")
def single_slice(pair):
    del pair.pet[1:]


@case(54, "R", "not-a-volume")
def two_slices(pair):
    del pair.pet[2:]


@case(55, "R", "mixed-sizes")
def one_slice_smaller(pair):
    pair.ct[3].Rows, pair.ct[3].PixelData = 8, pair.ct[3].PixelData[: 8 * 20 * 2]


@case(56, "R", "mixed-spacing")
def one_slice_other_spacing(pair):
    pair.ct[3].PixelSpacing = [4.1, 4.1]


@case(57, "L")
def pixels_not_square(pair):
    for_all(pair.ct, PixelSpacing=[4.0, 3.5])


@case(58, "R", "missing-geometry")
def imager_spacing_only(pair):
    for_all(pair.ct, PixelSpacing=None, ImagerPixelSpacing=[4, 4])


@case(59, "R", "invalid-spacing")
def spacing_zero(pair):
    for_all(pair.ct, PixelSpacing=[4, 0])


@case(59, "R", "invalid-spacing")
def spacing_huge(pair):
    for_all(pair.ct, PixelSpacing=[1e9, 4])


@case(60, "L")
def thickness_is_not_the_step(pair):
    for_all(pair.ct, SliceThickness=0)


@case(61, "L")
def far_from_the_origin(pair):
    for header in pair.all:
        header.ImagePositionPatient[2] -= 1500

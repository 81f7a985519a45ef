"""Pixels of another kind than stated."""


import numpy as np

from ..study.phantom import stored
from .spoil import case, for_all


@case(62, "R", "no-pixel-data")
def no_pixel_data(pair):
    del pair.ct[3].PixelData


@case(63, "R", "truncated-file")
def pixel_data_short(pair):
    pair.ct[3].PixelData = pair.ct[3].PixelData[:-100]


@case(64, "L")
def pixel_data_long(pair):
    pair.ct[3].PixelData += bytes(50)


@case(65, "L")
def dirty_high_bits(pair):
    for header in pair.ct:
        header.BitsStored, header.HighBit, header.PixelRepresentation = 12, 11, 0
        header.PixelData = (stored(header).astype(np.uint16) | 0xF000).tobytes()


@case(66, "R", "mixed-pixel-types")
def mixed_signs(pair):
    pair.pet[3].PixelRepresentation = 0


@case(67, "R", "pixel-format")
def eight_bits(pair):
    for header in pair.ct:
        header.BitsAllocated = header.BitsStored = 8
        header.HighBit, header.PixelData = 7, bytes(16 * 20)


@case(67, "R", "no-pixel-data")
def float_pixels(pair):
    for header in pair.pet:
        values = stored(header).astype(np.float32)
        del header.PixelData
        header.BitsAllocated, header.FloatPixelData = 32, values.tobytes()


@case(68, "R", "colour-image")
def colour(pair):
    for_all(pair.ct, SamplesPerPixel=3, PhotometricInterpretation="RGB")


@case(69, "W", "inverted-display")
def inverted(pair):
    for_all(pair.ct, PhotometricInterpretation="MONOCHROME1")


@case(70, "L")
def padding(pair):
    for header in pair.ct:
        values = stored(header).copy()
        values[values == 0] = -2000
        header.PixelPaddingValue, header.PixelData = -2000, values.tobytes()
        header["PixelPaddingValue"].VR = "SS"


@case(71, "L")
def padding_unsigned(pair):
    for header in pair.ct:
        values = stored(header).copy()
        values[0, 0] = -2000
        header.PixelData = values.tobytes()
        header.add_new("PixelPaddingValue", "US", 63536)


@case(72, "R", "rescale-missing")
def no_hounsfield_scale(pair):
    for_all(pair.ct, RescaleSlope=None, RescaleIntercept=None)


@case(73, "R", "not-hounsfield")
def not_hounsfield(pair):
    for_all(pair.ct, RescaleType="US")


@case(73, "W", "not-hounsfield")
def windowed_to_bytes(pair):
    for header in pair.ct:
        header.RescaleIntercept, header.PixelData = "0", (stored(header) // 5).astype(np.int16).tobytes()
        del header.RescaleType


@case(74, "L")
def metal(pair):
    for header in pair.ct:
        values = stored(header).copy()
        values[5, 5] = 31000
        header.PixelData = values.tobytes()


@case(75, "W", "pet-empty")
def empty_pet(pair):
    for header in pair.pet:
        header.PixelData = bytes(len(header.PixelData))


@case(76, "W", "pet-negative")
def negative_pet(pair):
    values = stored(pair.pet[3]).copy()
    values[0, 0] = -50
    pair.pet[3].PixelData = values.tobytes()


@case(77, "R", "rescale-slope")
def slope_zero(pair):
    pair.pet[3].RescaleSlope = "0"


@case(77, "R", "rescale-slope")
def slope_negative(pair):
    pair.pet[3].RescaleSlope = "-1"


@case(79, "R", "pet-intercept")
def pet_intercept(pair):
    for_all(pair.pet, RescaleIntercept="5")

"""Stored values: metal stays dense, and padding becomes air, but nothing of the patient does, nor of a PET's activity."""

import numpy as np
import pytest

from PEMMASegmentLib import study
from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.core.images import array

from .phantom import FACTOR, Pair, stored


def hounsfield(folder, padding, vr, at_the_edge, **format) -> np.ndarray:
    """HU of the first slice; stored values of its first row: `at_the_edge`."""
    pair = Pair(pet=[])
    for header in pair.ct:
        values = stored(header).astype(np.int64)
        values[0] = at_the_edge
        if format.get("RescaleIntercept") == "0":
            values[1:] -= 1024
        header.update(format)
        header.add_new("PixelPaddingValue", vr, padding)
        header.PixelData = (values & 0xFFFF).astype("<u2").tobytes()
    return array(study.load(pair.write(folder)).ct)[0]


TWELVE = {"BitsStored": 12, "HighBit": 11}


@pytest.mark.parametrize("padding, vr, format", [
    (63536, "US", TWELVE | {"PixelRepresentation": 0}),  # bits above the stored ones
    (-2000, "SS", TWELVE | {"PixelRepresentation": 1}),
    (63536, "US", {"PixelRepresentation": 0}),
    (-2000, "SS", {}),
])  # fmt: skip
def test_padding_is_air_in_any_number_of_bits(padding, vr, format, tmp_path):
    found = hounsfield(tmp_path, padding, vr, padding, **format)
    assert np.all(found[0] == -1024) and np.all(found[1] == -1000) and found[8, 10] == 40


def test_padding_that_is_a_value_of_the_patient_turns_nothing_into_air(tmp_path):
    found = hounsfield(tmp_path, 0, "SS", 0, RescaleIntercept="0")
    assert np.all(found[0] == 0) and np.all(found[1] == -1000) and found[8, 10] == 40


@pytest.mark.parametrize("padding, there, codes", [
    (20000, 20000, ["pet-padding-kept"]), (32767, 20000, []), (-5, -5, []), (0, 0, []),
])  # fmt: skip
def test_padding_of_a_pet_takes_no_activity(padding, there, codes, tmp_path):
    pair = Pair(ct=[])
    for header in pair.pet:
        values = stored(header).copy()
        values[0, 0] = there
        header.add_new("PixelPaddingValue", "SS", padding)
        header.PixelData = values.tobytes()
    loaded = study.load(pair.write(tmp_path))
    assert array(loaded.pet)[0, 3, 4] == pytest.approx(20000 * FACTOR) and [w.code for w in loaded.warnings] == codes
    assert array(loaded.pet)[0, 0, 0] == pytest.approx(max(there, 0) * FACTOR)


def test_metal_beyond_what_hu_hold_stays_the_densest(tmp_path):
    assert hounsfield(tmp_path, -2000, "SS", 30000, RescaleSlope="2")[0].min() == 32767


def test_a_high_bit_that_would_shift_the_values_is_refused(tmp_path):
    with pytest.raises(PemmaError) as refusal:
        hounsfield(tmp_path, -2000, "SS", 0, BitsStored=12, HighBit=15)
    assert (refusal.value.code, refusal.value.place) == ("pixel-format", "(0028,0102)")

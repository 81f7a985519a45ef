"""What the decay correction refers to, or each frame's own time where there was none. On headers alone.

The phantom: 350 MBq of F-18 at 11:00, series and acquisition at 12:00.
"""

import math

import pytest

from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.study import suv

from .changes import isotope
from .phantom import FACTOR, codes, plan, series, to_reference


@pytest.mark.parametrize("series_time, acquisition, seconds", [
    ("113000", "120000", 1800),  # earlier beds of the scan are not in this series
    ("120000.000005", "120000", 3600.000005),  # 5 microseconds "after" the acquisition
])  # fmt: skip
def test_series_time_is_the_reference(series_time, acquisition, seconds):
    assert plan(SeriesTime=series_time, AcquisitionTime=acquisition).summary.factor == pytest.approx(
        to_reference(seconds), rel=1e-9)  # fmt: skip


@pytest.mark.parametrize("stated, series_time, seconds, told", [
    ("20240310115000", "120000", 3600, ["decay-references-differ"]),  # two that are possible
    ("20240310130000", "120000", 3600, []),  # after the scan began
    ("19000101120000", "120000", 3600, []),
    ("20240310115000", "180000", 3000, ["series-time-late"]),
])  # fmt: skip
def test_decay_correction_time_of_a_classic_pet_is_checked_as_others_are(stated, series_time, seconds, told):
    made = plan(DecayCorrectionDateTime=stated, SeriesTime=series_time)
    assert made.summary.factor == pytest.approx(to_reference(seconds)) and codes(made) == told


def test_decay_correction_time_that_differs_between_slices():
    def beds(header):
        header.DecayCorrectionDateTime = f"202403101{2 + header.InstanceNumber % 2}0000"

    with pytest.raises(PemmaError) as refusal:
        plan(each=beds)
    assert (refusal.value.code, refusal.value.place) == ("value-differs", "(0018,9701)")


def test_references_that_differ_are_told_with_their_effect():
    made = plan(FrameReferenceTime="720000")
    told = next(w for w in made.warnings if w.code == "decay-references-differ")
    assert (
        made.summary.factor == pytest.approx(FACTOR)
        and "11.0 min earlier" in told.sentence
        and "-6.7 %" in told.sentence
    )


@pytest.mark.parametrize("value", ["1e15", "1e25", ["60000", "90000"]])
def test_impossible_frame_time_is_no_reference(value):
    made = plan(FrameReferenceTime=value)
    assert made.summary.factor == pytest.approx(FACTOR) and codes(made) == []


@pytest.mark.parametrize("correction", ["START", "NONE"])
def test_times_that_no_number_holds(correction):
    with pytest.raises(PemmaError) as refusal:
        plan(FrameReferenceTime="60000", ActualFrameDuration="1e-320", DecayCorrection=correction)
    assert refusal.value.code == "times-impossible"


def test_references_that_differ_by_hundreds_of_half_lives():
    rubidium = isotope("76.4", "79197006", "^82^Rubidium")
    made = plan(each=rubidium, RadiopharmaceuticalStartTime="115500", AcquisitionTime="235900", FrameReferenceTime="-6e7")
    assert made.summary.factor == pytest.approx(to_reference(300, 76.4))
    assert any("change SUV over 4096-fold" in w.sentence for w in made.warnings)


@pytest.mark.parametrize("change, place", [
    ({"AcquisitionTime": None}, "(0008,0032)"),
    ({"ActualFrameDuration": None}, "(0018,1242)"),
    ({"ActualFrameDuration": "1e30"}, "(0018,1242)"),
])  # fmt: skip
def test_frame_times_of_no_decay_correction(change, place):
    with pytest.raises(PemmaError) as refusal:
        plan(DecayCorrection="NONE", CorrectedImage=["ATTN"], **change)
    assert (refusal.value.code, refusal.value.place) == ("frame-times-missing", place)


def test_frames_days_apart():
    headers = series("PT", 3)
    for header in headers:
        header.DecayCorrection, header.CorrectedImage = "NONE", ["ATTN"]
    headers[2].AcquisitionDate = "20240401"
    with pytest.raises(PemmaError) as refusal:
        suv.plan(headers)
    assert refusal.value.code == "frame-times-impossible"


def test_no_decay_correction():
    headers = series("PT", 2)
    for header, began in zip(headers, ("120000", "121000"), strict=True):
        header.DecayCorrection, header.CorrectedImage, header.AcquisitionTime = "NONE", ["ATTN"], began
    rate = math.log(2) / 6586.2
    during = rate * 120 / (1 - math.exp(-rate * 120))
    made = suv.plan(headers)
    assert made.factors == pytest.approx([to_reference(3600) * during, to_reference(4200) * during])
    assert made.summary.factor is None and "decay NONE" in made.summary.route


@pytest.mark.parametrize("times_ms, apart_s, told", [
    ([0, 600000, 1215000], [0, 600, 1215], ["frame-times-shared"]),  # beds of a GE scanner
    ([150000] * 3, [0, 0, 0], []),
    ([0, 30000, 60000], [0, 0, 0], []),
])  # fmt: skip
def test_beds_of_no_decay_correction_that_share_one_acquisition_time(times_ms, apart_s, told):
    def beds(header):
        header.FrameReferenceTime = str(times_ms[header.InstanceNumber - 1])

    made = plan(each=beds, DecayCorrection="NONE", CorrectedImage=["ATTN"])
    assert made.factors / made.factors[0] == pytest.approx([2 ** (s / 6586.2) for s in apart_s])
    assert codes(made) == told and all("+13.6 %" in w.sentence for w in made.warnings)

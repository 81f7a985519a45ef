"""Dates and time zones: written otherwise, missing, contradicting each other, on both sides of midnight.

The phantom: 350 MBq of F-18 at 11:00, series and acquisition at 12:00.
"""

import pytest

from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.study import suv, times
from PEMMASegmentLib.study.types import Typed

from .changes import UNDATED, ge, late
from .phantom import FACTOR, codes, plan, series, to_reference


@pytest.mark.parametrize("value, moment", [
    ("20240310", None), ("20240310110000.5-0330", "2024-03-10T11:00:00.500000"), ("20240231110000", None), ("", None),
    ("20240310110000.1234567", "2024-03-10T11:00:00.123456"), ("20240310110000.", "2024-03-10T11:00:00"),
    ("00010101110000", None), ("99991231235959.5", None),
])  # fmt: skip
def test_date_time(value, moment):
    found = times.date_time(value)
    assert (found.local.isoformat() if found else None) == moment


def test_dates_of_series_and_acquisition_days_apart():
    changes = {"SeriesDate": "19000101", "SeriesTime": "113000", "FrameReferenceTime": "60000"}
    made = plan(**changes)
    assert made.summary.factor == pytest.approx(to_reference(1800)) and "uptake 60 min" in made.summary.route
    assert codes(made)[0] == "dates-contradict" and "(30 min)" in made.warnings[0].sentence
    made = plan(RadiopharmaceuticalStartDateTime="20240310110000", **changes)
    assert made.summary.factor == pytest.approx(to_reference(1800)) and "injection-date-ignored" in codes(made)
    with pytest.raises(PemmaError) as refusal:
        plan(SeriesDate="19000101", SeriesTime="000000")
    assert (refusal.value.code, refusal.value.place) == ("dates-contradict", "(0008,0021)")


@pytest.mark.parametrize("change, code", [
    ({}, None),
    ({"SeriesTime": "180000"}, "decay-reference-assumed"),  # processed again
    ({"SeriesDate": "", "ContentDate": "20240310"}, "decay-reference-assumed"),
    ({"SeriesTime": "235000", "AcquisitionTime": "000500", "RadiopharmaceuticalStartTime": "225000"}, None),
])  # fmt: skip
def test_acquisition_time_without_its_date(change, code):
    made = plan(AcquisitionDate="", **change)
    assert made.summary.factor == pytest.approx(FACTOR)
    assert codes(made) == ["acquisition-date-missing", *([code] if code else [])]


@pytest.mark.parametrize("injection_date_time", ["", "20240310225500"])
def test_beds_on_both_sides_of_midnight_with_one_date(injection_date_time):
    def beds(header):
        header.AcquisitionTime = "000100" if header.InstanceNumber > 1 else "235500"

    night = {"SeriesTime": "235500", "RadiopharmaceuticalStartTime": "225500",
             "RadiopharmaceuticalStartDateTime": injection_date_time}  # fmt: skip
    made = plan(each=beds, **night)
    assert made.summary.factor == pytest.approx(FACTOR) and codes(made) == ["acquisition-after-midnight"]
    made = plan(each=beds, DecayCorrection="NONE", CorrectedImage=["ATTN"], **night)
    assert made.factors[1] / made.factors[0] == pytest.approx(2 ** (360 / 6586.2))


@pytest.mark.parametrize("change", [
    {}, {"AcquisitionTime": ""}, {"RadiopharmaceuticalStartDateTime": "19000101110000"}, {"each": ge("20240310120000")},
    {"AcquisitionTime": "121000"}, {"SeriesDate": "00000000", "AcquisitionDate": "99999999"}, {"SeriesDate": "00010101"},
    {"SeriesTime": "120000.000005"},  # within the clocks' tolerance
])  # fmt: skip
def test_times_without_dates_are_read_as_of_one_day(change):
    made = plan(**UNDATED | change)
    assert made.summary.factor == pytest.approx(FACTOR) and codes(made)[0] == "dates-missing"
    assert set(codes(made)) <= {"dates-missing", "acquisition-time-missing"} or "AcquisitionTime" in change
    made = plan(**UNDATED | change | {"AcquisitionTime": "120000"}, DecayCorrection="NONE", CorrectedImage=["ATTN"])
    assert "dates-missing" in codes(made) and "uptake 60 min" in made.summary.route


def test_no_date_is_put_into_headers_that_have_none():
    headers = series("PT", 3)
    for header in headers:
        header.SeriesDate, header.AcquisitionDate = "", ""
    assert codes(suv.plan(headers)) == ["dates-missing"]
    assert not any(header.SeriesDate or header.AcquisitionDate for header in headers)


@pytest.mark.parametrize("change", [
    {"SeriesTime": "180000"}, {"SeriesTime": ""}, {"SeriesTime": "113000", "AcquisitionTime": "234000"},
])  # fmt: skip
def test_times_without_dates_that_do_not_follow_each_other_are_refused(change):
    with pytest.raises(PemmaError) as refusal:
        plan(**UNDATED | change)
    assert (refusal.value.code, refusal.value.place) == ("decay-reference-missing", "(0008,0021)")


@pytest.mark.parametrize("typed", ["110000", "20240310110000"])
@pytest.mark.parametrize("change, code", [
    ({"RadiopharmaceuticalStartTime": None}, "injection-time-missing"),
    ({"RadiopharmaceuticalStartTime": "233000"}, "injection-date-unknown"),
    ({"RadiopharmaceuticalStartTime": "123000"}, "injection-date-unknown"),
    ({"RadiopharmaceuticalStartTime": "113000"}, ""),
])  # fmt: skip
def test_typed_injection_time_counts_where_there_are_no_dates(change, code, typed):
    if code:
        with pytest.raises(PemmaError) as refusal:
            plan(**UNDATED | change)
        assert refusal.value.code == code and "--injection-time" in refusal.value.way_out
    made = plan(Typed(injection_time=typed), **UNDATED | change)
    assert made.summary.factor == pytest.approx(FACTOR) and set(codes(made)) == {"dates-missing", "typed-value"}
    assert plan(Typed(injection_time="233000"), **UNDATED, SeriesTime="003000",
                AcquisitionTime="003000").summary.factor == pytest.approx(FACTOR)  # fmt: skip


@pytest.mark.parametrize("stated", [
    {"RadiopharmaceuticalStartTime": "233000"}, {"RadiopharmaceuticalStartDateTime": "20240309233000"},
])  # fmt: skip
def test_reference_with_a_date_of_its_own_needs_no_other(stated):
    made = plan(**UNDATED, SeriesTime="003000", AcquisitionTime="003000", each=ge("20240310003000"), **stated)
    assert made.summary.factor == pytest.approx(FACTOR) and "(0009,100D)" in made.summary.route


def test_acquisition_in_another_zone_than_the_header():
    pair = {"AcquisitionDate": None, "AcquisitionTime": None, "AcquisitionDateTime": "20240310110000+0000"}
    made = plan(TimezoneOffsetFromUTC="+0100", **pair)
    assert made.summary.factor == pytest.approx(FACTOR) and codes(made) == []
    made = plan(RadiopharmaceuticalStartDateTime="20240310110000+0100", RadiopharmaceuticalStartTime="",
                DecayCorrection="NONE", CorrectedImage=["ATTN"], **pair)  # fmt: skip
    assert "uptake 60 min" in made.summary.route and codes(made) == []


def test_reference_in_a_zone_of_its_own():
    made = late(DecayCorrectionDateTime="20240310120000+0000", RadiopharmaceuticalStartDateTime="20240310110000")
    assert made.summary.factor == pytest.approx(FACTOR) and codes(made) == ["series-time-late", "time-zone-one-sided"]
    made = late(DecayCorrectionDateTime="20240310120000+0100", RadiopharmaceuticalStartDateTime="20240310100000+0000",
                RadiopharmaceuticalStartTime="")  # fmt: skip
    assert made.summary.factor == pytest.approx(FACTOR) and codes(made) == ["series-time-late"]
    assert "uptake 60 min" in made.summary.route

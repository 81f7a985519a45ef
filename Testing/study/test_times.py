"""Moments: how DICOM writes them, what the decay correction refers to, when the tracer was given. On headers alone.

The phantom: 350 MBq of F-18 at 11:00, series and acquisition at 12:00.
"""

import math

import pytest

from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.study import references, suv, times
from PEMMASegmentLib.study.types import Typed

from .phantom import FACTOR, codes, plan, series, to_reference, tracer


@pytest.mark.parametrize("value, moment", [
    ("20240310", None), ("20240310110000.5-0330", "2024-03-10T11:00:00.500000"), ("20240231110000", None), ("", None),
    ("20240310110000.1234567", "2024-03-10T11:00:00.123456"), ("20240310110000.", "2024-03-10T11:00:00"),
    ("00010101110000", None), ("99991231235959.5", None),
])  # fmt: skip
def test_date_time(value, moment):
    found = times.date_time(value)
    assert (found.local.isoformat() if found else None) == moment


# Reference


@pytest.mark.parametrize("series_time, acquisition, seconds", [
    ("113000", "120000", 1800),  # earlier beds of the scan are not in this series
    ("120000.000005", "120000", 3600.000005),  # 5 microseconds "after" the acquisition
])  # fmt: skip
def test_series_time_is_the_reference(series_time, acquisition, seconds):
    assert plan(SeriesTime=series_time, AcquisitionTime=acquisition).summary.factor == pytest.approx(
        to_reference(seconds), rel=1e-9)  # fmt: skip


def late(**changes):
    """A PET processed again later, so that its series time means nothing."""
    return plan(SeriesTime="180000", **changes)


def test_late_series_with_siemens_private_time():
    headers = series("PT", 3)
    for header in headers:
        header.SeriesTime = "180000"
        header.add_new(0x00710011, "LO", "SIEMENS MED PT")
        header.add_new(0x00711122, "UN", b"20240310114500.000000 \0")
    made = suv.plan(headers)
    assert made.summary.factor == pytest.approx(to_reference(2700))
    assert "Siemens" in made.summary.route and "series-time-late" in codes(made)


def test_siemens_private_time_beside_another_siemens_creator():
    def add(header):
        header.add_new(0x00710010, "LO", "SIEMENS MR SDS 01")
        header.add_new(0x00711022, "LO", "x")
        header.add_new(0x00710011, "LO", "SIEMENS MED PT")
        header.add_new(0x00711122, "DT", "20240310114500")

    assert plan(SeriesTime="180000", each=add).summary.factor == pytest.approx(to_reference(2700))


def test_late_series_with_ge_private_time_after_the_acquisition():
    headers = series("PT", 3)
    for header in headers:
        header.SeriesTime, header.FrameReferenceTime = "180000", "0"
        header.add_new(0x00090010, "LO", "GEMS_PETD_01")
        header.add_new(0x0009100D, "DT", "20240310130000")
    assert "earliest Acquisition" in suv.plan(headers).summary.route


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


def test_late_series_back_computed():
    made = late(FrameReferenceTime="360000", ActualFrameDuration="120000")
    average = references.average_time(120, 6586.2)
    assert average == pytest.approx(60, abs=0.2)
    assert made.summary.factor == pytest.approx(to_reference(3600 + average - 360))


def test_late_series_without_any_reference():
    made = late(FrameReferenceTime="0")
    assert made.summary.factor == pytest.approx(to_reference(3600)) and "decay-reference-assumed" in codes(made)


def test_late_series_whose_frames_disagree():
    headers = series("PT", 3)
    for k, header in enumerate(headers):
        header.SeriesTime, header.FrameReferenceTime = "180000", str(60000 * k)
    assert "decay-reference-assumed" in codes(suv.plan(headers))


def test_references_that_differ_are_told_with_their_effect():
    made = plan(FrameReferenceTime="720000")
    told = next(w for w in made.warnings if w.code == "decay-references-differ")
    assert (
        made.summary.factor == pytest.approx(FACTOR)
        and "11.0 min earlier" in told.sentence
        and "-6.7 %" in told.sentence
    )


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


def test_private_time_days_before_the_scan_is_no_reference():
    made = plan(SeriesTime="180000", each=ge("19000101120000"))
    assert made.summary.factor == pytest.approx(FACTOR) and "earliest Acquisition" in made.summary.route


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


def test_late_series_without_acquisition_time():
    made = plan(SeriesTime="180000", AcquisitionTime="", each=ge("20240310120000"))
    assert made.summary.factor == pytest.approx(FACTOR) and codes(made) == ["series-time-late"]
    made = plan(SeriesTime="120030", AcquisitionTime="", each=ge("20240310120000"))
    assert made.summary.factor == pytest.approx(to_reference(3630)) and codes(made) == ["acquisition-time-missing"]


def ge(scanned: str):
    def add(header):
        header.add_new(0x00090010, "LO", "GEMS_PETD_01")
        header.add_new(0x0009100D, "DT", scanned)

    return add


def siemens(stated: str):
    def add(header):
        header.add_new(0x00710010, "LO", "SIEMENS MED PT")
        header.add_new(0x00711022, "DT", stated)

    return add


@pytest.mark.parametrize("change, tag", [
    ({"SeriesTime": ""}, "(0008,0031)"), ({"SeriesDate": ""}, "(0008,0021)"), ({"SeriesTime": "2500"}, "(0008,0031)"),
    ({"SeriesTime": "", "AcquisitionTime": ""}, "(0008,0031)"),
    ({"SeriesDate": "", "SeriesTime": "", "AcquisitionDate": "", "AcquisitionTime": ""}, "(0008,0021)"),
])  # fmt: skip
def test_missing_series_time_is_told_with_what_was_taken_for_it(change, tag):
    made = plan(each=siemens("20240310114500"), **change)
    assert made.summary.factor == pytest.approx(to_reference(2700)) and codes(made) == ["series-time-missing"]
    assert tag in made.warnings[0].sentence and "(0071,1022)" in made.warnings[0].sentence


BACK = {"FrameReferenceTime": "60000", "ActualFrameDuration": "120000"}


@pytest.mark.parametrize("series_time", ["000000", "010000", "095500", "105000"])  # emptied, any, of the registration
@pytest.mark.parametrize("injected", [
    {}, {"RadiopharmaceuticalStartDateTime": "20240310110000"}, {"RadiopharmaceuticalStartDateTime": "20240311110000"},
])  # fmt: skip
@pytest.mark.parametrize("change, source", [
    ({"each": ge("20240310120000")}, "(0009,100D)"), ({"each": siemens("20240310120000")}, "(0071,1022)"),
    (BACK, "Frame Reference Time"), ({}, "earliest Acquisition"),
    ({"each": ge("20240310120000"), "AcquisitionTime": ""}, "(0009,100D)"),
])  # fmt: skip
def test_series_time_before_the_injection_is_no_reference(change, source, injected, series_time):
    made = plan(SeriesTime=series_time, **injected, **change)
    assert made.summary.factor == pytest.approx(to_reference(3600), rel=1e-4) and source in made.summary.route
    assert "(0008,0031)" in next(w.sentence for w in made.warnings if w.code == "series-time-early")


def test_series_time_before_the_injection_is_named_where_nothing_replaces_it():
    change = {"SeriesTime": "095500", "AcquisitionTime": "150000"}  # four hours after the injection
    with pytest.raises(PemmaError) as refusal:
        plan(**change)
    assert (refusal.value.code, refusal.value.place) == ("injection-after-scan", "(0008,0031)")
    assert "export" in refusal.value.way_out and "--injection-time" in refusal.value.way_out
    assert plan(Typed(injection_time="085500"), **change).summary.factor == pytest.approx(FACTOR)


UNDATED = {"StudyDate": "", "SeriesDate": "", "AcquisitionDate": ""}


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


@pytest.mark.parametrize("stated", ["120500", "121000", "123000", "124500", "130000"])  # later than the true one, at 11:00
@pytest.mark.parametrize("dated", [False, True])
def test_typed_injection_time_decides_whether_the_series_time_is_early(stated, dated):
    change = {"RadiopharmaceuticalStartTime": stated, "AcquisitionTime": "130000"}
    change |= {"RadiopharmaceuticalStartDateTime": f"20240310{stated}"} if dated else {}
    made = plan(Typed(injection_time="110000"), **change)
    assert made.summary.factor == pytest.approx(FACTOR) and set(codes(made)) == {"decay-reference-early", "typed-value"}


def test_typed_injection_time_counts_where_the_series_time_is_early():
    made = plan(Typed(injection_time="110000"), RadiopharmaceuticalStartTime="112000", SeriesTime="100000", **BACK)
    assert made.summary.factor == pytest.approx(to_reference(3600), rel=1e-4)
    assert set(codes(made)) == {"series-time-early", "typed-value"}


def test_reference_instead_of_an_early_series_time_is_told_with_its_distance():
    made = plan(SeriesTime="000000", each=ge("20240310114000"))
    told = next(w.sentence for w in made.warnings if w.code == "series-time-early")
    assert "(0009,100D), 20 min before the first acquisition" in told


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


# Injection


#: list-mode from 12:00:00, the image of 50 to 60 min corrected to its start
ON_THE_TABLE = {"AcquisitionTime": "125000", "FrameReferenceTime": "3300000", "ActualFrameDuration": "600000"}


@pytest.mark.parametrize("change", [
    {"RadiopharmaceuticalStartTime": "120020"},
    {"RadiopharmaceuticalStartDateTime": "20240310120020", "RadiopharmaceuticalStartTime": ""},
])  # fmt: skip
def test_injection_just_after_the_start_of_a_scan_that_is_corrected_to_its_start(change):
    made = plan(**ON_THE_TABLE, **change)
    assert made.summary.factor == pytest.approx(to_reference(-20)) and "uptake 50 min" in made.summary.route
    assert codes(made) == ["injection-after-reference", "decay-reference-early"][::-1]
    typed = plan(Typed(injection_time="120020"), **ON_THE_TABLE, **change | {"RadiopharmaceuticalStartTime": ""})
    assert typed.summary.factor == made.summary.factor


@pytest.mark.parametrize("change", [
    {"FrameReferenceTime": "0"},  # the series time alone: it may be that of the registration
    {"RadiopharmaceuticalStartDateTime": "20240310120600"},  # too late for that
    {"AcquisitionTime": "120010", "FrameReferenceTime": "10000", "ActualFrameDuration": "1"},  # after the scan began
])  # fmt: skip
def test_other_injection_after_the_reference_is_refused(change):
    with pytest.raises(PemmaError) as refusal:
        plan(**ON_THE_TABLE | {"RadiopharmaceuticalStartDateTime": "20240310120020"} | change)
    assert refusal.value.code == "injection-after-scan"


@pytest.mark.parametrize("change, seconds, code", [
    ({"RadiopharmaceuticalStartDateTime": "20240310113000"}, 1800, "injection-times-differ"),
    ({"RadiopharmaceuticalStartTime": "11"}, 3600, None),
    ({"RadiopharmaceuticalStartTime": "1100"}, 3600, None),
    ({"RadiopharmaceuticalStartTime": "11:00:00 "}, 3600, None),
    ({"RadiopharmaceuticalStartTime": "105959.5"}, 3600.5, None),
    ({"RadiopharmaceuticalStartTime": "110000.0000000"}, 3600, None),
    ({"RadiopharmaceuticalStartTime": "110000."}, 3600, None),
    ({"RadiopharmaceuticalStartDateTime": "20240311110000"}, 3600, "injection-date-ignored"),
    ({"RadiopharmaceuticalStartDateTime": "20240310110000+0100"}, 3600, "time-zone-one-sided"),
    ({"RadiopharmaceuticalStartDateTime": "20240310100000+0000", "TimezoneOffsetFromUTC": "+0100"}, 3600, None),
    ({"RadiopharmaceuticalStartDateTime": "20240310110000", "TimezoneOffsetFromUTC": "+0100"}, 3600, None),
    ({"RadiopharmaceuticalStartDateTime": "20240310001500", "SeriesTime": "010000", "AcquisitionTime": "010000",
      "RadiopharmaceuticalStartTime": "001500"}, 2700, None),
    ({"RadiopharmaceuticalStartTime": "233000", "SeriesTime": "003000", "AcquisitionTime": "003000"}, 3600,
     "injection-before-midnight"),
    ({"RadiopharmaceuticalStartTime": "000000", "SeriesTime": "010000", "AcquisitionTime": "010000"}, 3600, None),
])  # fmt: skip
def test_injection(change, seconds, code):
    made = plan(**change)
    assert made.summary.factor == pytest.approx(to_reference(seconds), rel=1e-9)
    assert codes(made) == ([code] if code else [])


def test_injection_of_ge_private_time():
    headers = series("PT", 3)
    for header in headers:
        del tracer(header).RadiopharmaceuticalStartTime
        header.add_new(0x00090010, "LO", "GEMS_PETD_01")
        header.add_new(0x0009103B, "DT", "20240310113000.00")
    made = suv.plan(headers)
    assert made.summary.factor == pytest.approx(to_reference(1800)) and codes(made) == ["injection-time-private"]


@pytest.mark.parametrize("change, code, place", [
    ({"RadiopharmaceuticalStartDateTime": "20240310120100"}, "injection-after-scan", "(0018,1078)"),
    ({"RadiopharmaceuticalStartDateTime": "20240311130000"}, "injection-after-scan", "(0018,1078)"),  # time of day: no
    ({"RadiopharmaceuticalStartDateTime": "20240309110000"}, "injection-too-early", "(0018,1078)"),
    ({"RadiopharmaceuticalStartTime": "121500"}, "injection-date-unknown", "(0018,1072)"),  # 23 h 45 min before
    ({"RadiopharmaceuticalStartTime": "2500"}, "injection-time-missing", "(0018,1078)"),
    ({"RadiopharmaceuticalStartDateTime": "20240310000000"}, "injection-time-emptied", "(0018,1078)"),
    ({"RadiopharmaceuticalStartDateTime": "20240311000000.00"}, "injection-time-emptied", "(0018,1078)"),
    ({"RadiopharmaceuticalStartTime": "000000"}, "injection-time-emptied", "(0018,1072)"),
    ({"RadiopharmaceuticalStartDateTime": "20240310000000", "SeriesTime": "010000", "AcquisitionTime": "010000"},
     "injection-time-emptied", "(0018,1078)"),  # which of the two?
])  # fmt: skip
def test_injection_refused(change, code, place):
    with pytest.raises(PemmaError) as refusal:
        plan(**change)
    assert (refusal.value.code, refusal.value.place) == (code, place) and "--inj" in refusal.value.way_out


@pytest.mark.parametrize("days", [{}, {"SeriesDate": "20201201", "AcquisitionDate": "20201201"}])
def test_typed_date_beside_shifted_ones_is_told_how_to_be_typed(days):
    change = {"RadiopharmaceuticalStartTime": "", **days}
    for date in ("20240309", "20240311"):
        with pytest.raises(PemmaError, match="HHMMSS, or with the date that the headers bear") as refusal:
            plan(Typed(injection_time=f"{date}110000"), **change)
        assert "--injection-time" in refusal.value.way_out
    assert plan(Typed(injection_time="110000"), **change).summary.factor == pytest.approx(FACTOR)


def test_injection_before_midnight_that_bears_the_date_of_the_scan():
    night = {"SeriesTime": "002000", "AcquisitionTime": "002000", "RadiopharmaceuticalStartDateTime": "20240310232000"}
    with pytest.raises(PemmaError, match="as HHMMSS"):
        plan(**night)
    assert plan(Typed(injection_time="232000"), **night).summary.factor == pytest.approx(FACTOR)


def test_what_is_told_of_the_time_is_told_of_the_one_used():
    made = plan(Typed(injection_time="110000"), RadiopharmaceuticalStartDateTime="20240309110000",
                RadiopharmaceuticalStartTime="113000")  # fmt: skip
    assert codes(made) == ["typed-value"]
    night = {"SeriesTime": "003000", "AcquisitionTime": "003000", "RadiopharmaceuticalStartTime": ""}
    made = plan(Typed(injection_time="233000"), **night)
    assert made.summary.factor == pytest.approx(FACTOR) and codes(made) == ["injection-before-midnight", "typed-value"]


def isotope(half_life: str, code: str, meaning: str):
    def change(header):
        item = tracer(header)
        item.RadionuclideHalfLife = half_life
        item.RadionuclideCodeSequence[0].CodeValue, item.RadionuclideCodeSequence[0].CodeMeaning = code, meaning

    return change


ZIRCONIUM = isotope("282240", "63360001", "^89^Zirconium")


def test_half_lives_before_the_scan_name_the_tag_of_the_injection():
    with pytest.raises(PemmaError) as refusal:
        plan(each=isotope("597.9", "21576001", "^13^Nitrogen"), RadiopharmaceuticalStartTime="080000")
    assert (refusal.value.code, refusal.value.place) == ("injection-too-early", "(0018,1072)")


def test_isotope_imaged_for_days_without_the_day_of_its_injection():
    days = 2 * 86400 + 3600
    made = plan(each=ZIRCONIUM, RadiopharmaceuticalStartDateTime="20240308110000")
    assert made.summary.factor == pytest.approx(to_reference(days, 282240))
    with pytest.raises(PemmaError) as refusal:  # shifted dates are no reason to take the time of day alone
        plan(each=ZIRCONIUM, RadiopharmaceuticalStartDateTime="20240311110000")
    assert refusal.value.code == "injection-after-scan" and "--injection-time" in refusal.value.way_out
    made = plan(each=ZIRCONIUM)
    assert made.summary.factor == pytest.approx(to_reference(3600, 282240)) and "injection-date-assumed" in codes(made)
    assert "injection-date-assumed" in codes(plan(Typed(injection_time="110000"), each=ZIRCONIUM))
    made = plan(Typed(injection_time="20240308110000"), each=ZIRCONIUM)
    assert "injection-date-assumed" not in codes(made)
    assert made.summary.factor == pytest.approx(to_reference(days, 282240)) and made.summary.typed == ("injection time",)


def test_isotope_imaged_for_days_with_a_series_date_that_stayed_behind():
    with pytest.raises(PemmaError) as refusal:
        plan(each=ZIRCONIUM, SeriesDate="20240306", RadiopharmaceuticalStartDateTime="20240306100000")
    assert (refusal.value.code, refusal.value.place) == ("dates-contradict", "(0008,0021)")


def test_phantom_of_germanium_needs_no_day():
    germanium = isotope("23400000", "53315004", "^68^Germanium")
    assert codes(plan(each=germanium, RadiopharmaceuticalStartDateTime="20240101000000")) == ["injection-times-differ"]
    made = plan(each=germanium)
    assert made.summary.factor == pytest.approx(to_reference(3600, 2.34e7))

"""A series time that is missing, early or late, and what is taken for it.

The phantom: 350 MBq of F-18 at 11:00, series and acquisition at 12:00.
"""

import pytest

from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.study import suv
from PEMMASegmentLib.study.suv import references
from PEMMASegmentLib.study.types import Typed

from .changes import ge, late, siemens
from .phantom import FACTOR, codes, plan, series, to_reference


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
    assert "earliest Acquisition" in late(FrameReferenceTime="0", each=ge("20240310130000")).summary.route


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


def test_private_time_days_before_the_scan_is_no_reference():
    made = plan(SeriesTime="180000", each=ge("19000101120000"))
    assert made.summary.factor == pytest.approx(FACTOR) and "earliest Acquisition" in made.summary.route


def test_late_series_without_acquisition_time():
    made = plan(SeriesTime="180000", AcquisitionTime="", each=ge("20240310120000"))
    assert made.summary.factor == pytest.approx(FACTOR) and codes(made) == ["series-time-late"]
    made = plan(SeriesTime="120030", AcquisitionTime="", each=ge("20240310120000"))
    assert made.summary.factor == pytest.approx(to_reference(3630)) and codes(made) == ["acquisition-time-missing"]


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

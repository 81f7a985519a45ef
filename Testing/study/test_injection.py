"""When the tracer was given: its time and day, what is refused, isotopes imaged for days. On headers alone.

The phantom: 350 MBq of F-18 at 11:00, series and acquisition at 12:00.
"""

import pytest

from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.study import suv
from PEMMASegmentLib.study.types import Typed

from .changes import isotope
from .phantom import FACTOR, codes, plan, series, to_reference, tracer

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
    assert "injection-times-differ" in codes(plan(each=germanium, RadiopharmaceuticalStartDateTime="20240101000000"))
    made = plan(each=germanium)
    assert made.summary.factor == pytest.approx(to_reference(3600, 2.34e7))

"""SUVbw: the reference objects as their publishers expect them, and each route on a small series worked out by hand."""

import copy
import json
import math

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from PEMMASegmentLib import study
from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.study import bodysize, decay, suv, times
from PEMMASegmentLib.study.types import Typed

from .phantom import FACTOR, Pair, series, tracer

OBJECTS = """DRO_0_0 DRO_1_0 DRO_2_0 DRO_2_4 DRO_3_1 DRO_3_2 DRO_4_0 DRO_4_1 DRO_5_0 STS_001_wholebody STS_001_ibsi_suv
d01_bqml_start_simple d02_bqml_start_slope_per_slice d03_bqml_admin d04_cnts_philips_suv_factor
d05_cnts_philips_activity_factor d06_gml_without_suv_type d07_series_later_ge_private d08_multi_bed_start
d09_midnight_time_only d10_datetime_with_offset d11_dose_in_mbq d12_weight_missing d13_propcps d14_cnts_without_factor
d15_injection_after_scan d16_not_attenuation_corrected e01_enhanced_pet v_ge_medical_and_bqml v_philips_bqml
v_philips_cnts_and_suv v_siemens""".split()
REFUSED = {  # object -> tag to be named
    "d12_weight_missing": "(0010,1030)", "d13_propcps": "(0054,1001)", "d14_cnts_without_factor": "(7053,1000)",
    "d15_injection_after_scan": "(0018,1078)", "d16_not_attenuation_corrected": "(0028,0051)",
}  # fmt: skip


@pytest.fixture(scope="module")
def expected(shared) -> dict:
    listed = json.loads((shared / "data/suv/expected.json").read_text())["objects"]
    assert sorted(o["id"] for o in listed) == sorted(OBJECTS)
    return {o["id"]: o["expected"] for o in listed}


@pytest.mark.parametrize("name", OBJECTS)
def test_reference_object(name, expected, unpack):
    wanted = expected[name]
    folder = unpack(f"suv/{name}.zip") / "PT"
    if name in REFUSED:
        assert wanted["verdict"] == "refuse"
        with pytest.raises(PemmaError) as refusal:
            study.load(folder)
        assert refusal.value.place == REFUSED[name] and refusal.value.way_out
        return
    loaded = study.load(folder)
    if wanted["verdict"] == "load-with-warning":
        assert loaded.warnings
    values = sitk.GetArrayFromImage(loaded.pet)
    assert values.dtype == np.float32
    close = {"atol": wanted["tolerance"]["abs"], "rtol": wanted["tolerance"].get("rel", 0)}
    region = values[values > 0] if "above 0" in wanted["suvbw"]["region"] else values
    found = [region.min(), np.median(region), region.max()]
    np.testing.assert_allclose(found, [wanted["suvbw"][k] for k in ("min", "median", "max")], **close)
    if "per_slice_max" in wanted:
        np.testing.assert_allclose(values.max((1, 2)), wanted["per_slice_max"], **close)
    if "suvbw_per_rescaled_unit" in wanted:
        assert loaded.suv.factor == pytest.approx(wanted["suvbw_per_rescaled_unit"][0], rel=1e-9)


def test_whole_body_equals_the_published_suv(unpack):
    whole = sitk.GetArrayFromImage(study.load(unpack("suv/STS_001_wholebody.zip") / "PT").pet)
    published = sitk.GetArrayFromImage(study.load(unpack("suv/STS_001_ibsi_suv.zip") / "PT").pet)
    assert np.abs(whole[0:59, 45:88, 59:100] - published).max() < 0.0009


# Routes, on headers alone. The phantom: 70 kg, 350 MBq of F-18 at 11:00, series and acquisition at 12:00.


def plan(typed=Typed(), slices=3, **changes):
    """Plan of the phantom's PET after changes: keyword of the header or, if known there, of the tracer item -> value."""
    headers = series("PT", slices)
    with pydicom.config.disable_value_validation():
        for header in headers:
            for keyword, value in changes.items():
                target = tracer(header) if keyword.startswith("Radio") and "Sequence" not in keyword else header
                setattr(target, keyword, value)
    return suv.plan(headers, typed)


def codes(made) -> list[str]:
    return [w.code for w in made.warnings]


def to_reference(seconds: float) -> float:
    """SUVbw per Bq/ml of the phantom for this time from injection to reference."""
    return 70e3 / 350e6 * 2 ** (seconds / 6586.2)


def test_start_in_words():
    made = plan()
    assert made.summary.route == "BQML, decay START, reference SeriesDateTime, uptake 60 min"
    assert made.summary.factor == pytest.approx(FACTOR, rel=1e-12) and codes(made) == []


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


def test_late_series_with_ge_private_time_after_the_acquisition():
    headers = series("PT", 3)
    for header in headers:
        header.SeriesTime, header.FrameReferenceTime = "180000", "0"
        header.add_new(0x00090010, "LO", "GEMS_PETD_01")
        header.add_new(0x0009100D, "DT", "20240310130000")
    assert "earliest Acquisition" in suv.plan(headers).summary.route


def test_late_series_back_computed():
    made = late(FrameReferenceTime="360000", ActualFrameDuration="120000")
    average = decay.average_time(120, 6586.2)
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


def test_no_decay_correction():
    headers = series("PT", 2)
    for header, began in zip(headers, ("120000", "121000"), strict=True):
        header.DecayCorrection, header.CorrectedImage, header.AcquisitionTime = "NONE", ["ATTN"], began
    rate = math.log(2) / 6586.2
    during = rate * 120 / (1 - math.exp(-rate * 120))
    made = suv.plan(headers)
    assert made.factors == pytest.approx([to_reference(3600) * during, to_reference(4200) * during])
    assert made.summary.factor is None and "decay NONE" in made.summary.route


def test_decay_flags_that_contradict():
    assert codes(plan(CorrectedImage=["ATTN"])) == ["decay-flag-contradiction"]
    assert codes(plan(DecayCorrection="NONE")) == ["decay-flag-contradiction"]


# Injection


@pytest.mark.parametrize("change, seconds, code", [
    ({"RadiopharmaceuticalStartDateTime": "20240310113000"}, 1800, "injection-times-differ"),
    ({"RadiopharmaceuticalStartTime": "11"}, 3600, None),
    ({"RadiopharmaceuticalStartTime": "1100"}, 3600, None),
    ({"RadiopharmaceuticalStartTime": "11:00:00 "}, 3600, None),
    ({"RadiopharmaceuticalStartTime": "105959.5"}, 3600.5, None),
    ({"RadiopharmaceuticalStartDateTime": "20240311110000"}, 3600, "injection-date-ignored"),
    ({"RadiopharmaceuticalStartDateTime": "20240310110000+0100"}, 3600, "time-zone-one-sided"),
    ({"RadiopharmaceuticalStartDateTime": "20240310100000+0000", "TimezoneOffsetFromUTC": "+0100"}, 3600, None),
    ({"RadiopharmaceuticalStartDateTime": "20240310110000", "TimezoneOffsetFromUTC": "+0100"}, 3600, None),
    ({"RadiopharmaceuticalStartDateTime": "20240310001500", "SeriesTime": "010000", "AcquisitionTime": "010000",
      "RadiopharmaceuticalStartTime": "001500"}, 2700, None),
    ({"RadiopharmaceuticalStartTime": "233000", "SeriesTime": "003000", "AcquisitionTime": "003000"}, 3600,
     "injection-before-midnight"),
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


@pytest.mark.parametrize("change, code", [
    ({"RadiopharmaceuticalStartDateTime": "20240310120100"}, "injection-after-scan"),
    ({"RadiopharmaceuticalStartDateTime": "20240311130000"}, "injection-after-scan"),  # its time of day does not fit
    ({"RadiopharmaceuticalStartDateTime": "20240309110000"}, "injection-too-early"),
    ({"RadiopharmaceuticalStartTime": "121500"}, "injection-date-unknown"),  # 23 h 45 min before
    ({"RadiopharmaceuticalStartTime": "2500"}, "injection-time-missing"),
])  # fmt: skip
def test_injection_refused(change, code):
    with pytest.raises(PemmaError) as refusal:
        plan(**change)
    assert refusal.value.code == code and "--inj" in refusal.value.way_out


# Units, SUV kinds, vendors


@pytest.mark.parametrize("value, moment", [
    ("20240310", None), ("20240310110000.5-0330", "2024-03-10T11:00:00.500000"), ("20240231110000", None), ("", None),
])  # fmt: skip
def test_date_time(value, moment):
    found = times.date_time(value)
    assert (found.local.isoformat() if found else None) == moment


BODY = {sex: bodysize.Body(70, 1.75, sex) for sex in "MFO"}


@pytest.mark.parametrize("kind, sex, kilograms", [
    ("LBM", "M", 57.8), ("LBM", "F", 51.22), ("LBM", "O", 54.51), ("LBMJAMES128", "M", 56.52),
    ("LBMJANMA", "M", 55.857), ("LBMJANMA", "F", 45.197), ("IBW", "M", 72.38), ("IBW", "F", 66.43),
])  # fmt: skip
def test_mass(kind, sex, kilograms):
    assert bodysize.factor_to_body_weight(kind, BODY[sex]) == pytest.approx(70 / kilograms, rel=1e-4)


def test_body_surface():
    assert bodysize.factor_to_body_weight("BSA", BODY["M"]) == pytest.approx(70e3 / 18481, rel=1e-3)


@pytest.mark.parametrize("change, factor", [
    ({"Units": "GML"}, 1.0),
    ({"Units": "GML", "SUVType": "BW", "DecayCorrection": ""}, 1.0),
    ({"Units": "GML", "SUVType": "LBM"}, 70 / 51.22),
    ({"Units": "CM2ML"}, 70e3 / 18481),
    ({"Units": "BQML", "DecayCorrection": "ADMIN"}, 70e3 / 350e6),
])  # fmt: skip
def test_units(change, factor):
    assert plan(**change).summary.factor == pytest.approx(factor, rel=1e-3)


@pytest.mark.parametrize("change, tag", [
    ({"Units": "GML", "SUVType": "BSA"}, "(0054,1006)"),
    ({"Units": "CM2ML", "SUVType": "BW"}, "(0054,1006)"),
    ({"Units": "GML", "SUVType": "LBM", "PatientSize": ""}, "(0010,1020)"),
    ({"Units": "GML", "SUVType": "LBM", "PatientSex": ""}, "(0010,0040)"),
    ({"Units": "PROPCPS"}, "(0054,1001)"), ({"Units": "BECQUEREL"}, "(0054,1001)"), ({"Units": ""}, "(0054,1001)"),
    ({"DecayCorrection": "PERHAPS"}, "(0054,1102)"), ({"SeriesType": ["DYNAMIC", "IMAGE"]}, "(0054,1000)"),
    ({"RadionuclideHalfLife": "4060"}, "(0018,1075)"), ({"CorrectedImage": ["DECY"]}, "(0028,0051)"),
])  # fmt: skip
def test_refused_units(change, tag):
    with pytest.raises(PemmaError) as refusal:
        plan(**change) if "RadionuclideHalfLife" not in change else half_life(change["RadionuclideHalfLife"])
    assert refusal.value.place == tag


def half_life(value: str):
    headers = series("PT", 3)
    for header in headers:
        tracer(header).RadionuclideHalfLife = value
    return suv.plan(headers)


@pytest.mark.parametrize("elements, factor", [
    ({0x70531000: "0.0005"}, 0.0005),  # literal tags without a creator
    ({0x70530010: "Philips PET Private Group", 0x70531000: "0.0005", 0x70531009: "2"}, 0.0005),
    ({0x70530011: "Philips PET Private Group", 0x70531100: "0", 0x70531109: "2"}, 2 * FACTOR),
    ({0x70530010: "SOMEBODY", 0x70531000: "9", 0x70530012: "Philips PET Private Group", 0x70531200: "0.5"}, 0.5),
])  # fmt: skip
@pytest.mark.parametrize("vr", ["DS", "UN"])
def test_philips_counts(elements, factor, vr):
    headers = series("PT", 3)
    for header in headers:
        header.Units = "CNTS"
        for tag, value in elements.items():
            is_creator = tag & 0xFFFF < 0x100
            header.add_new(
                tag, "LO" if is_creator else vr, value if is_creator or vr == "DS" else value.encode() + b" \0"
            )
    assert suv.plan(headers).summary.factor == pytest.approx(factor)


def test_philips_factor_is_not_for_bqml():
    headers = series("PT", 3)
    for header in headers:
        header.add_new(0x70531000, "DS", "0.0005")
    assert suv.plan(headers).summary.factor == pytest.approx(FACTOR)


def test_slices_must_agree():
    for keyword, value in (("Units", "GML"), ("DecayCorrection", "ADMIN"), ("PatientWeight", "71")):
        headers = series("PT", 3)
        setattr(headers[1], keyword, value)
        with pytest.raises(PemmaError, match="differs between the slices"):
            suv.plan(headers)


def test_one_complete_radiopharmaceutical_of_two():
    headers = series("PT", 3)
    for header in headers:
        empty = copy.deepcopy(tracer(header))
        del empty.RadionuclideTotalDose
        header.RadiopharmaceuticalInformationSequence = [empty, tracer(header)]
    assert suv.plan(headers).summary.factor == pytest.approx(FACTOR)


# Typed values


@pytest.mark.parametrize("change, typed, name", [
    ({"PatientWeight": ""}, Typed(weight_kg=70.0), "weight"),
    ({"PatientWeight": "700"}, Typed(weight_kg=70.0), "weight"),
    ({"RadiopharmaceuticalStartTime": ""}, Typed(injection_time="110000"), "injection time"),
    ({"RadiopharmaceuticalStartDateTime": "20240310130000"}, Typed(injection_time="20240310110000"), "injection time"),
])  # fmt: skip
def test_typed_value_fills_in_and_is_flagged(change, typed, name):
    with pytest.raises(PemmaError, match="--"):
        plan(**change)
    made = plan(typed, **change)
    assert made.summary.factor == pytest.approx(FACTOR) and made.summary.typed == (name,)
    assert f"{name} typed" in made.summary.route and "typed-value" in codes(made)


def test_typed_value_never_overrules_the_header():
    made = plan(Typed(weight_kg=35.0, dose_bq=1e8, injection_time="080000"))
    assert made.summary.factor == pytest.approx(FACTOR) and made.summary.typed == ()
    assert codes(made) == ["typed-value-unused"] * 3


def test_impossible_typed_value_is_refused():
    with pytest.raises(PemmaError, match="typed weight"):
        plan(Typed(weight_kg=7000.0), PatientWeight="")


def test_typed_values_reach_the_study(tmp_path):
    pair = Pair()
    for header in pair.pet:
        header.PatientWeight = ""
    folder = pair.write(tmp_path)
    with pytest.raises(PemmaError, match="--weight-kg"):
        study.load(folder)
    loaded = study.load(folder, typed=Typed(weight_kg=70.0))
    assert loaded.suv.typed == ("weight",)
    alone = study.load(folder, need="ct")
    assert alone.pet is None and alone.suv is None and [w.code for w in alone.warnings] == ["pet-left-out"]

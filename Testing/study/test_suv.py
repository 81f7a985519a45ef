"""SUVbw: the reference objects as their publishers expect them, and each route on a small series worked out by hand."""

import copy
import json
from datetime import datetime, timedelta

import highdicom as hd
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from PEMMASegmentLib import study
from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.study import bodysize, suv
from PEMMASegmentLib.study.types import Typed

from .phantom import FACTOR, Pair, codes, plan, series, tracer

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


# Routes, on headers alone: the phantom's, changed.


def test_start_in_words():
    made = plan()
    assert made.summary.route == "BQML, decay START, reference SeriesDateTime, uptake 60 min"
    assert made.summary.factor == pytest.approx(FACTOR, rel=1e-12) and codes(made) == []


def test_decay_flags_that_contradict():
    assert codes(plan(CorrectedImage=["ATTN"])) == ["decay-flag-contradiction"]
    assert codes(plan(DecayCorrection="NONE")) == ["decay-flag-contradiction"]


# Units, SUV kinds, vendors


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


def philips(typed=Typed(), weight="70", **factors):
    """counts -> the Philips factors of slice k: element -> value of k."""
    headers = series("PT", 3)
    for k, header in enumerate(headers):
        header.Units, header.PatientWeight = "CNTS", weight
        for element, value in factors.items():
            header.add_new(0x70531000 + int(element[1:]), "UN", value(k).encode())
    return suv.plan(headers, typed)


def test_philips_factors_of_each_slice():
    made = philips(_0=lambda k: ("0.0005", "5e-4", "0.001")[k], _9=lambda k: "n/a")  # the second one is not needed
    assert made.factors == pytest.approx([0.0005, 0.0005, 0.001]) and made.summary.factor is None
    made = philips(_0=lambda k: "0", _9=lambda k: str(1 + k))
    assert made.factors == pytest.approx(FACTOR * np.array([1, 2, 3]))
    for value in ("0", "-1", "NaN", "n/a"):
        with pytest.raises(PemmaError) as refusal:
            philips(_0=lambda k, value=value: value if k == 1 else "0.0005", _9=lambda k: "2")
        assert (refusal.value.code, refusal.value.place) == ("pet-factor", "(7053,1000)")


@pytest.mark.parametrize("second, told", [
    (str(0.5 / FACTOR), True), (str(0.97 / FACTOR), False), ("n/a", False), ("0", False),
])  # fmt: skip
def test_philips_factors_are_compared(second, told):
    made = philips(_0=lambda k: "1", _9=lambda k: second)
    assert made.summary.factor == 1.0 and made.summary.route == "CNTS, Philips SUV scale factor (7053,1000)"
    assert [w.code for w in made.warnings] == ["philips-factors-differ"] * told
    assert all("series time" in w.way_out for w in made.warnings)
    assert not told or "(7053,1009)" in made.warnings[0].sentence and "-50.0 %" in made.warnings[0].sentence


@pytest.mark.parametrize("typed, weight, change", [
    (Typed(weight_kg=90), 90, "-22.2 %"), (Typed(weight_kg=70), 70, "+0.0 %"), (Typed(dose_bq=175e6), 180, "-61.1 %"),
])  # fmt: skip
def test_what_is_typed_decides_between_philips_factors_that_differ(typed, weight, change):
    made = philips(typed, weight="90", _0=lambda k: str(FACTOR), _9=lambda k: "1")
    assert made.summary.factor == pytest.approx(FACTOR * weight / 70) and "(7053,1009)" in made.summary.route
    assert codes(made) == ["typed-value", "philips-factors-differ"] and change in made.warnings[1].sentence


@pytest.mark.parametrize("typed, weight", [(Typed(weight_kg=70), "70"), (Typed(height_m=1.8), "90")])
def test_philips_suv_factor_is_used_where_nothing_typed_decides(typed, weight):
    made = philips(typed, weight, _0=lambda k: str(FACTOR), _9=lambda k: "1")
    assert made.summary.factor == pytest.approx(FACTOR) and codes(made)[-1] == "typed-value-unused"


def test_philips_factor_without_the_rest_is_enough():
    assert codes(plan(Units="CNTS", PatientWeight="", each=lambda header: [
        header.add_new(0x70531000, "DS", "0.0005"), header.add_new(0x70531009, "DS", "2")])) == []  # fmt: skip


def test_philips_factor_is_not_for_bqml():
    headers = series("PT", 3)
    for header in headers:
        header.add_new(0x70531000, "DS", "0.0005")
    assert suv.plan(headers).summary.factor == pytest.approx(FACTOR)


def test_method_of_attenuation_correction_may_differ():
    headers = series("PT", 3)
    for k, header in enumerate(headers):
        header.AttenuationCorrectionMethod = f"CT, bed {k}"
    assert codes(suv.plan(headers)) == []


def test_slices_must_agree():
    for keyword, value in (("Units", "GML"), ("DecayCorrection", "ADMIN"), ("PatientWeight", "71")):
        headers = series("PT", 3)
        setattr(headers[1], keyword, value)
        with pytest.raises(PemmaError, match="differs between the slices"):
            suv.plan(headers)


@pytest.mark.parametrize("dose", [None, "0"])
def test_one_complete_radiopharmaceutical_of_two(dose):
    headers = series("PT", 3)
    for header in headers:
        empty = copy.deepcopy(tracer(header))
        empty.RadionuclideTotalDose = dose
        header.RadiopharmaceuticalInformationSequence = [empty, tracer(header)]
    assert suv.plan(headers).summary.factor == pytest.approx(FACTOR)


# Multi-frame


@pytest.fixture
def enhanced(unpack, tmp_path):
    """enhanced(change) -> the study of the Enhanced PET after change(data set)."""
    whole = pydicom.dcmread(next(p for p in unpack("suv/e01_enhanced_pet.zip").rglob("PT/*") if p.is_file()))

    def load(change):
        with pydicom.config.disable_value_validation():
            change(whole)
            whole.save_as(tmp_path / "pet.dcm")
        return study.load(tmp_path)

    return load


def measured_in(unit: str):
    def change(whole):
        for frame in whole.PerFrameFunctionalGroupsSequence:
            frame.RealWorldValueMappingSequence[0].MeasurementUnitsCodeSequence[0].CodeValue = unit

    return change


def mapped_with(**values):
    def change(whole):
        for frame in whole.PerFrameFunctionalGroupsSequence:
            for keyword, value in values.items():
                setattr(frame.RealWorldValueMappingSequence[0], keyword, value)

    return change


def test_enhanced_pet_in_bq_per_litre_of_either_spelling(enhanced, expected):
    factor = expected["e01_enhanced_pet"]["suvbw_per_rescaled_unit"][0]
    assert enhanced(measured_in("Bq/mL")).suv.factor == pytest.approx(factor, rel=1e-9)


@pytest.mark.parametrize("minutes, code, effect", [(60, "decay-reference-late", "-31.5 %"), (-45, "decay-reference-early", "")])
def test_enhanced_pet_whose_reference_lies_away_from_its_frames(minutes, code, effect, enhanced):
    def change(whole):
        frames = whole.PerFrameFunctionalGroupsSequence
        began = datetime.strptime(frames[0].FrameContentSequence[0].FrameAcquisitionDateTime[:14], "%Y%m%d%H%M%S")
        whole.DecayCorrectionDateTime = (began + timedelta(minutes=minutes)).strftime("%Y%m%d%H%M%S")

    [told] = [w for w in enhanced(change).warnings if w.code.startswith("decay-")]
    assert told.code == code and effect in told.sentence and str(abs(minutes)) in told.sentence


@pytest.mark.parametrize("change, place, word", [
    (measured_in("kBq/ml"), "(0040,9096)", "kBq/ml"),
    (measured_in("BQML"), "(0040,9096)", "BQML"),  # no unit of UCUM
    (lambda whole: setattr(whole, "AttenuationCorrected", "NO"), "(0018,9759)", "YES"),
    (mapped_with(RealWorldValueIntercept=5.0), "(0040,9224)", "Real World"),
    (lambda whole: delattr(whole, "DecayCorrected"), "(0018,9758)", "missing"),
])  # fmt: skip
def test_enhanced_pet_is_refused_by_its_own_tags(change, place, word, enhanced):
    with pytest.raises(PemmaError, match=word) as refusal:
        enhanced(change)
    assert refusal.value.place == place


@pytest.mark.parametrize("name", ["d02_bqml_start_slope_per_slice", "d05_cnts_philips_activity_factor"])
def test_legacy_converted_pet_equals_its_slices(name, expected, unpack, tmp_path):
    slices = [pydicom.dcmread(p) for p in sorted(unpack(f"suv/{name}.zip").rglob("PT/*")) if p.is_file()]
    for header in slices:
        header.StudyID = "1"
    uids = (pydicom.uid.generate_uid() for _ in range(2))
    hd.legacy.LegacyConvertedEnhancedPETImage(slices, next(uids), 1, next(uids), 1).save_as(tmp_path / "pet.dcm")
    loaded = study.load(tmp_path)
    assert loaded.suv.factor == pytest.approx(expected[name]["suvbw_per_rescaled_unit"][0], rel=1e-9)
    maxima = sitk.GetArrayFromImage(loaded.pet).max((1, 2))
    np.testing.assert_allclose(maxima, expected[name]["per_slice_max"], atol=expected[name]["tolerance"]["abs"])


# Typed values


@pytest.mark.parametrize("change, typed, name", [
    ({"PatientWeight": ""}, Typed(weight_kg=70.0), "weight"),
    ({"PatientWeight": "700"}, Typed(weight_kg=70.0), "weight"),
    ({"RadiopharmaceuticalStartTime": ""}, Typed(injection_time="110000"), "injection time"),
    ({"RadiopharmaceuticalStartDateTime": "20240310130000"}, Typed(injection_time="20240310110000"), "injection time"),
    ({"RadiopharmaceuticalStartDateTime": "20240310000000"}, Typed(injection_time="110000"), "injection time"),
])  # fmt: skip
def test_typed_value_fills_in_and_is_flagged(change, typed, name):
    with pytest.raises(PemmaError, match="--"):
        plan(**change)
    made = plan(typed, **change)
    assert made.summary.factor == pytest.approx(FACTOR) and made.summary.typed == (name,)
    assert f"{name} typed" in made.summary.route and "typed-value" in codes(made)


@pytest.mark.parametrize("change, typed, doubt", [
    ({"RadionuclideTotalDose": "9.46"}, Typed(dose_bq=350e6), "dose-unit"),  # mCi
    ({"PatientWeight": "2200"}, Typed(weight_kg=70.0), "weight-unit"),
    ({"RadionuclideHalfLife": ""}, Typed(isotope="F-18"), "half-life-from-code"),
    ({"RadiopharmaceuticalStartDateTime": "20240310080000"}, Typed(injection_time="110000"), "injection-times-differ"),
    ({"RadiopharmaceuticalStartDateTime": "20240311100000", "RadiopharmaceuticalStartTime": ""},
     Typed(injection_time="20240310110000"), "injection-date-ignored"),
    ({"RadiopharmaceuticalStartTime": "235500", "AcquisitionTime": "003000", "SeriesTime": "003000"},
     Typed(injection_time="20240309233000"), "injection-before-midnight"),
    ({"RadiopharmaceuticalStartDateTime": "20240310103000+0100", "RadiopharmaceuticalStartTime": ""},
     Typed(injection_time="110000"), "time-zone-one-sided"),
    ({"RadiopharmaceuticalStartTime": "080000"}, Typed(injection_time="110000"), "uptake-unusual"),
])  # fmt: skip
def test_typed_value_counts_where_the_header_one_is_doubted(change, typed, doubt):
    doubted, made = plan(**change), plan(typed, **change)
    assert doubt in codes(doubted) and doubted.summary.typed == ()
    assert made.summary.factor == pytest.approx(FACTOR) and codes(made) == ["typed-value"] and len(made.summary.typed) == 1


@pytest.mark.parametrize("change, typed, told", [
    ({"RadiopharmaceuticalStartTime": "080000"}, Typed(injection_time="110000"),
     "(0018,1072) is 180.0 min earlier and would change SUV by +211.6 %"),
    ({"RadionuclideTotalDose": "280"}, Typed(dose_bq=350e6), "the header's would change SUV by +25.0 %"),
    ({"PatientWeight": "77000"}, Typed(weight_kg=70.0), "the header's would change SUV by +10.0 %"),
    ({"PatientWeight": ""}, Typed(weight_kg=70.0), "the header gives none that can be relied on"),
])  # fmt: skip
def test_typed_value_tells_what_the_header_has(change, typed, told):
    assert told in plan(typed, **change).warnings[0].sentence


def gallium_by_code(header):
    code = tracer(header).RadionuclideCodeSequence[0]
    code.CodeValue, code.CodeMeaning = "35337001", "^68^Gallium"


@pytest.mark.parametrize("half_life", ["", "110"])
def test_typed_isotope_that_the_code_is_against_is_refused(half_life):
    with pytest.raises(PemmaError, match="names Ga-68, not the typed F-18") as refusal:
        plan(Typed(isotope="F-18"), each=gallium_by_code, RadionuclideHalfLife=half_life)
    assert refusal.value.code == "isotope-contradiction" and "type Ga-68" in refusal.value.way_out
    assert "typed-value" in codes(plan(Typed(isotope="Ga-68"), each=gallium_by_code, RadionuclideHalfLife=half_life))


def test_typed_isotope_decides_between_code_and_half_life():
    made = plan(Typed(isotope="F-18"), each=gallium_by_code)
    assert made.summary.factor == pytest.approx(FACTOR) and {"isotope-contradiction", "typed-value"} <= set(codes(made))


@pytest.mark.parametrize("change, option", [
    ({"PatientWeight": ["70", "80"]}, "--weight-kg"),
    ({"PatientWeight": "NaN"}, "--weight-kg"),
    ({"PatientSize": "NaN", "Units": "GML", "SUVType": "LBM"}, "--height-m"),
])  # fmt: skip
def test_figure_that_is_no_number_can_be_typed(change, option):
    with pytest.raises(PemmaError) as refusal:
        plan(**change)
    assert option in refusal.value.way_out


def test_all_that_can_be_typed_is_told_at_once():
    emptied = {"PatientWeight": "", "RadionuclideTotalDose": "", "RadiopharmaceuticalStartTime": ""}
    with pytest.raises(PemmaError) as refusal:
        plan(**emptied)
    assert all(tag in refusal.value.sentence for tag in ("(0010,1030)", "(0018,1074)", "(0018,1072)"))
    way = "give the weight with --weight-kg, give the dose with --dose-bq, give the injection time with --injection-time"
    assert refusal.value.way_out == f"{way}, or use --inputs ct"
    made = plan(Typed(weight_kg=70.0, dose_bq=350e6, injection_time="110000"), **emptied)
    assert made.summary.factor == pytest.approx(FACTOR)


EMPTIED = {"PatientWeight": "", "RadiopharmaceuticalInformationSequence": []}


def test_of_an_emptied_tracer_all_can_be_typed():
    with pytest.raises(PemmaError, match=r"\(0054,0016\).* dose, injection time and half-life") as refusal:
        plan(**EMPTIED)
    options = ("--weight-kg", "--dose-bq", "--injection-time", "--isotope", "--inputs ct")
    assert all(option in refusal.value.way_out for option in options)
    made = plan(Typed(weight_kg=70.0, dose_bq=350e6, injection_time="110000", isotope="18F"), **EMPTIED)
    assert made.summary.factor == pytest.approx(FACTOR) and made.summary.typed == ("weight", "dose", "isotope", "injection time")


@pytest.mark.parametrize("isotope, code", [("Ga-68", "tracer-not-fdg"), ("iron", None)])
def test_a_typed_isotope_is_judged(isotope, code):
    typed = Typed(weight_kg=70.0, dose_bq=350e6, injection_time="110000", isotope=isotope)
    if code is None:
        with pytest.raises(PemmaError, match="typed isotope"):
            plan(typed, **EMPTIED)
    else:
        assert code in codes(plan(typed, **EMPTIED))


def test_nothing_is_told_of_a_weight_that_was_not_used():
    assert "weight-unit" not in codes(plan(Typed(weight_kg=70.0), PatientWeight="900000"))


def test_typed_value_never_overrules_a_header_without_doubt():
    made = plan(Typed(weight_kg=35.0, dose_bq=1e8, injection_time="080000", isotope="Ga-68"))
    assert made.summary.factor == pytest.approx(FACTOR) and made.summary.typed == ()
    assert codes(made) == ["typed-value-unused"] * 4


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


def wrong(header, **changes):
    for keyword, value in changes.items():
        setattr(tracer(header) if keyword.startswith("Radio") else header, keyword, value)


@pytest.mark.parametrize("change, typed, told", [
    ({"RadionuclideTotalDose": "2"}, Typed(dose_bq=350e6), "taken as MBq"),
    ({"RadionuclideTotalDose": "2000000"}, Typed(dose_bq=350e6), ""),  # nothing in it is doubtful in itself
    ({"RadiopharmaceuticalStartTime": "010000"}, Typed(injection_time="110000"), "uptake time is 660 min"),
])  # fmt: skip
def test_suv_that_no_body_has_is_put_right_by_what_is_typed(change, typed, told, tmp_path):
    pair = Pair(ct=[])
    for header in pair.pet:
        header.RescaleSlope = str(float(header.RescaleSlope) * 5)
        wrong(header, **change)
    folder = pair.write(tmp_path)
    with pytest.raises(PemmaError) as refusal:
        study.load(folder)
    assert refusal.value.code == "suv-implausible" and told in refusal.value.sentence
    assert all(option in refusal.value.way_out for option in ("--dose-bq", "--weight-kg", "--injection-time"))
    loaded = study.load(folder, typed=typed)
    assert loaded.suv.factor == pytest.approx(FACTOR) and "typed-value" in [w.code for w in loaded.warnings]
    assert "typed-value-unused" not in [w.code for w in loaded.warnings]


def test_suv_that_no_body_has_names_only_what_its_route_needs(tmp_path):
    pair = Pair(ct=[])
    for header in pair.pet:
        wrong(header, Units="GML")
    with pytest.raises(PemmaError) as refusal:
        study.load(pair.write(tmp_path), typed=Typed(dose_bq=350e6))
    assert refusal.value.code == "suv-implausible" and "--dose-bq" not in refusal.value.way_out

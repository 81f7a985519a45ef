"""SUVbw with what is typed: where a header lacks it or is doubted, flagged, and never instead of what is sound."""

import pytest

from PEMMASegmentLib import study
from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.study.types import Typed

from .phantom import FACTOR, Pair, codes, plan, tracer


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
    code, tracer(header).Radiopharmaceutical = tracer(header).RadionuclideCodeSequence[0], ""
    code.CodeValue, code.CodeMeaning = "35337001", "^68^Gallium"


@pytest.mark.parametrize("half_life", ["", "110"])
def test_typed_isotope_that_the_code_is_against_is_refused(half_life):
    with pytest.raises(PemmaError, match="names Ga-68, not the typed F-18") as refusal:
        plan(Typed(isotope="F-18"), each=gallium_by_code, RadionuclideHalfLife=half_life)
    assert refusal.value.code == "isotope-contradiction" and "type Ga-68" in refusal.value.way_out
    assert "typed-value" in codes(plan(Typed(isotope="Ga-68"), each=gallium_by_code, RadionuclideHalfLife=half_life))


@pytest.mark.parametrize("code, half_life", [("", "4062.6"), ("", "1223"), ("35337001", "4062.6"), ("35337001", "")])
def test_fdg_with_the_half_life_of_another_isotope_is_told_and_can_be_typed(code, half_life):
    def change(header):
        item = tracer(header)
        item.RadionuclideHalfLife = half_life
        if code:
            item.RadionuclideCodeSequence[0].CodeValue, item.RadionuclideCodeSequence[0].CodeMeaning = code, "^68^Gallium"
        else:
            del item.RadionuclideCodeSequence

    assert "isotope-contradiction" in codes(plan(each=change))
    made = plan(Typed(isotope="F-18"), each=change)
    assert made.summary.factor == pytest.approx(FACTOR) and "typed-value" in codes(made)


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
    with pytest.raises(PemmaError) as refusal:
        plan(Typed(weight_kg=70.0, dose_bq=350e6, injection_time="110000"), **EMPTIED)
    assert "--isotope" in refusal.value.way_out and "--injection-time" not in refusal.value.way_out
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

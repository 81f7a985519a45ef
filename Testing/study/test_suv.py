"""SUVbw: each unit, kind of SUV and vendor on a small series worked out by hand. On headers alone."""

import copy

import numpy as np
import pytest

from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.study import suv, tags
from PEMMASegmentLib.study.suv import bodysize
from PEMMASegmentLib.study.types import Typed

from .phantom import FACTOR, codes, plan, series, tracer


def test_start_in_words():
    made = plan()
    assert made.summary.route == "BQML, decay START, reference SeriesDateTime, uptake 60 min"
    assert made.summary.factor == pytest.approx(FACTOR, rel=1e-12) and codes(made) == []


def test_decay_flags_that_contradict():
    assert codes(plan(CorrectedImage=["ATTN"])) == ["decay-flag-contradiction"]
    assert codes(plan(DecayCorrection="NONE")) == ["decay-flag-contradiction"]


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
    headers[1].AttenuationCorrectionMethod = "NONE"
    assert codes(suv.plan(headers)) == ["corrections-unknown"]


@pytest.mark.parametrize("keyword, value", [
    ("Units", "GML"), ("DecayCorrection", "ADMIN"), ("PatientWeight", "71"),
    ("RadionuclideTotalDose", "370000000"), ("RadiopharmaceuticalStartTime", "110500"),
])  # fmt: skip
def test_slices_must_agree(keyword, value):
    headers = series("PT", 3)
    setattr(headers[1] if keyword in headers[1] else tracer(headers[1]), keyword, value)
    with pytest.raises(PemmaError, match="differs between the slices") as refusal:
        suv.plan(headers)
    assert refusal.value.place == tags.place(keyword)


@pytest.mark.parametrize("dose", [None, "0"])
def test_one_complete_radiopharmaceutical_of_two(dose):
    headers = series("PT", 3)
    for header in headers:
        empty = copy.deepcopy(tracer(header))
        empty.RadionuclideTotalDose = dose
        header.RadiopharmaceuticalInformationSequence = [empty, tracer(header)]
    assert suv.plan(headers).summary.factor == pytest.approx(FACTOR)

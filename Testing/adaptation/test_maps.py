"""Maps fitted without annotations: a known change of HU and SUV is found and undone, and nothing else is touched."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from PEMMASegmentLib.adaptation.fewshot import digest
from PEMMASegmentLib.adaptation.maps import Maps, _pet_line, fit_maps, mapped_case
from PEMMASegmentLib.adaptation.types import SiteCase
from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.core.images import array, like
from PEMMASegmentLib.inference.intensity import mapped, pet_scale
from PEMMASegmentLib.network.files import find_model, load_model
from PEMMASegmentLib.study import load
from PEMMASegmentLib.study.types import PetCtStudy

PATIENTS = ("STS_006", "STS_019", "STS_033")


@pytest.fixture(scope="module")
def studies(shared) -> list[PetCtStudy]:
    return [load(shared / "data/sts" / name) for name in PATIENTS]


def elsewhere(study: PetCtStudy, gain: float = 2.0) -> PetCtStudy:
    """The same patient on a scanner with less contrast in soft tissue and another SUV calibration, plus a floor in the body."""
    hu, suv = array(study.ct).astype(float), array(study.pet)
    hu = np.where(hu > -500, 0.7 * hu - 50, hu)
    return replace(study, ct=like(hu.astype(np.int16), study.ct), pet=like(gain * suv, study.pet))


def test_a_known_change_of_scanner_is_undone(studies):
    site = [elsewhere(study) for study in studies]
    curves = fit_maps(site, studies, "ct+pet")
    assert pet_scale(curves) == pytest.approx(0.5, rel=0.02)
    for one, was in zip(site, studies, strict=True):
        back = mapped({"ct": one.ct, "pet": one.pet}, curves)
        tissue = (array(was.ct) > -150) & (array(was.ct) < 300)
        assert np.abs(array(back["ct"]) - array(was.ct))[tissue].mean() < 6
        assert np.abs(array(back["pet"]) - array(was.pet)).mean() < 0.05


def test_nothing_to_undo_gives_the_identity_and_air_stays_air(studies):
    curves = fit_maps(studies, studies, "ct+pet")
    ct, pet = (dict(zip(*curves[name], strict=True)) for name in ("ct", "pet"))
    assert all(given == pytest.approx(wanted, abs=1e-6) for curve in (ct, pet) for given, wanted in curve.items())
    changed = fit_maps([elsewhere(study) for study in studies], studies, "ct+pet")
    assert changed["ct"][0][0] == changed["ct"][1][0] == -1000.0 and changed["pet"][1][0] == changed["pet"][0][0] == 0.0


def test_a_shift_of_the_pet_is_undone_where_much_of_the_body_has_no_uptake_at_all():
    """The table, or arms outside the PET's field of view: a tenth of the CT's body and more."""
    x = np.array([0.0, 1.0, 2.0, 4.0])
    line = _pet_line(x, x + 0.5)
    assert np.interp([0.0, 1.0, 10.0], *line) == pytest.approx([0.0, 1.5, 10.5])


@pytest.mark.parametrize("inputs", ["ct", "pet"])
def test_each_modality_alone(studies, inputs):
    curves = fit_maps([elsewhere(study) for study in studies], studies, inputs)
    assert set(curves) == {inputs}
    assert inputs == "ct" or pet_scale(curves) == pytest.approx(0.5, rel=0.15)  # the body is another one by uptake alone


def test_the_procedure_uses_the_models_reference_cases_and_warns_of_the_calibration(studies):
    model = load_model(find_model())
    cases = [SiteCase(str(n), str(n), elsewhere(study, 3.0), sitk.Cast(study.ct > 0, sitk.sitkUInt8))
             for n, study in enumerate(studies)]  # fmt: skip
    before = [array(case.study.pet) for case in cases]
    fitted = Maps().fit(model, cases, "ct+pet")
    card = fitted.card
    assert not fitted.tensors and card.base == model.identity and set(card.intensity) == {"ct", "pet"}
    assert card.training["pet_scale"] < 1 / 1.3 and "SUV calibration" in card.training["advice"]
    assert card.training["reference_cases"] == 5
    assert all(np.array_equal(array(case.study.pet), was) for case, was in zip(cases, before, strict=True))
    with pytest.raises(PemmaError, match="no-reference"):
        Maps().fit(replace(model, folder=model.folder / "nowhere"), cases, "ct+pet")


def test_a_mapped_case_is_another_case_to_whoever_keeps_runs(studies):
    case = SiteCase("a", "a", studies[0], sitk.Cast(studies[0].ct > 0, sitk.sitkUInt8))
    curves = fit_maps([elsewhere(study) for study in studies], studies, "ct+pet")
    assert digest(mapped_case(case, curves)) != digest(case) and mapped_case(case, None) is case
    assert not np.array_equal(array(mapped_case(case, curves).study.pet), array(case.study.pet))

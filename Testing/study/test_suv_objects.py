"""SUVbw: the reference objects as their publishers expect them, classic and multi-frame."""

import json
from datetime import datetime, timedelta

import highdicom as hd
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from PEMMASegmentLib import study
from PEMMASegmentLib.core import PemmaError

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
    pytest.importorskip("highdicom", "0.28", reason="highdicom converts these PETs from 0.28 on")
    slices = [pydicom.dcmread(p) for p in sorted(unpack(f"suv/{name}.zip").rglob("PT/*")) if p.is_file()]
    for header in slices:
        header.StudyID = "1"
    uids = (pydicom.uid.generate_uid() for _ in range(2))
    hd.legacy.LegacyConvertedEnhancedPETImage(slices, next(uids), 1, next(uids), 1).save_as(tmp_path / "pet.dcm")
    loaded = study.load(tmp_path)
    assert loaded.suv.factor == pytest.approx(expected[name]["suvbw_per_rescaled_unit"][0], rel=1e-9)
    maxima = sitk.GetArrayFromImage(loaded.pet).max((1, 2))
    np.testing.assert_allclose(maxima, expected[name]["per_slice_max"], atol=expected[name]["tolerance"]["abs"])

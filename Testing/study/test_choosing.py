"""Which series of a folder make the study, what is said of the others, and what the user may overrule."""

import copy

import pytest
from pydicom import Dataset

from PEMMASegmentLib import study
from PEMMASegmentLib.core import PemmaError, PemmaWarning
from PEMMASegmentLib.study.dicom import preference

from .phantom import ROOT, Pair, series


def codes(loaded) -> list[str]:
    return [w.code for w in loaded.warnings]


def told(loaded) -> dict[str, PemmaWarning]:
    return {w.code: w for w in loaded.warnings}


def another(headers, number, **values) -> list[Dataset]:
    """The same images as another series."""
    twins = copy.deepcopy(headers)
    for k, header in enumerate(twins):
        header.SOPInstanceUID, header.SeriesInstanceUID = f"{ROOT}.{number}.{k + 1}", f"{ROOT}.{number}"
        header.SeriesNumber = number
        for keyword, value in values.items():
            setattr(header, keyword, value)
    return twins


def chosen(loaded) -> list[str]:
    return [c.series_uid.rpartition(".")[2] for c in loaded.candidates if c.chosen]


@pytest.mark.parametrize("change, wanted", [
    ({"CorrectedImage": ["DECY"]}, "2"),  # not attenuation corrected
    ({"Units": "GML"}, "2"),  # Bq/ml first
    ({"Units": "CPS"}, "2"),
    ({}, "20"),  # the later of two equal ones
    ({"ImageType": ["DERIVED", "SECONDARY", "MPR"]}, "2"),
    ({"ImageType": ["DERIVED", "PRIMARY"]}, "20"),  # so some scanners call what they corrected
])  # fmt: skip
def test_choice_of_pet(change, wanted, tmp_path):
    pair = Pair()
    pair.pet += another(pair.pet, 20, **change)
    loaded = study.load(pair.write(tmp_path))
    assert chosen(loaded) == ["1", wanted]
    assert all(c.reason for c in loaded.candidates)


@pytest.mark.parametrize("description", [
    "WB PET NAC", "PET_NAC_3mm", "pet no AC", "Non-AC", "WB Uncorrected", "WBNAC", "PET W/O AC", "non-attenuation corrected",
    "unkorr.", "NON CORRIGE", "ohne Schwächungskorrektur",
])  # fmt: skip
def test_pet_called_uncorrected_is_not_preferred_and_told_where_it_is_the_only_one(description, tmp_path):
    pair = Pair()
    pair.pet += another(pair.pet, 20, SeriesDescription=description, Units="BQML")
    for header in pair.pet[:8]:
        header.SeriesDescription, header.Units, header.RescaleSlope = "WB PET AC", "GML", "0.001"
    loaded = study.load(pair.write(tmp_path / "two"))
    assert chosen(loaded) == ["1", "2"] and "pet-described-uncorrected" not in codes(loaded)
    pair.pet = pair.pet[8:]
    assert codes(study.load(pair.write(tmp_path / "one"))) == ["pet-described-uncorrected"]


@pytest.mark.parametrize("description", ["WB PET AC", "PET CORRECTED", "DYNAC", "AC_TOF", "nacl", "Cardinac",
                                         "WB PET AC (motion uncorrected)", "scatter uncorrected", "CTAC, NAC ref", "no Ac-225"])
def test_pet_called_something_else_is_preferred_as_before(description, tmp_path):
    pair = Pair()
    pair.pet += another(pair.pet, 20, SeriesDescription=description)
    assert chosen(study.load(pair.write(tmp_path))) == ["1", "20"]


def test_pet_with_fewer_slices_that_is_chosen_by_another_criterion_is_told(tmp_path):
    pair = Pair()
    pair.pet += another(pair.pet[:6], 20)
    for header in pair.pet[:8]:
        header.SeriesDescription = "PET NAC"
    loaded = study.load(pair.write(tmp_path))
    assert chosen(loaded) == ["1", "20"]
    assert "has 6 slices; another one has 8" in told(loaded)["series-chosen"].sentence


def test_coronal_reformat_of_the_pet_is_not_preferred(tmp_path):
    pair = Pair()
    more = another(series("PT", 20), 20, ImageOrientationPatient=[1, 0, 0, 0, 0, -1], ImageType=["DERIVED", "SECONDARY", "MPR"])
    for k, header in enumerate(more):
        header.ImagePositionPatient = [-36, -30 + 3 * k, 24]
    pair.pet += more
    loaded = study.load(pair.write(tmp_path))
    assert chosen(loaded) == ["1", "2"] and "(axial slices)" in told(loaded)["series-chosen"].sentence
    assert "pet-part-left-out" not in told(loaded)


@pytest.mark.parametrize("above, code", [(24.0, True), (18.0, True), (3.0, False)])
def test_pet_of_a_neighbouring_part_is_told(above, code, tmp_path):
    pair = Pair(ct=series("CT", 16))
    more = another(pair.pet, 20)
    for k, header in enumerate(more):
        header.ImagePositionPatient = [*header.ImagePositionPatient[:2], above + 3.0 * k]
    pair.pet += more
    warnings = told(study.load(pair.write(tmp_path)))
    assert ("pet-part-left-out" in warnings) is code and "series-chosen" in warnings


@pytest.mark.parametrize("change, wanted", [
    ({"ConvolutionKernel": "LUNG"}, "1"),
    ({"FrameOfReferenceUID": ROOT + ".4"}, "1"),
    ({"StudyInstanceUID": ROOT + ".4", "ConvolutionKernel": "SOFT"}, "1"),
])  # fmt: skip
def test_choice_of_ct(change, wanted, tmp_path):
    pair = Pair()
    pair.ct += another(pair.ct, 20, **change)
    loaded = study.load(pair.write(tmp_path))
    assert chosen(loaded) == [wanted, "2"] and "series-chosen" in codes(loaded)


@pytest.mark.parametrize("kind", ["CT_SOM5 MIP", "MAX_IP", "MIN IP", "MINIP", "MIP"])
def test_slabs_of_a_projection_are_not_the_ct(kind, tmp_path):
    pair = Pair()
    pair.ct += another(pair.ct, 20, ImageType=["DERIVED", "PRIMARY", "AXIAL", kind])
    loaded = study.load(pair.write(tmp_path))
    assert chosen(loaded) == ["1", "2"] and codes(loaded) == []


@pytest.mark.parametrize("pet_time, wanted", [("140000", "20"), ("120000", "1")])
def test_early_and_late_pet_have_a_ct_of_their_own(pet_time, wanted, tmp_path):
    """The early CT has more slices and the higher series number: it was made again later."""
    pair = Pair(ct=another(series("CT", 10), 1, SeriesNumber=30, AcquisitionTime="115500"))
    pair.ct += another(series("CT", 8), 20, AcquisitionTime="135500")
    for header in pair.pet:
        header.AcquisitionTime = header.SeriesTime = pet_time
    loaded = study.load(pair.write(tmp_path))
    assert chosen(loaded) == [wanted, "2"] and "(acquired when the PET was)" in told(loaded)["series-chosen"].sentence


@pytest.mark.parametrize("slices, chosen_by", [(8, "soft-tissue kernel"), (30, "at least 30 slices")])
def test_choice_names_what_decided(slices, chosen_by, tmp_path):
    pair = Pair(ct=series("CT", 8))
    pair.ct += another(series("CT", slices), 20, ConvolutionKernel="BONE")
    loaded = study.load(pair.write(tmp_path))
    assert f"({chosen_by})" in told(loaded)["series-chosen"].sentence
    reasons = [c.reason for c in loaded.candidates if c.modality == "CT"]
    assert reasons == [chosen_by, f"another series was preferred: {chosen_by}"]


def test_equal_reconstructions_in_one_pet_series_are_to_be_parted(tmp_path):
    pair = Pair()
    pair.pet += another(pair.pet, 20, SeriesInstanceUID=ROOT + ".2", SeriesNumber=2, ImageType=["DERIVED", "SECONDARY"])
    folder = pair.write(tmp_path)
    for uid in (None, ROOT + ".2"):
        with pytest.raises(PemmaError, match="holds 2 volumes") as refusal:
            study.load(folder, pet_series=uid)
        assert refusal.value.place == "(0008,0008)" and "--pet-series" not in refusal.value.way_out


@pytest.mark.parametrize("soft, kernels", [
    (True, "B19f b31f B45s Br32 Br40d Hr38 Qr40 I31f"),  # Siemens
    (False, "B46f B70f Br49 Bl57 Hr64 Qr60 I70f Ur77"),
    (True, "STANDARD SOFT B_SOFT_B B_VSOFT_C FC01 FC08 FC18-H FC19 A B"),  # GE, United Imaging, Canon, Philips
    (False, "BONE BONEPLUS LUNG DETAIL B_SHARP_C FC00 FC30 FC52 FC81 C D L YA YB"),
])  # fmt: skip
def test_kernels_of_soft_tissue(soft, kernels):
    assert {kernel: preference.is_soft(kernel) for kernel in kernels.split()} == dict.fromkeys(kernels.split(), soft)
    assert not preference.is_soft("")


def test_user_overrules_the_choice(tmp_path):
    pair = Pair()
    pair.pet += another(pair.pet, 20, Units="GML", RescaleSlope="0.001")
    pair.ct += another(pair.ct, 21, ConvolutionKernel="LUNG")
    folder = pair.write(tmp_path)
    loaded = study.load(folder, pet_series=ROOT + ".20", ct_series=ROOT + ".21")
    assert chosen(loaded) == ["21", "20"] and loaded.suv.factor == 1.0 and "series-chosen" not in codes(loaded)
    with pytest.raises(PemmaError, match="no PT series"):
        study.load(folder, pet_series="1.2.3")


def test_equal_pet_series_are_not_guessed_between(tmp_path):
    pair = Pair()
    pair.pet += another(pair.pet, 20, SeriesNumber=2, PatientSize="1.7")
    with pytest.raises(PemmaError, match="--pet-series"):
        study.load(pair.write(tmp_path))


@pytest.mark.parametrize("need, spoil, left", [("ct", "pet", "ct"), ("pet", "ct", "pet")])
def test_need_decides_what_may_fail(need, spoil, left, tmp_path):
    pair = Pair()
    del getattr(pair, spoil)[4]
    folder = pair.write(tmp_path)
    for strict in (None, "ct+pet"):
        with pytest.raises(PemmaError, match=f"--inputs {left}"):
            study.load(folder, need=strict)
    loaded = study.load(folder, need=need)
    assert getattr(loaded, spoil) is None and getattr(loaded, left) is not None
    assert codes(loaded) == [f"{spoil}-left-out"]


def test_scout_beside_a_pet_is_not_its_ct(tmp_path):
    pair = Pair()
    del pair.ct[1:]
    pair.ct[0].ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    loaded = study.load(pair.write(tmp_path))
    assert loaded.ct is None and loaded.grid is loaded.pet
    [reason] = [c.reason for c in loaded.candidates if c.modality == "CT"]
    assert reason == "refused: the series holds localizers or projections only"


def test_way_out_names_the_ct_only_if_there_is_one(tmp_path):
    pair = Pair()
    for header in pair.pet:
        header.Units = "PROPCPS"
    for ct, hint in ((pair.ct, True), ([], False)):
        with pytest.raises(PemmaError) as refusal:
            study.load(Pair(ct=ct, pet=pair.pet).write(tmp_path / str(hint)))
        assert ("--inputs ct" in refusal.value.way_out) is hint and "--pet-series" in refusal.value.way_out


def test_need_of_what_is_absent(tmp_path):
    folder = Pair(pet=[]).write(tmp_path)
    assert study.load(folder, need="ct").pet is None
    with pytest.raises(PemmaError) as refusal:
        study.load(folder, need="ct+pet")
    assert refusal.value.code == "no-pet"


def test_apart_in_space_but_only_ct_needed(tmp_path):
    pair = Pair()
    for header in pair.pet:
        header.ImagePositionPatient[2] += 500
    folder = pair.write(tmp_path)
    assert study.load(folder, need="ct").pet is None and study.load(folder, need="pet").ct is None


@pytest.mark.parametrize("count, is_told", [(8, True), (5, False)])
def test_a_series_that_can_not_be_used_is_told_where_it_is_as_long_as_the_chosen_one(count, is_told, tmp_path):
    pair = Pair()
    pair.pet += another(pair.pet[:count], 5, DecayCorrection="PERHAPS")
    assert ("series-refused" in codes(study.load(pair.write(tmp_path)))) == is_told


def test_beside_another_patients_pet_the_ct_alone_can_be_read(tmp_path):
    pair = Pair()
    for header in pair.pet:
        header.PatientID, header.PatientName = "OTHER", "Roe^John"
    folder = pair.write(tmp_path)
    with pytest.raises(PemmaError, match="several-patients"):
        study.load(folder)
    assert study.load(folder, need="ct").pet is None
    pair.ct += another(pair.ct, 5, PatientID="OTHER", PatientName="Roe^John")
    with pytest.raises(PemmaError, match="several-patients"):
        study.load(pair.write(tmp_path), need="ct")

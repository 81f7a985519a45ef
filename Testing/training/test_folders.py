"""folders.py: the three kinds of data folder give the same cases in the same place; what is missing is said."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import dcmread
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage, generate_uid

from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.core.images import array, like, to_grid_of
from PEMMASegmentLib.study import annotation
from PEMMASegmentLib.training.folders import cases

pytestmark = pytest.mark.filterwarnings("ignore:The value length")  # the public files' Study ID is too long


@pytest.fixture
def nifti_folder(shared, tmp_path) -> Path:
    for name in ("STS_008", "STS_019"):
        shutil.copytree(shared / f"data/sts/{name}", tmp_path / "sts" / name)
    return tmp_path / "sts"


@pytest.fixture
def nnunet_folder(nifti_folder, tmp_path) -> Path:
    """STS_008 and STS_019 in nnU-Net's raw layout: the PET on the CT's grid, as nnU-Net demands."""
    folder = tmp_path / "Dataset001_Sarcoma"
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    for case in nifti_folder.iterdir():
        ct, pet = (sitk.ReadImage(str(case / f"{n}.nii.gz"), sitk.sitkFloat32) for n in ("ct", "pet"))
        name = f"{case.name}_2001-01-31"
        shutil.copy(case / "ct.nii.gz", folder / f"imagesTr/{name}_0000.nii.gz")
        sitk.WriteImage(to_grid_of(pet, ct, 0.0), str(folder / f"imagesTr/{name}_0001.nii.gz"))
        shutil.copy(case / "mask.nii.gz", folder / f"labelsTr/{name}.nii.gz")
    describe(folder, {"0": "CT", "1": "PET"})
    return folder


def describe(folder: Path, channels: dict, labels=None) -> None:
    about = {"channel_names": channels, "labels": labels or {"background": 0, "tumor": 1}, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(about))


def refusal(folder: Path) -> str:
    with pytest.raises(PemmaError) as error:
        cases(folder)
    assert error.value.way_out
    return error.value.code


def test_nifti_cases(nifti_folder):
    found = cases(nifti_folder)
    assert [(c.name, c.patient) for c in found] == [("STS_008", "STS_008"), ("STS_019", "STS_019")]
    study, label = found[0].read()
    mask = sitk.ReadImage(str(nifti_folder / "STS_008/mask.nii.gz"))
    assert study.pet is not None and (array(label) == array(mask)).all()
    assert label.GetOrigin() == study.ct.GetOrigin()


def test_nnunet_cases_equal_the_nifti_ones(nnunet_folder, nifti_folder):
    found = cases(nnunet_folder)
    assert [(c.name, c.patient) for c in found] == [(f"{n}_2001-01-31", n) for n in ("STS_008", "STS_019")]
    for case, plain in zip(found, cases(nifti_folder), strict=True):
        study, label = case.read()
        expected, mask = plain.read()
        assert (array(study.ct) == array(expected.ct)).all() and (array(label) == array(mask)).all()
        assert study.ct.GetOrigin() == pytest.approx(expected.ct.GetOrigin())
        on_ct = array(to_grid_of(expected.pet, expected.ct, 0.0))
        assert np.abs(array(study.pet) - on_ct).max() < 1e-4


@pytest.mark.parametrize(("patient", "dates"), [
    ("fdg_0011f3deaf", ("03-23-2003-NA-PET-CT Ganzkoerper  primaer mit KM-10445", "05-06-2004-NA-Unspecified CT ABDOMEN-95034")),
    ("psma_95b833d65be26d2f", ("2018-04-23", "2019-01-02"))])
def test_the_studies_of_a_patient_are_known_by_their_dates(tmp_path, patient, dates):
    """As autoPET names them, and no image is read for it."""
    names = [f"{patient}_{date}" for date in dates]
    files = [f"nn/imagesTr/{name}_0000.nii.gz" for name in names] + [f"nn/labelsTr/{name}.nii.gz" for name in names]
    for file in (*files, *(f"nifti/{name}/{image}.nii.gz" for name in names for image in ("ct", "mask"))):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    describe(tmp_path / "nn", {"0": "CT", "1": "PET"})
    for folder in ("nn", "nifti"):
        assert [(case.name, case.patient) for case in cases(tmp_path / folder)] == [(name, patient) for name in names]


def test_nnunet_channels_are_known_by_name_and_pet_may_be_missing(nnunet_folder):
    describe(nnunet_folder, {"0": "CT", "1": "CT"})  # autoPET III normalises the PET as if it were a CT
    (nnunet_folder / "imagesTr/STS_008_2001-01-31_0001.nii.gz").unlink()
    (alone, _), (both, _) = (case.read() for case in cases(nnunet_folder))
    assert alone.pet is None and array(both.pet).max() < 100 and array(both.ct).min() == -1000
    for channels in ({"0": "T1", "1": "T2"}, {"0": "CT", "1": "PET", "2": "SUV"}, {"CT": 0, "PET": 1}):
        describe(nnunet_folder, channels)
        assert refusal(nnunet_folder) == "data-channels"


def test_nnunet_labels(nnunet_folder):
    file = nnunet_folder / "labelsTr/STS_008_2001-01-31.nii.gz"
    mask = sitk.ReadImage(str(file))
    sitk.WriteImage(mask * 2, str(file))
    assert (array(cases(nnunet_folder)[0].read()[1]) == array(mask)).all()
    describe(nnunet_folder, {"0": "CT", "1": "PET"}, {"background": 0, "tumor": 1, "ignore": 2})
    assert refusal(nnunet_folder) == "data-ignore-label"
    about = nnunet_folder / "dataset.json"
    describe(nnunet_folder, {"0": "CT", "1": "PET"})
    about.write_text(about.read_text("utf-8"), "utf-8-sig")  # as an editor on Windows saves it
    assert len(cases(nnunet_folder)) == 2
    file.unlink()
    assert refusal(nnunet_folder) == "data-label-missing"
    about.write_text("{")
    assert refusal(nnunet_folder) == "data-dataset-json"


def test_of_several_nnunet_labels_the_tumour_is_taken(nnunet_folder):
    file = nnunet_folder / "labelsTr/STS_008_2001-01-31.nii.gz"
    ct = sitk.ReadImage(str(nnunet_folder / "imagesTr/STS_008_2001-01-31_0000.nii.gz"))
    values = np.zeros_like(array(ct), np.uint8)
    values[4:7, 5, 5] = 1, 2, 3
    sitk.WriteImage(like(values, ct), str(file))
    for labels, roi_name, taken, told in (
        ({"background": 0, "liver": 1, "tumour": 2}, None, {2}, True),
        ({"background": 0, "liver": 1, "tumour": 2}, "Liver", {1}, False),
        ({"0": "background", "1": "liver", "2": "tumour"}, None, {2}, True),  # as nnU-Net had it first
        ({"1": "lesion", "2": "lesion", "3": "lung"}, None, {1, 2}, True),
        ({"background": 0, "GTVp": 1, "GTVn": 2}, None, {1, 2}, False),
        ({"background": 0, "whole tumour": [1, 2], "tumour core": 2, "lung": 3}, None, {1, 2}, True),
        ({"background": 0, "whole": [1, 2], "core": [2]}, "whole", {1, 2}, False),
        ({"background": 0, "uptake": 1}, None, {1, 2, 3}, False),
    ):
        describe(nnunet_folder, {"0": "CT", "1": "PET"}, labels)
        study, label = cases(nnunet_folder, roi_name=roi_name)[0].read()
        assert set(values[array(label) > 0]) == taken
        assert ("annotation-segments" in {warning.code for warning in study.warnings}) == told


def test_nnunet_labels_that_name_no_tumour_are_listed(nnunet_folder):
    for labels, roi_name, way_out in (
        ({"background": 0, "liver": 1, "spleen": 2}, None, "--annotation-roi: liver, spleen"),
        ({"background": 0, "liver": 1, "tumour": 2}, "kidney", "--annotation-roi: liver, tumour"),
        ({"background": 0, "tumour": "two"}, None, "as nnU-Net asks"),
    ):
        describe(nnunet_folder, {"0": "CT", "1": "PET"}, labels)
        with pytest.raises(PemmaError) as refused:
            cases(nnunet_folder, roi_name=roi_name)
        assert refused.value.way_out.endswith(way_out)


def test_images_without_a_channels_number_are_told_their_name(nnunet_folder):
    """As HECKTOR names them."""
    for file in (nnunet_folder / "imagesTr").iterdir():
        file.rename(file.with_name(file.name.replace("_2001-01-31_0000", "__CT").replace("_2001-01-31_0001", "__PT")))
    with pytest.raises(PemmaError, match=r"STS_008__CT\.nii\.gz.*STS_008_0000\.nii\.gz") as refused:
        cases(nnunet_folder)
    assert refused.value.code == "data-names"
    for file in (nnunet_folder / "imagesTr").glob("*__CT*"):
        file.unlink()
    with pytest.raises(PemmaError, match=r"STS_008__PT\.nii\.gz.*STS_008_0001\.nii\.gz"):
        cases(nnunet_folder)


def test_a_patient_is_known_behind_a_dicomdir(unpack, tmp_path):
    """On a medium's DICOMDIR, which comes first and has no Patient ID."""
    medium = FileMetaDataset()
    medium.MediaStorageSOPClassUID, medium.TransferSyntaxUID = MediaStorageDirectoryStorage, ExplicitVRLittleEndian
    medium.MediaStorageSOPInstanceUID = generate_uid()
    for name in ("first", "second"):
        shutil.copytree(unpack("sts/dicom/STS_008.zip"), tmp_path / name)
        directory = FileDataset(None, {}, preamble=bytes(128), file_meta=medium)
        directory.FileSetID = "DISC"
        directory.save_as(tmp_path / name / "DICOMDIR", enforce_file_format=True)
    assert [case.patient for case in cases(tmp_path)] == ["first", "first"]


def test_dicom_cases(unpack, shared, tmp_path):
    for name in ("STS_008", "STS_019"):
        shutil.copytree(unpack(f"sts/dicom/{name}.zip"), tmp_path / name)
    found = cases(tmp_path)
    assert [(c.name, c.patient) for c in found] == [("STS_008", "STS_008"), ("STS_019", "STS_019")]
    study, label = found[0].read()
    assert array(label).sum() * np.prod(label.GetSpacing()) / 1000 == pytest.approx(27.64, abs=0.006)
    assert label.GetSize() == study.ct.GetSize()
    shutil.copytree(tmp_path / "STS_008", tmp_path / "follow-up")  # two studies of one patient stay together
    assert {c.patient for c in cases(tmp_path) if c.name != "STS_019"} == {"STS_008"}


def test_a_contour_with_an_id_of_its_own_does_not_part_the_studies_of_a_patient(unpack, tmp_path):
    """As planning systems give them, and found before the images."""
    for name in ("first", "second"):
        shutil.copytree(unpack("sts/dicom/STS_008.zip"), tmp_path / name)
        file = annotation.find(tmp_path / name)
        contour = dcmread(file)
        contour.PatientID = f"RT-{name}"
        contour.save_as(tmp_path / name / "AA.dcm")
        file.unlink()
    assert [case.patient for case in cases(tmp_path)] == ["first", "first"]


def test_folders_without_cases_labels_or_of_mixed_kind_are_refused(unpack, nifti_folder, tmp_path):
    assert refusal(tmp_path / "nowhere") == "data-missing"
    (tmp_path / "empty").mkdir()
    assert refusal(tmp_path / "empty") == "data-empty"
    assert refusal(nifti_folder / "STS_008") == "data-one-case"
    (nifti_folder / "STS_019/mask.nii.gz").unlink()
    assert refusal(nifti_folder) == "data-label-missing"
    shutil.copytree(unpack("sts/dicom/STS_008.zip"), nifti_folder / "dicom")
    assert refusal(nifti_folder) == "data-mixed"
    shutil.rmtree(nifti_folder / "dicom/STS_008/RTSTRUCT")
    shutil.copytree(nifti_folder / "dicom", tmp_path / "unlabelled/one")
    assert refusal(tmp_path / "unlabelled") == "data-label-missing"

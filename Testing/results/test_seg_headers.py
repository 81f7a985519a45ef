"""What a SEG states: codes, author, patient, identity of the object; values of the source that none may state."""

import copy
import json
import subprocess
from dataclasses import replace

import pydicom
import pytest
from pydicom.data import get_charset_files
from pydicom.datadict import keyword_for_tag

from PEMMASegmentLib.core import Identity
from PEMMASegmentLib.results import measure
from PEMMASegmentLib.results.seg import SERIES_NUMBER
from PEMMASegmentLib.study.annotation.author import Author, author_of

from .segs import errors_of_dciodvfy, headers_with, read_by_dcmqi, tool, write
from .studies import MODEL


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
                         for n, changed in enumerate((study, study, headers_with(study, **values))))
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
        seg = write(tmp_path / "seg.dcm", headers_with(study, **values), label)
    assert not errors_of_dciodvfy(tmp_path / "seg.dcm")
    assert tuple(seg.get(keyword) for keyword in values) == written


def test_names_do_not_leak_into_warnings(study, label, tmp_path, recwarn):
    write(tmp_path / "seg.dcm", study, label)
    assert not [w for w in recwarn if study.ct_headers[0].PatientName.family_name in str(w.message)]

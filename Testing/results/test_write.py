"""A result as a whole: replaced or left alone, the same each time, without a trace of the patient."""

import copy
import json
import os
import resource
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
import SimpleITK as sitk

from PEMMASegmentLib.core import Identity, PemmaError, PemmaWarning
from PEMMASegmentLib.core.files import sha256_of
from PEMMASegmentLib.core.folders import replace_folder
from PEMMASegmentLib.jobs.places import places_of
from PEMMASegmentLib.results import check_out, drop, measure, write_all, write_label_nifti, write_seg
from PEMMASegmentLib.results.sources import why_no_seg
from PEMMASegmentLib.study.annotation.author import Author, author_of
from PEMMASegmentLib.study.types import PetCtStudy

from .studies import dicom_study, nifti_study, on_grid, segmentation

FILES = ["lesions.csv", "preview.png", "result.json", "segmentation.dcm"]
OPTIONS = {"min_volume_ml": 5000.0, "mtv_rule": "suv4", "segments": "one"}


@pytest.fixture(scope="module")
def study(unpack) -> PetCtStudy:
    return dicom_study(unpack("sts/dicom/STS_008.zip"))


@pytest.fixture(scope="module")
def label(study, shared) -> sitk.Image:
    return on_grid(nifti_study(shared / "data" / "sts" / "STS_008")[1], study.ct)


def write(out: Path, study, label, **options) -> list[str]:
    lesions = measure(label, study.pet, key=study.study_key)
    return [path.name for path in write_all(out, study, segmentation(label), lesions, **options)]


def test_the_files_and_the_keys_of_the_record(study, label, tmp_path):
    warned = replace(study, warnings=(PemmaWarning("gap", "a slice is missing", "export again"),))
    assert write(tmp_path / "new" / "out", warned, label, command_options=OPTIONS) == FILES
    out = tmp_path / "new" / "out"
    record = json.loads((out / "result.json").read_text("utf-8"))
    assert list(record) == [
        "schema", "software", "model", "adapter", "adapter_parts", "study", "suv", "warnings", "inputs", "device",
        "precision", "threshold", "roi_mm", "min_volume_ml", "mtv_rule", "segments", "steps", "lesions", "totals", "files",
    ]  # fmt: skip
    assert record["model"]["sha256"] == "ab" * 32 and record["adapter"] is None
    assert {name: record[name] for name in OPTIONS} == OPTIONS
    assert record["warnings"] == [{"code": "gap", "sentence": "a slice is missing", "way_out": "export again"}]
    assert record["steps"] == [{"name": "windows", "seconds": 1.5}]
    assert record["lesions"][0]["mtv_rule"] == "41%" and record["totals"]["number"] == 1
    assert {file["name"]: file["sha256"] for file in record["files"]} == {
        name: sha256_of(out / name) for name in FILES if name != "result.json"
    }


def test_an_earlier_result_is_replaced_as_a_whole_and_the_same_run_gives_the_same(study, label, tmp_path):
    out = tmp_path / "out"
    write(out, study, label)
    before = {name: (out / name).read_bytes() for name in FILES}
    uid = pydicom.dcmread(out / "segmentation.dcm").SOPInstanceUID
    write(out, study, label)
    assert all(before[name] == (out / name).read_bytes() for name in ("lesions.csv", "preview.png"))
    assert pydicom.dcmread(out / "segmentation.dcm").SOPInstanceUID == uid
    assert write(out, study, label * 0) == FILES[:3]  # no lesion: no SEG, and no stale one
    assert sorted(path.name for path in out.iterdir()) == FILES[:3]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    record = json.loads((out / "result.json").read_text("utf-8"))
    assert record["warnings"][0]["code"] == "no-lesion" and record["totals"]["number"] == 0


def test_an_empty_result_tells_what_was_asked_for(study, label, tmp_path):
    """Else a run with a smallest volume of 5000 ml would pass for a true negative."""
    for pet, rule, title in ((study.pet, "suv4", "mtv_ml (SUV >= 4)"), (None, None, "mtv_ml")):
        out = tmp_path / title
        write(out, replace(study, pet=pet), label * 0, command_options=OPTIONS)
        record = json.loads((out / "result.json").read_text("utf-8"))
        assert [record[name] for name in OPTIONS] == [5000, rule, "one"]
        assert (out / "lesions.csv").read_text("utf-8").split(",")[4] == title


@pytest.mark.parametrize("keyword, uid, where", [
    ("SOPInstanceUID", None, slice(5, 6)), ("SOPInstanceUID", "", slice(5, 6)), ("StudyInstanceUID", None, slice(None)),
    ("StudyInstanceUID", "", slice(None)), ("StudyInstanceUID", "1.2.3", slice(5, 6)),
    ("FrameOfReferenceUID", "1.2.3", slice(5, 6)),
])  # fmt: skip
def test_headers_that_no_seg_can_reference_cost_the_seg_alone(study, label, tmp_path, keyword, uid, where):
    headers = tuple(map(copy.deepcopy, study.ct_headers))
    for header in headers[where]:
        setattr(header, keyword, uid) if uid is not None else delattr(header, keyword)
    odd = replace(study, ct_headers=headers)
    assert write(tmp_path / "out", odd, label) == FILES[:3]
    [warning] = json.loads((tmp_path / "out" / "result.json").read_text("utf-8"))["warnings"]
    assert warning["code"] == "seg-headers" and " UID" in warning["sentence"]
    with pytest.raises(PemmaError, match=r"export the series again.*seg-headers"):
        write_seg(tmp_path / "seg.dcm", odd, segmentation(label), measure(label, study.pet))


def test_a_second_frame_of_reference_is_seen_beside_a_missing_one(study):
    headers = tuple(map(copy.deepcopy, study.ct_headers))
    del headers[0].FrameOfReferenceUID
    assert why_no_seg(headers) == ""
    headers[1].FrameOfReferenceUID = "1.2.3"
    assert "Frame of Reference UID" in why_no_seg(headers)


def test_one_slice_without_a_frame_of_reference_leaves_the_seg_in_that_of_the_others(study, label, tmp_path):
    headers = tuple(map(copy.deepcopy, study.ct_headers))
    del headers[5].FrameOfReferenceUID
    write_seg(tmp_path / "seg.dcm", replace(study, ct_headers=headers), segmentation(label), measure(label, study.pet))
    assert pydicom.dcmread(tmp_path / "seg.dcm").FrameOfReferenceUID == study.ct_headers[0].FrameOfReferenceUID


def test_a_nifti_study_gets_its_label_as_nifti(shared, tmp_path):
    study, mask = nifti_study(shared / "data" / "sts" / "STS_008")
    assert write(tmp_path / "out", study, mask) == [*FILES[:3], "segmentation.nii.gz"]
    written = sitk.ReadImage(str(tmp_path / "out" / "segmentation.nii.gz"))
    assert sitk.Hash(written) == sitk.Hash(mask) and written.GetOrigin() == pytest.approx(mask.GetOrigin(), abs=1e-3)


def test_a_label_as_nifti_names_its_author_and_no_other_file_does(shared, tmp_path):
    study, mask = nifti_study(shared / "data" / "sts" / "STS_008")
    file, lesions, plain = tmp_path / "label.nii.gz", measure(mask, study.pet), tmp_path / "plain.nii"
    for adapter in (None, Identity("site A, knee", "1", "cd" * 32)):
        write_label_nifti(file, segmentation(mask, adapter=adapter), lesions)
        assert author_of(file) == Author(Identity("starter", "", ""), adapter and Identity(adapter.name, "", ""))
    sitk.WriteImage(sitk.ReadImage(str(file)), str(plain))  # as a program writes it that keeps the header
    assert author_of(plain) == author_of(file)
    write_label_nifti(file, segmentation(mask, model=Identity("n" * 100, "1", "")), lesions)
    assert author_of(file).model.name == "n" * (79 - len("PEMMASegment "))
    plain.write_bytes(file.read_bytes()[:100])  # damaged
    assert author_of(plain) is None and author_of(shared / "data" / "sts" / "STS_008" / "mask.nii.gz") is None


@pytest.mark.parametrize("content", [{"notes.txt": "mine"}, {"result.json": "{}"}, {"result.json": "[1"}])
def test_a_folder_that_holds_something_else_is_refused_and_untouched(study, label, tmp_path, content):
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(PemmaError, match="out-not-empty"):
        write(tmp_path, study, label)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == content


def test_a_result_with_a_foreign_file_added_is_refused_but_not_for_what_file_managers_leave(study, label, tmp_path):
    write(tmp_path / "out", study, label)
    for name in (".DS_Store", "._lesions.csv", "Thumbs.db", "desktop.ini"):
        (tmp_path / "out" / name).write_text("")
        (tmp_path / name).write_text("")
    check_out(tmp_path / "out")
    places_of([tmp_path / "a", tmp_path / "b"], tmp_path)
    (tmp_path / "out" / "thesis.docx").write_text("")
    with pytest.raises(PemmaError, match="thesis.docx"):
        check_out(tmp_path / "out")


def test_a_result_that_its_user_changed_is_refused_and_untouched(study, label, tmp_path):
    write(tmp_path, study, label)
    with (tmp_path / "lesions.csv").open("a") as table:
        table.write("my remark\n")
    with pytest.raises(PemmaError, match="lesions.csv, changed since it was written.*out-not-empty"):
        write(tmp_path, study, label)
    assert not drop(tmp_path) and "my remark" in (tmp_path / "lesions.csv").read_text()


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "out").write_text("")
    for out in (tmp_path / "out", tmp_path / "out" / "below"):
        with pytest.raises(PemmaError):
            check_out(out)


def test_a_disk_that_takes_no_more_leaves_the_old_result(study, label, tmp_path):
    out = tmp_path / "out"
    write(out, study, label)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))  # bytes a file
    try:
        with pytest.raises(PemmaError, match="cannot-write"):
            write(out, study, label)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_run_killed_between_its_renames_loses_nothing(study, label, tmp_path):
    """The first rename puts the old result aside, the second one would have brought the new one."""
    out, foreign = tmp_path / "out", tmp_path / ".writing-1-a" / "old" / "other"
    write(out, study, label)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    if os.fork() == 0:
        rename = os.rename
        os.rename = lambda source, target: os._exit(9) if Path(target) == out else rename(source, target)
        replace_folder(out, lambda new: (new / "lesions.csv").write_text("new"), "result.json")
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 9 and not out.exists()
    foreign.mkdir(parents=True)
    check_out(out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert foreign.is_dir() and sorted(path.name for path in tmp_path.iterdir()) == [".writing-1-a", "out"]


def test_nothing_of_the_patient_reaches_table_picture_or_record(study, label, tmp_path):
    marker = "ZQXMARKER"
    headers = tuple(map(copy.deepcopy, study.ct_headers))
    for header in headers:
        for element in header:
            if element.VR in ("PN", "LO", "LT", "ST") and not element.tag.is_private:
                header[element.tag].value = marker
        header.PatientName, header.PatientID, header.InstitutionName = f"{marker}^A", marker, marker
        header.StudyDate = header.PatientBirthDate = "19410203"
    write(tmp_path / "out", replace(study, ct_headers=headers), label)
    for name in ("lesions.csv", "preview.png", "result.json"):
        content = (tmp_path / "out" / name).read_bytes()
        assert marker.encode() not in content and b"19410203" not in content
    assert pydicom.dcmread(tmp_path / "out" / "segmentation.dcm").PatientID == marker  # where it belongs

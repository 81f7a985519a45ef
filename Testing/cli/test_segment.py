"""`segment`: the files of a result, several studies, refusals that leave nothing behind, cancelling."""

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import SimpleITK as sitk
import torch

from PEMMASegmentLib import inference
from PEMMASegmentLib.cli import main
from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.core.files import sha256_of
from PEMMASegmentLib.jobs.places import nothing_stale
from PEMMASegmentLib.results import SCHEMA

from ..core.test_folders import hold_open

LIBRARY = Path(inference.__file__).resolve().parents[2]
FILES = {"segmentation.dcm", "lesions.csv", "preview.png", "result.json"}


def names(folder) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def nifti(shared):
    return shared / "data" / "sts" / "STS_019"


def test_one_study_leaves_its_four_files(patient, even, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["segment", str(patient), "--out", str(out), "--model", str(even), "--mtv-rule", "suv2.5"]) == 0
    printed = capsys.readouterr()
    assert names(out) == FILES
    assert "SUVmax" in printed.out and "segmentation.dcm" in printed.out
    assert "segmented" in printed.err or "%" in printed.err  # the bar
    record = json.loads((out / "result.json").read_text())
    assert record["lesions"][0]["mtv_rule"] == "suv2.5" and record["model"]["name"] == "even"
    assert [step["name"] for step in record["steps"]][0] == "load"


def test_a_lesion_that_the_ct_cuts_off_is_told_in_the_record(nifti, even, tmp_path):
    """PET and CT end alike, then the CT is cut."""
    case = shutil.copytree(nifti, tmp_path / "case")
    ct, told = sitk.ReadImage(str(case / "ct.nii.gz")), []
    for columns in (ct.GetSize()[0], ct.GetSize()[0] // 2):
        sitk.WriteImage(ct[:columns], str(case / "ct.nii.gz"))
        assert main(["segment", str(case), "--out", str(tmp_path / "out"), "--model", str(even), "--quiet"]) == 0
        record = json.loads((tmp_path / "out" / "result.json").read_text())
        told.append([one["code"] for one in record["warnings"]])
    assert "ct-coverage" not in told[0] and "ct-coverage" in told[1]


@pytest.mark.parametrize("box, told", [("-999,999,-999,999,-999,999", False), ("140,200,-20,40,-999,999", True)])
def test_a_lesion_that_the_region_cuts_is_told_in_the_record(patient, even, tmp_path, box, told):
    arguments = ["segment", str(patient), "--out", str(tmp_path / "out"), "--model", str(even), "--quiet"]
    assert main([*arguments, "--roi", box]) == 0
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    assert ("roi-coverage" in [one["code"] for one in record["warnings"]]) == told


def test_json_is_one_object_and_an_empty_result_is_a_result(patient, even, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["segment", str(patient), "--out", str(out), "--model", str(even), "--json", "--quiet"]
    assert main([*arguments, "--threshold", "0.9"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert names(out) == FILES - {"segmentation.dcm"}
    [study] = answer["studies"]
    assert study["study"] == "STS_008" and study["result"]["lesions"] == []


def test_several_studies_get_a_folder_each_and_one_failing_does_not_stop_the_rest(
    patient, nifti, even, tmp_path, capsys
):
    empty, out = tmp_path / "broken", tmp_path / "out"
    empty.mkdir()
    arguments = ["segment", str(empty), str(nifti), str(patient), "--out", str(out), "--model", str(even)]
    assert main([*arguments, "--json", "--quiet"]) == 1
    printed = capsys.readouterr()
    assert names(out) == {"STS_008", "STS_019"}
    assert names(out / "STS_008") == FILES
    assert names(out / "STS_019") == FILES - {"segmentation.dcm"} | {"segmentation.nii.gz"}
    assert "error: broken: " in printed.err
    studies = {study["study"]: study for study in json.loads(printed.out)["studies"]}
    assert set(studies["broken"]["error"]) == {"code", "sentence", "way_out", "place"}


def test_out_that_is_not_ours_is_refused_and_kept(patient, even, tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("mine")
    for studies in ([patient], [patient, patient.parent]):
        arguments = ["segment", *map(str, studies), "--out", str(tmp_path), "--model", str(even), "--quiet"]
        assert main(arguments) == 1
        assert "thesis.txt" in capsys.readouterr().err
    assert names(tmp_path) == {"thesis.txt"}


def test_nothing_is_segmented_for_a_place_that_cannot_be_written(patient, nifti, even, tmp_path, monkeypatch, capsys):
    """Nothing is forbidden to an account like root."""
    out, access = tmp_path / "out", os.access
    out.mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: path != out and access(path, mode))
    assert main(["segment", str(patient), str(nifti), "--out", str(out), "--model", str(even), "--quiet"]) == 1
    [line] = capsys.readouterr().err.strip().splitlines()  # not one for each study
    assert line.endswith("[cannot-write]") and names(out) == set()


def test_the_folder_that_the_user_stands_in_takes_the_result(patient, even, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert main(["segment", str(patient), "--out", ".", "--model", str(even), "--quiet"]) == 0
        assert names(tmp_path) == FILES and "written to .: lesions.csv" in capsys.readouterr().out


def test_too_little_memory_is_told_and_a_name_too_long(patient, nifti, even, tmp_path, monkeypatch, capsys):
    arguments = ["--out", str(tmp_path / "out"), "--model", str(even), "--quiet"]
    assert main(["segment", str(tmp_path / ("a" * 300)), *arguments]) == 1
    assert capsys.readouterr().err.endswith("[bad-path]\n")
    monkeypatch.setattr(inference, "segment", lambda *_, **__: torch.empty(2**50))
    assert main(["segment", str(nifti), *arguments]) == main(["segment", str(nifti), str(patient), *arguments]) == 1
    assert capsys.readouterr().err.count("[memory]") == 3


def test_a_name_that_is_not_in_utf8_fails_its_study_alone(patient, nifti, even, tmp_path, capfd):
    """ITK ended the process over it, and the rest of the batch was lost. DICOM has no need of ITK."""
    links = [tmp_path / os.fsdecode(b"M\xfcller"), tmp_path / os.fsdecode(b"J\xf6rg"), tmp_path / "anna"]
    for link, study in zip(links, (nifti, patient, nifti), strict=True):
        link.symlink_to(study)
    out, options = tmp_path / "out", ["--model", str(even), "--threshold", "0.9", "--quiet"]
    assert main(["segment", *map(str, links), "--out", str(out), *options]) == 1
    assert "[M\\udcfcller] (rename it) [bad-path]" in capfd.readouterr().err
    assert names(out) == {links[1].name, "anna"}
    for study, code in ((nifti, 1), (patient, 0)):
        assert main(["segment", str(study), "--out", str(tmp_path / os.fsdecode(b"\xfc")), *options]) == code
    assert capfd.readouterr().err.count("[bad-path]") == 1


def test_where_nobody_reads_on_the_command_ends_without_a_word(nifti, even, tmp_path):
    """Like `segment A B | head -1`: what was written stays, and no study counts as failed."""
    again = shutil.copytree(nifti, tmp_path / "again")
    command = [sys.executable, "-m", "PEMMASegmentLib", "segment", str(nifti), str(again), "--out", str(tmp_path / "out")]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*command, "--model", str(even), "--quiet", "--threshold", "0.9"], stdout=write, stderr=subprocess.PIPE,
                          text=True, env={**os.environ, "PYTHONPATH": str(LIBRARY)})  # fmt: skip
    os.close(write)
    assert done.returncode == 1 and "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr
    assert names(tmp_path / "out") == {nifti.name}


@pytest.mark.parametrize("how", ["full", "gone", "closed"])
def test_a_log_that_cannot_be_written_stops_nothing(nifti, even, tmp_path, monkeypatch, capsys, how):
    """Like `2>/dev/full`, `2>&1 | true` and `2>&-`: each lost the earlier result too."""
    read, write = os.pipe()
    os.close(read)
    log = {"full": lambda: open("/dev/full", "w"), "gone": lambda: open(os.dup(write), "w"), "closed": lambda: None}[how]()
    monkeypatch.setattr(sys, "stderr", log)
    out = tmp_path / "out"
    assert main(["segment", str(nifti), "--out", str(out), "--model", str(even), "--threshold", "0.9", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["studies"] and "result.json" in names(out)
    os.close(write)
    with contextlib.suppress(OSError):
        log and log.close()


def test_results_of_other_studies_stay_beside_those_of_a_batch_and_are_named(patient, nifti, even, tmp_path, capsys):
    again, out = shutil.copytree(nifti, tmp_path / "again"), tmp_path / "out"
    options = ["--out", str(out), "--model", str(even), "--threshold", "0.9", "--quiet"]
    assert main(["segment", str(patient), str(nifti), *options]) == 0
    assert "[earlier-results]" not in capsys.readouterr().err
    assert main(["segment", str(again), str(nifti), *options]) == 0
    assert names(out) == {"STS_008", "STS_019", "again"} and names(out / "STS_008") == FILES - {"segmentation.dcm"}
    [told] = [line for line in capsys.readouterr().err.splitlines() if line.endswith("[earlier-results]")]
    assert "STS_008" in told and "STS_019" not in told


def test_two_studies_of_one_name_are_refused(patient, even, tmp_path, capsys):
    again = tmp_path / "STS_008"
    again.mkdir()
    assert main(["segment", str(patient), str(again), "--out", str(tmp_path / "out"), "--model", str(even)]) == 1
    assert "[same-name]" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_names_that_are_one_to_many_disks_are_refused(patient, even, tmp_path, capsys):
    """On Windows and macOS the second result would replace the first."""
    studies = [str(tmp_path / name) for name in ("a/Scan", "b/scan")]
    assert main(["segment", *studies, "--out", str(tmp_path / "out"), "--model", str(even)]) == 1
    assert "[same-name]" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_refusal_leaves_no_stale_result(patient, even, tmp_path):
    out, broken, kept = tmp_path / "out", tmp_path / "broken", tmp_path / "kept"
    assert main(["segment", str(patient), "--out", str(out), "--model", str(even), "--quiet"]) == 0
    shutil.copytree(out, kept)
    broken.mkdir()
    for study, *asked in ([broken, "--model", even], [patient, "--model", "nosuch"], [patient, "--adapter", "nosuch"]):
        shutil.rmtree(out)
        shutil.copytree(kept, out)
        assert main(["segment", str(study), "--out", str(out), "--quiet", *map(str, asked)]) == 1
        assert not out.exists() or not names(out)
    several = tmp_path / "several"
    shutil.copytree(kept, several / "STS_008")
    assert main(["segment", str(patient), str(broken), "--out", str(several), "--model", "nosuch", "--quiet"]) == 1
    assert names(several / "STS_008") == set()


def test_a_full_disk_leaves_the_earlier_result_and_says_so(patient, even, tmp_path, monkeypatch, capsys):
    """Whether it is too full to begin or only for the result: that was luck, and the second deleted the earlier one."""

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    out = tmp_path / "out"
    command = ["segment", str(patient), "--out", str(out), "--model", str(even), "--quiet"]
    assert main(command) == 0
    before = {file: file.read_bytes() for file in out.iterdir()}
    for place in ("core.folders.write_text", "results.write.write_preview"):
        with monkeypatch.context() as change:
            change.setattr(f"PEMMASegmentLib.{place}", full)
            assert main(command) == 1
        assert {file: file.read_bytes() for file in out.iterdir()} == before, place
        [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert "; the earlier result stays there [out] (free some space, " in line and line.endswith(" [cannot-write]")
    monkeypatch.setattr("PEMMASegmentLib.results.write.write_preview", full)
    assert main([*command[:3], str(tmp_path / "new"), *command[4:]]) == 1
    assert "stays" not in capsys.readouterr().err and os.listdir(tmp_path) == ["out"]


def test_an_earlier_result_held_open_stays_whole_and_the_refusal_names_it(tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    for name in FILES:
        (out / name).write_text(name)
    files = [{"name": name, "sha256": sha256_of(out / name)} for name in FILES - {"result.json"}]
    (out / "result.json").write_text(json.dumps({"schema": SCHEMA, "files": files}))
    hold_open(out, monkeypatch)
    refused = PemmaError("pet-units", "no SUV", "choose --inputs ct")
    for error in (refused, OSError("a bug")):
        with pytest.raises(type(error)) as told, nothing_stale(out):
            raise error
        assert told.value is error and names(out) == FILES
    stale = "the earlier result in out is still there: a file of it was changed, or is open elsewhere"
    assert refused.way_out == f"choose --inputs ct; {stale}"
    monkeypatch.undo()
    with pytest.raises(OSError), nothing_stale(out):
        raise error
    assert names(out) == set() and os.listdir(tmp_path) == ["out"]


def test_ctrl_c_exits_130_and_keeps_the_earlier_result(patient, even, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    arguments = ["segment", str(patient), "--out", str(out), "--model", str(even), "--quiet"]
    assert main(arguments) == 0

    def pressed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(inference, "segment", pressed)
    assert main(arguments) == 130
    assert "cancelled" in capsys.readouterr().err
    assert names(out) == FILES


def test_a_pet_without_suv_is_never_dropped_without_a_word(patient, even, tmp_path, capsys):
    import pydicom

    study, out = tmp_path / "study", tmp_path / "out"
    shutil.copytree(patient, study)
    for file in (study / "STS_008" / "PET").iterdir():
        header = pydicom.dcmread(file)
        header.Units = "PROPCNT"
        header.save_as(file)
    arguments = ["segment", str(study), "--out", str(out), "--model", str(even), "--quiet"]
    assert main(arguments) == 1
    assert "--inputs ct" in capsys.readouterr().err and not out.exists()
    assert main([*arguments, "--inputs", "ct"]) == 0
    assert json.loads((out / "result.json").read_text())["inputs"] == "ct"

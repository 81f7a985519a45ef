"""`inspect` on the bundled patient: the keys and the values that the headers state."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import PEMMASegmentLib
from PEMMASegmentLib.cli import main

LIBRARY = Path(PEMMASegmentLib.__file__).resolve().parents[1]


def test_json_holds_what_the_contract_names(patient, capsys):
    assert main(["inspect", str(patient), "--json", "--quiet"]) == 0
    seen = json.loads(capsys.readouterr().out)
    assert set(seen) == {"ct", "pet", "candidates", "warnings", "verdict"}
    assert set(seen["ct"]) == {"size", "spacing_mm", "series_uid", "frame_of_reference_uid"}
    assert set(seen["pet"]) == {*seen["ct"], "suv"}
    assert set(seen["pet"]["suv"]) == {"route", "factor", "min", "median", "max", "min_above_0", "median_above_0"}
    assert seen["ct"]["size"][2] == seen["pet"]["size"][2] == 51
    assert seen["ct"]["spacing_mm"] == pytest.approx([0.976562, 0.976562, 3.27], abs=1e-4)
    assert seen["ct"]["frame_of_reference_uid"] == seen["pet"]["frame_of_reference_uid"]
    assert seen["verdict"] == ("load-with-warning" if seen["warnings"] else "load")
    chosen = {c["series_uid"] for c in seen["candidates"] if c["chosen"]}
    assert chosen == {seen["ct"]["series_uid"], seen["pet"]["series_uid"]}
    assert {c["date"] for c in seen["candidates"] if c["chosen"]} == {"2001-09-02"}


def test_words_name_both_images_and_the_route(patient, capsys):
    assert main(["inspect", str(patient), "--quiet"]) == 0
    words = capsys.readouterr().out
    assert "CT: " in words and "PET: " in words and "SUVbw" in words and "verdict: load" in words
    assert words.count(" of 2001-09-02, ") == 2


def test_letters_that_the_output_lacks_do_not_stop_it(patient, tmp_path):
    """Standard output that is piped or redirected has a code page on Windows."""
    import pydicom

    study = shutil.copytree(patient / "STS_008" / "CT", tmp_path / "ct")
    for file in study.iterdir():
        header = pydicom.dcmread(file)
        header.SpecificCharacterSet, header.SeriesDescription = "ISO_IR 192", "胸部平扫"
        header.save_as(file)
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY), "PYTHONUTF8": "0", "PYTHONIOENCODING": "cp1252"}
    for form in ([], ["--json"]):
        done = subprocess.run([sys.executable, "-m", "PEMMASegmentLib", "inspect", str(study), "--quiet", *form],
                              capture_output=True, env=environment)  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.decode("cp1252"))["candidates"][0]["description"] == "胸部平扫"


def test_one_modality_is_a_study_too(patient, tmp_path, capsys):
    shutil.copytree(patient / "STS_008" / "CT", tmp_path / "ct")
    assert main(["inspect", str(tmp_path / "ct"), "--json"]) == 0
    seen = json.loads(capsys.readouterr().out)
    assert seen["pet"] is None and seen["ct"]["size"][2] == 51


def test_a_pet_without_suv_beside_a_good_ct_is_a_warning(patient, tmp_path, capsys):
    """Only a study whose only series is refused is refused as a whole."""
    import pydicom

    study = tmp_path / "study"
    shutil.copytree(patient, study)
    for file in (study / "STS_008" / "PET").iterdir():
        header = pydicom.dcmread(file)
        header.Units = "PROPCNT"
        header.save_as(file)
    assert main(["inspect", str(study), "--json", "--quiet"]) == 0
    seen = json.loads(capsys.readouterr().out)
    assert seen["ct"] and seen["pet"] is None and seen["verdict"] == "load-with-warning"
    shutil.rmtree(study / "STS_008" / "CT")
    assert main(["inspect", str(study), "--quiet"]) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("error: ") and last.endswith("]")


def test_a_refusal_is_json_too(tmp_path, capsys):
    assert main(["inspect", str(tmp_path / "nowhere"), "--json", "--quiet"]) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["error"]["code"] == "no-folder" and printed.err.startswith("error: ")


@pytest.mark.parametrize("command", ["inspect", "evaluate"])
def test_what_the_system_forbids_is_told_without_a_traceback(command, tmp_path, capsys, monkeypatch):
    """Tests may run under an account to which nothing is forbidden."""

    def forbidden(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("PEMMASegmentLib.study.nifti.is_nifti_study", forbidden)
    monkeypatch.setattr("PEMMASegmentLib.study.annotation.find", forbidden)
    assert main([command, str(tmp_path), "--quiet"]) == 1
    [line] = capsys.readouterr().err.strip().splitlines()
    assert line.endswith("[no-permission]") and str(tmp_path) not in line


def test_a_working_folder_that_was_deleted_is_told_before_torch_is_asked_for(tmp_path, monkeypatch, capsys):
    """Its MKL ends the process there, in its own words."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(["inspect", str(tmp_path), "--quiet"]) == 1
    assert "was deleted (go to another folder) [bad-path]" in capsys.readouterr().err


def test_refusal_is_one_line(tmp_path, capsys):
    assert main(["inspect", str(tmp_path / "nowhere"), "--quiet"]) == 1
    [line] = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ") and line.endswith("]") and str(tmp_path) not in line

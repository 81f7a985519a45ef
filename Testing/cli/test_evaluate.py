"""`evaluate`: the figures of a case against those worked out from the mask, the mean, the interval, what failed."""

import json
import shutil

import numpy as np
import pytest
import SimpleITK as sitk

from PEMMASegmentLib import inference
from PEMMASegmentLib.cli import main
from PEMMASegmentLib.core.images import like, voxel_ml
from PEMMASegmentLib.jobs.evaluating import compare, summary

from ..adaptation import hospital

KEYS = {"study", "dice", "surface_dice_2mm", "surface_dice_5mm", "missed_ml", "extra_ml", "blind_dice", "warnings"}


@pytest.fixture
def nifti(shared):
    return shared / "data" / "sts" / "STS_019"


def test_all_marked_misses_nothing(nifti, even, capsys):
    assert main(["evaluate", str(nifti), "--model", str(even), "--json", "--quiet"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert {"cases", "mean_dice", "interval_95"} <= set(answer)
    [case] = answer["cases"]
    assert set(case) == KEYS and case["study"] == "STS_019"
    mask = sitk.ReadImage(str(nifti / "mask.nii.gz"))
    inside, voxels = np.count_nonzero(sitk.GetArrayFromImage(mask)), np.prod(mask.GetSize())
    assert case["missed_ml"] == 0
    assert case["extra_ml"] <= (voxels - inside) * voxel_ml(mask)
    assert case["dice"] >= 2 * inside / (voxels + inside) - 1e-9
    assert answer["mean_dice"] == case["dice"] and answer["interval_95"] is None


def test_nothing_marked_misses_all(patient, even, capsys):
    """DICOM with its RTSTRUCT; 27.7 ml is the contour's volume on the study's own CT (manifest of the public data)."""
    assert main(["evaluate", str(patient), "--model", str(even), "--threshold", "0.9", "--json", "--quiet"]) == 0
    [case] = json.loads(capsys.readouterr().out)["cases"]
    assert case["dice"] == case["surface_dice_5mm"] == case["extra_ml"] == 0
    assert case["missed_ml"] == pytest.approx(28, abs=1)


@pytest.mark.parametrize("z, outside", [("-999,999", False), ("-200,-150", True)])
def test_what_of_the_annotation_lies_outside_the_region_is_told(patient, even, capsys, z, outside):
    """It counts as missed, whatever the network would have drawn there."""
    command = ["evaluate", str(patient), "--model", str(even), "--roi", f"-999,999,-999,999,{z}", "--json", "--quiet"]
    assert main(command) == 0
    [case] = json.loads(capsys.readouterr().out)["cases"]
    told = [one["sentence"] for one in case["warnings"] if one["code"] == "annotation-outside-region"]
    assert len(told) == outside and all(words.startswith(f"{case['missed_ml']:.1f} of 2") for words in told)


def test_a_given_annotation_and_a_study_without_one(patient, even, tmp_path, capsys):
    study = tmp_path / "bare"
    shutil.copytree(patient, study)
    (structures,) = (study / "STS_008" / "RTSTRUCT").iterdir()
    shutil.move(structures, tmp_path / "contour.dcm")
    (study / "tumour.nii.gz").touch()  # makes it no NIfTI study
    arguments = ["evaluate", str(study), "--model", str(even), "--quiet"]
    assert main(arguments) == 1
    assert "[no-annotation]" in capsys.readouterr().err
    assert main([*arguments, "--threshold", "0.4", "--annotation", str(tmp_path / "nowhere.dcm")]) == 1
    assert "[annotation-missing]" in capsys.readouterr().err
    assert main([*arguments, "--annotation", str(tmp_path / "contour.dcm")]) == 0
    printed = capsys.readouterr()
    assert "blind Dice" in printed.out and "mean Dice" in printed.out and "[annotation-of-a-model]" not in printed.err
    result = ["--model", str(even), "--threshold", "0.4", "--out", str(study / "result"), "--quiet"]
    assert main(["segment", str(study), *result]) == 0 and main([*arguments, "--threshold", "0.4"]) == 0
    assert "[annotation-of-a-model]" in capsys.readouterr().err  # the study's folder holds nothing else to compare with


def test_one_failing_is_told_and_left_out_of_the_mean(nifti, even, tmp_path, capsys):
    assert main(["evaluate", str(tmp_path), str(nifti), "--model", str(even), "--json", "--quiet"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert [case["study"] for case in answer["cases"]] == ["STS_019"]
    assert [case["study"] for case in answer["failed"]] == [tmp_path.name]


def test_what_is_refused_is_told_before_the_network_runs(patient, nifti, even, tmp_path, capsys, monkeypatch):
    """A wrong structure or file, and a study that came before: counted twice it would pass for another patient."""
    ran, segment = [], inference.segment
    monkeypatch.setattr(inference, "segment", lambda study, *rest, **more: ran.append(study) or segment(study, *rest, **more))
    more = ["--model", str(even), "--quiet"]
    no_annotation = str(nifti / "ct.nii.gz"), str(nifti / "pet.nii.gz")
    for wrong in (["--annotation-roi", "nosuch"], *(["--annotation", name] for name in no_annotation)):
        assert main(["evaluate", str(patient), *wrong, *more]) == 1 and not ran, wrong
    (tmp_path / "again").symlink_to(nifti, target_is_directory=True)
    capsys.readouterr()
    assert main(["evaluate", str(nifti), str(tmp_path / "again"), f"{nifti}/.", "--json", *more]) == 1 and len(ran) == 1
    answer = json.loads(capsys.readouterr().out)
    assert [case["study"] for case in answer["cases"]] == ["STS_019"] and answer["interval_95"] is None
    failed = [(one["study"], one["error"]["code"]) for one in answer["failed"]]
    assert failed == [("again", "case-known"), ("STS_019", "case-known")]


def test_of_several_studies_each_warning_says_whose_it_is(even, tmp_path, capsys):
    for name, seed in (("apart", 1), ("sound", 2)):
        hospital.write(tmp_path / name, seed)
    pet = sitk.ReadImage(str(tmp_path / "apart" / "pet.nii.gz"))
    pet.SetOrigin((*pet.GetOrigin()[:2], pet.GetOrigin()[2] + 30))
    sitk.WriteImage(pet, str(tmp_path / "apart" / "pet.nii.gz"))
    studies, more = [str(tmp_path / name) for name in ("apart", "sound")], ["--model", str(even), "--quiet", "--json"]
    assert main(["evaluate", *studies, *more]) == 0
    told = capsys.readouterr()
    warned = {case["study"]: [one["code"] for one in case["warnings"]] for case in json.loads(told.out)["cases"]}
    assert "ct-pet-overlap" in warned["apart"] and "ct-pet-overlap" not in warned["sound"]
    said = [told.err]
    for command in (["segment", "--out", str(tmp_path / "out")], ["cases", "add", "--library", str(tmp_path / "library")]):
        assert main([*command, *studies, *more]) == 0
        said.append(capsys.readouterr().err)
    for err in said:
        [line] = [line for line in err.splitlines() if "[ct-pet-overlap]" in line]
        assert line.startswith("apart: warning: only ")
    assert main(["evaluate", studies[0], *more]) == 0
    assert "\nwarning: only " in "\n" + capsys.readouterr().err  # of one study that goes without saying


def test_a_folder_around_studies_and_images_of_other_names_are_told_what_they_are(nifti, even, tmp_path, capsys):
    (tmp_path / "all" / "one").mkdir(parents=True)
    (tmp_path / "all" / "one" / "ct.nii.gz").touch()
    (tmp_path / "named").mkdir()
    (tmp_path / "named" / "STS_019_ct.nii.gz").touch()
    for command in (["inspect"], ["evaluate", "--model", str(even)]):
        for folder, words in (("all", "no study itself"), ("named", "neither ct.nii.gz nor pet.nii.gz")):
            assert main([*command, str(tmp_path / folder), "--quiet"]) == 1
            assert words in capsys.readouterr().err


def test_a_study_that_the_adapter_was_trained_on_is_told_whatever_its_contour_and_its_pet(even, tmp_path, capsys):
    for seed in (1, 2, 3):
        hospital.write(tmp_path / f"study{seed}", seed)
    studies = [str(tmp_path / f"study{seed}") for seed in (1, 2, 3)]
    more = ["--model", str(even), "--inputs", "ct", "--quiet", "--json"]
    assert main(["adapt", *studies[:2], "--out", str(tmp_path / "adapter"), "--method", "flips", *more]) == 0
    mask = sitk.ReadImage(str(tmp_path / "study1/mask.nii.gz"))
    voxels = sitk.GetArrayFromImage(mask)
    voxels[tuple(np.argwhere(voxels)[0])] = 0  # a voxel was mended since
    sitk.WriteImage(like(voxels, mask), str(tmp_path / "study1/mask.nii.gz"))
    (tmp_path / "study2/pet.nii.gz").unlink()
    capsys.readouterr()
    for adapter, warned in ((str(tmp_path / "adapter"), ["study1", "study2"]), ("none", [])):
        assert main(["evaluate", *studies, *more, "--adapter", adapter]) == 0
        cases = json.loads(capsys.readouterr().out)["cases"]
        told = {case["study"]: [one["code"] for one in case["warnings"]] for case in cases}
        assert [study for study, codes in told.items() if "adapter-trained-on-study" in codes] == warned


def test_a_perfect_label_scores_one(nifti):
    mask = sitk.ReadImage(str(nifti / "mask.nii.gz"))
    figures = compare(mask, mask)
    assert figures["dice"] == figures["surface_dice_2mm"] == figures["surface_dice_5mm"] == 1
    assert figures["missed_ml"] == figures["extra_ml"] == 0


def test_mean_and_interval_over_studies():
    answer = summary([{"dice": value} for value in (0.5, 0.7, 0.8, 0.9)])
    assert answer["mean_dice"] == pytest.approx(0.725)
    low, high = answer["interval_95"]
    assert 0.5 < low < 0.725 < high < 0.9

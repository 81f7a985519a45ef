"""`adapt`: the keys of its answer, its table, the ledger of tries, and that a killed run goes on to the same adapter."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from PEMMASegmentLib.adaptation import fewshot
from PEMMASegmentLib.adaptation.adapt import checked
from PEMMASegmentLib.adaptation.library import CaseLibrary
from PEMMASegmentLib.adapters import read_card
from PEMMASegmentLib.cli import main
from PEMMASegmentLib.core import Cancelled, PemmaError, no_progress
from PEMMASegmentLib.core.images import like
from PEMMASegmentLib.core.progress import reached
from PEMMASegmentLib.jobs import adapting
from PEMMASegmentLib.jobs.adapting import adapt
from PEMMASegmentLib.jobs.options import Adapting
from PEMMASegmentLib.network.files import load_model
from PEMMASegmentLib.study import nifti

from ..adaptation import hospital

KEYS = {"verdict", "sentence", "cases", "mean_gain", "interval_95", "reference", "tries", "trained_share", "seconds"}
CASE = {"case", "before", "after", "missed_ml", "extra_ml"}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    hospital.model(folder / "tiny")
    for seed in range(3):
        hospital.write(folder / f"Doe_Jane_{seed}", seed)
    return folder


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setitem(fewshot.EFFORTS, "quick", 2)


def arguments(place: Path, out: Path, *more: str) -> list[str]:
    studies = [str(place / f"Doe_Jane_{seed}") for seed in range(3)]
    return ["adapt", *studies, "--out", str(out), "--model", str(place / "tiny"), "--method", "lora", "--effort", "quick",
            "--quiet", *more]


def test_the_answer_its_table_and_what_lies_in_the_folder(place, tmp_path, own_home, capsys):
    out = tmp_path / "adapter"
    assert main(arguments(place, out, "--json")) == 0
    answer = json.loads(capsys.readouterr().out)
    assert set(answer) >= KEYS and set(answer["reference"]) >= {"cases", "mean_gain", "interval_95"}
    assert [case["case"] for case in answer["cases"]] == [f"Doe_Jane_{seed}" for seed in range(3)]
    assert all(set(case) >= CASE for case in answer["cases"] + answer["reference"]["cases"])
    assert answer["verdict"] in ("not shown", "harm seen") and answer["tries"] == 1 and 0 < answer["trained_share"] < 0.2
    assert sorted(f.name for f in out.iterdir()) == ["adapter.json", "adapter.safetensors"]
    assert [f.name for f in tmp_path.iterdir()] == ["adapter"]  # nothing unfinished is left
    written = [f for folder in (tmp_path, own_home) for f in folder.rglob("*") if f.is_file()]
    assert (own_home / "tries" / "private" / "key") in written and not any(b"Doe" in f.read_bytes() for f in written)
    tries = CaseLibrary(own_home / "tries")  # its key is needed to tell whose the pseudonyms are
    assert tries.pseudonym(nifti.load(place / "Doe_Jane_0").study_key) in tries.tries()[0]["held_out"]
    shutil.rmtree(out)
    out = tmp_path / "another"  # the tries count wherever the adapter goes
    assert main(arguments(place, out, "--seed", "1")) == 0
    shown = capsys.readouterr().out
    assert "mean gain " in shown and " (95 % " in shown and "case_ids" not in read_card(out).training
    assert "Dice before" in shown and "try 2 on these patients" in shown and "trained on all cases" in shown
    assert main(["segment", str(place / "Doe_Jane_0"), "--model", str(place / "tiny"), "--adapter", str(out), "--out",
                 str(tmp_path / "result"), "--quiet"]) == 0
    result = json.loads((tmp_path / "result/result.json").read_text("utf-8"))
    assert result["adapter"]["sha256"] == read_card(out).sha256


def test_from_a_library(place, tmp_path, capsys):
    library = str(tmp_path / "library")
    for seed in range(3):
        added = ["cases", "add", str(place / f"Doe_Jane_{seed}"), "--library", library, "--no-blind", "a test", "--quiet",
                 "--origin", "corrected" if seed == 2 else "scratch", "--model", str(place / "tiny")]
        assert main(added) == 0
    assert main(["adapt", "--library", library, *arguments(place, tmp_path / "out", "--json")[4:]]) == 0
    answer = json.loads(capsys.readouterr().out[-20000:].partition("\n{")[2].join(("{", "")))
    assert answer["verdict"] == "too few cases" and "only 2 patients" in answer["sentence"]  # one contour is the model's own
    training = read_card(tmp_path / "out").training
    assert training["cases"] == 3 and training["case_ids"] == CaseLibrary(tmp_path / "library").ids()


def test_a_try_counts_wherever_the_same_user_has_the_images(place, tmp_path, own_home, capsys):
    """In another library, and as study folders; there the patients have other pseudonyms."""
    studies, found = [str(place / f"Doe_Jane_{seed}") for seed in range(3)], []
    for name in ("one", "two"):
        added = ["cases", "add", *studies, "--library", str(tmp_path / name), "--no-blind", "a test", "--quiet"]
        assert main([*added, "--origin", "scratch"]) == 0
    one, two = (["--library", str(tmp_path / name)] for name in ("one", "two"))
    for given in (one, [*one, "--seed", "1"], one, studies, two, [*two, "--seed", "1"]):
        if given == two:  # who lost the own key loses no try, and can go on with a library
            (own_home / "tries/private/key").unlink()
        capsys.readouterr()
        more = ["--out", str(tmp_path / "out"), "--model", str(place / "tiny"), "--method", "threshold", "--quiet", "--json"]
        assert main(["adapt", *given, *more]) == 0
        found.append(json.loads(capsys.readouterr().out)["tries"])
    assert found == [1, 2, 2, 3, 4, 5]
    told = [json.loads(file.read_text())["about"] for file in sorted((own_home / "tries/tries").iterdir())]
    assert [set(one) for one in told[:2]] == [{"try", "held_out", "images"}] * 2 and told[0]["held_out"] == []


def test_killed_at_any_step_the_same_command_goes_on(place, tmp_path, monkeypatch, capsys):
    """The first run dies without a word in the second fold's training; a second one ends with what one run gives."""
    code = """import os, sys
from PEMMASegmentLib.adaptation import fewshot, resuming
from PEMMASegmentLib.cli import main
from PEMMASegmentLib.jobs import adapting
resuming.CHECKPOINT_SECONDS, fewshot.EFFORTS["quick"] = 0.0, 3
real = adapting.adapt
def dying(model, options, out, told, **more):
    return real(model, options, out, lambda fraction, words: "fold 2" in words and "step 2" in words and os._exit(9),
                **more)
adapting.adapt = dying
main(sys.argv[1:])"""
    library = next(p for p in sys.path if os.path.isdir(os.path.join(p, "PEMMASegmentLib")))
    died = subprocess.run([sys.executable, "-c", code, *arguments(place, tmp_path / "out")],
                          env=os.environ | {"PYTHONPATH": library}, capture_output=True)
    assert died.returncode == 9
    assert read_card(tmp_path / "out").verdict == ""  # it can be used already
    monkeypatch.setitem(fewshot.EFFORTS, "quick", 3)
    answers = []
    for out in ("out", "straight"):
        assert main(arguments(place, tmp_path / out, "--json")) == 0
        answers.append(json.loads(capsys.readouterr().out))
    assert answers[0]["cases"] == answers[1]["cases"] and answers[0]["reference"] == answers[1]["reference"]
    assert read_card(tmp_path / "out").sha256 == read_card(tmp_path / "straight").sha256
    assert not list(tmp_path.glob(".*"))


def test_a_run_keeps_others_from_its_place_and_what_it_had_trained_is_left_to_it(place, tmp_path):
    """Under way, and stopped before another method is tried in the same place."""
    model, out, trained = load_model(place / "tiny"), tmp_path / "out", []
    options = Adapting(studies=(place / "Doe_Jane_0", place / "Doe_Jane_1"), method="lora", effort="quick")
    other = replace(options, method="flips", effort="standard")

    def stopping(fraction, words):
        if words.startswith("what is forgotten"):
            with pytest.raises(PemmaError, match="run-busy"):
                adapt(model, other, out, no_progress)
            raise Cancelled

    with pytest.raises(Cancelled):
        adapt(model, options, out, stopping)
    kept = {file: file.read_bytes() for file in (tmp_path / ".out.unfinished").rglob("*") if file.is_file()}
    adapt(model, other, out, no_progress)
    assert kept and {file: file.read_bytes() for file in kept} == kept and read_card(out).flips
    adapt(model, options, out, lambda fraction, words: "loss" in words and trained.append(words))
    assert not trained and read_card(out).targets and not list(tmp_path.glob(".*"))


def test_what_a_study_is_loaded_with_is_told(place, tmp_path, own_home, capsys):
    for seed in range(3):
        shutil.copytree(place / f"Doe_Jane_{seed}", tmp_path / f"Doe_Jane_{seed}")
    mask = sitk.ReadImage(str(tmp_path / "Doe_Jane_1/mask.nii.gz"))
    grown = sitk.ConstantPad(mask, (0, 0, 0), (0, 0, 3), 1)  # goes on beyond the images
    sitk.WriteImage(grown, str(tmp_path / "Doe_Jane_1/mask.nii.gz"))
    studies = [str(tmp_path / f"Doe_Jane_{seed}") for seed in range(3)]
    words = ["adapt", *studies, "--model", str(place / "tiny"), "--method", "maps", "--quiet"]
    assert main([*words, "--out", str(tmp_path / "out"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["warnings"]
    assert [one["case"] for one in told if one["code"] == "annotation-cut"] == ["Doe_Jane_1"]
    nobodys = [one for one in told if one["code"] == "patient-unknown"]  # NIfTI has no Patient ID
    assert len(nobodys) == 3 and all("--patient" in one["words"] for one in nobodys)
    assert main([*words, "--out", str(tmp_path / "again")]) == 0
    assert "Doe_Jane_1: warning: " in capsys.readouterr().err
    order, options = [], Adapting(studies=tuple(map(Path, studies)), method="maps")
    adapt(load_model(place / "tiny"), options, tmp_path / "third", lambda fraction, words: order.append(words),
          warn=lambda warnings, study: order.extend(f"{study} {warning.code}" for warning in warnings))
    order = [words.split(":")[0] for words in order]
    assert order.index("reading study 2 of 3") < order.index("Doe_Jane_1 annotation-cut") < order.index("training the adapter")


def test_a_refused_run_leaves_nothing_behind(place, tmp_path, own_home, capsys):
    (tmp_path / "void").mkdir()
    more = ["--out", str(tmp_path / "a/b/out"), "--model", str(place / "tiny"), "--quiet"]
    assert main(["adapt", str(place / "Doe_Jane_0"), str(tmp_path / "void"), *more]) == 1
    assert not (own_home / "tries").exists()
    assert main(["adapt", str(place / "Doe_Jane_0"), *more, "--targets", "nope"]) == 1
    assert "nope" in capsys.readouterr().err and not (tmp_path / "a").exists()


def test_what_can_be_no_case_of_a_library_is_none_here(place, tmp_path, own_home, capsys):
    study = shutil.copytree(place / "Doe_Jane_0", tmp_path / "Roe_0")
    mask, ct = (sitk.ReadImage(str(study / f"{name}.nii.gz")) for name in ("mask", "ct"))
    words = ["adapt", str(place / "Doe_Jane_1"), str(study), "--out", str(tmp_path / "out"), "--model", str(place / "tiny"),
             "--method", "maps", "--quiet"]
    for code, name, image in (("case-contour-full", "mask", mask * 0 + 1), ("case-contour-air", "ct", ct - 1000)):
        shutil.copytree(place / "Doe_Jane_0", study, dirs_exist_ok=True)
        sitk.WriteImage(image, str(study / f"{name}.nii.gz"))
        assert main(words) == 1
        said = capsys.readouterr().err
        assert f"[{code}]" in said and "[Roe_0]" in said
    assert not (tmp_path / "out").exists() and not CaseLibrary(own_home / "tries").tries()


def test_one_patient_is_not_several_by_another_reconstruction(place, tmp_path, capsys):
    """Nobody says whose a NIfTI study is; a CT in common does."""
    other = shutil.copytree(place / "Doe_Jane_0", tmp_path / "smooth")
    pet = sitk.ReadImage(str(other / "pet.nii.gz"))
    sitk.WriteImage(sitk.SmoothingRecursiveGaussian(pet, 8.0), str(other / "pet.nii.gz"))
    studies = [str(place / f"Doe_Jane_{n}") for n in (1, 0)] + [str(other)]
    assert main(["adapt", *studies, "--out", str(tmp_path / "out"), "--model", str(place / "tiny"), "--method", "flips",
                 "--quiet"]) == 1
    said = capsys.readouterr().err
    assert "[case-known]" in said and "in common with Doe_Jane_0" in said and "[smooth]" in said
    assert not (tmp_path / "out").exists()


def test_a_contour_that_is_the_models_own_output_counts_in_no_proof(shared, even, tmp_path, capsys):
    """Nothing in the file tells whose it is. Flesh only, of which the model draws every voxel."""
    whole_ct = sitk.ReadImage(str(shared / "data/sts/STS_019/ct.nii.gz"))
    whole = np.ones((14, 24, 24), np.uint8)
    studies = []
    for n, left_out in enumerate((1, 1000)):
        ct = whole_ct[21:45, 20:44, 14 - n : 28 - n]
        voxels = whole.copy()
        voxels.reshape(-1)[:left_out] = 0
        (tmp_path / f"S{n}").mkdir()
        for name, image in (("ct", ct), ("mask", like(voxels, ct))):
            sitk.WriteImage(image, str(tmp_path / f"S{n}/{name}.nii.gz"))
        studies.append(str(tmp_path / f"S{n}"))
    assert main(["adapt", *studies, "--out", str(tmp_path / "out"), "--model", str(even), "--method", "flips", "--json",
                 "--quiet"]) == 0
    told = capsys.readouterr()
    [warning] = [one for one in json.loads(told.out)["warnings"] if one["code"].startswith("contour-")]
    assert (warning["case"], warning["code"]) == ("S0", "contour-like-output") and "--origin scratch" in warning["words"]
    assert "case S0 counts as corrected, not in a proof" in told.err
    assert read_card(tmp_path / "out").training["independent_cases"] == 1


def test_a_pet_that_only_some_cases_have_is_told_before_the_training(place, tmp_path, capsys):
    for seed in range(3):
        shutil.copytree(place / f"Doe_Jane_{seed}", tmp_path / f"Doe_Jane_{seed}")
    (tmp_path / "Doe_Jane_1/pet.nii.gz").unlink()
    studies = [str(tmp_path / f"Doe_Jane_{seed}") for seed in range(3)]
    words = ["adapt", *studies, "--model", str(place / "tiny"), "--method", "flips"]
    assert main([*words, "--out", str(tmp_path / "out"), "--quiet"]) == 0
    told = capsys.readouterr()
    [line] = [line for line in told.err.splitlines() if "[adapt-left-out]" in line]
    assert "the PET of all cases is left out: 1 of 3 cases has none" in line
    assert "without Doe_Jane_1" in line and "--inputs ct" in line
    assert "adapter for CT written to" in told.out.splitlines()[-1]
    assert main([*words, "--out", str(tmp_path / "asked"), "--inputs", "ct", "--quiet"]) == 0
    assert "[adapt-left-out]" not in capsys.readouterr().err


def test_a_pet_that_lies_apart_from_the_contour_is_no_matter_to_the_ct(place, tmp_path, capsys):
    study = shutil.copytree(place / "Doe_Jane_0", tmp_path / "Doe_Jane_0")
    pet = sitk.ReadImage(str(study / "pet.nii.gz"))
    pet.SetOrigin((*pet.GetOrigin()[:2], pet.GetOrigin()[2] + 70))  # beside the tumour, still over a quarter of the CT
    sitk.WriteImage(pet, str(study / "pet.nii.gz"))
    words = ["adapt", str(study), "--model", str(place / "tiny"), "--method", "maps", "--quiet", "--out", str(tmp_path / "out")]
    assert main(words) == 1
    assert "[case-contour-elsewhere]" in (said := capsys.readouterr().err) and "--inputs ct" in said
    assert main([*words, "--inputs", "ct"]) == 0


def test_the_way_out_of_a_missing_weight_is_not_wrong_usage(patient, even, tmp_path, capsys):
    for name in ("A", "B"):
        shutil.copytree(patient, tmp_path / name)
    for file in (f for f in (tmp_path / "A").rglob("*") if f.is_file()):
        header = pydicom.dcmread(file)
        if header.Modality == "PT":
            header.Units, header.PatientWeight = "BQML", None
            header.save_as(file)
    more = ["--out", str(tmp_path / "out"), "--model", str(even), "--method", "maps", "--quiet"]
    assert main(["adapt", str(tmp_path / "A"), *more]) == 1
    assert "--weight-kg" in (said := capsys.readouterr().err) and "cases add" not in said
    assert main(["adapt", str(tmp_path / "A"), str(tmp_path / "B"), *more]) == 1
    said = capsys.readouterr().err
    assert "pemma-segment cases add STUDY --library DIR --weight-kg" in said and "[A, (0010,1030)]" in said


def test_a_proof_whose_adapter_is_gone_is_printed_and_the_same_command_makes_it_again(place, tmp_path, monkeypatch, capsys):
    out, real = tmp_path / "out", adapting.adapt

    def removing(model, options, out, told, **more):
        def drop(fraction, words):
            if "fold 2" in words:
                shutil.rmtree(out, ignore_errors=True)

        return real(model, options, out, drop, **more)

    monkeypatch.setattr(adapting, "adapt", removing)
    assert main(arguments(place, out)) == 1
    told = capsys.readouterr()
    assert "Dice before" in told.out and "could not be written onto the adapter" in told.out
    assert "adapter written to" not in told.out and "[adapter-missing]" in told.err
    assert main(arguments(place, out, "--json")) == 1
    assert (answer := json.loads(capsys.readouterr().out))["proof_unwritten"]["code"] == "adapter-missing"
    trained = []
    monkeypatch.setattr(adapting, "adapt", lambda model, options, out, told, **more: real(
        model, options, out, lambda fraction, words: "loss" in words and trained.append(words), **more))
    assert main(arguments(place, out, "--json")) == 0 and not trained  # what was trained is kept until it is of use
    again = json.loads(capsys.readouterr().out)
    assert "proof_unwritten" not in again and again["cases"] == answer["cases"] and again["tries"] == 1
    assert read_card(out).verdict == again["verdict"] and not list(tmp_path.glob(".*"))


def test_the_ladder_and_a_fix_without_weights(place, tmp_path, capsys):
    assert main([*arguments(place, tmp_path / "out"), "--method", "ladder"]) == 0  # the last --method counts
    shown = capsys.readouterr().out
    assert "norm+out" in shown and "no rung can be shown" in shown and not (tmp_path / "out").exists()
    assert main([*arguments(place, tmp_path / "out"), "--method", "maps"]) == 0
    assert read_card(tmp_path / "out").intensity and "0.0% of the weights" in capsys.readouterr().out


def test_the_background_process_adapts_and_tells_how_long_it_takes(place, tmp_path):
    from PEMMASegmentLib.worker.adapt import adapt
    from PEMMASegmentLib.worker.warm import WarmModel

    asked = {"id": 1, "do": "adapt", "studies": [str(place / f"Doe_Jane_{n}") for n in range(2)], "model": str(place / "tiny"),
             "method": "lora", "effort": "quick"}
    told, warm = [], WarmModel()
    guess = adapt(asked | {"action": "estimate"}, lambda *_: None, warm)
    assert guess["cases"] == 2 and 0 < guess["seconds"] and "LORA" in guess["words"]
    assert guess["seconds_proof"] is None  # two patients: nothing is proved
    third = {"studies": [*asked["studies"], str(place / "Doe_Jane_2")], "action": "estimate"}
    guess = adapt(asked | third, lambda *_: None, warm)
    assert guess["seconds_proof"] == pytest.approx(3 * guess["seconds"])
    shutil.copytree(place / "Doe_Jane_2", tmp_path / "ct only")
    (tmp_path / "ct only/pet.nii.gz").unlink()
    mixed = {"studies": [*asked["studies"], str(tmp_path / "ct only")], "action": "estimate"}
    assert guess["left_out"] == [] and "the PET of all cases" in adapt(asked | mixed, lambda *_: None, warm)["left_out"][0]
    guesses = {method: adapt(asked | {"action": "estimate", "method": method}, lambda *_: None, warm)["seconds"]
               for method in ("norm+out", "ladder", "flips")}
    assert 0 < guesses["norm+out"] and 0 < guesses["ladder"] and guesses["flips"] is None
    answer = adapt(asked | {"out": str(tmp_path / "out")}, lambda fraction, words: told.append(words), warm)
    assert answer["verdict"] == "too few cases" and any("step 2 of 2, loss" in words for words in told)
    steps = [reached(words) for words in told if "step 2 of 2, loss" in words]
    assert [(one.part, one.step, one.there) for one in steps] == [("training the adapter", 2, False)] and steps[0].loss > 0
    assert reached(told[-1]).there == told[-1].startswith("what is forgotten")
    for wrong in ({"studies": []}, {"library": "x"}, {"action": "dance"}, {}):
        with pytest.raises(PemmaError) as refused:
            adapt(asked | wrong, lambda *_: None, warm)
        assert refused.value.code in ("option", "bad-request", "adapt-out")
    for wrong in ({"weight_kg": 70}, {"studies": [], "library": str(tmp_path), "pet_series": "1.2.3"}):
        for action in (None, "estimate"):  # one weight for all patients would give wrong SUVs
            with pytest.raises(PemmaError) as refused:
                adapt(asked | wrong | {"action": action, "out": str(tmp_path / "o")}, lambda *_: None, warm)
            assert refused.value.code == "option" and "goes with one STUDY" in refused.value.sentence


def test_wrong_usage_and_refusals(place, tmp_path, capsys):
    for wrong in (["adapt", "--out", str(tmp_path / "o")], arguments(place, tmp_path / "o", "--library", "x"),
                  arguments(place, tmp_path / "o", "--seed", "-1"), arguments(place, tmp_path / "o", "--minutes", "0"),
                  ["adapt", str(place / "Doe_Jane_0"), "--out", str(tmp_path / "o"), "--method", "flips", "--minutes", "3"]):
        with pytest.raises(SystemExit) as ended:
            main(wrong)
        assert ended.value.code == 2
    (place / "Doe_Jane_0" / "mask.nii.gz").rename(place / "hidden")
    try:
        assert main(arguments(place, tmp_path / "o")) == 1
    finally:
        (place / "hidden").rename(place / "Doe_Jane_0" / "mask.nii.gz")
    assert "[no-annotation]" in capsys.readouterr().err
    assert main(arguments(place, place / "tiny")) == 1 and "[out-not-empty]" in capsys.readouterr().err
    assert main(arguments(place, tmp_path / "o", "--name", "ward 3")) == 1
    assert "[adapter-name]" in capsys.readouterr().err
    assert main(arguments(place, tmp_path / "o", "--name", "Mueller-Hans-19610403")) == 1
    assert "a name holds a date" in (said := capsys.readouterr().err) and "[adapter-identity]" in said
    assert not (tmp_path / "o").exists()


def test_a_case_outside_the_region_is_refused_before_the_training(place, tmp_path, capsys):
    narrow = tmp_path / "narrow"
    shutil.copytree(place / "tiny", narrow)
    card = json.loads((narrow / "model.json").read_text("utf-8"))
    (narrow / "model.json").write_text(json.dumps(card | {"region": {"words": "a hand", "longest_mm": 50.0}}), "utf-8")
    told = []
    options = Adapting(studies=tuple(place / f"Doe_Jane_{seed}" for seed in range(3)))
    with pytest.raises(PemmaError) as refused:
        adapt(load_model(narrow), options, tmp_path / "out", lambda fraction, words: told.append(words))
    assert refused.value.code == "adapt-region" and "96 mm" in refused.value.sentence
    assert "--whole-study" in refused.value.way_out and "--roi" not in refused.value.way_out
    assert set(told) == {f"reading study {n} of 3" for n in (1, 2, 3)} and not (tmp_path / "out").exists()
    cases = [hospital.case(seed) for seed in range(2)]
    assert checked(load_model(narrow), cases, tmp_path / "out", "auto", whole_study=True)[1] == "ct+pet"


def test_of_two_annotations_the_way_out_is_one_that_there_is(patient, even, tmp_path, capsys):
    study = tmp_path / "study"
    shutil.copytree(patient, study)
    again = pydicom.dcmread(next(study.glob("*/RTSTRUCT/*")))
    again.SOPInstanceUID = pydicom.uid.generate_uid()
    again.save_as(study / "again.dcm")
    assert main(["adapt", str(study), "--out", str(tmp_path / "out"), "--model", str(even), "--quiet"]) == 1
    said = capsys.readouterr().err
    assert "[annotation-several]" in said and "leave one of them in the folder" in said and "cases add" in said


def test_a_damaged_case_is_not_left_out_without_a_word(place, tmp_path, capsys):
    studies = [str(place / f"Doe_Jane_{seed}") for seed in range(3)]
    library = str(tmp_path / "cases")
    assert main(["cases", "add", *studies, "--library", library, "--no-blind", "a test", "--quiet"]) == 0
    spoilt = next((tmp_path / "cases/cases").glob("*/ct.nii.gz"))
    spoilt.write_bytes(spoilt.read_bytes()[:-100])
    capsys.readouterr()
    assert main(["adapt", "--library", library, "--out", str(tmp_path / "out"), "--model", str(place / "tiny")]) == 1
    assert "[case-damaged]" in capsys.readouterr().err and not (tmp_path / "out").exists()

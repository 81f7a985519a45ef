"""run.py: which cases a run takes, what it says of them, and what is refused before hours are spent."""

import json
import shutil

import pytest
import SimpleITK as sitk
import torch

from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.core.locks import held
from PEMMASegmentLib.network.files import read_card
from PEMMASegmentLib.training import train

from .tiny import ARCHITECTURE, write_case, write_config


def test_missing_patients_are_refused(data, tmp_path):
    config = write_config(tmp_path)
    for split in ({"train": ["a", "nobody"]}, {"train": ["a"], "select": ["nobody"]}):
        (tmp_path / "split.json").write_text(json.dumps(split))
        with pytest.raises(PemmaError, match="not in the data folder"):
            train(config, data, tmp_path / "out")
    (tmp_path / "split.json").write_text(json.dumps({"train": ["a"], "select": ["a"]}))
    with pytest.raises(PemmaError, match="both train and select"):
        train(config, data, tmp_path / "out")


def test_two_runs_in_one_folder_are_refused_the_second_and_a_killed_one_bars_nobody(data, tmp_path):
    config, lock = write_config(tmp_path / "run", stages=[{"name": "ct", "steps": 1}]), tmp_path / "out/.writing-lock"
    (tmp_path / "out").mkdir()
    with held(lock) as ours, pytest.raises(PemmaError, match="run-busy"):
        assert ours
        train(config, data, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())
    lock.write_bytes(b"")  # by a run that was killed
    assert train(config, data, tmp_path / "out").is_dir() and not lock.exists()


def test_of_folders_with_one_patient_id_is_said_as_which_patient_they_count(unpack, tmp_path):
    for name in ("visit1", "visit2"):
        study = unpack("sts/dicom/STS_008.zip") / "STS_008"
        shutil.copytree(study / "RTSTRUCT", tmp_path / "data" / name)
        shutil.copy(min((study / "CT").iterdir()), tmp_path / "data" / name)
    config = write_config(tmp_path / "run")
    for split in ({"train": ["visit1"], "select": ["visit2"]}, {"train": ["visit1"], "site": ["visit2"]}):
        (config.parent / "split.json").write_text(json.dumps(split))
        with pytest.raises(PemmaError, match="visit2, a case of the patient visit1 .all cases: visit1, visit2.") as refused:
            train(config, tmp_path / "data", tmp_path / "out")
        assert "name visit1 alone in the split" in refused.value.way_out and "STS_008" not in str(refused.value)


def test_of_studies_that_differ_in_their_date_is_said_as_which_patient_they_count(data, tmp_path):
    for name, date in (("a", "2020-01-01"), ("b", "2021-01-01")):
        shutil.copytree(data / name, tmp_path / "data" / f"p1_{date}")
    config = write_config(tmp_path / "run")
    (config.parent / "split.json").write_text(json.dumps({"train": ["p1_2020-01-01"], "select": ["p1_2021-01-01"]}))
    with pytest.raises(PemmaError, match="a case of the patient p1 .all cases: p1_2020-01-01, p1_2021-01-01.") as refused:
        train(config, tmp_path / "data", tmp_path / "out")
    assert "name p1 alone" in refused.value.way_out and "a date at the end" in refused.value.way_out


@pytest.mark.parametrize("image", ["ct", "pet"])
def test_a_selection_patient_with_an_image_of_a_training_case_is_refused(data, tmp_path, image):
    """Under another name and with another origin, as after a second pseudonymisation."""
    for name in ("a", "c"):
        shutil.copytree(data / name, tmp_path / "data" / name)
    same = sitk.ReadImage(str(data / "a" / f"{image}.nii.gz"))
    same.SetOrigin([x + 1e-3 for x in same.GetOrigin()])
    sitk.WriteImage(same, str(tmp_path / f"data/c/{image}.nii.gz"))
    config = write_config(tmp_path / "run", steps=(1, 1))
    (config.parent / "split.json").write_text(json.dumps({"train": ["a"], "select": ["c"]}))
    with pytest.raises(PemmaError, match=r"has an image of the training case a \[c\]") as refused:
        train(config, tmp_path / "data", tmp_path / "out", validate=lambda *_: {"threshold": {}})
    assert refused.value.code == "select-trained" and not (tmp_path / "out").exists()


@pytest.mark.parametrize(("spoil", "sentence"), [
    (lambda case: (case / "ct.nii.gz").write_bytes((case / "ct.nii.gz").read_bytes()[:900]), "can't be read .{}: ct.nii.gz"),
    (lambda case: marks(case, sitk.Cast(marks(case), sitk.sitkInt16) - 1), "negative values or NaN .{}: mask.nii.gz")])
@pytest.mark.parametrize("group", ["train", "select"])
def test_a_case_that_is_refused_is_named_with_a_way_out_that_a_training_has(data, tmp_path, spoil, sentence, group):
    for name in ("a", "b", "c"):
        shutil.copytree(data / name, tmp_path / "data" / name)
    bad = {"train": "b", "select": "c"}[group]
    spoil(tmp_path / "data" / bad)
    config = write_config(tmp_path / "run", steps=(1, 1))
    with pytest.raises(PemmaError, match=sentence.format(bad)) as refused:
        train(config, tmp_path / "data", tmp_path / "out", validate=lambda *_: {"threshold": {}})
    assert refused.value.way_out == f"mend the study, or take the patient out of the split's `{group}`"


def test_slips_of_the_split_are_told_of(data, tmp_path):
    for name, seed in (("STS_008", 0), ("sts_008", 1)):
        write_case(tmp_path / "data" / name, seed)
    config = write_config(tmp_path / "run", stages=[{"name": "ct", "steps": 1}])
    (config.parent / "split.json").write_text(json.dumps({"train": ["STS_008"], "demo": ["sts_008"], "site": ["nobody", "x"]}))
    said = {}
    train(config, tmp_path / "data", tmp_path / "out", told=lambda name, warnings: said.update({name: warnings}))
    assert [warning.sentence for warning in said["train.json"]] == [
        "2 patients of the split are not in the data folder: nobody, x",
        "STS_008 of train and sts_008 of demo count as two patients"]


def test_an_architecture_that_no_network_can_be_made_of_is_refused_before_a_case_is_read(tmp_path):
    config = write_config(tmp_path, architecture=ARCHITECTURE | {"rank": 10**20})
    with pytest.raises(PemmaError, match="no network can be made") as refused:
        train(config, tmp_path / "nowhere", tmp_path / "out")
    assert refused.value.code == "config-invalid" and not (tmp_path / "out").exists()


def test_cases_that_lack_an_image_are_told_of_and_stand_on_the_card_only_when_used(data, tmp_path):
    """And who judges may move the network: the next stage finds it where it was."""
    for name in ("a", "b", "c"):
        shutil.copytree(data / name, tmp_path / "data" / name)
    (tmp_path / "data/b/pet.nii.gz").unlink()
    (tmp_path / "data/c/ct.nii.gz").unlink()
    pet = sitk.ReadImage(str(tmp_path / "data/c/pet.nii.gz"))
    pet.SetSpacing([10.0] * 3)  # longer than those that are used
    for name, image in (("pet", pet), ("mask", sitk.Cast(pet > 3, sitk.sitkUInt8))):
        sitk.WriteImage(image, str(tmp_path / f"data/c/{name}.nii.gz"))
    stages = [{"name": name, "steps": 1} for name in ("ct", "ct", "pet")]
    config = write_config(tmp_path / "run", stages=stages)
    (config.parent / "split.json").write_text(json.dumps({"train": ["a", "b", "c"], "select": ["a2"], "site": ["d"]}))
    write_case(tmp_path / "data/a2", 3)
    said, layouts = {}, []

    def judged(net, *_):
        kernel = net.base.vit.patch_embedding.patch_embeddings.weight
        layouts.append((kernel.is_contiguous(memory_format=torch.channels_last_3d), kernel.device))
        net.to("cpu", memory_format=torch.contiguous_format)
        return {"threshold": {}, "dice": {}, "cases": []}

    out = train(config, tmp_path / "data", tmp_path / "out", validate=judged,
                told=lambda name, warnings: said.update({name: [w.sentence for w in warnings if w.code == "train-unused"]}))
    assert said == {"train.json": [], "a": [], "a2": [], "b": ["not used by stage pet: the case has no PET"],
                    "c": ["not used by stages ct and pet: the case has no CT"]}
    card = read_card(out)
    assert card.provenance["split"] == {"train": ["a", "b"], "select": ["a2"], "site": ["d"]}
    assert [stage["cases"] for stage in card.provenance["stages"]] == [2, 2, 1] and card.region.longest_mm < 120
    told = (out / "README.md").read_text("utf-8")
    assert "- train: a, b\n" in told and "| stage | cases |" in told and "| ct | 2 | 1 | 2 | 0% | 0% |" in told
    assert "the shares of the table left uncut or cut anywhere" in told  # true of any shares
    assert len(set(layouts)) == 1 and layouts[0][0]


def test_what_a_later_stage_would_miss_is_refused_before_the_first(data, tmp_path):
    """No hours of CT training before a PET that is nowhere, or not at those who judge."""
    for name in ("a", "c"):
        shutil.copytree(data / name, tmp_path / "data" / name)
    config = write_config(tmp_path / "run", steps=(1, 1))
    (config.parent / "split.json").write_text(json.dumps({"train": ["a"], "select": ["c"]}))

    def refused(code: str, way_out: str):
        with pytest.raises(PemmaError) as told:
            train(config, tmp_path / "data", tmp_path / "out", validate=lambda *_: {"threshold": {}})
        assert told.value.code == code and way_out in told.value.way_out and not (tmp_path / "out").exists()
        return str(told.value)

    pet = {name: tmp_path / "data" / name / "pet.nii.gz" for name in ("a", "c")}
    pet["c"].unlink()
    assert "has no PET" in (said := refused("select-inputs", "out of the split's `select`")) and "[c]" in said
    pet["a"].unlink()
    assert "stage 'pet'" in refused("train-cases", "take the pet stages out of the configuration")
    write_config(tmp_path / "run", stages=[{"name": "ct", "steps": 1}])
    (config.parent / "split.json").write_text(json.dumps({"train": ["a"], "select": ["c"]}))
    mask = tmp_path / "data" / "c" / "mask.nii.gz"
    marked = sitk.ReadImage(str(mask))
    sitk.WriteImage(marked * 0, str(mask))
    refused("select-label", "or leave `select` empty")
    sitk.WriteImage(marked, str(mask))
    train(config, tmp_path / "data", tmp_path / "out", validate=lambda *_: {"threshold": {}, "dice": {}, "cases": []})


def test_tumours_too_small_for_the_networks_voxels_are_refused_together_before_the_training(data, tmp_path):
    for name in ("a", "b", "c"):
        shutil.copytree(data / name, tmp_path / "data" / name)
    for name in ("a", "c"):
        mask = marks(tmp_path / "data" / name) * 0
        mask[14, 14, 14] = 1
        marks(tmp_path / "data" / name, mask)
    config = write_config(tmp_path / "run", preprocessing={"spacing_mm": [8.0, 8.0, 8.0]})
    (config.parent / "split.json").write_text(json.dumps({"train": ["a", "b", "c"]}))
    with pytest.raises(PemmaError, match="8 x 8 x 8 mm.*: a, c ") as refused:
        train(config, tmp_path / "data", tmp_path / "out")
    assert refused.value.code == "train-label" and not (tmp_path / "out").exists()


def test_a_case_without_a_tumour_is_trained_on_beside_one_that_has_one(data, tmp_path):
    for name in ("a", "b"):
        shutil.copytree(data / name, tmp_path / "data" / name)
    marks(tmp_path / "data/b", marks(tmp_path / "data/b") * 0)
    config = write_config(tmp_path / "run", steps=(2, 1))
    (config.parent / "split.json").write_text(json.dumps({"train": ["a", "b"]}))
    said = {}
    out = train(config, tmp_path / "data", tmp_path / "out", told=lambda name, warnings: said.update({name: warnings}))
    assert [stage["cases"] for stage in read_card(out).provenance["stages"]] == [2, 2]
    assert said["b"][-1].code == "annotation-empty" and said["a"][-1].code != "annotation-empty"
    assert sorted(file.name for file in (tmp_path / "out").iterdir())[0] == "log.jsonl"  # the stored cases are gone
    (config.parent / "split.json").write_text(json.dumps({"train": ["b"]}))
    with pytest.raises(PemmaError, match="no training case of stage 'ct' has a tumour"):
        train(config, tmp_path / "data", tmp_path / "other")


def marks(case, mask=None):
    """The mask of a case; another one in its place."""
    file = str(case / "mask.nii.gz")
    if mask is not None:
        sitk.WriteImage(mask, file)
    return sitk.ReadImage(file)

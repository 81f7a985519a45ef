"""`train` writes into a run's folder only, and learns the structure that is named."""

import copy
import json
import os
import shutil
import subprocess
import sys
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import torch

import PEMMASegmentLib
from PEMMASegmentLib.cli import main
from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.jobs.training import check_out, on_selection_patients
from PEMMASegmentLib.network.files import ModelCard, Region, read_card
from PEMMASegmentLib.network.pemma import Pemma
from PEMMASegmentLib.training.config import read_config
from PEMMASegmentLib.training.folders import CaseRef, cases

from ..training.tiny import write_case, write_config


def test_only_a_new_an_empty_or_a_run_folder_is_taken(tmp_path):
    check_out(tmp_path)
    check_out(tmp_path / "new")
    (tmp_path / "ct.nii.gz").touch()
    for out, code in ((tmp_path, "out-not-empty"), (tmp_path / "ct.nii.gz", "out-is-a-file")):
        with pytest.raises(PemmaError) as refused:
            check_out(out)
        assert refused.value.code == code
    (tmp_path / "stage-0-ct.safetensors").touch()
    check_out(tmp_path)


def test_of_several_structures_the_one_that_is_named_is_learnt(patient, tmp_path, capsys):
    data, config = tmp_path / "data", write_config(tmp_path / "run", steps=(1, 1))
    (config.parent / "split.json").write_text(json.dumps({"train": ["STS_008"], "select": []}))
    shutil.copytree(patient / "STS_008", data / "STS_008")
    add_structure(next(data.glob("*/RTSTRUCT/*")), "GTV node")
    command = ["train", "--config", str(config), "--data", str(data), "--out", str(tmp_path / "out"), "--quiet"]
    assert main(command) == 1
    assert "--annotation-roi" in capsys.readouterr().err
    assert main([*command, "--annotation-roi", "gtv node"]) == 0
    assert main([*command[:-2], str(tmp_path / "other"), "--quiet", "--annotation-roi", "bladder"]) == 1
    shutil.copy(next(data.glob("*/RTSTRUCT/*")), data / "STS_008" / "again.dcm")
    again = pydicom.dcmread(data / "STS_008" / "again.dcm")
    again.SOPInstanceUID = pydicom.uid.generate_uid()
    again.save_as(data / "STS_008" / "again.dcm")
    capsys.readouterr()
    assert main(command) == 1
    said = capsys.readouterr().err
    assert "[annotation-several]" in said and "--annotation FILE" not in said


def test_of_a_bundled_models_name_is_told_and_it_can_be_changed_when_the_run_is_done(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PEMMA_SEGMENT_HOME", str(tmp_path / "home"))
    write_case(tmp_path / "data" / "a", 0)
    for name in ("sts-starter", "mine"):
        config = write_config(tmp_path / "run", steps=(1, 1), name=name)
        (config.parent / "split.json").write_text(json.dumps({"train": ["a"]}))
        assert main(["train", "--config", str(config), "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out")]) == 0
        told = "train.json: warning: a bundled model is called sts-starter" in capsys.readouterr().err
        assert told == (name == "sts-starter")
        assert main(["models", "import", str(tmp_path / "out" / "model")]) == int(told)
    log = (tmp_path / "out" / "log.jsonl").read_text("utf-8")
    assert len(log.splitlines()) == 2  # one line a stage: nothing was trained again


def test_a_selection_patient_without_tumour_is_judged_uncut_and_told_of_once(tmp_path, capsys):
    data, config = tmp_path / "data", write_config(tmp_path / "run", steps=(1, 1))
    (config.parent / "split.json").write_text(json.dumps({"train": ["a"], "select": ["b", "healthy"]}))
    for seed, name in enumerate(("a_2001-01-31", "b_2001-01-31", "healthy")):
        write_case(data / name, seed)
    mask = data / "healthy" / "mask.nii.gz"
    sitk.WriteImage(sitk.ReadImage(str(mask)) * 0, str(mask))
    assert main(["train", "--config", str(config), "--data", str(data), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().err
    assert said.count("healthy: warning: the annotation marks no voxel of the study [annotation-empty]\n") == 1
    for stage in read_card(tmp_path / "out" / "model").provenance["stages"]:
        judged = stage["selection"]
        assert judged["cases"] == ["b", "healthy"]
        assert all(len(dice) == 2 and dice[1] in (0.0, 1.0) for dice in judged["dice"].values())
        assert all(len(dice) == 2 and dice[0] is not None and dice[1] is None for dice in judged["dice_cut"].values())
    rows = (tmp_path / "out" / "model" / "README.md").read_text("utf-8").splitlines()
    assert not any(b"2001" in file.read_bytes() for file in (tmp_path / "out" / "model").iterdir())  # the split's names alone
    assert [row.split()[1] for row in rows if row.endswith("| - |")] == ["ct", "ct+pet", "pet"]


def test_selection_patients_are_in_memory_one_at_a_time(tmp_path):
    for seed, name in enumerate("abc"):
        write_case(tmp_path / "data" / name, seed)
    config_file = write_config(tmp_path / "run")
    config, studies, held = read_config(config_file), [], []

    def counted(ref: CaseRef) -> CaseRef:
        def read():
            held.append(sum(study() is not None for study in studies))
            pair = ref.read()
            studies.append(weakref.ref(pair[0]))
            return pair

        return replace(ref, read=read)

    (tmp_path / "data" / "c").rename(tmp_path / "data" / "b_2001-01-31")
    selection = [(counted(ref), ref.name != "b") for ref in cases(tmp_path / "data")]
    judged = on_selection_patients(config_file)(*untrained(config), "ct", selection)
    assert len(held) == 3 and max(held) <= 1 and judged["cases"] == ["a", "b", "b (2)"]
    assert [dice is None for dice in judged["dice_cut"]["ct"]] == [False, True, False] and len(judged["dice"]["ct"]) == 3


def test_a_cut_without_body_counts_as_nothing_found_and_a_patient_without_is_refused_by_name(tmp_path):
    """A small tumour with lung all around: some cuts hold nothing of the chest."""
    write_case(tmp_path / "data" / "c", 2)
    file = str(tmp_path / "data" / "c" / "ct.nii.gz")
    ct = sitk.GetArrayFromImage(sitk.ReadImage(file))

    def judged(voxels):
        image = sitk.GetImageFromArray(voxels)
        image.CopyInformation(sitk.ReadImage(file))
        sitk.WriteImage(image, file)
        config_file = write_config(tmp_path / "run", seed=2)  # cuts two voxels or more from each face
        judge = on_selection_patients(config_file)
        return judge(*untrained(read_config(config_file)), "ct", [(ref, True) for ref in cases(tmp_path / "data")])

    ct[2:-2, 2:-2, 2:-2] = -850
    dice = judged(ct)
    assert dice["dice_cut"]["ct"] == [0.0] and dice["dice"]["ct"][0] > 0
    with pytest.raises(PemmaError) as refused:
        judged(np.zeros_like(ct) - 900 + 8 * np.arange(28, dtype=np.int16))
    assert refused.value.code == "no-body" and refused.value.place == "c" and "`select`" in refused.value.way_out


def test_of_several_processes_one_says_what_is_refused_or_done(tmp_path):
    write_case(tmp_path / "data" / "a", 0)
    config = write_config(tmp_path / "run", steps=(1, 1))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--rdzv-backend=c10d",
               "--rdzv-endpoint=127.0.0.1:0", "-m", "PEMMASegmentLib", "train", "--json", "--config", str(config), "--data",
               str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    environment = os.environ | {"PYTHONPATH": str(Path(PEMMASegmentLib.__file__).parents[1]), "OMP_NUM_THREADS": "1"}

    def run():
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)

    def told(process):
        return json.loads(process.stdout[process.stdout.index("{") :])  # after what Gloo of torch 2.10 prints

    refused = run()
    assert refused.returncode == 1 and told(refused)["error"]["code"] == "train-split"
    assert refused.stderr.count("error: ") == 1, refused.stderr
    for number, name in enumerate("bc", start=1):
        write_case(tmp_path / "data" / name, number)
    done = run()
    assert done.returncode == 0 and told(done)["model"] == str(tmp_path / "out" / "model"), done.stderr


def untrained(config):
    """A CT network and its card."""
    torch.manual_seed(0)
    net = Pemma(replace(config.architecture, modalities=(), fused_decoder=())).eval()
    return net, ModelCard("tiny", "1", net.architecture, config.preprocessing, config.labels, Region("", 300.0), {"ct": 0.5})


def add_structure(file, name: str) -> None:
    dataset = pydicom.dcmread(file)
    roi, contours = (copy.deepcopy(one[0]) for one in (dataset.StructureSetROISequence, dataset.ROIContourSequence))
    roi.ROINumber = contours.ReferencedROINumber = 99
    roi.ROIName, dataset.StructureSetROISequence[0].ROIName = name, "GTV primary"
    dataset.StructureSetROISequence.append(roi)
    dataset.ROIContourSequence.append(contours)
    dataset.save_as(file)

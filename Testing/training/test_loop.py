"""Training: what a stage may change, that it learns, that a stopped run goes on exactly, that two processes agree."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from safetensors.torch import load_file
from torch import nn

from PEMMASegmentLib.core import Cancelled, PemmaError
from PEMMASegmentLib.inference.device import choose
from PEMMASegmentLib.network.files import load_model
from PEMMASegmentLib.network.pemma import Pemma
from PEMMASegmentLib.training import stored, train
from PEMMASegmentLib.training.augment import Augmentation
from PEMMASegmentLib.training.case import TrainingCase, to_case
from PEMMASegmentLib.training.config import Stage, read_config
from PEMMASegmentLib.training.folders import cases
from PEMMASegmentLib.training.loop import Checkpoint, _autocast, _groups, _inputs, _key, optimise, trainable
from PEMMASegmentLib.training.state import load_state, save_state
from PEMMASegmentLib.training.windows import batch, draw

from .tiny import write_config


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return folder, train(write_config(folder), data, folder / "out")


def test_both_stages_learn_and_the_card_says_what_was_trained(trained):
    folder, model_folder = trained
    model = load_model(model_folder)
    stages = model.card.provenance["stages"]
    assert [s["name"] for s in stages] == ["ct", "pet"]
    assert all(n.startswith("base.") for n in stages[0]["trained"])
    assert all(n.startswith(("added.pet.", "fused.")) for n in stages[1]["trained"])
    assert not any("norm_cross_attn" in n for s in stages for n in s["trained"])
    assert stages[1]["share"] < 1 and model.card.provenance["split"]["select"] == ["c"]
    assert 110 < model.card.region.longest_mm < 120
    kept, weights = load_file(folder / "out/stage-1-pet.safetensors"), load_file(model_folder / "model.safetensors")
    averages = {name: t for name, t in weights.items() if f"average.{name}" in kept}
    assert len(averages) == len(stages[1]["trained"])
    assert all(torch.equal(t, kept[f"average.{name}"].half()) for name, t in averages.items())
    assert not any(torch.equal(t, kept[f"net.{name}"].half()) for name, t in averages.items() if t.ndim > 1)
    log = [json.loads(line) for line in (folder / "out/log.jsonl").read_text().splitlines()]
    assert log[-1]["loss"] < 1.2  # untrained: about 1.9


def test_the_pet_stage_leaves_every_bit_of_the_ct_network(trained, data, tmp_path):
    folder, model_folder = trained
    raw = json.loads((folder / "train.json").read_text())
    config = write_config(tmp_path / "ct", stages=raw["stages"][:1])
    ct_only = load_model(train(config, data, tmp_path / "out"))
    both = load_model(model_folder)
    x = torch.randn(1, 1, 16, 16, 16)
    assert torch.equal(ct_only.net({"ct": x}), both.net({"ct": x}))


def test_a_stopped_run_goes_on_exactly(trained, data, tmp_path, monkeypatch):
    monkeypatch.setattr("PEMMASegmentLib.training.loop._CHECKPOINT_SECONDS", 0.0)
    config = write_config(tmp_path / "run")

    def stop(fraction, words):
        if "stage pet: step 9" in words:
            raise Cancelled

    with pytest.raises(Cancelled):
        train(config, data, tmp_path / "out", stop)
    left = tmp_path / "out" / stored.FOLDER
    assert not left.exists()
    left.mkdir()
    (left / "000009.safetensors").write_bytes(b"by a program that was killed")
    resumed = load_model(train(config, data, tmp_path / "out")).net.state_dict()
    straight = load_model(trained[1]).net.state_dict()
    assert all(torch.equal(resumed[name], straight[name]) for name in straight)
    for name in ("stage-0-ct.safetensors", "stage-1-pet.safetensors"):  # float32: the model's float16 hides a small slip
        resumed, straight = load_file(tmp_path / "out" / name), load_file(trained[0] / "out" / name)
        assert resumed.keys() == straight.keys() and all(torch.equal(resumed[key], straight[key]) for key in straight)


def _optimised(tmp_path) -> tuple[nn.Module, torch.optim.AdamW]:
    """A net, one of its weights never used, in groups that are not in its own order."""
    net = nn.ModuleDict({"unused": nn.Linear(2, 2), "matrix": nn.Linear(3, 3), "bias": nn.Linear(3, 3)})
    bias, matrix = net["bias"].bias, net["matrix"].weight
    optimizer = torch.optim.AdamW([{"params": [net["unused"].weight, bias]}, {"params": [matrix]}])
    (matrix.sum() + 2 * bias.sum()).backward()
    optimizer.step()
    return net, optimizer


def test_a_checkpoint_keeps_each_moment_with_its_weight_and_leaves_its_file_free(tmp_path):
    file = tmp_path / "unfinished.safetensors"
    net, optimizer = _optimised(tmp_path)
    save_state(file, 7, 1.5, "key", net, {}, optimizer)
    other, again = _optimised(tmp_path)
    again.zero_grad()
    net["bias"].bias.grad.zero_()
    optimizer.state[net["bias"].bias]["exp_avg"].fill_(5.0)
    save_state(file, 7, 1.5, "key", net, {}, optimizer)
    assert load_state(file, "key", other, {}, again) == (7, 1.5)
    assert torch.equal(again.state[other["bias"].bias]["exp_avg"], torch.full((3,), 5.0))
    assert again.state[other["matrix"].weight]["exp_avg"].shape == (3, 3) and other["unused"].weight not in again.state
    if Path("/proc/self/maps").exists():  # Windows could neither replace nor remove a file that is still mapped
        assert str(file) not in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize("damage", [lambda b: b[:50], lambda b: b""])
def test_a_checkpoint_that_can_not_be_read_begins_anew(tmp_path, damage):
    file = tmp_path / "unfinished.safetensors"
    net, optimizer = _optimised(tmp_path)
    save_state(file, 7, 1.5, "key", net, {}, optimizer)
    file.write_bytes(damage(file.read_bytes()))
    assert load_state(file, "key", net, {}, optimizer) == (0, 0.0)


def test_an_unfinished_run_of_another_configuration_is_not_continued(trained, data, tmp_path):
    folder, _ = trained
    with pytest.raises(PemmaError, match="another configuration"):
        train(write_config(tmp_path, steps=(31, 20)), data, folder / "out")


def test_a_run_is_not_continued_with_other_contours(trained, data, tmp_path):
    shutil.copytree(trained[0] / "out", tmp_path / "out")
    shutil.copytree(data, tmp_path / "data")
    file = tmp_path / "data" / "b" / "mask.nii.gz"
    sitk.WriteImage(sitk.CyclicShift(sitk.ReadImage(str(file)), [1, 0, 0]), str(file))
    with pytest.raises(PemmaError, match="other cases") as refused:
        train(trained[0] / "train.json", tmp_path / "data", tmp_path / "out")
    assert refused.value.code == "resume-config" and "another --out" in refused.value.way_out


def test_the_key_of_a_run_holds_all_that_makes_its_weights(trained, monkeypatch):
    config, rng = read_config(trained[0] / "train.json"), np.random.default_rng(0)
    one, two = (TrainingCase(name, *torch.from_numpy(rng.random((3, 4, 5, 6), np.float32))) for name in "ab")
    ct, pet = config.stages
    longer = replace(ct, steps=ct.steps + 1)

    def key(stages=(ct,), cases=(one, two), world=1):
        return _key(config, stages, list(cases), world)

    others = [key(cases=(two, one)), key(cases=(one,)), key(cases=(replace(one, name="c"), two)),
              key(cases=(replace(one, pet=None), two)), key(cases=(replace(one, ct=one.pet, pet=one.ct), two)),
              *(key(cases=(replace(one, **{image: getattr(one, image) + 1}), two)) for image in ("ct", "pet", "label")),
              key(cases=(replace(one, label=one.label.reshape(5, 4, 6)), two)), key(world=2), key((longer,)),
              key((ct, pet)), key((longer, pet))]
    same = key(cases=(replace(one, ct=one.ct.clone()), two))
    config = replace(config, name="other", version="2", region="another", labels=(replace(config.labels[0], name="Tumour"),))
    assert same == key() and len({key(), *others}) == len(others) + 1
    monkeypatch.setattr("PEMMASegmentLib.training.loop.__version__", "0")
    assert key() != same


def test_who_judges_the_stages_may_change_while_a_run_is_unfinished(trained, data, tmp_path):
    folder, model_folder = trained
    shutil.copytree(folder / "out", tmp_path / "out", ignore=shutil.ignore_patterns("model", "stage-1-pet*"))
    config = write_config(tmp_path / "run")
    (config.parent / "split.json").write_text(json.dumps({"train": ["a", "b"], "site": ["c"]}))
    words = []
    again = load_model(train(config, data, tmp_path / "out", lambda fraction, step: words.append(step)))
    assert not any("stage ct" in step for step in words) and again.card.provenance["split"]["site"] == ["c"]
    assert again.card.sha256 == load_model(model_folder).card.sha256
    (config.parent / "split.json").write_text(json.dumps({"train": ["a"]}))
    with pytest.raises(PemmaError, match="another configuration"):
        train(config, data, tmp_path / "out")


@pytest.mark.parametrize("asked", ["_is_avx512_bf16_supported", "_is_amx_tile_supported"])
def test_training_computes_in_the_precision_of_use(monkeypatch, asked):
    """Either unit multiplies bfloat16 in hardware; without both training and use take float32."""
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    assert choose("cpu").precision == "float32" and isinstance(_autocast(torch.device("cpu")), nullcontext)
    monkeypatch.setattr(torch.cpu, asked, lambda: True)
    assert choose("cpu").precision == "bfloat16" and isinstance(_autocast(torch.device("cpu")), torch.autocast)


def test_only_what_a_stage_names_is_trainable(trained):
    config = read_config(trained[0] / "train.json")
    net = Pemma(replace(config.architecture, modalities=("pet",)))
    for stage, prefixes in zip(config.stages, (("base.",), ("added.pet.", "fused.")), strict=True):
        chosen = trainable(net, stage)
        assert {n for n, p in net.named_parameters() if p.requires_grad} == set(chosen)
        assert all(n.startswith(prefixes) for n in chosen)


def test_rates_warm_up_and_fall_and_gates_run_ahead_undecayed_and_never_below_zero(trained, tmp_path):
    stage = Stage("pet", 10, rate=1e-2, warm_up=0.4, gate_rate=5.0)
    net = Pemma(replace(read_config(trained[0] / "train.json").architecture, modalities=("pet",)))
    chosen, rates, lowest = trainable(net, stage), [], []
    gates = [p for name, p in chosen.items() if "attention_gate" in name]
    groups = list(_groups(stage, chosen))

    def windows(step):
        images = torch.randn(2, 2, 1, 16, 16, 16, generator=torch.Generator().manual_seed(step))
        return {"ct": images[0], "pet": images[1]}, (images[0] > 1).float()

    def told(step, loss):
        rates.append([group["lr"] for group in groups])
        lowest.append(min(float(gate.detach().min()) for gate in gates))

    optimise(net, chosen, groups, stage, windows, Checkpoint(tmp_path / "one", "", 1e9), torch.device("cpu"), told)
    assert min(lowest) == 0.0 and max(float(gate.detach().max()) for gate in gates) > 0
    of_matrices, of_the_rest, of_gates = np.transpose(rates)
    np.testing.assert_allclose(of_matrices[:5], [2.5e-3, 5e-3, 7.5e-3, 1e-2, 1e-2])
    assert (np.diff(of_matrices[4:]) < 0).all() and of_matrices[-1] < 1e-3
    assert np.array_equal(of_the_rest, of_matrices)
    np.testing.assert_allclose(of_gates, 5 * of_matrices)
    assert [group["weight_decay"] for group in groups] == [stage.weight_decay, 0.0, 0.0]
    assert {id(p) for p in gates} <= {id(p) for p in groups[2]["params"]}


def test_a_modality_is_seen_with_ct_in_its_share_of_steps_and_alone_in_the_rest(trained):
    config = read_config(trained[0] / "train.json")
    steps = [_inputs(replace(config.stages[1], together=0.6, batch=3), step, config) for step in range(400)]
    assert {len(windows) for windows in steps} == {3} and all(len(set(windows)) == 1 for windows in steps)
    assert {windows[0] for windows in steps} == {("ct", "pet"), ("pet",)}
    assert 0.5 < np.mean([windows[0] == ("ct", "pet") for windows in steps]) < 0.7


TWO_PROCESSES = """
import json, sys
from pathlib import Path
import torch
import torch.distributed as dist
from PEMMASegmentLib.training import train
from PEMMASegmentLib.training.loop import _average_gradients

torch.set_num_threads(1)
dist.init_process_group("gloo")
out = train(*map(Path, sys.argv[1:])).parent
net = torch.nn.Linear(2, 1)
net.unused = torch.nn.Parameter(torch.ones(1))
net.weight.grad = torch.full((1, 2), 2.0 + 2 * dist.get_rank())
net.bias.grad = torch.full((1,), 4.0) if dist.get_rank() == 0 else None
_average_gradients(dict(net.named_parameters()), dist.get_world_size())
gradients = {name: None if p.grad is None else p.grad.tolist() for name, p in net.named_parameters()}
(out / f"{dist.get_rank()}.json").write_text(json.dumps(gradients))
dist.barrier()
dist.destroy_process_group()
"""


def test_two_processes_train_one_model(data, tmp_path):
    config = write_config(tmp_path, steps=(3, 2))
    script = tmp_path / "go.py"
    script.write_text(TWO_PROCESSES)
    library = next(p for p in sys.path if os.path.isdir(os.path.join(p, "PEMMASegmentLib")))
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--master_addr=127.0.0.1",
         "--master_port=0", "--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", str(script), str(config), str(data),
         str(tmp_path / "out")],
        env=os.environ | {"PYTHONPATH": library, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    for rank in range(2):
        gradients = json.loads((tmp_path / f"out/{rank}.json").read_text())
        assert gradients == {"weight": [[3.0, 3.0]], "bias": [2.0], "unused": None}  # the means of 2 and 4, 4 and none
    both = load_file(tmp_path / "out/stage-0-ct.safetensors")
    start, one = ct_stage_of_one_process(read_config(config), data, tmp_path)
    apart, way = (sum(float((one[name] - other[prefix + name]).square().sum()) for name in one) ** 0.5
                  for other, prefix in ((both, "average."), (start, "")))
    assert apart < 0.3 * way  # bfloat16 alone makes 0.16, windows of one process alone 0.95


def ct_stage_of_one_process(config, data, tmp_path) -> tuple[dict[str, torch.Tensor], ...]:
    """The weights before and after the CT stage of a process that trains at once on the windows of two."""
    stage = config.stages[0]
    read = [(ref.name, *ref.read()) for ref in cases(data) if ref.patient in config.train]
    ready = [to_case(name, study.ct, study.pet, label, config.preprocessing) for name, study, label in read]
    torch.manual_seed(config.seed)
    net = Pemma(replace(config.architecture, modalities=(), fused_decoder=()))
    chosen = trainable(net, stage)
    start = {name: p.detach().clone() for name, p in chosen.items()}

    def windows(step):
        generators = [np.random.default_rng([config.seed, 2, step, rank]) for rank in range(2)]
        return batch([draw(ready, config, stage, ("ct",), Augmentation(), rng) for rng in generators for _ in range(stage.batch)])

    optimise(net, chosen, _groups(stage, chosen), stage, windows, Checkpoint(tmp_path / "one", "", 1e9), torch.device("cpu"),
             lambda step, loss: None)
    return start, {name: p.detach() for name, p in chosen.items()}


def test_the_reference_configuration_trains_with_the_same_command(data, tmp_path):
    """UNETR as published, 92.6 M weights: a step of each stage, then the model folder loads."""
    stages = [{"name": name, "steps": 1, "batch": 1} for name in ("ct", "pet")]
    config = write_config(tmp_path / "config", architecture={"modalities": ["pet"]}, stages=stages)
    model = load_model(train(config, data, tmp_path / "out"))
    stages = model.card.provenance["stages"]
    assert model.card.architecture.window == (96, 96, 96) and stages[1]["share"] < 0.08
    shutil.rmtree(tmp_path / "out")  # two GB of checkpoints

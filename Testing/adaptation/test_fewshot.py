"""Few-shot training: the base keeps its bits, the same seed gives the same adapter, a stopped run goes on exactly."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from PEMMASegmentLib.adaptation import fewshot, keeping, resuming
from PEMMASegmentLib.adaptation.fewshot import WeightUpdate, check_case, steps_in
from PEMMASegmentLib.adaptation.types import label_of_lesions
from PEMMASegmentLib.adaptation.whole import WholeParameters
from PEMMASegmentLib.adapters import load, method
from PEMMASegmentLib.core import Cancelled, PemmaError
from PEMMASegmentLib.core.images import array, like
from PEMMASegmentLib.core.progress import Reached, reached
from PEMMASegmentLib.inference import segment

from . import hospital

LORA = WeightUpdate(method("lora"), steps=8, device="cpu")


@pytest.fixture(scope="module")
def fitted(model, cases):
    return LORA.fit(model, cases, "ct+pet", 0)


def same(one, other) -> bool:
    return set(one.tensors) == set(other.tensors) and all(torch.equal(t, other.tensors[n]) for n, t in one.tensors.items())


@pytest.mark.parametrize("name", ["salt", "lora"])
def test_it_learns_the_base_keeps_its_bits_and_the_card_says_how(model, cases, name):
    before = {n: t.clone() for n, t in model.net.state_dict().items()}
    losses = []
    how = WeightUpdate(method(name), steps=25, device="cpu")
    made = how.fit(model, cases, "ct+pet", 0, lambda _, words: losses.append(reached(words).loss) if "loss" in words else 0)
    assert len(losses) == 25 and sum(losses[-5:]) < sum(losses[:5]) - 0.05
    after = model.net.state_dict()
    assert set(before) == set(after) and all(torch.equal(t, after[n]) for n, t in before.items())
    assert made.card.base == model.identity and made.card.inputs == "ct+pet" and 0 < made.card.trained_share < 0.2
    assert made.card.training["recipe"]["steps"] == 25 and made.card.training["cases"] == 3
    found = segment(cases[0].study, model, adapter=made, inputs="ct+pet")
    assert found.adapter == made.identity


def test_the_same_seed_gives_the_same_adapter_another_seed_another_one(model, cases, fitted):
    assert same(LORA.fit(model, cases, "ct+pet", 0), fitted)
    assert not same(LORA.fit(model, cases, "ct+pet", 1), fitted)


def redrawn(model, case, thickness: float):
    """A case whose contour is the base's own label, of which the lower share in z is left."""
    label = array(label_of_lesions(segment(case.study, model, inputs="ct+pet")))
    used = np.flatnonzero(label.any(axis=(1, 2)))
    label[used[0] + round(thickness * len(used)):] = 0
    return replace(case, label=like(label, case.label))


def test_the_less_the_base_misses_the_less_of_the_training_is_kept(model, cases, fitted):
    first = [redrawn(model, cases[0], thickness) for thickness in (1.0, 0.5)]
    own, half = (replace(LORA, steps=1).fit(model, [case], "ct+pet").card.training for case in first)
    assert own["missed"] < 0.1 and own["strength"] < 0.2
    assert half["strength"] == pytest.approx(keeping.PER_MISS * half["missed"], abs=1e-3)
    assert own["strength"] < half["strength"] < fitted.card.training["strength"] == 1  # it knows nothing of the cases' own


def test_a_part_of_what_was_trained_is_kept(model, cases, monkeypatch):
    given = [redrawn(model, cases[0], 0.5)]
    weak = LORA.fit(model, given, "ct+pet", 0)
    monkeypatch.setattr(keeping, "PER_MISS", math.inf)
    whole, part = LORA.fit(model, given, "ct+pet", 0), weak.card.training["strength"]
    assert 0.1 < part < 0.9 and whole.card.training["strength"] == 1
    for name, tensor in whole.tensors.items():
        torch.testing.assert_close(weak.tensors[name], part * tensor if name.endswith(".b") else tensor, rtol=1e-3, atol=0)


def test_a_loss_that_is_not_finite_is_shown_but_no_number_for_programs(model, cases, monkeypatch):
    told = []
    monkeypatch.setattr(fewshot, "optimise", lambda *given: given[-1](1, float("nan")) or 0.0)
    LORA.fit(model, cases[:1], "ct+pet", 0, lambda _, words: told.append(words))
    assert told[-1] == "step 1 of 8, loss nan" and reached(told[-1]) == Reached(step=1)


@pytest.mark.parametrize("stop", [1, 5, 8])
def test_a_run_that_was_stopped_goes_on_exactly(model, cases, fitted, tmp_path, monkeypatch, stop):
    monkeypatch.setattr(resuming, "CHECKPOINT_SECONDS", 0.0)
    seen = []

    def progress(fraction, words):
        seen.append(words)
        if f"step {stop} of 8" in words and len([w for w in seen if "loss" in w]) == stop:
            raise Cancelled

    how = replace(LORA, work=tmp_path)
    with pytest.raises(Cancelled):
        how.fit(model, cases, "ct+pet", 0, progress)
    (folder,) = tmp_path.iterdir()
    assert [f.name for f in folder.iterdir()] == ["unfinished.safetensors"]
    made = how.fit(model, cases, "ct+pet", 0, progress)
    assert same(made, fitted) and len([w for w in seen if "loss" in w]) == max(8, stop)
    assert same(load(folder, model.identity), fitted) and not (folder / "unfinished.safetensors").exists()
    assert same(how.fit(model, cases, "ct+pet", 0, lambda f, words: pytest.fail(words) if "loss" in words else 0), fitted)
    assert how.key(model, cases, "ct+pet", 1) != how.key(model, cases, "ct+pet", 0) != how.key(model, cases[1:], "ct+pet", 0)


def test_what_was_kept_of_a_run_and_is_damaged_is_trained_anew(model, cases, fitted, tmp_path):
    """A disk that was full, a copy that broke off: nobody finds the hidden folder to delete it."""
    how = replace(LORA, work=tmp_path)
    how.fit(model, cases, "ct+pet", 0)
    (weights,) = tmp_path.rglob("adapter.safetensors")
    weights.write_bytes(weights.read_bytes()[:-8])
    assert same(how.fit(model, cases, "ct+pet", 0), fitted)
    (weights.parent / "adapter.json").write_text("{")
    assert same(how.fit(model, cases, "ct+pet", 0), fitted) and same(load(weights.parent, model.identity), fitted)


def test_a_gpu_that_is_too_small_is_told_in_a_sentence(model, tmp_path):
    def train(checkpoint):
        raise torch.OutOfMemoryError

    with pytest.raises(PemmaError, match="gpu-memory"):
        resuming.resumed(tmp_path, "key", model.identity, train)


def test_a_run_of_another_version_of_the_library_is_another_run(monkeypatch):
    now = resuming.key_of({"seed": 1})
    monkeypatch.setattr(resuming, "__version__", "another")
    assert resuming.key_of({"seed": 1}) != now


@pytest.mark.parametrize("inputs", ["ct", "pet"])
def test_one_image_is_enough(model, inputs):
    other = {"ct": "pet", "pet": "ct"}[inputs]
    made = replace(LORA, steps=2).fit(model, [hospital.case(0, without=other)] if inputs == "ct" else [hospital.case(0)], inputs)
    assert made.card.inputs == inputs
    assert (inputs == "ct") == all(name.startswith("base.") for name in made.card.targets)


def test_cases_that_cannot_be_trained_on_are_refused_with_a_reason(model):
    case = hospital.case(1)
    empty, speck = replace(case, label=case.label * 0), replace(case, label=_speck(case.label))
    assert array(speck.label).sum() == 1
    for cases, code in (([], "adapt-cases"), ([hospital.case(0, without="pet")], "adapt-inputs"), ([empty], "adapt-label"),
                        ([speck], "adapt-label")):
        with pytest.raises(PemmaError) as refused:
            LORA.fit(model, cases, "ct+pet")
        assert refused.value.code == code and refused.value.way_out
        assert not cases or "`pemma-segment cases export`" in refused.value.way_out  # of a library all cases are taken


@pytest.mark.parametrize("how", [LORA, WholeParameters(steps=2, device="cpu")])
def test_a_model_without_a_threshold_for_the_inputs_is_refused_before_the_training(model, cases, how):
    silent = replace(model, card=replace(model.card, threshold={"ct": 0.5}))
    with pytest.raises(PemmaError, match="no threshold for ct.pet.*--inputs.*threshold"):
        how.fit(silent, cases, "ct+pet")


def _speck(like: sitk.Image) -> sitk.Image:
    """A contour of one voxel of 2 mm, which no voxel of the network's is half filled by."""
    grid = sitk.Expand(like, [3, 3, 3]) * 0
    grid[4, 4, 4] = 1
    return grid


def test_a_stopped_run_on_other_suvs_is_another_run(model, cases):
    """Typed in anew, the weight changes every SUV of a DICOM study, but none of its UIDs."""
    heavier = [replace(case, study=replace(case.study, pet=case.study.pet * 1.14)) for case in cases]
    assert LORA.key(model, heavier, "ct+pet", 0) != LORA.key(model, cases, "ct+pet", 0)


def test_a_training_that_broke_is_not_gone_on_with(model, cases, tmp_path, monkeypatch):
    monkeypatch.setattr(resuming, "CHECKPOINT_SECONDS", 0.0)
    broken = replace(fewshot.RECIPE, rate=1e30)
    with monkeypatch.context() as patched:
        patched.setattr(fewshot, "RECIPE", broken)
        with pytest.raises(PemmaError, match="adapter-not-finite"):
            replace(LORA, work=tmp_path, steps=2).fit(model, cases, "ct+pet", 0)
    assert not [f for f in tmp_path.rglob("*") if f.is_file()]


def test_minutes_become_steps_once(model, cases, tmp_path, monkeypatch):
    monkeypatch.setattr(fewshot, "step_seconds", lambda *_: 0.5)
    how = replace(LORA, work=tmp_path)
    assert steps_in(how, 0.5, model, cases, "ct+pet").steps == 60
    monkeypatch.setattr(fewshot, "step_seconds", lambda *_: 5.0)
    assert steps_in(how, 0.5, model, cases, "ct+pet").steps == 60  # a run that goes on is the same run
    assert steps_in(how, 0.1, model, cases, "ct+pet").steps == 10
    assert steps_in(replace(how, method=method("salt")), 0.5, model, cases, "ct+pet").steps == 10  # that is another run
    monkeypatch.setattr(fewshot, "choose_device", lambda device: SimpleNamespace(device=torch.device("cuda")))  # none here
    on_gpu = replace(how, device="cuda")
    assert steps_in(on_gpu, 0.5, model, cases, "ct+pet").steps == 10  # it does others in that time


def test_where_the_gpus_memory_is_short_it_is_spared_for_all_but_the_same_adapter(model, cases, fitted, monkeypatch):
    """A GPU's memory can't be had here: the first training is told that it is short, as torch would tell it."""
    real, ways = fewshot.optimise, []

    def short(net, *rest, **more):
        ways.append(net.sparing)
        if not net.sparing:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(net, *rest, **more)

    monkeypatch.setattr(fewshot, "optimise", short)
    made = LORA.fit(model, cases, "ct+pet", 0)
    assert ways == [False, True] and made.card.training["gradient_checkpointing"]
    assert not fitted.card.training["gradient_checkpointing"]
    assert all(torch.allclose(t, fitted.tensors[name], atol=1e-4) for name, t in made.tensors.items())


def test_a_contour_beside_the_image_that_is_used_is_refused(model, cases):
    short = sitk.RegionOfInterest(cases[0].study.pet, (2, 12, 12), (10, 0, 0))  # the ball is not on it
    beside = replace(cases[0], study=replace(cases[0].study, pet=short))
    check_case(beside, "ct", model)
    with pytest.raises(PemmaError) as refused:
        check_case(beside, "pet", model)
    assert refused.value.code == "adapt-label" and "on the PET" in refused.value.sentence

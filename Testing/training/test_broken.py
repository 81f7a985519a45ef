"""A training whose numbers are not finite any more: a single step is passed over, a dead model never delivered."""

import itertools
import json

import pytest
from safetensors import safe_open
from safetensors.torch import load_file

from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.network.files import load_model
from PEMMASegmentLib.training import train
from PEMMASegmentLib.training.loop import loss_function

from .tiny import write_config


@pytest.fixture
def poison(monkeypatch):
    """poison(steps): a loss that is not a number at these steps, counted from 0 over all stages that follow."""
    real = loss_function()

    def at(*steps):
        count = itertools.count()
        monkeypatch.setattr("PEMMASegmentLib.training.loop.loss_function", lambda: lambda logits, label: (
            real(logits, label) * (float("nan") if next(count) in steps else 1.0)))
    return at


def test_a_step_that_is_not_finite_is_passed_over_and_counted(data, tmp_path, poison):
    poison(2, 5)
    out = train(write_config(tmp_path, steps=(4, 3)), data, tmp_path / "out")
    assert all(t.isfinite().all() for t in load_file(out / "model.safetensors").values())
    log = [json.loads(line) for line in (tmp_path / "out/log.jsonl").read_text().splitlines()]
    assert [record["skipped"] for record in log] == [1, 1] and all(0 < record["loss"] < 3 for record in log)


@pytest.mark.parametrize("steps", [range(3, 20), range(19, 20)])
def test_a_training_that_has_broken_is_refused_and_its_last_checkpoint_goes_on(data, tmp_path, poison, monkeypatch, steps):
    monkeypatch.setattr("PEMMASegmentLib.training.loop._CHECKPOINT_SECONDS", 0.0)
    config = write_config(tmp_path, steps=(20, 1))
    poison(*steps)
    with pytest.raises(PemmaError, match="not finite") as refused:
        train(config, data, tmp_path / "out")
    assert refused.value.code == "not-finite" and not (tmp_path / "out/model").exists()
    with safe_open(tmp_path / "out/stage-0-ct.safetensors", "pt") as kept:
        assert kept.metadata()["step"] == str(steps[0])
    poison()
    load_model(train(config, data, tmp_path / "out"))


def test_no_model_is_delivered_whose_numbers_are_too_large_for_float16(data, tmp_path):
    with pytest.raises(PemmaError, match="not-finite"):
        train(write_config(tmp_path, stages=[{"name": "ct", "steps": 1, "rate": 1e30}]), data, tmp_path / "out")
    assert not (tmp_path / "out/model").exists()

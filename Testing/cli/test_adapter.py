"""`--adapter`: its effect, its name in the result, off with other inputs, refused on another model."""

import json

import pytest
import torch

from PEMMASegmentLib import adapters
from PEMMASegmentLib.cli import main
from PEMMASegmentLib.network.architecture import Architecture, Preprocessing
from PEMMASegmentLib.network.files import Label, ModelCard, Region, load_model, save_model
from PEMMASegmentLib.network.pemma import Pemma

TINY = Architecture((16, 16, 16), 8, 16, 1, 2, 32, 8, embedding="stem", taps=(), modalities=("pet",), rank=2)


@pytest.fixture
def places(tmp_path):
    """Model, another model, and an adapter of the first for CT+PET that changes much."""
    for seed, name in enumerate(("model", "other")):
        torch.manual_seed(seed)
        card = ModelCard(name, "1", TINY, Preprocessing(spacing_mm=(12.0, 12.0, 12.0)),
                         (Label(1, "Neoplasm", "49755003", "108369006"),), Region("a test", 300.0),
                         {"ct": 0.5, "pet": 0.5, "ct+pet": 0.5})
        save_model(tmp_path / name, Pemma(TINY), card, "")
    model = load_model(tmp_path / "model")
    example = {name: torch.zeros(1, 1, 16, 16, 16) for name in ("ct", "pet")}
    names = adapters.choose(model.net, "all", example)
    how = adapters.method("lora")
    adapters.attach(model.net, how, names, seed=0)
    with torch.no_grad():
        for parameter in adapters.trained(model.net).values():
            parameter.add_(torch.randn_like(parameter))
    card = adapters.AdapterCard("site", "1", how, "all", tuple(names), model.identity, "ct+pet")
    adapters.save(tmp_path / "adapter", adapters.collect(model.net), card)
    return tmp_path


def segmented(places, shared, *options) -> dict:
    out = places / "out"
    study = str(shared / "data/sts/STS_008")
    assert main(["segment", study, "--out", str(out), "--model", str(places / "model"), "--quiet", *options]) == 0
    return json.loads((out / "result.json").read_text("utf-8"))


def test_an_adapter_changes_the_result_and_is_named_in_it(places, shared, capsys):
    plain = segmented(places, shared)
    adapted = segmented(places, shared, "--adapter", str(places / "adapter"))
    assert plain["adapter"] is None and adapted["adapter"]["name"] == "site"
    assert plain["totals"] != adapted["totals"]
    assert "adapter-not-accepted" in {warning["code"] for warning in adapted["warnings"]}
    assert "nothing was proved of the adapter" in capsys.readouterr().err


def test_with_other_inputs_it_is_off_and_the_result_says_so(places, shared):
    plain = segmented(places, shared, "--inputs", "ct")
    adapted = segmented(places, shared, "--inputs", "ct", "--adapter", str(places / "adapter"))
    assert adapted["adapter"] is None and plain["totals"] == adapted["totals"]
    assert "adapter-off" in {warning["code"] for warning in adapted["warnings"]}


def test_an_adapter_of_another_model_or_none_at_all_is_refused(places, shared, capsys):
    study = str(shared / "data/sts/STS_008")
    command = ["segment", study, "--out", str(places / "out"), "--quiet", "--adapter"]
    assert main([*command, str(places / "adapter"), "--model", str(places / "other")]) == 1
    assert "[adapter-base]" in capsys.readouterr().err
    assert main([*command, str(places / "nothing"), "--model", str(places / "model")]) == 1
    assert "[adapter-missing]" in capsys.readouterr().err

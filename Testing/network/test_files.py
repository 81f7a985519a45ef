"""Model folders: written, read back, and refused with a reason when they do not fit."""

import json
import shutil
from dataclasses import asdict, fields

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.core.files import sha256_of
from PEMMASegmentLib.network.architecture import Architecture, Preprocessing
from PEMMASegmentLib.network.files import Label, ModelCard, Region, check, find_model, load_model, save_model
from PEMMASegmentLib.network.library import take_in
from PEMMASegmentLib.network.pemma import Pemma

TINY = Architecture((16, 16, 16), 8, 32, 2, 4, 64, 16, embedding="stem", taps=(), modalities=("pet",))
LABEL = {"value": 1, "name": "Neoplasm", "category_code": "49755003", "type_code": "108369006"}


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    card = ModelCard("tiny", "1", TINY, Preprocessing(), (Label(**LABEL),),
                     Region("a test", 300.0), {"ct": 0.5, "pet": 0.4, "ct+pet": 0.45})
    save_model(tmp_path / "tiny", Pemma(TINY), card, "# tiny\n", torch.float16)
    return tmp_path / "tiny"


def rewrite(folder, **changes):
    raw = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(raw | changes))


def test_a_model_comes_back_as_it_was_saved(folder):
    model = load_model(folder)
    assert model.card.architecture == TINY and model.card.threshold["pet"] == 0.4
    assert model.identity.sha256 == check(folder).sha256
    assert all(p.dtype == torch.float32 and not p.requires_grad for p in model.net.parameters())
    saved = load_file(str(folder / "model.safetensors"))
    assert all(torch.equal(t.float(), model.net.state_dict()[name]) for name, t in saved.items())


@pytest.mark.parametrize(
    "change, code",
    [
        ({"schema": 99}, "model-schema"),
        ({"sha256": "0" * 64}, "model-hash"),
        ({"threshold": {"ct": 1.5}}, "model-damaged"),
        ({"architecture": {"patch": 7}}, "model-damaged"),
        ({"architecture": {"secret": 1}}, "model-damaged"),
        ({"architecture": asdict(TINY) | {"classes": 3}}, "model-damaged"),
        ({"labels": 3}, "model-damaged"),
        ({"labels": [LABEL | {"type_code": "372087000"}]}, "model-damaged"),
        ({"labels": [LABEL | {"category_code": "91723000"}]}, "model-damaged"),
        ({"preprocessing": {"spacing_mm": [0, 1, 1]}}, "model-damaged"),
        ({"region": {"words": "a test", "longest_mm": "300"}}, "model-damaged"),
        ({"region": {"words": "a test", "longest_mm": None}}, "model-damaged"),
        ({"region": {"words": None, "longest_mm": 300.0}}, "model-damaged"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(folder, change, code):
    rewrite(folder, **change)
    with pytest.raises(PemmaError) as refusal:
        load_model(folder)
    assert refusal.value.code == code


@pytest.mark.parametrize("damage", ["nan", "missing", "extra", "shape", "truncated", "no safetensors"])
def test_weights_that_do_not_fit_are_neither_loaded_nor_imported(folder, damage, monkeypatch, tmp_path):
    monkeypatch.setenv("PEMMA_SEGMENT_HOME", str(tmp_path / "home"))
    file = folder / "model.safetensors"
    tensors = load_file(str(file))
    name = next(iter(tensors))
    if damage == "nan":
        tensors[name] = tensors[name] * float("nan")
    elif damage == "missing":
        del tensors[name]
    elif damage == "extra":
        tensors["extra"] = torch.zeros(1)
    elif damage == "shape":
        tensors[name] = torch.zeros(3)
    save_file(tensors, str(file))
    if damage == "truncated":
        file.write_bytes(file.read_bytes()[:-100])
    elif damage == "no safetensors":
        file.write_bytes(b"hello")
    if damage != "truncated":
        rewrite(folder, sha256=sha256_of(file))
    for use in (load_model, take_in):
        with pytest.raises(PemmaError) as refusal:
            use(folder)
        assert refusal.value.code == {"truncated": "model-hash", "no safetensors": "model-damaged"}.get(damage, "model-weights")
        assert "whoever made it" in refusal.value.way_out
    assert not (tmp_path / "home").exists()


ODD = st.none() | st.booleans() | st.integers(-2, 40) | st.floats(-2, 40) | st.text(max_size=3) | st.sampled_from(
    ["ct", "pet", "keys", "a.b", "patch", "tanh", "out", "decoder2"])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from([field.name for field in fields(Architecture)]), value=ODD | st.lists(ODD, max_size=3))
@example("modalities", ["pet", "pet"])
@example("modalities", ["keys"])
@example("modalities", "pet")
def test_no_card_gives_anything_but_a_network_or_a_reason(folder, name, value):
    rewrite(folder, architecture=asdict(TINY) | {name: value})
    try:
        net = load_model(folder).net
    except PemmaError as refused:
        assert refused.code in ("model-damaged", "model-weights")
    else:
        net({modality: torch.zeros(1, 1, *net.architecture.window) for modality in ("ct", "pet")})


def test_a_name_that_is_an_installed_model_and_another_folder_is_refused(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("PEMMA_SEGMENT_HOME", str(tmp_path / "home"))
    own = shutil.copytree(folder, tmp_path / "home/models/tiny")
    monkeypatch.chdir(tmp_path)
    assert find_model("tiny").samefile(own)  # the folder is the same model
    rewrite(folder, threshold={"ct": 0.6})
    with pytest.raises(PemmaError, match=r"\./tiny.*\[model-ambiguous"):
        find_model("tiny")
    assert find_model("./tiny").samefile(folder)
    monkeypatch.chdir(own.parent)
    assert find_model("tiny").samefile(own)


def test_unreadable_json_and_unknown_names_are_refused(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("PEMMA_SEGMENT_HOME", str(tmp_path))
    (folder / "model.json").write_text("{")
    with pytest.raises(PemmaError, match="can't be read"):
        check(folder)
    with pytest.raises(PemmaError, match="no model is called"):
        find_model("nobody")

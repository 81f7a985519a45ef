"""Adapter folders: written once, read back to the same answers, and refused with a reason when they do not fit."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from PEMMASegmentLib.adapters import (
    METHODS,
    Adapter,
    AdapterCard,
    choose,
    collect,
    load,
    method,
    read_card,
    save,
    share,
    trained,
    write_card,
)
from PEMMASegmentLib.core import Identity, PemmaError
from PEMMASegmentLib.core.files import sha256_of

from .nets import move, put, same_bits, tiny

BASE = Identity("tiny", "1", "b" * 64)


def card_for(net, name: str, targets) -> AdapterCard:
    ranks = {what: {"rank": 2, "top": 3}[what] for what in METHODS[name]}
    return AdapterCard("site", "1", method(name, **ranks), "all", targets, BASE, "ct+pet",
                       trained_parameters=sum(p.numel() for p in trained(net).values()), trained_share=share(net),
                       training={"cases": 5, "seed": 0})


def saved(folder, name: str = "salt"):
    """An adapter folder, and the answer of the network that it was collected from."""
    net, image = tiny()
    card = card_for(net, name, put(net, name, "all,-unused"))
    move(net)
    save(folder, collect(net), card)
    return net(image)


@pytest.fixture
def folder(tmp_path):
    saved(tmp_path / "site")
    return tmp_path / "site"


def rewrite(folder, **changes):
    raw = json.loads((folder / "adapter.json").read_text())
    (folder / "adapter.json").write_text(json.dumps(raw | changes))


@pytest.mark.parametrize("name", METHODS)
def test_saved_and_loaded_it_gives_the_same_answer_and_the_base_keeps_its_bits(tmp_path, name):
    answer = saved(tmp_path / "site", name)
    net, image = tiny()
    base = net(image)
    adapter = load(tmp_path / "site", BASE)
    merged = adapter.merged(net)
    assert torch.allclose(merged(image), answer, rtol=0, atol=1e-5)
    assert same_bits(net(image), base) and not any(p.requires_grad for p in merged.parameters())
    adapter.attach(net)
    assert same_bits(net(image), answer) and all(p.requires_grad for p in trained(net).values())
    assert all(same_bits(t.float(), adapter.tensors[n].float()) for n, t in collect(net).items())


def test_the_card_comes_back_and_the_proof_can_follow(folder):
    card = read_card(folder)
    assert card.method == method("salt", rank=2, top=3) and card.base == BASE and card.verdict == ""
    assert "attn.qkv.k" in card.targets and card.library and 0 < card.trained_share < 1
    write_card(folder, replace(card, verdict="accepted", scores={"mean_gain": 0.04}))
    assert read_card(folder).verdict == "accepted"
    assert load(folder, BASE).identity == Identity("site", "1", sha256_of(folder / "adapter.safetensors"))


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux tells which files are mapped")
def test_an_adapter_in_use_leaves_its_file_free(folder):
    """Windows could neither replace nor remove a file that is still mapped."""
    adapter = load(folder, BASE)
    assert str(folder / "adapter.safetensors") not in Path("/proc/self/maps").read_text() and adapter.tensors


def test_no_adapter_is_written_over(folder):
    before = sha256_of(folder / "adapter.json")
    with pytest.raises(PemmaError) as refusal:
        saved(folder)
    assert refusal.value.code == "adapter-exists" and sha256_of(folder / "adapter.json") == before


def test_a_run_killed_between_the_files_leaves_no_adapter(tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("PEMMASegmentLib.adapters.files.write_card", killed)
        saved(tmp_path / "site")
    with pytest.raises(PemmaError, match="no adapter.json"):
        load(tmp_path / "site", BASE)
    saved(tmp_path / "site")  # the next run may use the folder
    load(tmp_path / "site", BASE)


def test_another_base_is_refused(folder):
    with pytest.raises(PemmaError) as refusal:
        load(folder, Identity("tiny", "2", "c" * 64))
    assert refusal.value.code == "adapter-base" and "tiny 1" in str(refusal.value)


@pytest.mark.parametrize(
    "change, code",
    [
        ({"schema": 99}, "adapter-schema"),
        ({"schema": "1"}, "adapter-schema"),
        ({"sha256": "0" * 64}, "adapter-hash"),
        ({"method": {"name": "salt", "rank": 0, "top": 3, "alpha": 4.0}}, "adapter-rank"),
        ({"method": {"name": "salt", "rank": 2, "top": 3, "alpha": 0}}, "adapter-rank"),
        ({"method": {"name": "pissa", "rank": 2, "top": 3, "alpha": 4.0}}, "adapter-method"),
        ({"method": {"name": "salt", "rank": "2", "top": 3, "alpha": 4.0}}, "adapter-damaged"),
        ({"inputs": "mr"}, "adapter-damaged"),
        ({"targets": []}, "adapter-damaged"),
        ({"targets": 3}, "adapter-damaged"),
        ({"targets": ["nothing"]}, "adapter-names"),
        ({"base": "tiny"}, "adapter-damaged"),
        ({"secret": 1}, "adapter-damaged"),
        ({"name": 5}, "adapter-damaged"),
        ({"origin": []}, "adapter-damaged"),
        ({"origin": {"manufacturer": 5}}, "adapter-damaged"),
        ({"origin": {"pet_voxels_mm": [7]}}, "adapter-damaged"),
        ({"training": None}, "adapter-damaged"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(folder, change, code):
    rewrite(folder, **change)
    with pytest.raises(PemmaError) as refusal:
        load(folder, BASE)
    assert refusal.value.code == code


@pytest.mark.parametrize(
    "damage, code",
    [
        ("nan", "adapter-not-finite"),
        ("missing", "adapter-names"),
        ("extra", "adapter-names"),
        ("shape", "adapter-names"),
        ("precision", "adapter-names"),
        ("truncated", "adapter-damaged"),
        ("gone", "adapter-damaged"),
    ],
)
def test_weights_that_do_not_fit_are_refused(folder, damage, code):
    file = folder / "adapter.safetensors"
    tensors = load_file(str(file))
    if damage == "nan":
        tensors["up.shift"][0] = float("nan")
    elif damage == "missing":
        del tensors["up.shift"]
    elif damage == "extra":
        tensors["up.secret"] = torch.zeros(1)
    elif damage == "shape":
        tensors["up.a"] = torch.zeros(1, 16)
    elif damage == "precision":
        tensors["up.u"] = tensors["up.u"].float()
    save_file(tensors, str(file))
    if damage == "truncated":
        file.write_bytes(file.read_bytes()[:-100])
    rewrite(folder, sha256=sha256_of(file))
    if damage == "gone":
        file.unlink()
    with pytest.raises(PemmaError) as refusal:
        load(folder, BASE).merged(tiny()[0])
    assert refusal.value.code == code


@pytest.mark.parametrize("other", ["names", "shapes", "rank"])
def test_a_network_that_does_not_fit_is_refused_and_left_alone(folder, other):
    adapter, (net, _) = load(folder, BASE), tiny()
    if other == "names":
        net.above, net.up = net.up, nn.Identity()
    elif other == "shapes":
        net.up = nn.ConvTranspose3d(16, 4, 2, stride=2)
    else:
        adapter = Adapter(replace(adapter.card, method=method("salt", rank=2, top=4)), adapter.tensors)
    with pytest.raises(PemmaError) as refusal:
        adapter.attach(net)
    assert refusal.value.code == "adapter-names" and not trained(net)


def test_an_adapter_that_broke_in_training_is_not_written(tmp_path):
    net, _ = tiny()
    card = card_for(net, "lora", put(net, "lora"))
    with torch.no_grad():
        trained(net)["up.b"][0, 0] = float("inf")
    with pytest.raises(PemmaError) as refusal:
        save(tmp_path / "site", collect(net), card)
    assert refusal.value.code == "adapter-not-finite" and not (tmp_path / "site").exists()


def test_a_card_must_name_what_was_trained(tmp_path):
    net, _ = tiny()
    card = card_for(net, "lora", put(net, "lora"))
    with pytest.raises(PemmaError) as refusal:
        save(tmp_path / "site", collect(net), replace(card, targets=choose(net, "qv")))
    assert refusal.value.code == "adapter-names"

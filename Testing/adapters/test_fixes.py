"""Adapters with more or less than an update of matrices: whole parameters, an intensity map, flips, two numbers."""

import json
from dataclasses import replace

import pytest
import torch

from PEMMASegmentLib.adapters import AdapterCard, collect, keep_merged, load, method, read_card, save
from PEMMASegmentLib.core import PemmaError

from .nets import move, put, same_bits, tiny
from .test_files import BASE, card_for

FIX = AdapterCard("fix", "1", None, "", (), BASE, "ct+pet", threshold=0.6, min_volume_ml=2.0, flips=True,
                  intensity={"pet": [[0.0, 2.0, 1000.0], [0.0, 1.0, 500.0]]}, note="seen on two scanners")  # fmt: skip


def test_a_fix_without_weights_is_one_file_and_the_net_itself(tmp_path):
    save(tmp_path / "fix", {}, FIX)
    assert [path.name for path in (tmp_path / "fix").iterdir()] == ["adapter.json"]
    adapter, (net, _) = load(tmp_path / "fix", BASE), tiny()
    assert adapter.card == FIX and adapter.merged(net) is net
    other = replace(adapter, card=replace(FIX, threshold=0.61))
    assert len(adapter.identity.sha256) == 64 and adapter.identity.sha256 != other.identity.sha256
    assert replace(adapter, card=replace(FIX, note="")).identity == adapter.identity  # a note shapes no result


def test_no_smallest_volume_at_all_is_a_change_of_its_own(tmp_path):
    """0 ml is no default: with it specks of less than 0.5 ml are lesions."""
    plain = replace(FIX, threshold=None, flips=False, intensity=None, min_volume_ml=0.0)
    save(tmp_path / "plain", {}, plain)
    assert load(tmp_path / "plain", BASE).card.fixes == {"min_volume_ml": 0.0}
    for name, volume in (("none", 0.0), ("usual", None)):
        save(tmp_path / name, {}, replace(FIX, min_volume_ml=volume))
    none, usual = (load(tmp_path / name, BASE).identity.sha256 for name in ("none", "usual"))
    assert none != usual


def test_whole_parameters_beside_an_update_come_back_and_the_base_keeps_its_bits(tmp_path):
    net, image = tiny()
    targets = put(net, "salt", "attn")
    move(net)
    whole = {name: p.detach() + 1 for name, p in net.named_parameters() if name in ("norm.weight", "out.bias")}
    card = replace(card_for(net, "salt", targets), parameters=tuple(whole))
    save(tmp_path / "site", collect(net) | whole, card)
    net.load_state_dict(whole, strict=False)
    answer, (fresh, _) = net(image), tiny()
    base = fresh(image)
    adapter = load(tmp_path / "site", BASE)
    merged = adapter.merged(fresh)
    assert torch.allclose(merged(image), answer, rtol=0, atol=1e-5) and same_bits(fresh(image), base)
    kept = keep_merged(adapter, fresh)
    assert kept.merged(fresh) is kept.merged(fresh) and kept.identity == adapter.identity
    assert same_bits(kept.merged(fresh)(image), merged(image)) and kept.merged(tiny()[0]) is not kept.merged_net
    adapter.attach(fresh)
    trainable = {name for name, p in fresh.named_parameters() if p.requires_grad and "parametrizations" not in name}
    assert trainable == set(whole) and same_bits(fresh(image), answer)


def test_a_card_of_schema_1_is_still_read(tmp_path):
    net, _ = tiny()
    targets = put(net, "lora")
    save(tmp_path / "site", collect(net), card_for(net, "lora", targets))
    file = tmp_path / "site" / "adapter.json"
    raw = json.loads(file.read_text())
    new = {"parameters", "flips", "threshold", "min_volume_ml", "note"}
    file.write_text(json.dumps({key: value for key, value in raw.items() if key not in new} | {"schema": 1}))
    card = read_card(tmp_path / "site")
    assert card.targets == targets and not card.fixes and card.parameters == ()
    load(tmp_path / "site", BASE)


@pytest.mark.parametrize(
    "change",
    [
        {"flips": 1}, {"threshold": 0.0}, {"threshold": "0.5"}, {"min_volume_ml": -1.0}, {"secret": 1}, {"inputs": "ct"},
        {"intensity": {"pet": [[0.0, 0.0], [0.0, 1.0]]}}, {"intensity": {"pet": [[0.0, 1.0], [1.0, 0.0]]}},
        {"intensity": {"pet": [[0.0, 1.0], [1.0]]}}, {"intensity": {"mr": [[0.0, 1.0], [0.0, 1.0]]}},
        {"intensity": {"pet": 3}}, {"intensity": {"pet": [[0.0, "1"], [0.0, 1.0]]}}, {"targets": ["out"]},
        {"threshold": None, "min_volume_ml": None, "flips": False, "intensity": None}, {"intensity": [1, 2]},
    ],
)  # fmt: skip
def test_a_fix_that_makes_no_sense_is_refused(tmp_path, change):
    save(tmp_path / "fix", {}, FIX)
    file = tmp_path / "fix" / "adapter.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(PemmaError) as refusal:
        load(tmp_path / "fix", BASE)
    assert refusal.value.code == "adapter-damaged"


def test_weights_that_the_card_does_not_name_are_refused(tmp_path):
    save(tmp_path / "fix", {}, FIX)
    (tmp_path / "fix" / "adapter.safetensors").write_bytes(b"")
    with pytest.raises(PemmaError, match="adapter.json does not name"):
        load(tmp_path / "fix", BASE)


def test_a_parameter_is_not_named_as_a_target_too():
    with pytest.raises(ValueError, match="target too"):
        AdapterCard("a", "1", method("lora"), "all", ("attn.qkv.q",), BASE, "ct", parameters=("attn.qkv.weight",))

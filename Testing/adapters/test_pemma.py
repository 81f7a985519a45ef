"""Adapters on PEMMA: beside its own LoRA, with CT alone untouched on demand, small enough for the two real networks."""

import json
from pathlib import Path

import pytest
import torch

from PEMMASegmentLib.adapters import METHODS, Adapter, AdapterCard, attach, choose, collect, find, method, share
from PEMMASegmentLib.adapters.files import shapes
from PEMMASegmentLib.core import Identity
from PEMMASegmentLib.network.architecture import Architecture
from PEMMASegmentLib.network.pemma import Pemma, added_parameters

from .nets import move, put, same_bits

STARTER = Path(__file__).resolve().parents[2] / "PEMMASegment" / "Resources" / "Models" / "sts-starter" / "train.json"
SMALL = Architecture((16, 16, 16), 8, 32, 2, 4, 64, 8, embedding="stem", taps=(), modalities=("pet",), rank=2,
                     fused_decoder=("decoder2", "out"))
REFERENCE = Architecture(modalities=("pet",), fused_decoder=("decoder2", "decoder3", "out"))


def starter() -> Architecture:
    raw = json.loads(STARTER.read_text(encoding="utf-8"))["architecture"]
    return Architecture(**{name: tuple(v) if isinstance(v, list) else v for name, v in raw.items()})


def images(architecture: Architecture) -> dict[str, torch.Tensor]:
    return {name: torch.rand(1, 1, *architecture.window) for name in ("ct", "pet")}


@pytest.fixture
def net():
    """As after training: nothing of PEMMA's own is zero any more."""
    torch.manual_seed(0)
    net = Pemma(SMALL).eval()
    with torch.no_grad():
        for parameter in added_parameters(net).values():
            parameter.add_(0.05 * torch.rand_like(parameter))
    return net.requires_grad_(False)


@pytest.mark.parametrize("name", METHODS)
def test_with_its_own_lora_merged_equals_parametrized(net, name):
    both = images(SMALL)
    base, ct = net(both), net({"ct": both["ct"]})
    targets = put(net, name, "all", example=both)
    assert same_bits(net(both), base)
    move(net)
    answer, tensors = net(both), collect(net)
    fresh = Pemma(SMALL).eval()
    torch.manual_seed(0)
    assert not [n for n in tensors if ".lora." in n]
    ranks = {what: {"rank": 2, "top": 3}[what] for what in METHODS[name]}
    adapter = Adapter(AdapterCard("site", "1", method(name, **ranks), "all", targets, Identity("b", "1", ""), "ct+pet"),
                      tensors)
    plain = {n.replace("parametrizations.weight.original", "weight"): t for n, t in net.state_dict().items()}
    fresh.load_state_dict({n: t for n, t in plain.items() if "parametrizations" not in n})
    assert same_bits(fresh(both), base)
    merged = adapter.merged(fresh)
    assert torch.allclose(merged(both), answer, rtol=0, atol=1e-5) and not torch.allclose(answer, base, atol=1e-3)
    assert same_bits(fresh(both), base) and same_bits(fresh({"ct": both["ct"]}), ct)


def test_the_default_is_the_path_with_a_pet_and_ct_alone_can_be_spared(net):
    both = images(SMALL)
    targets = choose(net, "all", both)
    left_out = {".".join(name.split(".")[:2]) for name in set(choose(net)) - set(targets)}
    assert left_out == {"base.decoder2", "base.out"}  # of these the path with a PET has its own copies
    assert {name.split(".")[0] for name in targets} == {"base", "added", "fused"}
    ct = net({"ct": both["ct"]})
    base = net(both)
    put(net, "salt", "all,-base.*", example=both)
    move(net)
    assert same_bits(net({"ct": both["ct"]}), ct) and not torch.equal(net(both), base)


def test_for_ct_alone_nothing_of_the_pet_is_chosen(net):
    assert {name.split(".")[0] for name in choose(net, "all", {"ct": images(SMALL)["ct"]})} == {"base"}


@pytest.mark.parametrize("which, megabytes", [("starter", 6), ("reference", 25)])
def test_default_salt_on_all_weights_is_small_enough(which, megabytes):
    """From the shapes alone; 200 bytes a tensor are more than a safetensors header takes."""
    architecture = starter() if which == "starter" else REFERENCE
    with torch.device("meta"):
        net = Pemma(architecture)
        targets = choose(net, "all", images(architecture))
    blocks = [find(net)[name] for name in targets]
    for name in METHODS:
        tensors = shapes(method(name), blocks)
        size = sum(t.numel() * t.element_size() + 200 for t in tensors.values())
        assert size < megabytes * 1e6, (name, size)
        count = sum(t.numel() for n, t in tensors.items() if n.rpartition(".")[2] not in ("u", "v", "sigma"))
        assert count <= 0.04 * sum(p.numel() for p in net.parameters()), (name, count)
    assert len(blocks) > 100 and {"base.decoder4.transp_conv.conv"} <= set(targets)


def test_the_share_counts_what_is_trained(net):
    attach(net, method("lora", rank=2), choose(net, "qv"))
    assert share(net) == 2 * 2 * 2 * 64 / sum(p.numel() for p in Pemma(SMALL).parameters())

"""What every method owes on every kind of weight: a no-op at first, off is the base, merged is the same, base untouched."""

import copy

import pytest
import torch
from torch import nn

from PEMMASegmentLib.adapters import (
    METHODS,
    Method,
    attach,
    choose,
    collect,
    find,
    method,
    off,
    parameter_groups,
    remove,
    share,
    trained,
    weakened,
)
from PEMMASegmentLib.adapters.attaching import fold
from PEMMASegmentLib.core import PemmaError

from .nets import move, put, same_bits, tiny

KINDS = {"linear": "attn.out_proj", "fused": "attn.qkv.*", "convolution": "fine", "strided": "down", "transposed": "up",
         "all": "all"}
every_method = pytest.mark.parametrize("name", METHODS)


@every_method
@pytest.mark.parametrize("kind", KINDS)
def test_a_fresh_adapter_changes_no_bit_and_a_moved_one_does(name, kind):
    net, image = tiny()
    base = net(image)
    put(net, name, KINDS[kind])
    assert same_bits(net(image), base)
    move(net)
    assert not torch.equal(net(image), base)
    with off(net):
        assert same_bits(net(image), base)
    assert not torch.equal(net(image), base)


@every_method
def test_taken_off_the_base_is_back(name):
    net, image = tiny()
    before, kind = {n: t.clone() for n, t in net.state_dict().items()}, type(net.up)
    put(net, name)
    move(net)
    remove(net)
    after = net.state_dict()
    assert set(after) == set(before) and type(net.up) is kind
    assert all(same_bits(after[n], before[n]) for n in before)
    put(net, name)  # and another adapter can follow


@every_method
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_merged_is_the_same_without_the_parametrization(name, layout):
    net, image = tiny()
    net, image = net.to(memory_format=layout), image.to(memory_format=layout)
    put(net, name)
    move(net)
    merged = copy.deepcopy(net)
    fold(merged)
    assert not [n for n, _ in merged.named_parameters() if "parametrizations" in n]
    assert all(same_bits(merged.get_submodule(n).weight, net.get_submodule(n).weight) for n in ("up", "fine", "attn.qkv"))
    assert torch.allclose(merged(image), net(image), rtol=0, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(merged(image), net(image), rtol=0, atol=1e-5)


@every_method
def test_weakened_the_weights_lie_between_the_base_and_the_trained_ones(name):
    net, _ = tiny()
    put(net, name)
    base = net.up.weight.detach().clone()
    move(net)
    full, tensors = net.up.weight.detach().clone(), collect(net)
    for part in (0.0, 0.75, 1.0):
        with torch.no_grad():
            for own, parameter in trained(net).items():
                parameter.copy_(weakened(tensors, part)[own])
        wanted = torch.lerp(base, full, part)
        slack = 0.5 * (full - base).abs().max() if name == "dora" and part == 0.75 else 1e-6
        assert torch.allclose(net.up.weight, wanted, rtol=0, atol=float(slack))


@every_method
def test_gradients_reach_the_adapter_only(name):
    net, image = tiny()
    put(net, name, "all,-unused")
    move(net)
    net(image).square().mean().backward()
    parameters = trained(net)
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in parameters.values())
    own = {id(p) for p in parameters.values()}
    others = [n for n, p in net.named_parameters() if id(p) not in own]
    assert len(others) == len(tiny()[0].state_dict())
    assert not [n for n, p in net.named_parameters() if id(p) not in own and (p.requires_grad or p.grad is not None)]


@every_method
def test_training_lowers_a_loss_from_the_first_steps(name):
    net, image = tiny()
    torch.manual_seed(5)
    aim = net(image).detach() + 0.3 * torch.randn(2, 2, 1, 1, 1)
    put(net, name, "all,-unused")
    optimizer = torch.optim.AdamW(parameter_groups(net, rate=1e-2))
    losses = []
    for _ in range(20):
        loss = (net(image) - aim).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


@every_method
def test_weight_decay_pulls_the_low_rank_part_and_no_scale(name):
    net, _ = tiny()
    put(net, name)
    move(net)
    groups = parameter_groups(net, rate=0.1, weight_decay=0.5)
    grouped = [id(p) for group in groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in trained(net).values())
    before = {n: p.detach().clone() for n, p in trained(net).items()}
    for p in trained(net).values():
        p.grad = torch.zeros_like(p)
    torch.optim.AdamW(groups).step()
    for n, p in trained(net).items():
        pulled = n.rpartition(".")[2] in ("a", "b")
        assert torch.allclose(p, before[n] * 0.95) if pulled else same_bits(p, before[n])


def test_the_same_seed_gives_the_same_adapter_and_another_seed_another():
    drawn = []
    for seed in (3, 3, 4):
        net, _ = tiny()
        put(net, "salt", seed=seed)
        drawn.append(collect(net)["down.a"])
    assert same_bits(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_counts_follow_the_formulas():
    for name, r, t in (("salt", 3, 4), ("lora", 3, 0), ("dora", 3, 0), ("svd", 0, 4)):
        net, _ = tiny()
        targets = choose(net, "attn+mlp")
        blocks = [find(net)[n] for n in targets]
        attach(net, method(name, rank=r, top=t), targets)
        expected = sum(2 * t + r * (b.rows + b.columns) + (b.rows if name == "dora" else 0) for b in blocks)
        assert sum(p.numel() for p in trained(net).values()) == expected
        assert share(net) == expected / sum(p.numel() for p in tiny()[0].parameters())


def test_ranks_are_capped_at_half_and_refused_where_no_weight_allows_them():
    net, _ = tiny()
    attach(net, method("salt", rank=5, top=8), choose(net))
    state = collect(net)
    assert len(state["down.sigma"]) == 8 and len(state["fine.sigma"]) == 4 and len(state["out.sigma"]) == 1
    for wrong in ({"rank": 9}, {"top": 9}, {"rank": 0}, {"rank": True}, {"alpha": float("nan")}):
        with pytest.raises(PemmaError, match="out of range"):
            attach(tiny()[0], method("salt", **wrong), choose(net))
    for wrong in (lambda: method("pissa"), lambda: Method("lora", 4, 3)):
        with pytest.raises(PemmaError):
            wrong()


def test_q_and_v_leave_k_alone():
    net, _ = tiny()
    base = net.attn.qkv.weight.detach().clone()
    put(net, "salt", "qv")
    move(net)
    q, k, v = (net.attn.qkv.weight == base).view(3, 16, 16)
    assert k.all() and not q.any() and not v.any()


def test_salt_keeps_its_low_rank_part_off_the_top_subspace():
    layer = nn.Sequential(nn.Linear(24, 16))
    attach(layer, method("salt", rank=3, top=5), ("0",))
    for n, p in trained(layer).items():
        if n.endswith((".a", ".b")):
            nn.init.normal_(p)
    update = layer[0].weight - layer[0].parametrizations.weight.original
    state = collect(layer)
    u, v = state["0.u"].float(), state["0.v"].float()
    assert update.norm() > 1
    assert (u.T @ update).norm() < 5e-3 * update.norm() and (update @ v).norm() < 5e-3 * update.norm()
    assert torch.linalg.matrix_rank(update, rtol=1e-4) == 3


def test_dora_sets_the_norm_of_each_row():
    layer = nn.Sequential(nn.Linear(24, 16))
    base = layer[0].weight.detach().norm(dim=1)
    attach(layer, method("dora"), ("0",))
    move(layer)
    expected = (1 + trained(layer)["0.magnitude"]) * base
    assert torch.allclose(layer[0].weight.norm(dim=1), expected.abs(), rtol=1e-5)


def test_a_weight_of_zeros_can_be_adapted():
    """PEMMA's gates start as zeros: no method may divide by their norm."""
    for name in METHODS:
        layer = nn.Sequential(nn.Conv3d(8, 8, 1, bias=False))
        nn.init.zeros_(layer[0].weight)
        attach(layer, method(name, **{what: 4 for what in METHODS[name]}), ("0",))
        assert not layer[0].weight.any()
        layer[0].weight.sum().backward()
        assert all(p.grad.isfinite().all() for p in trained(layer).values())


def test_a_second_adapter_on_top_is_a_bug():
    net, _ = tiny()
    put(net, "lora")
    with pytest.raises(ValueError, match="already"):
        put(net, "lora")

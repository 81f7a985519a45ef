"""PEMMA's promises: it starts as the CT network, is the CT network without PET, and contains the published method."""

import pytest
import torch

from PEMMASegmentLib.network.architecture import Architecture
from PEMMASegmentLib.network.pemma import (
    Pemma,
    _gated_attention,
    _heads,
    _joint_attention,
    added_parameters,
    clamp_gates,
    spare_memory,
)
from PEMMASegmentLib.network.unetr import Unetr

SMALL = {"window": (16, 16, 16), "patch": 8, "hidden": 32, "depth": 3, "heads": 4, "mlp": 64, "feature": 16}
STEM = Architecture(**SMALL, embedding="stem", taps=(), modalities=("pet",), fused_decoder=("decoder2", "out"))
DEEP_STEM = Architecture(**SMALL | {"patch": 16}, embedding="stem", taps=(1,), modalities=("pet",))
PATCH = Architecture(**SMALL, taps=(0, 1), modalities=("pet",))
THREE = Architecture(**SMALL, taps=(0, 1), modalities=("pet", "mr"))
TANH = Architecture(**SMALL, taps=(0, 1), modalities=("pet",), gate="tanh")
REFERENCE = Architecture(modalities=("pet",))


def images(a: Architecture, n: int = 2, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {m: torch.randn(n, 1, *a.window, generator=generator) for m in ("ct", *a.modalities)}


def made(a: Architecture, seed: int = 0) -> Pemma:
    torch.manual_seed(seed)
    return Pemma(a).eval()


def wild(a: Architecture) -> Pemma:
    """A network whose added parts are far from their start."""
    net = made(a)
    with torch.no_grad():
        for parameter in added_parameters(net).values():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    clamp_gates(net)
    return net


@pytest.mark.parametrize("a", [STEM, PATCH, THREE, TANH, REFERENCE], ids=["stem", "patch", "three", "tanh", "reference"])
def test_it_starts_as_the_ct_network_bit_for_bit_with_pet_present(a):
    net, x = made(a), images(a, n=1 if a is REFERENCE else 2)
    with torch.no_grad():
        alone = net.base(x["ct"])
        assert torch.equal(net(x), alone)
        assert torch.equal(net({"ct": x["ct"]}), alone)


@pytest.mark.parametrize("a", [STEM, DEEP_STEM, PATCH, THREE, TANH], ids=["stem", "deep-stem", "patch", "three", "tanh"])
def test_without_the_added_modality_it_is_the_ct_network_whatever_was_trained(a):
    net, x = wild(a), images(a)
    with torch.no_grad():
        assert torch.equal(net({"ct": x["ct"]}), net.base(x["ct"]))
        assert not torch.equal(net(x), net.base(x["ct"]))


def test_pet_alone_works_and_depends_on_pet_only():
    net, x = wild(STEM), images(STEM)
    with torch.no_grad():
        out, doubled = net({"pet": x["pet"]}), net({"pet": 2 * x["pet"]})
    assert out.shape == (2, 2, 16, 16, 16) and torch.isfinite(out).all() and not torch.allclose(out, doubled)


def test_at_gate_one_it_is_the_published_joint_softmax():
    net, x = made(PATCH), images(PATCH)
    with torch.no_grad():
        for gate in net.added["pet"].attention_gate:
            gate.fill_(1.0)
        net.added["pet"].vit.patch_embedding.weight.normal_(std=0.05)
        got = net(x)
        # the published way: append the tokens, let all attend to all, hand CT's to the decoder
        tokens = torch.cat([net.base.vit.patch_embedding(x["ct"]), net.added["pet"].embed(x["pet"], net.base)[0]], dim=1)
        states, count = [], tokens.size(1) // 2
        for block in net.base.vit.blocks:
            tokens = block(tokens)
            states.append(tokens[:, :count])
        from PEMMASegmentLib.network.unetr import decode, skips_of

        fine = [net.base.encoder1(x["ct"])]
        want = decode(net.base, net.base.vit.norm(states[-1]), skips_of(net.base, fine, states))
    torch.testing.assert_close(got, want, atol=2e-5, rtol=1e-4)


def test_a_tanh_gate_adds_so_much_of_the_attention_to_the_added_tokens_and_may_be_negative():
    net = made(TANH)
    attention = net.base.vit.blocks[0].attn
    ct, pet = (_heads(attention, tokens, []) for tokens in torch.randn(2, 2, 8, SMALL["hidden"]))
    gate = torch.linspace(-1.0, 0.5, SMALL["heads"])
    with torch.no_grad():
        got = _gated_attention(attention, {"ct": ct, "pet": pet}, {"pet": gate}, "tanh")
        want = _joint_attention(attention, ct, [ct]) + gate.tanh().view(1, -1, 1, 1) * _joint_attention(attention, ct, [pet])
        net.added["pet"].attention_gate[0].copy_(gate)
    torch.testing.assert_close(got, want)
    clamp_gates(net)
    assert torch.equal(net.added["pet"].attention_gate[0], gate)


def test_a_third_modality_with_closed_gates_leaves_ct_and_pet_as_they_are():
    two, three = wild(PATCH), made(THREE)
    state = {k: v for k, v in two.state_dict().items()}
    three.load_state_dict(three.state_dict() | state)
    x = images(THREE)
    with torch.no_grad():
        assert torch.equal(two({"ct": x["ct"], "pet": x["pet"]}), three({"ct": x["ct"], "pet": x["pet"]}))
        torch.testing.assert_close(three(x), two({"ct": x["ct"], "pet": x["pet"]}))


def test_after_two_steps_every_trained_parameter_has_had_a_gradient_and_gates_stay_at_zero_or_above():
    net, x = made(STEM).train(), images(STEM)
    net.base.requires_grad_(False)
    trained = added_parameters(net)
    optimizer, seen = torch.optim.AdamW(trained.values(), lr=1e-2), set()
    for inputs in (x, x, {"pet": x["pet"]}):
        optimizer.zero_grad()
        net(inputs).square().mean().backward()
        seen |= {n for n, p in trained.items() if p.grad is not None and p.grad.abs().sum() > 0}
        optimizer.step()
        clamp_gates(net)
    assert seen == set(trained)
    assert all((g >= 0).all() for g in net.added["pet"].attention_gate)
    assert all(p.grad is None for p in net.base.parameters())


@pytest.mark.parametrize("inputs", [{}, {"mr"}, {"ct", "t2"}])
def test_unknown_or_missing_inputs_are_named(inputs):
    net, x = made(PATCH), images(PATCH)
    with pytest.raises(ValueError, match="inputs"):
        net({name: x["ct"] for name in inputs})


def test_reference_configuration_loads_monais_unetr_and_gives_its_output():
    from monai.networks.nets import UNETR

    torch.manual_seed(1)
    theirs = UNETR(1, 2, (96, 96, 96), feature_size=16, norm_name="instance").eval()
    ours = Unetr(Architecture()).eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(1, 1, 96, 96, 96)
    with torch.no_grad():
        assert torch.equal(ours(x), theirs(x))


def test_counts_of_the_reference_configuration_are_the_published_ones():
    net = made(REFERENCE)
    assert sum(p.numel() for p in net.base.parameters()) == 92_802_274
    # projection 3,146,496 + encoder1 7,360 + LoRA 294,912 + attention gates 144 + modality 768 + skip gate 256
    assert sum(p.numel() for p in added_parameters(net).values()) == 3_449_936


@pytest.mark.parametrize(
    "bad", [{"patch": 12}, {"window": (20, 16, 16)}, {"taps": (0,)}, {"taps": (0, 9)}, {"heads": 5}, {"gate": "bias"},
            {"classes": 3}]
)
def test_an_impossible_architecture_is_refused(bad):
    with pytest.raises(ValueError):
        Architecture(**(SMALL | {"taps": (0, 1)} | bad))


@pytest.mark.parametrize("given", [("ct", "pet"), ("ct",), ("pet",)], ids="+".join)
def test_sparing_memory_gives_the_same_gradients_and_keeps_less(given):
    gradients, kept = [], []
    for sparing in (False, True):
        net, x, bytes_ = wild(STEM), images(STEM), []
        if sparing:
            spare_memory(net)
        with torch.autograd.graph.saved_tensors_hooks(lambda t, b=bytes_: b.append(t.nbytes) or t, lambda t: t):
            loss = net({name: x[name] for name in given}).square().mean()
            kept.append(sum(bytes_))
        loss.backward()
        gradients.append({name: p.grad for name, p in net.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys() and kept[1] < kept[0] / 2
    assert all(torch.equal(g, gradients[1][name]) for name, g in gradients[0].items())

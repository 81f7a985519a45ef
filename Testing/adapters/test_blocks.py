"""The matrices behind the weights, their factors, and the patterns that choose them."""

import pytest
import torch
from torch import nn

from PEMMASegmentLib.adapters import choose, find
from PEMMASegmentLib.adapters.blocks import from_matrix, to_matrix
from PEMMASegmentLib.adapters.svd import top_factors
from PEMMASegmentLib.core import PemmaError

from .nets import tiny


def test_the_matrix_is_the_linear_map_of_the_layer():
    """Each matrix times the channels (or the patch) under one voxel is what the layer gives there."""
    net, _ = tiny()
    x = torch.randn(1, 16, 4, 4, 4)
    up = to_matrix(net.up.weight, True)  # (8 x 2^3, 16)
    expected = net.up(x)[0, :, 2:4, 4:6, 6:8] - net.up.bias[:, None, None, None]
    assert torch.allclose((up @ x[0, :, 1, 2, 3]).view(8, 2, 2, 2), expected, atol=1e-6)
    x = torch.randn(1, 8, 8, 8, 8)
    down = to_matrix(net.down.weight, False)  # (16, 8 x 2^3)
    expected = net.down(x)[0, :, 1, 2, 3] - net.down.bias
    assert torch.allclose(down @ x[0, :, 2:4, 4:6, 6:8].flatten(), expected, atol=1e-6)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize("transposed", [False, True])
def test_there_and_back_keeps_the_memory_format(layout, transposed):
    weight = torch.randn(6, 4, 2, 2, 2).to(memory_format=layout)
    back = from_matrix(to_matrix(weight, transposed).clone(), weight, transposed)
    assert torch.equal(back, weight) and back.stride() == weight.stride()


def test_what_can_be_adapted():
    net, _ = tiny()
    blocks = find(net)
    sizes = {name: (b.start, b.rows, b.columns) for name, b in blocks.items()}
    assert sizes["attn.qkv.v"] == (32, 16, 16)
    assert sizes["fine"] == (0, 8, 27) and sizes["up"] == (0, 64, 16) and blocks["up"].transposed
    assert "norm" not in blocks and "attn.qkv" not in blocks
    assert find(nn.Sequential(nn.Conv3d(1, 16, 1))) == {}  # one singular value: no half of it


@pytest.mark.parametrize(
    "pattern, chosen",
    [
        ("qv", "attn.qkv.q attn.qkv.v"),
        ("attn", "attn.qkv.q attn.qkv.k attn.qkv.v attn.out_proj"),
        ("attn+mlp", "attn.qkv.q attn.qkv.k attn.qkv.v attn.out_proj mlp.linear1 mlp.linear2"),
        ("qv, up", "attn.qkv.q attn.qkv.v up"),
        ("all,-attn.*,-mlp.*", "fine down up out unused"),
    ],
)
def test_patterns(pattern, chosen):
    assert choose(tiny()[0], pattern) == tuple(chosen.split())


def test_an_example_leaves_out_what_never_runs():
    net, image = tiny()
    assert set(choose(net)) - set(choose(net, "all", image)) == {"unused"}
    assert not net.up._forward_pre_hooks


@pytest.mark.parametrize("pattern", ["", "attention", "all,-*", "-qv"])
def test_a_pattern_that_matches_nothing_is_refused(pattern):
    with pytest.raises(PemmaError) as refusal:
        choose(tiny()[0], pattern)
    assert refusal.value.code == "adapter-targets"


def test_factors_do_not_depend_on_signs_and_order():
    torch.manual_seed(2)
    matrix = torch.randn(12, 20)
    u, sigma, v = top_factors(matrix, 5)
    assert torch.allclose(u * sigma @ v.T @ v, matrix.double() @ v, atol=1e-12)
    assert (u.gather(0, u.abs().argmax(0, keepdim=True)) > 0).all()
    rows, columns = torch.randperm(12), torch.randperm(20)
    pu, psigma, pv = top_factors(matrix[rows][:, columns], 5)
    for permuted, own in ((pu, u[rows]), (psigma, sigma), (pv, v[columns])):
        assert torch.allclose(permuted, own, atol=1e-10)
    nu, _, nv = top_factors(-matrix, 5)
    assert torch.allclose(nu, u, atol=1e-10) and torch.allclose(nv, -v, atol=1e-10)

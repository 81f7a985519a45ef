"""A tiny network with every kind of weight that can be adapted, and adapters on it that are no longer zero."""

import torch
from torch import Tensor, nn

from PEMMASegmentLib.adapters import attach, choose, find, method, trained


class Tiny(nn.Module):
    """(n, 1, 8, 8, 8) -> (n, 2, 8, 8, 8): convolution, strided one, one attention layer, MLP, transposed convolution."""

    def __init__(self):
        super().__init__()
        self.fine = nn.Conv3d(1, 8, 3, padding=1)
        self.down = nn.Conv3d(8, 16, 2, stride=2)
        self.attn = nn.Module()
        self.attn.qkv = nn.Linear(16, 48, bias=False)
        self.attn.out_proj = nn.Linear(16, 16)
        self.norm = nn.LayerNorm(16)
        self.mlp = nn.Module()
        self.mlp.linear1, self.mlp.linear2 = nn.Linear(16, 24), nn.Linear(24, 16)
        self.up = nn.ConvTranspose3d(16, 8, 2, stride=2)
        self.out = nn.Conv3d(8, 2, 1)
        self.unused = nn.Linear(16, 16)

    def forward(self, image: Tensor) -> Tensor:
        fine = self.fine(image)  # (n, 8, 8, 8, 8)
        tokens = self.down(fine).flatten(2).transpose(1, 2)  # (n, 64, 16)
        q, k, v = self.attn.qkv(self.norm(tokens)).chunk(3, dim=-1)
        tokens = tokens + self.attn.out_proj((q @ k.transpose(1, 2) / 4).softmax(-1) @ v)
        tokens = tokens + self.mlp.linear2(self.mlp.linear1(tokens).relu())
        return self.out(fine + self.up(tokens.transpose(1, 2).reshape(-1, 16, 4, 4, 4)))


def tiny() -> tuple[Tiny, Tensor]:
    """The network and an input, always the same."""
    torch.manual_seed(0)
    return Tiny().eval(), torch.randn(2, 1, 8, 8, 8)


def put(net: nn.Module, name: str, pattern: str = "all", seed: int = 0, example=None) -> tuple[str, ...]:
    """A fresh adapter of small rank on a network; gives its targets."""
    ranks = {"salt": {"rank": 2, "top": 3}, "svd": {"top": 3}}.get(name, {"rank": 2})
    targets = choose(net, pattern, example)
    attach(net, method(name, **{what: min(n, _widest(net, targets)) for what, n in ranks.items()}), targets, seed)
    return targets


def move(net: nn.Module, size: float = 0.1) -> None:
    """Moves every trainable number, as training would."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in trained(net).values():
            parameter.add_(size * torch.randn_like(parameter))


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Equal as stored, signs of zero included."""
    return a.shape == b.shape and torch.equal(a.contiguous().view(torch.int32), b.contiguous().view(torch.int32))


def _widest(net: nn.Module, targets: tuple[str, ...]) -> int:
    blocks = find(net)
    return max(blocks[name].limit for name in targets)

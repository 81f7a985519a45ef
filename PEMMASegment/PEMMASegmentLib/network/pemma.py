"""PEMMA: further modalities join a trained CT UNETR without retraining it (Saadi et al. 2024, arXiv 2404.13704).

Each added modality brings a patch embedding (a copy of CT's to begin with), tokens that enter the encoder beside CT's,
LoRA on q and v while it is present, and skips whose gates start at zero. Published PEMMA changes the CT model before
its first step, because appended tokens enter the softmax; here the attention mass of the added tokens has a gate per
layer and head that starts at zero (gate 1 is the published joint softmax), so the start is the CT model, same bits.
With the added modalities absent none of their parts run: the output is the CT model's, bit for bit.
"""

import copy
from functools import partial

import torch
from monai.networks.blocks import TransformerBlock, UnetrBasicBlock, UnetrPrUpBlock, UnetrUpBlock
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .architecture import Architecture
from .unetr import Unetr, decode, embed, skips_of

CT = "ct"


class Pemma(nn.Module):
    """forward: {"ct": (n, 1, z, y, x), "pet": ...} of `architecture.window` voxels -> logits (n, classes, z, y, x).

    Any subset of the modalities that holds CT, or one added modality alone. Raises ValueError on any other set.
    sparing: after `spare_memory`.
    """

    sparing = False

    def __init__(self, architecture: Architecture, base: Unetr | None = None):
        super().__init__()
        self.architecture = architecture
        self.base = base if base is not None else Unetr(architecture)
        self.added = nn.ModuleDict({name: Added(architecture, self.base) for name in architecture.modalities})
        self.fused = FusedDecoder(architecture, self.base) if architecture.modalities else None

    def forward(self, images: dict[str, Tensor]) -> Tensor:
        present = [name for name in (CT, *self.architecture.modalities) if name in images]
        if len(present) != len(images) or not present:
            raise ValueError(f"inputs {sorted(images)} are not among {[CT, *self.architecture.modalities]}")
        if present == [CT]:
            return self.base(images[CT])
        if CT not in images and len(present) > 1:
            raise ValueError("without CT exactly one added modality is possible")
        return self._joined(images, present) if CT in images else self._alone(images, present[0])

    def _joined(self, images: dict[str, Tensor], present: list[str]) -> Tensor:
        tokens, skips = {}, {}
        tokens[CT], fine = embed(self.base, images[CT])
        for name in present[1:]:
            tokens[name], skips[name] = self.added[name].embed(images[name], self.base)
        states = []
        for layer, block in enumerate(self.base.vit.blocks):
            tokens = self._block(layer, block, tokens)
            states.append(tokens[CT])
        skips[CT] = fine
        skip = skips_of(self.base, self._add_skips(skips), states)
        return decode(self.fused, self.base.vit.norm(tokens[CT]), skip)

    def _alone(self, images: dict[str, Tensor], name: str) -> Tensor:
        tokens, fine = self.added[name].embed(images[name], self.base)
        tokens = {name: tokens}
        states = []
        for layer, block in enumerate(self.base.vit.blocks):
            tokens = self._block(layer, block, tokens)
            states.append(tokens[name])
        return decode(self.fused, self.base.vit.norm(tokens[name]), skips_of(self.base, fine, states))

    def _add_skips(self, skips: dict[str, list[Tensor]]) -> list[Tensor]:
        out = list(skips[CT])
        for name, added in self.added.items():
            if name in skips:
                out = [ct + gate(new) for ct, gate, new in zip(out, added.skip_gates, skips[name], strict=True)]
        return out

    def _block(self, layer: int, block: nn.Module, tokens: dict[str, Tensor]) -> dict[str, Tensor]:
        """One pre-norm transformer block over all present streams; each token stays in its own stream."""
        lora = [self.added[name].lora[layer] for name in tokens if name != CT]
        heads = {name: _heads(block.attn, block.norm1(x), lora) for name, x in tokens.items()}
        out = {}
        for name, x in tokens.items():
            if name == CT:
                gates = {m: self.added[m].attention_gate[layer] for m in tokens if m != CT}
                mixed = _gated_attention(block.attn, heads, gates, self.architecture.gate)
            else:
                mixed = _joint_attention(block.attn, heads[name], [heads[m] for m in (CT, name) if m in heads])
            x = x + block.attn.out_proj(block.attn.out_rearrange(mixed))
            out[name] = x + block.mlp(block.norm2(x))
        return out


class Added(nn.Module):
    """Everything that one added modality brings; module names are those of the CT network it is copied from."""

    def __init__(self, architecture: Architecture, base: Unetr):
        super().__init__()
        a = self.architecture = architecture
        stem = a.embedding == "stem"
        self.vit = nn.Module()  # holds the copy under the name that `embed` expects
        self.vit.patch_embedding = copy.deepcopy(base.vit.patch_embedding.patch_embeddings)
        for name in ("encoder1", "encoder2", "encoder3") if stem else ("encoder1",):
            setattr(self, name, copy.deepcopy(getattr(base, name)))
        self.modality = nn.Parameter(torch.zeros(a.hidden))
        self.lora = nn.ModuleList(QueryValueLora(a.hidden, a.rank) for _ in range(a.depth))
        self.attention_gate = nn.ParameterList(nn.Parameter(torch.zeros(a.heads)) for _ in range(a.depth))
        widths = [a.feature * 2**n for n in range(3 if stem else 1)]
        self.skip_gates = nn.ModuleList(_zero_gate(width) for width in widths)

    def embed(self, image: Tensor, base: Unetr) -> tuple[Tensor, list[Tensor]]:
        """(n, 1, z, y, x) -> tokens (n, P, hidden), skips finest first. The position embedding is CT's: one space."""
        volume, fine = embed(self, image)  # (n, hidden, z, y, x) in tokens
        tokens = volume.flatten(2).transpose(-1, -2)
        return tokens + base.vit.patch_embedding.position_embeddings + self.modality, fine


class QueryValueLora(nn.Module):
    """Low-rank updates of the q and v rows of a fused qkv weight (Hu et al. 2022); B starts at zero, alpha = rank."""

    def __init__(self, width: int, rank: int):
        super().__init__()
        self.query_a, self.value_a = (nn.Parameter(torch.empty(rank, width)) for _ in range(2))
        self.query_b, self.value_b = (nn.Parameter(torch.zeros(width, rank)) for _ in range(2))
        for a in (self.query_a, self.value_a):
            nn.init.kaiming_uniform_(a, a=5**0.5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What to add to q and to v: each (n, P, width)."""
        return (x @ self.query_a.T) @ self.query_b.T, (x @ self.value_a.T) @ self.value_b.T


class FusedDecoder(nn.Module):
    """The decoder of the fused path: own copies of the named blocks, the CT network's own blocks for the rest."""

    def __init__(self, architecture: Architecture, base: Unetr):
        super().__init__()
        self.architecture = architecture
        for name in architecture.fused_decoder:
            setattr(self, name, copy.deepcopy(getattr(base, name)))
        self._base = (base,)  # a tuple, so that the base is not registered a second time

    def __getattr__(self, name: str):
        try:
            return super().__getattr__(name)
        except AttributeError:
            if not (name.startswith("decoder") or name == "out"):
                raise
            return getattr(self.__dict__["_base"][0], name)


def added_parameters(net: Pemma) -> dict[str, nn.Parameter]:
    """What the stage of an added modality trains, by name: all that is not the CT network."""
    return {name: p for name, p in net.named_parameters() if not name.startswith("base.")}


def clamp_gates(net: Pemma) -> None:
    """Projects the attention-mass gates to g >= 0 after an optimiser step.

    A ReLU, square or abs inside the graph would lose the gradient at or below zero, where the gates start.
    """
    if net.architecture.gate == "mass":
        with torch.no_grad():
            for added in net.added.values():
                for gate in added.attention_gate:
                    gate.clamp_(min=0)


def spare_memory(net: Pemma) -> None:
    """Lets a network that is trained keep only what its blocks are given; what they compute is computed again on the way back.

    The same gradients with less memory, in about a third more time (Chen et al. 2016, arXiv 1604.06174). For good: it is for
    a copy. Adapted weights must not be kept over a step then (`parametrize.cached`): they are made again too.
    """
    net.sparing = True
    again = lambda forward: partial(checkpoint, forward, use_reentrant=False)  # noqa: E731
    net._block = again(net._block)
    for block in net.modules():
        if isinstance(block, TransformerBlock | UnetrBasicBlock | UnetrPrUpBlock | UnetrUpBlock):
            block.forward = again(block.forward)


def _zero_gate(width: int) -> nn.Module:
    gate = nn.Conv3d(width, width, kernel_size=1, bias=False)
    nn.init.zeros_(gate.weight)
    return gate


def _heads(attention: nn.Module, x: Tensor, lora: list[QueryValueLora]) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys, values: each (n, heads, P, width / heads)."""
    q, k, v = attention.qkv(x).chunk(3, dim=-1)
    for update in lora:
        dq, dv = update(x)
        q, v = q + dq, v + dv
    split = lambda t: t.view(t.size(0), t.size(1), attention.num_heads, -1).transpose(1, 2)  # noqa: E731
    return split(q), split(k), split(v)


def _logits(attention: nn.Module, q: Tensor, k: Tensor) -> Tensor:
    return torch.einsum("blxd,blyd->blxy", q, k) * attention.scale


def _attend(logits: Tensor, v: Tensor) -> Tensor:
    return torch.einsum("bhxy,bhyd->bhxd", logits.softmax(dim=-1), v)


def _joint_attention(attention: nn.Module, own: tuple, streams: list[tuple]) -> Tensor:
    """Queries of one added stream over the keys of CT (where present) and of itself."""
    keys = torch.cat([s[1] for s in streams], dim=2)
    values = torch.cat([s[2] for s in streams], dim=2)
    return _attend(_logits(attention, own[0], keys), values)


def _gated_attention(attention: nn.Module, heads: dict, gates: dict[str, Tensor], kind: str) -> Tensor:
    """CT queries: A_ct + sum_m w_m (A_m - A_ct), w_m = g_m e^d_m / (1 + sum_j g_j e^d_j), d = lse_m - lse_ct.

    The CT part is computed first and exactly as without the others; g = 0 leaves it, g = 1 is the joint softmax.
    """
    q = heads[CT][0]
    logits = _logits(attention, q, heads[CT][1])
    out = ct = _attend(logits, heads[CT][2])
    lse = logits.logsumexp(-1, keepdim=True)
    parts, masses = [], []
    for name, gate in gates.items():
        other = _logits(attention, q, heads[name][1])
        parts.append(_attend(other, heads[name][2]))
        g = gate.view(1, -1, 1, 1)
        delta = (other.logsumexp(-1, keepdim=True) - lse).clamp(max=30)
        masses.append(g.tanh() if kind == "tanh" else g * delta.exp())
    if kind == "tanh":
        for mass, part in zip(masses, parts, strict=True):
            out = out + mass * part
        return out
    total = 1 + sum(masses)
    for mass, part in zip(masses, parts, strict=True):
        out = out + (mass / total) * (part - ct)
    return out

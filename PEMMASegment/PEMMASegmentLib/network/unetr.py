"""The CT network: a UNETR of MONAI blocks with configurable patch, depth, width and skips (Hatamizadeh et al., WACV 2022).

In the reference configuration its names and arithmetic are those of `monai.networks.nets.UNETR`, taps included
(after the 4th, 7th and 10th block), so that its state dict loads and gives the same output.
"""

from monai.networks.blocks import UnetOutBlock, UnetrBasicBlock, UnetrPrUpBlock, UnetrUpBlock
from monai.networks.blocks.patchembedding import PatchEmbeddingBlock
from monai.networks.blocks.transformerblock import TransformerBlock
from torch import Tensor, nn

from .architecture import Architecture

_CONV = {"spatial_dims": 3, "kernel_size": 3, "norm_name": "instance", "res_block": True}


class Unetr(nn.Module):
    """forward: CT (n, 1, z, y, x) of exactly `architecture.window` voxels -> logits (n, classes, z, y, x)."""

    def __init__(self, architecture: Architecture):
        super().__init__()
        self.architecture = a = architecture
        stem = a.embedding == "stem"
        self.vit = Transformer(a)
        self.encoder1 = UnetrBasicBlock(in_channels=1, out_channels=a.feature, stride=1, **_CONV)
        for level in range(1, a.levels):
            block = _stem_block(a.feature, level) if stem and level <= 2 else _skip_block(a, level)
            setattr(self, f"encoder{level + 1}", block)
        for level in range(a.levels, 0, -1):
            inside = a.hidden if level == a.levels else a.feature * 2**level
            block = UnetrUpBlock(
                in_channels=inside, out_channels=a.feature * 2 ** (level - 1), upsample_kernel_size=2, **_CONV
            )
            setattr(self, f"decoder{level + 1}", block)
        self.out = UnetOutBlock(spatial_dims=3, in_channels=a.feature, out_channels=a.classes)

    def forward(self, ct: Tensor) -> Tensor:
        tokens, fine = embed(self, ct)
        states = []
        for block in self.vit.blocks:
            tokens = block(tokens)
            states.append(tokens)
        return decode(self, self.vit.norm(tokens), skips_of(self, fine, states))


class Transformer(nn.Module):
    """The ViT's parts under the names that MONAI gives them: patch_embedding, blocks, norm."""

    def __init__(self, a: Architecture):
        super().__init__()
        coarse = 4 if a.embedding == "stem" else 1
        self.patch_embedding = PatchEmbeddingBlock(
            in_channels=a.feature * 4 if a.embedding == "stem" else 1,
            img_size=[n // coarse for n in a.window],
            patch_size=a.patch // coarse,
            hidden_size=a.hidden,
            num_heads=a.heads,
            proj_type="conv",
            pos_embed_type="learnable",
        )
        self.blocks = nn.ModuleList(TransformerBlock(a.hidden, a.mlp, a.heads) for _ in range(a.depth))
        self.norm = nn.LayerNorm(a.hidden)


def embed(parts: nn.Module, image: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Image (n, 1, z, y, x) -> tokens (n, P, hidden) and the skips that need no transformer, finest first.

    parts: the CT network, or an added modality with modules of the same names.
    """
    fine = [parts.encoder1(image)]  # (n, feature, z, y, x)
    if parts.architecture.embedding == "stem":
        fine.append(parts.encoder2(fine[0]))  # (n, 2 feature, z/2, y/2, x/2)
        fine.append(parts.encoder3(fine[1]))  # (n, 4 feature, z/4, y/4, x/4)
        image = fine[-1]
    return parts.vit.patch_embedding(image), fine


def skips_of(net: Unetr, fine: list[Tensor], states: list[Tensor]) -> list[Tensor]:
    """All skips from the finest to the coarsest: those of the embedding, then those tapped from transformer layers."""
    a = net.architecture
    levels = range(len(fine), a.levels)
    return fine + [getattr(net, f"encoder{n + 1}")(to_volume(a, states[a.taps[n - len(fine)]])) for n in levels]


def decode(net: nn.Module, tokens: Tensor, skips: list[Tensor]) -> Tensor:
    """Normalised tokens (n, P, hidden) and skips, finest first -> logits. `net`: anything with the decoder's names."""
    x = to_volume(net.architecture, tokens)
    for level in range(net.architecture.levels, 0, -1):
        x = getattr(net, f"decoder{level + 1}")(x, skips[level - 1])
    return net.out(x)


def to_volume(a: Architecture, tokens: Tensor) -> Tensor:
    """(n, P, hidden) -> (n, hidden, z, y, x) in tokens."""
    return tokens.view(tokens.size(0), *a.tokens, a.hidden).permute(0, 4, 1, 2, 3).contiguous()


def _stem_block(feature: int, level: int) -> nn.Module:
    return UnetrBasicBlock(in_channels=feature * 2 ** (level - 1), out_channels=feature * 2**level, stride=2, **_CONV)


def _skip_block(a: Architecture, level: int) -> nn.Module:
    return UnetrPrUpBlock(
        in_channels=a.hidden,
        out_channels=a.feature * 2**level,
        num_layer=a.levels - level - 1,
        stride=1,
        upsample_kernel_size=2,
        conv_block=True,
        **_CONV,
    )

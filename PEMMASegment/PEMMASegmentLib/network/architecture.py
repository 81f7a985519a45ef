"""The numbers that fix a network's shape, and how a study becomes its input; both travel in model.json."""

from dataclasses import dataclass

from .numbers import COUNT, INDEX, NAME, NUMBER, POSITIVE, check_numbers, each

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Architecture:
    """Shape of a CT UNETR and of what PEMMA adds to it. Default: the published reference configuration.

    window: voxels (z, y, x) of one network input; patch: edge of one token in voxels, a power of two, at least 4
    (at least 8 with "stem").
    embedding: "patch" (one strided convolution, skips from transformer layers: Hatamizadeh 2022) or "stem" (residual
    convolutions down to a quarter of the resolution, which are also the skips; then tokens of the rest of the patch).
    classes: 2, background and tumour, the only number of which the windows' answers can be made a probability.
    taps: transformer layers (counted from 0) whose output feeds the skips from the finest to the coarsest, but for those that
    the embedding feeds: one with "patch", three with "stem", where a patch of 8 has none left and `taps` means nothing.
    modalities: added to CT, in order. rank: of PEMMA's LoRA. fused_decoder: decoder blocks of which the fused path has
    its own copy (`decoder2` is the finest), so that CT alone keeps its bits. gate: "mass" or "tanh" (`pemma`).
    """

    window: Triple = (96, 96, 96)
    patch: int = 16
    hidden: int = 768
    depth: int = 12
    heads: int = 12
    mlp: int = 3072
    feature: int = 16
    classes: int = 2
    embedding: str = "patch"
    taps: tuple[int, ...] = (3, 6, 9)
    modalities: tuple[str, ...] = ()
    rank: int = 8
    fused_decoder: tuple[str, ...] = ()
    gate: str = "mass"

    def __post_init__(self) -> None:
        check_numbers(self, "architecture", window=each(COUNT, 3), patch=COUNT, hidden=COUNT, depth=COUNT, heads=COUNT, mlp=COUNT,
                      feature=COUNT, classes=COUNT, taps=each(INDEX), rank=INDEX, modalities=each(NAME))
        if len({"ct", *self.modalities}) <= len(self.modalities):
            raise ValueError(f"modalities {self.modalities} names one twice, or CT, which is always there")
        levels, least = self.levels, 3 if self.embedding == "stem" else 2
        if 2**levels != self.patch or levels < least:
            raise ValueError(f"patch {self.patch} is not a power of two of at least {2**least}")
        if any(n % self.patch for n in self.window):
            raise ValueError(f"window {self.window} is not a multiple of the patch {self.patch}")
        if self.classes != 2:
            raise ValueError(f"{self.classes} classes: this version tells a single one from the background, so 2")
        if self.embedding not in ("patch", "stem"):
            raise ValueError(f"embedding {self.embedding!r} is neither 'patch' nor 'stem'")
        tapped = levels - (3 if self.embedding == "stem" else 1)  # skips that the embedding does not feed
        if tapped and len(self.taps) != tapped:
            raise ValueError(f"patch {self.patch} with embedding {self.embedding!r} needs {tapped} taps, got {self.taps}")
        if tapped and any(t >= self.depth for t in self.taps):
            raise ValueError(f"taps {self.taps} reach outside {self.depth} layers")
        if self.hidden % self.heads or self.feature % 8:
            raise ValueError("hidden must be a multiple of heads and feature a multiple of 8")
        if self.gate not in ("mass", "tanh"):
            raise ValueError(f"gate {self.gate!r} is neither 'mass' nor 'tanh'")
        decoder = [f"decoder{level + 2}" for level in range(levels)] + ["out"]
        if not set(self.fused_decoder) <= set(decoder):
            raise ValueError(f"fused_decoder {self.fused_decoder} names others than {', '.join(decoder)}")

    @property
    def levels(self) -> int:
        """How often the resolution is halved from voxel to token."""
        return self.patch.bit_length() - 1

    @property
    def tokens(self) -> Triple:
        """Tokens per axis (z, y, x)."""
        return tuple(n // self.patch for n in self.window)


@dataclass(frozen=True)
class Preprocessing:
    """How CT (HU) and PET (SUVbw) become network input.

    spacing_mm: (x, y, z) of the network's isotropic or anisotropic grid. ct_hu: the window mapped to -1..1, clipped.
    pet_scale: asinh(SUV / pet_scale) / pet_scale, SUV clipped to 0..pet_max: fixed numbers, nothing of the case
    (methods: a per-case z-score dims a big hot tumour by itself).
    """

    spacing_mm: tuple[float, float, float] = (4.0, 4.0, 4.0)
    ct_hu: tuple[float, float] = (-160.0, 240.0)
    pet_scale: float = 2.0
    pet_max: float = 100.0

    def __post_init__(self) -> None:
        check_numbers(self, "preprocessing", spacing_mm=each(POSITIVE, 3), ct_hu=each(NUMBER, 2), pet_scale=POSITIVE,
                      pet_max=POSITIVE)
        if self.ct_hu[0] >= self.ct_hu[1]:
            raise ValueError(f"preprocessing: ct_hu {self.ct_hu} does not go from low to high")

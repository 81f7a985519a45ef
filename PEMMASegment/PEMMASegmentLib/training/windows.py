"""Training windows: a random cut of the case, then a window of fixed size anywhere in it, padded as in use.

Every training image is centred on its tumour, so its border gives the answer away; a border that falls anywhere
carries no information. One rule for training and use: cut first, then draw windows, pad where the cut is smaller.
"""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
import torch
from torch import Tensor

from ..network.architecture import Architecture, Preprocessing
from ..network.preprocess import AIR_HU, network_grid, resample, to_tensor
from .augment import Augmentation, sample


@dataclass(frozen=True)
class TrainingCase:
    """One patient on the network's grid. ct: HU, pet: SUVbw or None, label: 0/1; float32 tensors (z, y, x)."""

    name: str
    ct: Tensor | None
    pet: Tensor | None
    label: Tensor

    @property
    def box(self) -> np.ndarray:
        """First and one-past-last index of the label per axis: array (3, 2)."""
        used = np.argwhere(self.label.numpy() > 0.5)
        return np.stack([used.min(0), used.max(0) + 1], axis=1)


def to_case(name: str, ct: sitk.Image | None, pet: sitk.Image | None, label: sitk.Image, p: Preprocessing) -> TrainingCase:
    """Resamples a study and its label to the network's grid."""
    grid = network_grid(ct if ct is not None else pet, p)
    return TrainingCase(
        name,
        None if ct is None else to_tensor(resample(ct, grid, AIR_HU)).clamp(AIR_HU, 3000.0),
        None if pet is None else to_tensor(resample(pet, grid, 0.0)).clamp(min=0.0),
        (to_tensor(resample(label, grid, 0.0)) >= 0.5).float(),
    )


def random_cut(shape: tuple[int, ...], box: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bounds (3, 2) of a cut in which each face keeps a uniform share of its margin around the label's box."""
    keep = rng.uniform(size=(3, 2))
    low = np.ceil(box[:, 0] * (1 - keep[:, 0]))
    high = np.floor(box[:, 1] + (np.array(shape) - box[:, 1]) * keep[:, 1])
    return np.stack([low, high], axis=1).astype(int)


def window_start(cut: np.ndarray, label: Tensor, size: tuple[int, ...], foreground: float,
                 rng: np.random.Generator) -> np.ndarray:
    """First voxel (z, y, x) of a window, in the case's indices; it may lie outside the cut, which is then padded."""
    start = np.empty(3, int)
    anchor = None
    if rng.uniform() < foreground:
        used = np.argwhere(label.numpy() > 0.5)
        anchor = used[rng.integers(len(used))]
    for axis, ((low, high), n) in enumerate(zip(cut, size, strict=True)):
        if high - low <= n:
            first, last = high - n, low  # the whole cut lies in the window, anywhere in it
        else:
            first, last = low, high - n
            if anchor is not None:
                first, last = max(first, anchor[axis] - n + 1), min(last, anchor[axis])
        start[axis] = rng.integers(first, last + 1)
    return start


def draw(cases: list[TrainingCase], a: Architecture, p: Preprocessing, inputs: tuple[str, ...], foreground: float,
         augmentation: Augmentation | None, rng: np.random.Generator) -> tuple[dict[str, Tensor], Tensor]:
    """One training window: normalised inputs {"ct": (1, z, y, x), ...} and its label (1, z, y, x)."""
    case = cases[rng.integers(len(cases))]
    cut = random_cut(tuple(case.label.shape), case.box, rng)
    start = window_start(cut, case.label, a.window, foreground, rng)
    return sample(case, cut, start, a.window, p, inputs, augmentation, rng)


def batch(windows: list[tuple[dict[str, Tensor], Tensor]]) -> tuple[dict[str, Tensor], Tensor]:
    """Stacks windows: inputs (n, 1, z, y, x) and labels (n, 1, z, y, x)."""
    names = windows[0][0]
    return {m: torch.stack([w[0][m] for w in windows]) for m in names}, torch.stack([w[1] for w in windows])

"""Sliding windows of the network's own size over a box of a volume, and their gaussian-weighted stitching.

What the stitcher keeps is two float32 volumes on the network's grid, inside the box: the weighted sum of the logit
differences and the sum of the weights. At 4 mm a whole body has 4.5 million voxels there, 36 MB in all, a tenth of the
probability on a 512 x 512 x 326 CT grid: a slab one window deep would save nothing that can be noticed.
"""

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch

OVERLAP = 0.5
#: Standard deviation of the gaussian as a share of the window, and the floor under it (as in MONAI): the corners of a
#: window must count for something, or the border of the volume follows rounding errors.
SIGMA, FLOOR = 0.125, 1e-3


@dataclass(frozen=True)
class Plan:
    """Where the windows lie. All triples are (z, y, x), in voxels of the network's grid.

    start, size: the part that is stitched, start may be negative and start + size beyond the grid (padding there).
    starts: the first voxel of each window, counted from `start`.
    """

    start: tuple[int, int, int]
    size: tuple[int, int, int]
    window: tuple[int, int, int]
    starts: tuple[tuple[int, int, int], ...]


def plan(box: np.ndarray, shape: tuple[int, int, int], window: tuple[int, int, int]) -> Plan:
    """Windows over the box (3, 2) (start, stop; z, y, x) of a grid of this shape.

    A box narrower than the window is widened on both sides alike, by image where there is some, by padding elsewhere.
    """
    reach = [_widened(int(low), int(high), n, w) for (low, high), n, w in zip(box, shape, window, strict=True)]
    size = tuple(high - low for low, high in reach)
    starts = product(*(_axis_starts(n, w) for n, w in zip(size, window, strict=True)))
    return Plan(tuple(low for low, _ in reach), size, tuple(window), tuple(starts))


def cut(tensor: torch.Tensor, plan: Plan, padding: float) -> torch.Tensor:
    """The planned part of a tensor (1, z, y, x), `padding` where the grid has no voxels."""
    pads, slices = [], []
    for low, n, whole in zip(plan.start, plan.size, tensor.shape[1:], strict=True):
        first, last = max(low, 0), min(low + n, whole)
        slices.append(slice(first, last))
        pads.insert(0, (first - low, low + n - last))
    part = tensor[(slice(None), *slices)]
    return torch.nn.functional.pad(part, [p for pair in pads for p in pair], value=padding)


def gaussian(window: tuple[int, int, int]) -> torch.Tensor:
    """Weights of one window, float32 (z, y, x), 1 in the middle."""
    sides = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in window]
    z, y, x = (torch.exp(-0.5 * (side / (n * SIGMA)) ** 2) for side, n in zip(sides, window, strict=True))
    weights = z[:, None, None] * y[None, :, None] * x
    return weights.clamp(min=max(float(weights.min()), FLOOR))


class Stitcher:
    """Takes logit differences (object minus background) of windows, gives the probability of the planned part."""

    def __init__(self, plan: Plan, device: torch.device):
        self._weights = gaussian(plan.window).to(device)
        self._window = plan.window
        self._sum = torch.zeros(plan.size, device=device)
        self._total = torch.zeros(plan.size, device=device)

    def add(self, start: tuple[int, int, int], difference: torch.Tensor) -> None:
        """difference: float32 (z, y, x) of the window at `start`."""
        where = tuple(slice(s, s + n) for s, n in zip(start, self._window, strict=True))
        self._sum[where].addcmul_(difference.to(self._sum.device), self._weights)
        self._total[where].add_(self._weights)

    def probability(self) -> torch.Tensor:
        """float32 (z, y, x): sigmoid of the weighted mean; two classes' softmax of blended logits is the same."""
        return self._sum.div_(self._total).sigmoid_()


def batches(plan: Plan, tensors: dict[str, torch.Tensor], size: int):
    """Yields (starts, {modality: (n, 1, z, y, x)}), up to `size` windows at a time; tensors: the planned parts."""
    for first in range(0, len(plan.starts), size):
        starts = plan.starts[first:first + size]
        yield starts, {name: torch.stack([_window(tensor, s, plan.window) for s in starts])
                       for name, tensor in tensors.items()}


def _window(tensor: torch.Tensor, start, window) -> torch.Tensor:
    return tensor[(slice(None), *(slice(s, s + n) for s, n in zip(start, window, strict=True)))]


def _axis_starts(n: int, window: int) -> list[int]:
    step = max(1, int(window * (1 - OVERLAP)))
    count = math.ceil((n - window) / step) + 1
    return [min(i * step, n - window) for i in range(count)]


def _widened(low: int, high: int, n: int, window: int) -> tuple[int, int]:
    """The range itself, or one as wide as the window around it: inside 0..n if that fits, else around 0..n."""
    if high - low >= window:
        return low, high
    if n <= window:
        low = -((window - n) // 2)
    else:
        low = min(max((low + high - window) // 2, 0), n - window)
    return low, low + window

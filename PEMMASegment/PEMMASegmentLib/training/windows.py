"""Training windows: a random cut of the case, then a window of fixed size anywhere in it, padded as in use.

Every training image is centred on its tumour, so its border gives the answer away; a border that falls anywhere
carries no information. One rule for training and use: cut first, then draw windows, pad where the cut is smaller.
"""

from dataclasses import replace

import numpy as np
import SimpleITK as sitk
import torch
from torch import Tensor

from ..study.types import PetCtStudy
from .augment import Augmentation, graft, sample
from .case import TrainingCase
from .config import Config, Stage


def random_cut(shape: tuple[int, ...], box: np.ndarray | None, rng: np.random.Generator, whole: float = 0.0,
               anywhere: float = 0.0) -> np.ndarray:
    """Bounds (3, 2) of a cut of a case of this shape (z, y, x) whose label fills `box` (None: it has no tumour).

    With probability `whole` the case as it is, with `anywhere` a box of half to all of each side wherever it falls,
    through the tumour or beside it, as always without a tumour; else each face keeps a uniform share of its margin and the
    tumour stays whole.
    A model that has only seen the last kind takes whatever fills the middle of what it is shown for the tumour.
    """
    kind = rng.uniform() if whole or anywhere else 1.0
    size = np.array(shape)
    if kind < whole:
        return np.stack([np.zeros(3, int), size], axis=1)
    if kind < whole + anywhere or box is None:
        length = np.ceil(size * rng.uniform(0.5, 1.0, 3)).astype(int)
        low = rng.integers(0, size - length + 1)
        return np.stack([low, low + length], axis=1)
    keep = rng.uniform(size=(3, 2))
    low = np.ceil(box[:, 0] * (1 - keep[:, 0]))
    high = np.floor(box[:, 1] + (size - box[:, 1]) * keep[:, 1])
    return np.stack([low, high], axis=1).astype(int)


def cut_study(study: PetCtStudy, label: sitk.Image, rng: np.random.Generator) -> tuple[PetCtStudy, sitk.Image]:
    """A whole study and its label (not empty, on `study.grid`) cut by `random_cut`; the tumour stays whole.

    A model is judged on such cuts beside the studies as they are, whose tumours all lie in the middle.
    """
    used = np.argwhere(sitk.GetArrayViewFromImage(label))
    cut = random_cut(label.GetSize()[::-1], np.stack([used.min(0), used.max(0) + 1], axis=1), rng)[::-1]  # x, y, z
    corners = np.array(np.meshgrid(*[(low - 0.49, high - 0.51) for low, high in cut])).reshape(3, -1).T
    points = [label.TransformContinuousIndexToPhysicalPoint(c.tolist()) for c in corners]
    images = {name: image and _crop(image, points) for name, image in (("ct", study.ct), ("pet", study.pet))}
    return replace(study, **images), _crop(label, points)


def _crop(image: sitk.Image, points: list[tuple[float, ...]]) -> sitk.Image:
    """The part of an image whose voxel centres lie between the outermost of these points; at least a voxel."""
    index = np.array([image.TransformPhysicalPointToContinuousIndex(p) for p in points])
    last = np.array(image.GetSize()) - 1
    start = np.clip(np.ceil(index.min(0)), 0, last).astype(int)
    stop = np.clip(np.floor(index.max(0)), start, last).astype(int) + 1
    return sitk.RegionOfInterest(image, (stop - start).tolist(), start.tolist())


def window_start(cut: np.ndarray, label: Tensor, size: tuple[int, ...], foreground: float,
                 rng: np.random.Generator) -> np.ndarray:
    """First voxel (z, y, x) of a window, in the case's indices; it may lie outside the cut, which is then padded."""
    start = np.empty(3, int)
    anchor = None
    if rng.uniform() < foreground:
        (z0, z1), (y0, y1), (x0, x1) = cut
        used = np.argwhere(label[z0:z1, y0:y1, x0:x1].numpy() > 0.5)
        anchor = used[rng.integers(len(used))] + cut[:, 0] if len(used) else None
    for axis, ((low, high), n) in enumerate(zip(cut, size, strict=True)):
        if high - low <= n:
            first, last = high - n, low  # the whole cut lies in the window, anywhere in it
        else:
            first, last = low, high - n
            if anchor is not None:
                first, last = max(first, anchor[axis] - n + 1), min(last, anchor[axis])
        start[axis] = rng.integers(first, last + 1)
    return start


def draw(cases: list[TrainingCase], config: Config, stage: Stage, inputs: tuple[str, ...],
         augmentation: Augmentation | None, rng: np.random.Generator) -> tuple[dict[str, Tensor], Tensor]:
    """One training window: normalised inputs {"ct": (1, z, y, x), ...} and its label (1, z, y, x)."""

    def one(modalities: tuple[str, ...]) -> tuple[dict[str, Tensor], Tensor]:
        case = cases[rng.integers(len(cases))]
        window = config.architecture.window
        cut = random_cut(tuple(case.label.shape), case.box, rng, stage.whole, stage.anywhere)
        start = window_start(cut, case.label, window, config.foreground, rng)
        return sample(case, cut, start, window, config.preprocessing, modalities, augmentation, rng)

    images, label = one(inputs)
    if augmentation and {"ct", "pet"} <= set(inputs) and rng.uniform() < augmentation.foreign:
        images["ct"] = graft(images["ct"], one(("ct",))[0]["ct"], rng)
    return images, label


def batch(windows: list[tuple[dict[str, Tensor], Tensor]]) -> tuple[dict[str, Tensor], Tensor]:
    """Stacks windows: inputs (n, 1, z, y, x) and labels (n, 1, z, y, x)."""
    names = windows[0][0]
    return {m: torch.stack([w[0][m] for w in windows]) for m in names}, torch.stack([w[1] for w in windows])

"""A case as it is trained on: images and label on the network's grid."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import SimpleITK as sitk
from torch import Tensor

from ..network.architecture import Preprocessing
from ..network.preprocess import AIR_HU, network_grid, resample, to_tensor


@dataclass(frozen=True)
class TrainingCase:
    """One patient on the network's grid. ct: HU, pet: SUVbw or None, label: 0/1; float32 tensors (z, y, x)."""

    name: str
    ct: Tensor | None
    pet: Tensor | None
    label: Tensor

    @cached_property
    def box(self) -> np.ndarray | None:
        """First and one-past-last index of the label per axis: array (3, 2); None without a tumour."""
        used = np.argwhere(self.label.numpy() > 0.5)
        return None if not len(used) else np.stack([used.min(0), used.max(0) + 1], axis=1)


def to_case(name: str, ct: sitk.Image | None, pet: sitk.Image | None, label: sitk.Image, p: Preprocessing) -> TrainingCase:
    """Resamples a study and its label to the network's grid."""
    grid = network_grid(ct if ct is not None else pet, p)
    return TrainingCase(
        name,
        None if ct is None else to_tensor(resample(ct, grid, AIR_HU)).clamp(AIR_HU, 3000.0),
        None if pet is None else to_tensor(resample(pet, grid, 0.0)).clamp(min=0.0),
        _on_grid(label, grid),
    )


def is_lost(label: sitk.Image, image: sitk.Image, p: Preprocessing) -> bool:
    """Whether nothing of a label is left on the network's grid of `image`: empty, beside it, or smaller than about a voxel."""
    return not _on_grid(label, network_grid(image, p)).any()


def _on_grid(label: sitk.Image, grid: sitk.Image) -> Tensor:
    return (to_tensor(resample(label, grid, 0.0)) >= 0.5).float()

"""From CT and PET images to network input on one grid of the model's spacing; the same code in training and in use."""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
import torch
from torch import Tensor

from ..core.images import array, extent_mm
from .architecture import Preprocessing

AIR_HU = -1000.0
_BLUR = 0.4  # sigma of the anti-alias filter in units of sqrt(target^2 - source^2)


@dataclass(frozen=True)
class Prepared:
    """Normalised tensors (1, z, y, x) by modality, all on `grid` (an image without content that carries the geometry)."""

    tensors: dict[str, Tensor]
    grid: sitk.Image


def prepare(ct: sitk.Image | None, pet: sitk.Image | None, preprocessing: Preprocessing) -> Prepared:
    """Resamples what is there to one grid over the CT (over the PET without a CT) and normalises it."""
    grid = network_grid(ct if ct is not None else pet, preprocessing)
    tensors = {}
    if ct is not None:
        tensors["ct"] = normalise_ct(to_tensor(resample(ct, grid, AIR_HU)), preprocessing)[None]
    if pet is not None:
        tensors["pet"] = normalise_pet(to_tensor(resample(pet, grid, 0.0)), preprocessing)[None]
    return Prepared(tensors, grid)


def padding(preprocessing: Preprocessing) -> dict[str, float]:
    """The normalised value of "nothing there" by modality: air in CT, no uptake in PET."""
    air = torch.tensor(AIR_HU)
    return {"ct": float(normalise_ct(air, preprocessing)), "pet": 0.0}


def normalise_ct(hu: Tensor, preprocessing: Preprocessing) -> Tensor:
    """HU -> -1..1 over the fixed window, clipped."""
    low, high = preprocessing.ct_hu
    return ((hu - low) * (2.0 / (high - low)) - 1.0).clamp(-1.0, 1.0)


def normalise_pet(suv: Tensor, preprocessing: Preprocessing) -> Tensor:
    """SUVbw -> asinh(SUV / s) / s, clipped to 0..pet_max before."""
    s = preprocessing.pet_scale
    return torch.asinh(suv.clamp(0.0, preprocessing.pet_max) / s) / s


def network_grid(image: sitk.Image, preprocessing: Preprocessing) -> sitk.Image:
    """An empty uint8 image of the model's spacing that covers all of `image`, centred on it, along its axes.

    The axes come in the order and sense of LPS, however the voxels are stored: the network knows bodies no other way round.
    """
    spacing = np.array(preprocessing.spacing_mm)
    direction, order = _as_lps(image)
    length = (np.array(image.GetSize()) * np.array(image.GetSpacing()))[order]
    size = np.maximum(np.ceil(length / spacing - 1e-6), 1).astype(int)
    grid = sitk.Image([int(n) for n in size], sitk.sitkUInt8)
    grid.SetSpacing(spacing.tolist())
    grid.SetDirection(direction.ravel().tolist())
    middle = image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])
    half = direction @ ((size - 1) / 2 * spacing)
    grid.SetOrigin((np.array(middle) - half).tolist())
    return grid


def _as_lps(image: sitk.Image) -> tuple[np.ndarray, np.ndarray]:
    """Direction (3, 3) of the image's axes put in the order and sense nearest to LPS, and which of its axes each one is."""
    one = sitk.Image([1, 1, 1], sitk.sitkUInt8)  # the geometry tells; a whole body need not be turned
    one.SetDirection(image.GetDirection())
    direction = np.array(sitk.DICOMOrient(one, "LPS").GetDirection()).reshape(3, 3)
    return direction, np.abs(direction.T @ np.array(image.GetDirection()).reshape(3, 3)).argmax(axis=1)


def resample(image: sitk.Image, grid: sitk.Image, outside: float) -> sitk.Image:
    """Linear resampling to `grid`, after a Gaussian against aliasing along axes that get coarser; float32."""
    image = sitk.Cast(image, sitk.sitkFloat32)
    along = np.abs(np.array(grid.GetDirection()).reshape(3, 3).T @ np.array(image.GetDirection()).reshape(3, 3))
    target = along.T @ np.array(grid.GetSpacing())  # spacing of the grid along the image's own axes
    for axis, (source, wanted) in enumerate(zip(image.GetSpacing(), target, strict=True)):
        if wanted > source * 1.01 and image.GetSize()[axis] >= 4:
            image = sitk.RecursiveGaussian(image, _BLUR * float(np.sqrt(wanted**2 - source**2)), False,
                                           sitk.RecursiveGaussianImageFilter.ZeroOrder, axis)
    return sitk.Resample(image, grid, sitk.Transform(), sitk.sitkLinear, outside, sitk.sitkFloat32)


def to_tensor(image: sitk.Image) -> Tensor:
    """float32 tensor (z, y, x)."""
    return torch.from_numpy(array(image).astype(np.float32, copy=False))


def longest_mm(image: sitk.Image) -> float:
    """Longest edge of the image's box in LPS millimetres."""
    box = extent_mm(image)
    return float((box[:, 1] - box[:, 0]).max())

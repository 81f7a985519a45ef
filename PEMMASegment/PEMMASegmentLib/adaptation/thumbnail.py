"""A small picture of a case: axial and coronal plane through the contour's widest part, PET over CT; no word in it."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..core.files import write_atomically
from ..core.images import array, save
from ..study.types import PetCtStudy

SIDE, GAP = 192, 4  # pixels
_WINDOW, _LEVEL = 400.0, 40.0  # HU, soft tissue
_SUV_TOP, _OPACITY = 10.0, 0.65
_CONTOUR = (0.2, 0.88, 1.0)


def write(path: Path, study: PetCtStudy, label: sitk.Image) -> None:
    """Writes a PNG of 388 x 192 pixels. The label lies on `study.grid`."""
    marked = sitk.DICOMOrient(label, "LPS")
    at = _widest(array(marked))
    planes = [_plane(study, marked, axis, at[axis]) for axis in (2, 1)]
    pixels = np.concatenate([planes[0], np.zeros((SIDE, GAP, 3)), planes[1]], axis=1)
    picture = sitk.GetImageFromArray((pixels * 255).round().astype(np.uint8), isVector=True)
    write_atomically(path, lambda temporary: save(picture, temporary))


def _widest(mask: np.ndarray) -> list[int]:
    """For x, y, z the index of the plane that holds most of the contour; mask: (z, y, x)."""
    return [int(np.count_nonzero(mask, axis=axes).argmax()) for axes in ((0, 1), (0, 2), (1, 2))]


def _plane(study: PetCtStudy, label: sitk.Image, axis: int, index: int) -> np.ndarray:
    """Colours (SIDE, SIDE, 3) in 0..1 of one plane across `axis` (2: axial, 1: coronal), its longer side fitted."""
    grid = _grid(label, axis, index)
    ct, pet = (None if image is None else _flat(_sampled(image, grid, outside), axis)
               for image, outside in ((study.ct, -1000.0), (study.pet, 0.0)))  # fmt: skip
    shade = np.zeros((SIDE, SIDE)) if ct is None else np.clip((ct - _LEVEL) / _WINDOW + 0.5, 0, 1)
    colours = np.repeat(shade[..., None], 3, axis=2)
    if pet is not None:
        heat = np.clip(pet / _SUV_TOP, 0, 1)[..., None]
        opacity = 1.0 if ct is None else _OPACITY * np.clip(3 * heat, 0, 1)
        colours = colours * (1 - opacity) + _hot(heat) * opacity
    colours[_edge(_flat(_sampled(label, grid, 0.0, sitk.sitkNearestNeighbor), axis) > 0)] = _CONTOUR
    return np.clip(colours, 0, 1)


def _grid(label: sitk.Image, axis: int, index: int) -> sitk.Image:
    """One plane of square pixels around the middle of the image, SIDE pixels wide and high."""
    size, spacing = np.array(label.GetSize()), np.array(label.GetSpacing())
    shown = [a for a in range(3) if a != axis]
    pixel = float((size * spacing)[shown].max() / SIDE)
    middle = (size - 1) / 2
    middle[axis] = index
    step = np.where(np.arange(3) == axis, spacing, pixel)
    count = [1 if a == axis else SIDE for a in range(3)]
    grid = sitk.Image(count, sitk.sitkUInt8)
    grid.SetSpacing(step.tolist())
    grid.SetDirection(label.GetDirection())
    direction = np.array(label.GetDirection()).reshape(3, 3)
    centre = np.array(label.TransformContinuousIndexToPhysicalPoint(middle.tolist()))
    grid.SetOrigin((centre - direction @ (step * (np.array(count) - 1) / 2)).tolist())
    return grid


def _sampled(image: sitk.Image, grid: sitk.Image, outside: float, how: int = sitk.sitkLinear) -> sitk.Image:
    return sitk.Resample(image, grid, sitk.Transform(), how, outside, sitk.sitkFloat32)


def _flat(slab: sitk.Image, axis: int) -> np.ndarray:
    """Rows downwards, the patient's right on the left; of a coronal plane the head is at the top."""
    plane = array(slab).squeeze(2 - axis)
    return plane if axis == 2 else plane[::-1]


def _hot(heat: np.ndarray) -> np.ndarray:
    """Black, red, yellow, white for 0..1: (..., 1) to (..., 3)."""
    return np.clip(np.concatenate([3 * heat, 3 * heat - 1, 3 * heat - 2], axis=-1), 0, 1)


def _edge(mask: np.ndarray) -> np.ndarray:
    """Pixels of the mask with a neighbour outside it."""
    return mask & ~ndimage.binary_erosion(mask)

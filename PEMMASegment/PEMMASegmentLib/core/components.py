"""The 26-connected components of a label, from the largest down; with care for the memory that a whole body takes."""

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

Box = tuple[slice, slice, slice]


def components(label: sitk.Image, smallest: int = 1) -> tuple[np.ndarray, list[Box]]:
    """Numbers of the components of at least `smallest` voxels, and the box (z, y, x) of each.

    Returns an int32 array (z, y, x) on the grid of `label`, 0 outside; number n has the box at index n - 1.
    Components are sorted by voxel count, equal ones by their first voxel, so `smallest` only drops the last numbers.
    """
    marked = sitk.GetArrayViewFromImage(label) != 0  # (z, y, x)
    numbers, _ = ndimage.label(marked, structure=np.ones((3, 3, 3)), output=np.int32)
    _renumber(numbers, smallest)
    return numbers, ndimage.find_objects(numbers)


def _renumber(numbers: np.ndarray, smallest: int) -> None:
    """In place and slice by slice: a whole-body array is too large for copies in 64 bits."""
    found = int(numbers.max(initial=0))
    counts = sum((np.bincount(plane.ravel(), minlength=found + 1) for plane in numbers), np.zeros(found + 1, int))
    order = np.argsort(-counts[1:], kind="stable")
    order = order[counts[1:][order] >= smallest]
    new = np.zeros(found + 1, np.int32)
    new[1 + order] = np.arange(1, len(order) + 1)
    for plane in numbers:
        plane[:] = new[plane]

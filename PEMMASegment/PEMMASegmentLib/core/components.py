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
    numbers = numbered(sitk.GetArrayViewFromImage(label) != 0, smallest)
    return numbers, ndimage.find_objects(numbers)


def numbered(marked: np.ndarray, smallest: int = 1, most: int | None = None) -> np.ndarray:
    """The numbers that `components` returns, of what is marked (bool); no more than `most`."""
    numbers, found = ndimage.label(marked, structure=np.ones((3, 3, 3)), output=np.int32)
    # slice by slice: a whole-body array is too large for copies in 64 bits
    counts = sum((np.bincount(plane.ravel(), minlength=found + 1) for plane in numbers), np.zeros(found + 1, int))
    new = np.append(np.int32(0), by_size(counts[1:], smallest, most))
    for plane in numbers:
        plane[:] = new[plane]
    return numbers


def by_size(counts: np.ndarray, smallest: int = 1, most: int | None = None) -> np.ndarray:
    """int32, the number of each component that `components` gives it, 0 where it has none.

    counts: voxels of each, the components in the order of their first voxels.
    """
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] >= smallest][:most]
    new = np.zeros(len(counts), np.int32)
    new[order] = np.arange(1, len(order) + 1)
    return new

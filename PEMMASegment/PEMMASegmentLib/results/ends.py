"""Voxels of a label that lie where CT, PET or region end, though the body goes on: there the lesion may go on as well."""

import numpy as np
import SimpleITK as sitk

from ..core.components import Box
from ..study.checks.overlap import ALIKE_VOXELS
from .covered import label_to_pet, within

Roi = tuple[float, float, float, float, float, float]
_ROUNDING_MM = 0.01  # of positions in float32
_WHOLE: Box = (slice(0, 0),) * 3


def at_end_of_grid(marked: np.ndarray, grid: sitk.Image, pet: sitk.Image) -> np.ndarray:
    """Indices (n, 3), z y x, of voxels marked (not 0) on a face of the grid beyond which the PET goes on, by more than images
    do that were cut alike."""
    matrix, shift = label_to_pet(grid, pet, _WHOLE)
    size = np.array(pet.GetSize()[::-1])
    found = []
    for axis in range(3):
        outwards = np.eye(3)[axis] * (0.5 + ALIKE_VOXELS / np.abs(matrix[:, axis]).max())
        for face, way in ((0, -outwards), (marked.shape[axis] - 1, outwards)):
            at = np.insert(np.argwhere(marked.take(face, axis)), axis, face, axis=1)
            found.append(at[within(matrix @ (at + way).T + shift[:, None], size)])
    return np.concatenate(found)


def at_end_of_pet(marked: np.ndarray, grid: sitk.Image, pet: sitk.Image) -> np.ndarray:
    """The same of those in the last PET voxels before a face of the PET beyond which the grid goes on."""
    matrix, shift = label_to_pet(grid, pet, _WHOLE)
    back, size = np.linalg.inv(matrix), np.array(pet.GetSize()[::-1])
    found = []
    for axis in range(3):
        end = size[axis] - 0.5
        for last, beyond in (((-0.5, 0.5), -0.5 - ALIKE_VOXELS), ((end - 1, end), end + ALIKE_VOXELS)):
            low, high = np.full(3, -0.5), size - 0.5
            low[axis], high[axis] = last
            at = _marked_in(marked, back @ (_corners(low, high) - shift[:, None]))
            index = matrix @ at.T + shift[:, None]
            inside = np.all((index >= low[:, None]) & (index <= high[:, None]), axis=0)
            index[axis] = beyond
            goes_on = within(back @ (index - shift[:, None]), np.array(marked.shape))
            found.append(at[inside & goes_on])
    return np.concatenate(found)


def at_end_of_region(marked: np.ndarray, grid: sitk.Image, roi_mm: Roi) -> np.ndarray:
    """Indices (n, 3), z y x, of marked voxels in the region with an unmarked neighbour in the image that is outside it."""
    corners = map(grid.TransformPhysicalPointToContinuousIndex, _corners(roi_mm[::2], roi_mm[1::2]).T.tolist())
    at = _marked_in(marked, np.array(list(corners)).T[::-1])
    at = at[_in_region(at, grid, roi_mm, _ROUNDING_MM)]
    cut = np.zeros(len(at), bool)
    for step in (*np.eye(3, dtype=int), *-np.eye(3, dtype=int)):
        beside = at + step
        unmarked = np.all((beside >= 0) & (beside < marked.shape), axis=1)
        unmarked[unmarked] = marked[tuple(beside[unmarked].T)] == 0
        cut |= unmarked & ~_in_region(beside, grid, roi_mm, -_ROUNDING_MM)
    return at[cut]


def _corners(low, high) -> np.ndarray:
    """The eight corners of a box: (3, 8)."""
    return np.array(np.meshgrid(*zip(low, high, strict=True), indexing="ij")).reshape(3, -1)


def _marked_in(marked: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Indices (n, 3) of marked voxels in the box around these corners (3, 8), continuous indices: a whole body takes long."""
    start = np.clip(np.floor(corners.min(1)), 0, marked.shape).astype(int)
    stop = np.clip(np.ceil(corners.max(1)) + 1, 0, marked.shape).astype(int)
    inside = marked[tuple(map(slice, start, stop))] != 0
    return np.stack(np.unravel_index(np.flatnonzero(inside), inside.shape), axis=1) + start  # argwhere takes ten times as long


def _in_region(at: np.ndarray, grid: sitk.Image, roi_mm: Roi, margin_mm: float) -> np.ndarray:
    """Whether voxel centres (n, 3), z y x, lie in the box (LPS mm), which a margin makes larger or smaller."""
    to_mm = np.reshape(grid.GetDirection(), (3, 3)) * grid.GetSpacing()
    points = at[:, ::-1] @ to_mm.T + grid.GetOrigin()
    return np.all((points >= np.array(roi_mm[::2]) - margin_mm) & (points <= np.array(roi_mm[1::2]) + margin_mm), axis=1)

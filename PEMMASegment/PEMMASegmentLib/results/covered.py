"""Which share of each PET voxel a lesion covers: exact where the grids are parallel, sampled where they are rotated.

Parallel are also grids whose axes stand in another order: an axial and a coronal series of one patient.
"""

import itertools
from collections.abc import Iterator

import numpy as np
import SimpleITK as sitk
from scipy import ndimage, sparse

from ..core.components import Box

#: parallel means: going through the whole lesion, no voxel drifts sideways by more than this share of a PET voxel
_DRIFT = 0.02
#: of a voxel: a point this near to the border of one lies on it, however a file rounded the grid
TIE = 1e-6
_SAMPLES = 9  # log2 of the points in a PET voxel: the share that they find is true to 0.02


def covered_voxels(lesion: np.ndarray, box: Box, label: sitk.Image, pet: sitk.Image) -> np.ndarray:
    """Indices (n, 3), z y x, of the PET voxels of which `lesion` covers half or more.

    lesion: bool (z, y, x), the part of the label's grid that `box` cuts out. label, pet: for their grids.
    """
    matrix, shift = label_to_pet(label, pet, box)
    order = np.abs(matrix).argmax(axis=1)  # the lesion's axis along each of the PET's
    if len(set(order)) == 3:
        lesion, matrix = lesion.transpose(order), matrix[:, order]
    low, high = _pet_box(matrix, shift, lesion.shape, pet)
    if np.any(low >= high):
        return np.empty((0, 3), int)
    shares = _exact if _parallel(matrix, lesion.shape) else _sampled
    planes = shares(lesion, matrix, shift, low, high)
    found = [np.argwhere(plane >= 0.5 - 1e-6) + low[1:] for plane in planes]
    return np.concatenate([np.insert(at, 0, low[0] + k, axis=1) for k, at in enumerate(found)])


def share_inside(lesion: np.ndarray, box: Box, label: sitk.Image, pet: sitk.Image) -> float:
    """Share of the lesion's voxels, 0 to 1, whose centres lie inside the PET's field of view. Arguments as above."""
    matrix, shift = label_to_pet(label, pet, box)
    size = np.array(pet.GetSize()[::-1])
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in lesion.shape], indexing="ij")).reshape(3, -1)
    if within(matrix @ corners + shift[:, None], size).all():
        return 1.0
    inside = 0
    for k, plane in enumerate(lesion):
        at = np.insert(np.argwhere(plane), 0, k, axis=1).T
        inside += np.count_nonzero(within(matrix @ at + shift[:, None], size))
    return inside / np.count_nonzero(lesion)


def within(index: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Whether continuous indices (3, n) lie in voxels of an image of this size (z, y, x), or on its border."""
    return np.all((index >= -0.5 - TIE) & (index <= size[:, None] - 0.5 + TIE), axis=0)


def label_to_pet(label: sitk.Image, pet: sitk.Image, box: Box) -> tuple[np.ndarray, np.ndarray]:
    """PET index (z, y, x) = matrix @ index in the box (z, y, x) + shift."""
    start = [box[2].start, box[1].start, box[0].start]
    origin = pet.TransformPhysicalPointToContinuousIndex(label.TransformIndexToPhysicalPoint(start))
    directions = [np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing() for image in (label, pet)]
    matrix = np.linalg.solve(directions[1], directions[0])
    return matrix[::-1, ::-1], np.array(origin[::-1])


def _pet_box(matrix, shift, shape, pet) -> tuple[np.ndarray, np.ndarray]:
    """First and one past the last PET index (z, y, x) that the box of the lesion can touch."""
    corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in shape], indexing="ij")).reshape(3, -1)
    inside = matrix @ corners + shift[:, None]
    low = np.floor(inside.min(1) + 0.5).astype(int)
    high = np.ceil(inside.max(1) + 0.5).astype(int)
    return np.maximum(low, 0), np.minimum(high, pet.GetSize()[::-1])


def _parallel(matrix: np.ndarray, shape: tuple[int, ...]) -> bool:
    sideways = np.abs(matrix - np.diag(np.diag(matrix))) * np.array(shape)
    return bool(np.all(sideways < _DRIFT))


def _exact(lesion, matrix, shift, low, high) -> Iterator[np.ndarray]:
    """Shares (y, x) of one PET plane after another, from the overlaps of the voxels along each axis."""
    along_z, along_y, along_x = (
        _overlaps(matrix[a, a], shift[a], lesion.shape[a], low[a], high[a]) for a in range(3)
    )  # each sparse, (PET voxels, label voxels)
    back_x = along_x.T
    for start, stop in itertools.pairwise(along_z.indptr):
        share = np.zeros((along_y.shape[0], along_x.shape[0]))
        for j, weight in zip(along_z.indices[start:stop], along_z.data[start:stop], strict=True):
            share += weight * ((along_y @ lesion[j].astype(float)) @ back_x)
        yield share


def _overlaps(step: float, start: float, count: int, low: int, high: int) -> sparse.csr_array:
    """Overlap of label voxels with PET voxels along one axis, in PET voxels: sparse (high - low, count)."""
    centres = start + step * np.arange(count)
    left, right = centres - abs(step) / 2, centres + abs(step) / 2
    pet = np.arange(low, high)[:, None]
    return sparse.csr_array(np.clip(np.minimum(right, pet + 0.5) - np.maximum(left, pet - 0.5), 0, None))


def _sampled(lesion, matrix, shift, low, high) -> Iterator[np.ndarray]:
    """As `_exact`, by counting points that fall into the lesion in the PET voxels that its surface may cross."""
    from scipy.stats import qmc  # takes a second, which parallel grids are spared

    points = qmc.Sobol(3, scramble=False).random_base2(_SAMPLES) + 0.5 ** (_SAMPLES + 1) - 0.5  # no two level, as in a lattice
    back = np.linalg.inv(matrix)
    reach = np.ceil(np.abs(back).sum(axis=1) / 2).astype(int)  # of a PET voxel, in label voxels from the one at its centre
    lesion = np.pad(lesion, [(r, r) for r in reach]).view(np.uint8)
    whole, some = (extreme(lesion, 2 * reach + 1) for extreme in (ndimage.minimum_filter, ndimage.maximum_filter))
    for k in range(low[0], high[0]):
        plane = np.array(np.meshgrid([k], np.arange(low[1], high[1]), np.arange(low[2], high[2]), indexing="ij"))
        centres = back @ (plane.reshape(3, -1) - shift[:, None]) + reach[:, None]
        share = _hits(whole, centres).astype(float)
        crossed = _hits(some, centres) > share
        near = (_hits(lesion, centres[:, crossed] + (back @ point)[:, None]) for point in points)
        share[crossed] = sum(near, 0.0) / len(points)
        yield share.reshape(plane.shape[2:])


def _hits(marked: np.ndarray, at: np.ndarray) -> np.ndarray:
    """1 where the voxel in which each index of `at` (3, n) lies is marked, else 0."""
    index = np.floor(at + 0.5).astype(int)
    inside = np.all((index >= 0) & (index < np.array(marked.shape)[:, None]), axis=0)
    index[:, ~inside] = 0
    return marked[tuple(index)] * inside

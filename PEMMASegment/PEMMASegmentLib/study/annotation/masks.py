"""Masks on a grid of their own to a label on the study's grid: as they are where the grids agree, else resampled."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...core import PemmaError, PemmaWarning
from ...core.images import like, to_grid_of
from ..nifti import read_volume

_SAME_VOXEL = 0.05  # voxels by which the corners of equal grids may differ (headers in float32)
_TIE = 1e-3  # voxels by which a mask is moved, so that of two faces that fall onto voxel centres one counts, not both


def read_mask(
    file: Path, grid: sitk.Image, values: Collection[int] | None = None
) -> tuple[sitk.Image, tuple[PemmaWarning, ...]]:
    """An image file of labels (tumour: `values`, None: above zero) or probabilities (0.5 or more) on `grid`, and warnings."""
    image, place = read_volume(file, sitk.sitkFloat32)
    voxels = sitk.GetArrayViewFromImage(image)
    if not np.isfinite(voxels).all() or voxels.min() < 0:
        raise PemmaError("mask-values", "the mask holds negative values or NaN", "give a mask of 0 and 1", file.name)
    marked = voxels >= 0.5 if values is None else np.isin(voxels, sorted(values))
    label, told = put_on(like(marked.astype(np.uint8), image), grid)
    return label, (*place, *told)


def put_on(mask: sitk.Image, grid: sitk.Image) -> tuple[sitk.Image, tuple[PemmaWarning, ...]]:
    """A mask (0, 1) as uint8 on `grid`: voxel for voxel where the grids agree, else linear and 0.5 or more.

    That it was resampled is told unless each voxel's centre fell onto one of the grid's or outside.

    Raises PemmaError when marked voxels are there but none in the grid.
    """
    if same_grid(mask, grid):
        return like(sitk.GetArrayFromImage(mask).astype(np.uint8), grid), ()
    inside = to_grid_of(sitk.Cast(_padded(mask), sitk.sitkFloat32), grid, outside=0.0)
    label = sitk.Cast(inside >= 0.5, sitk.sitkUInt8)
    marked = _marked_ml(mask)
    if marked and not _marked_ml(label):
        raise PemmaError(
            "annotation-outside",
            "the annotation lies outside the study's volume, or is finer than its voxels",
            "give the annotation of this study",
        )
    told: tuple[PemmaWarning, ...] = ()
    same = _same_centres(mask, grid)
    if not same:
        told += (PemmaWarning("annotation-resampled", "the annotation has another grid than the study and was resampled"),)
    lost = marked - _marked_ml(label)
    if lost > 0.2 * marked or same and _count(label) < _count(mask):
        words = f"{lost:.3g} of {marked:.3g} ml of the annotation are lost on the study's grid"
        told += (PemmaWarning("annotation-cut", words, "check that annotation and study belong together"),)
    return label, told


def same_grid(a: sitk.Image, b: sitk.Image) -> bool:
    """Whether both images have their voxels in the same places."""
    corners, points = _corners(a, b)
    return a.GetSize() == b.GetSize() and bool(np.abs(points - corners).max() <= _SAME_VOXEL)


def _same_centres(a: sitk.Image, b: sitk.Image) -> bool:
    """Whether a has its voxels where b has or would have some: it may be flipped, permuted, padded or cropped."""
    steps = [np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing() for image in (b, a)]
    turn = np.round(np.linalg.solve(*steps))  # b's steps to one of a along each axis
    corners, points = _corners(a, b)
    whole = np.round(points[0]) + corners @ turn.T
    one_each = all((np.abs(turn).sum(axis) == 1).all() for axis in (0, 1))
    return one_each and bool(np.abs(points - whole).max() <= _SAME_VOXEL)


def _corners(a: sitk.Image, b: sitk.Image) -> tuple[np.ndarray, np.ndarray]:
    """Indices (8, 3) of a's outermost voxels, its first one first, and where b has these."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in a.GetSize()], indexing="ij")).reshape(3, -1).T
    points = [b.TransformPhysicalPointToContinuousIndex(a.TransformIndexToPhysicalPoint(c.tolist())) for c in corners]
    return corners, np.array(points)


def _padded(mask: sitk.Image) -> sitk.Image:
    """One empty voxel more all round, so that a mask at its image's face ends half a voxel further out."""
    padded = sitk.ConstantPad(mask, [1] * 3, [1] * 3, 0)
    padded.SetOrigin(padded.TransformContinuousIndexToPhysicalPoint([_TIE] * 3))
    return padded


def _marked_ml(mask: sitk.Image) -> float:
    return float(_count(mask) * np.prod(mask.GetSpacing()) / 1000)


def _count(mask: sitk.Image) -> int:
    return int(np.count_nonzero(sitk.GetArrayViewFromImage(mask)))

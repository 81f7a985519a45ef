"""Closed contours in millimetres to voxels: in the study's layers where they were drawn in these, else on their own grid."""

import numpy as np
import SimpleITK as sitk

from ...core import PemmaError, PemmaWarning
from ...core.images import corners_mm, like, to_grid_of
from .stacks import BETWEEN, THICKEST_MM, counted, fill_slices, usual

_OFF_PLANE_MM = 0.5  # a contour that leaves its own best plane by more is damaged


def fill(contours: list[np.ndarray], grid: sitk.Image) -> tuple[sitk.Image, tuple[PemmaWarning, ...]]:
    """Contours, each (n, 3) in LPS mm, as a label (uint8) on `grid`, and what the user should know.

    Contours in the grid's slices, or all in its layers across another axis, are filled at its voxel centres. Contours
    in other planes are filled on a grid of their own and resampled. Raises PemmaError when no contour lies in the grid
    or their planes aren't parallel.
    """
    flat = [c for c in contours if _thickness_mm(c) <= _OFF_PLANE_MM]
    told = counted(len(contours) - len(flat), "contour-off-plane", "contours that are not flat, left out")
    flat, more = _inside(flat, grid)
    told += more
    index = [_to_index(c, grid) for c in flat]
    for axis in (2, 1, 0):
        if all(_in_layer(c[:, axis], exactly=axis != 2) for c in index):
            label, more = _fill_across(axis, index, grid)
            return label, told + more
    own = _grid_of_planes(flat, grid)
    voxels, more = fill_slices([_to_index(c, own) for c in flat], own)
    inside = to_grid_of(like(voxels.astype(np.float32), own), grid, outside=0.0)
    note = PemmaWarning("contour-planes", "the contours lie in other planes than the study's slices: resampled")
    return sitk.Cast(inside >= 0.5, sitk.sitkUInt8), (*told, *more, note)


def _in_layer(positions: np.ndarray, exactly: bool) -> bool:
    """Whether points at these positions (layers) lie in one layer; exactly: in its voxels' centres, not merely parallel."""
    mean = positions.mean()
    return bool(np.ptp(positions) <= 0.5 and (not exactly or abs(mean - round(mean)) <= BETWEEN))


def _fill_across(axis: int, index: list[np.ndarray], grid: sitk.Image) -> tuple[sitk.Image, tuple[PemmaWarning, ...]]:
    """Contours (n, 3) in voxel index, flat in the grid's layers across one of its axes (2: its slices), as `fill`."""
    order = [*({0, 1, 2} - {axis}), axis]
    layers = sitk.PermuteAxes(grid, order)
    voxels, told = fill_slices([c[:, order] for c in index], layers)
    tilted = sum(bool(np.ptp(c[:, axis]) > BETWEEN) for c in index)
    told += counted(tilted, "contour-tilted", "contours slightly tilted against the slices, put on the nearest")
    if axis != 2:
        told += (PemmaWarning("contour-planes", "the contours were drawn across the study's slices, in its other layers"),)
    label = sitk.PermuteAxes(like(voxels, layers), np.argsort(order).tolist())
    return like(sitk.GetArrayViewFromImage(label), grid), told


def _to_index(contour: np.ndarray, grid: sitk.Image) -> np.ndarray:
    """(n, 3) LPS mm -> (n, 3) continuous voxel index (column, row, slice)."""
    direction = np.array(grid.GetDirection()).reshape(3, 3)
    index = (contour - np.array(grid.GetOrigin())) @ direction / np.array(grid.GetSpacing())
    return np.round(index, 6)  # points on voxel centres stay there, whatever the rotation's rounding


def _plane_of(contour: np.ndarray) -> tuple[np.ndarray, float]:
    """Unit normal of the best plane through the points, and the largest distance of a point from it in mm."""
    centred = contour - contour.mean(axis=0)
    normal = np.linalg.svd(centred, full_matrices=False)[2][2]
    return normal, float(np.abs(centred @ normal).max())


def _thickness_mm(contour: np.ndarray) -> float:
    return _plane_of(contour)[1]


def _inside(contours: list[np.ndarray], grid: sitk.Image) -> tuple[list[np.ndarray], tuple[PemmaWarning, ...]]:
    """The contours that may reach into the grid, and a note on those that reach or lie outside."""
    low, high = np.full(3, -0.5), np.array(grid.GetSize()) - 0.5
    index = [_to_index(c, grid) for c in contours]
    kept = [c for c, i in zip(contours, index, strict=True) if ((i.max(0) >= low) & (i.min(0) <= high)).all()]
    if contours and not kept:
        raise PemmaError(
            "annotation-outside", "the annotation lies outside the study's volume", "give the annotation of this study"
        )
    cut = sum(bool(((i < low) | (i > high)).any()) for i in index)
    return kept, counted(cut, "contour-outside", "contours that reach outside the study's volume, cut there")


def _grid_of_planes(contours: list[np.ndarray], grid: sitk.Image) -> sitk.Image:
    """An empty grid whose slices are the contours' planes; in plane as fine as `grid` is at its finest."""
    largest = max(contours, key=lambda c: float(np.linalg.norm(np.ptp(c, axis=0))))
    normal = _plane_of(largest)[0]
    if any(abs(_plane_of(c)[0] @ normal) < 0.99 for c in contours):
        raise PemmaError(
            "annotation-planes", "the contours lie in planes that are not parallel", "export them as a DICOM-SEG"
        )
    axes = np.array(grid.GetDirection()).reshape(3, 3)
    first = axes[:, np.argmin(np.abs(normal @ axes))]
    u = first - (first @ normal) * normal
    u /= np.linalg.norm(u)
    direction = np.stack([u, np.cross(normal, u), normal], axis=1)
    spacing = np.array([*[min(grid.GetSpacing())] * 2, _step_mm(contours, normal, grid, axes)])
    local = np.concatenate([c @ direction for c in contours])
    box = corners_mm(grid) @ direction  # what lies farther out than the study's own corners isn't needed
    low, high = np.maximum(local.min(axis=0), box.min(axis=0)), np.minimum(local.max(axis=0), box.max(axis=0))
    low[2] = local[:, 2].min() + np.ceil((low[2] - local[:, 2].min()) / spacing[2]) * spacing[2]  # on a contour's plane
    corner = low - spacing  # one voxel more all round, so that linear resampling ends half a voxel out
    size = np.maximum(np.ceil((high - corner) / spacing).astype(int), 1) + 2
    own = sitk.Image([int(n) for n in size], sitk.sitkUInt8)
    own.SetSpacing(spacing.tolist())
    own.SetDirection(direction.ravel().tolist())
    own.SetOrigin((direction @ corner).tolist())
    return own


def _step_mm(contours: list[np.ndarray], normal: np.ndarray, grid: sitk.Image, axes: np.ndarray) -> float:
    """Distance of neighbouring contour planes; of the grid's layers along the normal where there is only one."""
    positions = np.sort([float((c @ normal).mean()) for c in contours])
    steps = np.diff(positions)
    steps = steps[(steps > _OFF_PLANE_MM) & (steps <= THICKEST_MM)]
    along = grid.GetSpacing()[int(np.argmax(np.abs(normal @ axes)))]
    return usual(steps) if len(steps) else along

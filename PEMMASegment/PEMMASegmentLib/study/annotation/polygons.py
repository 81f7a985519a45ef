"""Closed contours in millimetres to voxels: even-odd at voxel centres, polygons of a slice combined by exclusive or."""

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import distance_transform_edt

from ...core import PemmaError
from ...core.images import like, to_grid_of
from ..types import StudyWarning

_OFF_PLANE_MM = 0.5  # a contour that leaves its own best plane by more is damaged
_SAME_PLANE = 0.1  # slices; contours nearer than this were drawn on one slice
_BETWEEN = 0.1  # slices; a plane farther from its slice is said
_THICKEST_MM = 12.0  # planes farther apart than this are separate drawings, not thick slices


def fill(contours: list[np.ndarray], grid: sitk.Image) -> tuple[sitk.Image, tuple[StudyWarning, ...]]:
    """Contours, each (n, 3) in LPS mm, as a label (uint8) on `grid`, and what the user should know.

    Contours in the grid's slices are filled at its voxel centres. Contours in other planes are filled on a grid of
    their own and resampled. Raises PemmaError when no contour lies in the grid or their planes aren't parallel.
    """
    flat = [c for c in contours if _thickness_mm(c) <= _OFF_PLANE_MM]
    notes = _counted(len(contours) - len(flat), "contour-off-plane", "contours that are not flat, left out")
    flat, more = _inside(flat, grid)
    notes += more
    index = [_to_index(c, grid) for c in flat]
    if all(np.ptp(c[:, 2]) <= 0.5 for c in index):
        voxels, more = _fill_slices(index, grid)
        tilted = sum(bool(np.ptp(c[:, 2]) > _BETWEEN) for c in index)
        more += _counted(tilted, "contour-tilted", "contours slightly tilted against the slices, put on the nearest")
        return like(voxels, grid), notes + more
    own = _grid_of_planes(flat, grid)
    voxels, more = _fill_slices([_to_index(c, own) for c in flat], own)
    inside = to_grid_of(like(voxels.astype(np.float32), own), grid, outside=0.0)
    note = StudyWarning("contour-planes", "the contours lie in other planes than the study's slices: resampled")
    return sitk.Cast(inside >= 0.5, sitk.sitkUInt8), (*notes, *more, note)


def even_odd(polygons: list[np.ndarray], rows: int, columns: int) -> np.ndarray:
    """Pixels (rows, columns) whose centre an odd number of polygon edges separates from the outside.

    polygons: each (n, 2) in pixels, column then row, 0 at the first pixel's centre; closed by itself. Several are
    combined by exclusive or, so holes and keyholes come out open. A centre on an edge counts on low sides only.
    """
    toggles = np.zeros((rows, columns + 1), np.uint8)
    for polygon in polygons:
        row, column = _crossings(polygon, rows)
        np.bitwise_xor.at(toggles, (row, np.clip(np.ceil(column), 0, columns).astype(int)), 1)
    return np.bitwise_xor.accumulate(toggles, axis=1)[:, :columns].astype(bool)


def _crossings(polygon: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the polygon's edges cross the pixel rows: row numbers and columns (continuous)."""
    a, b = polygon, np.roll(polygon, -1, axis=0)
    upward = (a[:, 1] <= b[:, 1])[:, None]  # one direction, so that the two sides of a keyhole cancel exactly
    (x0, y0), (x1, y1) = np.where(upward, a, b).T, np.where(upward, b, a).T
    first, stop = (np.clip(np.ceil(y), 0, rows).astype(int) for y in (y0, y1))
    edge = np.repeat(np.arange(len(polygon)), stop - first)
    start = np.cumsum(stop - first) - (stop - first)
    row = first[edge] + np.arange(len(edge)) - start[edge]
    return row, x0[edge] + (row - y0[edge]) * (x1 - x0)[edge] / (y1 - y0)[edge]


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


def _inside(contours: list[np.ndarray], grid: sitk.Image) -> tuple[list[np.ndarray], tuple[StudyWarning, ...]]:
    """The contours that may reach into the grid, and a note on those that reach or lie outside."""
    low, high = np.full(3, -0.5), np.array(grid.GetSize()) - 0.5
    index = [_to_index(c, grid) for c in contours]
    kept = [c for c, i in zip(contours, index, strict=True) if ((i.max(0) >= low) & (i.min(0) <= high)).all()]
    if contours and not kept:
        raise PemmaError(
            "annotation-outside", "the annotation lies outside the study's volume", "give the annotation of this study"
        )
    cut = sum(bool(((i < low) | (i > high)).any()) for i in index)
    return kept, _counted(cut, "contour-outside", "contours that reach outside the study's volume, cut there")


def _counted(count: int, code: str, words: str) -> tuple[StudyWarning, ...]:
    return (StudyWarning(code, f"{words}: {count}"),) if count else ()


def _planes(index: list[np.ndarray]) -> list[tuple[float, list[np.ndarray]]]:
    """Contours grouped by slice position, ascending: (position in slices, polygons (n, 2))."""
    planes: list[tuple[float, list[np.ndarray]]] = []
    for contour in sorted(index, key=lambda c: float(c[:, 2].mean())):
        position = float(contour[:, 2].mean())
        if not planes or position - planes[-1][0] > _SAME_PLANE:
            planes.append((position, []))
        planes[-1][1].append(contour[:, :2])
    return planes


def _fill_slices(index: list[np.ndarray], grid: sitk.Image) -> tuple[np.ndarray, tuple[StudyWarning, ...]]:
    """Contours in voxel index, flat in the grid's slices, to voxels (z, y, x) uint8."""
    columns, rows, slices = grid.GetSize()
    voxels = np.zeros((slices, rows, columns), np.uint8)
    planes = _planes(index)
    step = float(np.median(np.diff([p for p, _ in planes]))) if len(planes) > 2 else 1.0  # in slices of the grid
    thick = step > 1.5 and step * grid.GetSpacing()[2] <= _THICKEST_MM
    if thick:
        _fill_between(planes, step, voxels)
    else:
        _fill_nearest(planes, voxels)
    return voxels, _slice_notes(planes, step, thick, grid.GetSpacing()[2])


def _fill_nearest(planes: list[tuple[float, list[np.ndarray]]], voxels: np.ndarray) -> None:
    """Each plane goes to its nearest slice; where several meet (contours finer than the grid) the nearest stays."""
    nearest: dict[int, tuple[float, list[np.ndarray]]] = {}
    for position, polygons in planes:
        k = int(np.floor(position + 0.5))
        distance = abs(position - k)
        if 0 <= k < len(voxels) and (k not in nearest or distance < nearest[k][0]):
            nearest[k] = (distance, polygons)
    for k, (_, polygons) in nearest.items():
        voxels[k] = even_odd(polygons, *voxels.shape[1:])


def _fill_between(planes: list[tuple[float, list[np.ndarray]]], step: float, voxels: np.ndarray) -> None:
    """Contours on slices thicker than the grid's: outlines blended between neighbours, ends half a step long."""
    positions = np.array([p for p, _ in planes])
    distance = [_signed_distance(even_odd(polygons, *voxels.shape[1:])) for _, polygons in planes]
    for k in range(len(voxels)):
        above = int(np.searchsorted(positions, k))
        below = above - 1
        if 0 <= below and above < len(planes) and positions[above] - positions[below] < 1.5 * step:
            share = (k - positions[below]) / (positions[above] - positions[below])
            voxels[k] = (1 - share) * distance[below] + share * distance[above] > 0
            continue
        near = min((i for i in (below, above) if 0 <= i < len(planes)), key=lambda i: abs(positions[i] - k))
        if abs(positions[near] - k) < step / 2 - 1e-6:
            voxels[k] = distance[near] > 0


def _signed_distance(mask: np.ndarray) -> np.ndarray:
    """Pixels to the outline, positive inside; minus everything where the mask is empty."""
    if not mask.any():
        return np.full(mask.shape, -np.inf)
    return distance_transform_edt(mask) - distance_transform_edt(~mask)


def _slice_notes(planes, step: float, thick: bool, spacing: float) -> tuple[StudyWarning, ...]:
    if thick or step < 0.75:
        words = "blended between them" if thick else "the nearest taken"
        sentence = f"the contours are {step * spacing:.2f} mm apart, the study's slices {spacing:.2f} mm: {words}"
        return (StudyWarning("contour-other-slices", sentence),)
    positions = np.array([p for p, _ in planes])
    off = int((np.abs(positions - np.round(positions)) > _BETWEEN).sum())
    notes = _counted(off, "contour-between-slices", "contour planes between slices, put on the nearest")
    gaps = np.diff(np.round(positions)) - 1
    missing = int(gaps[(gaps > 0) & (gaps <= 3)].sum())
    return notes + _counted(missing, "contour-gap", "slices without a contour among slices with one, left empty")


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
    box = _corners(grid) @ direction  # what lies farther out than the study's own corners isn't needed
    low, high = np.maximum(local.min(axis=0), box.min(axis=0)), np.minimum(local.max(axis=0), box.max(axis=0))
    low[2] = local[:, 2].min() + np.ceil((low[2] - local[:, 2].min()) / spacing[2]) * spacing[2]  # on a contour's plane
    corner = low - spacing  # one voxel more all round, so that linear resampling ends half a voxel out
    size = np.maximum(np.ceil((high - corner) / spacing).astype(int), 1) + 2
    own = sitk.Image([int(n) for n in size], sitk.sitkUInt8)
    own.SetSpacing(spacing.tolist())
    own.SetDirection(direction.ravel().tolist())
    own.SetOrigin((direction @ corner).tolist())
    return own


def _corners(grid: sitk.Image) -> np.ndarray:
    """The outer corners of the grid (8, 3) in LPS mm."""
    ends = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in grid.GetSize()], indexing="ij")).reshape(3, -1).T
    return np.array([grid.TransformContinuousIndexToPhysicalPoint(c.tolist()) for c in ends])


def _step_mm(contours: list[np.ndarray], normal: np.ndarray, grid: sitk.Image, axes: np.ndarray) -> float:
    """Distance of neighbouring contour planes; of the grid's layers along the normal where there is only one."""
    positions = np.sort([float((c @ normal).mean()) for c in contours])
    steps = np.diff(positions)
    steps = steps[steps > _OFF_PLANE_MM]
    along = grid.GetSpacing()[int(np.argmax(np.abs(normal @ axes)))]
    return float(np.median(steps)) if len(steps) and np.median(steps) <= _THICKEST_MM else along

"""Closed contours in millimetres to voxels: even-odd at voxel centres, polygons of a slice combined by exclusive or."""

from functools import lru_cache

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import binary_propagation, distance_transform_edt

from ...core import PemmaError
from ...core.images import like, to_grid_of
from ..types import StudyWarning

_OFF_PLANE_MM = 0.5  # a contour that leaves its own best plane by more is damaged
_SAME_PLANE = 0.1  # slices; contours nearer than this were drawn on one slice
_BETWEEN = 0.1  # slices; a plane farther from its slice is said
_THICKER = 1.02  # slices; less is how positions are rounded
_THICKEST_MM = 12.0  # planes farther apart than this are separate drawings, not thick slices
_LIKE = 1.5  # times the usual distance of two planes; nearer ones follow on each other, farther ones leave a gap


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


def _counted(count: int, code: str, words: str, way_out: str = "") -> tuple[StudyWarning, ...]:
    return (StudyWarning(code, f"{words}: {count}", way_out),) if count else ()


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
    planes, spacing = _planes(index), grid.GetSpacing()[2]
    step = _step(planes, spacing)
    thick = step is not None and (step > _THICKER or _tears(planes, step))
    if thick:
        _fill_between(planes, step, voxels)
    else:
        _fill_nearest(planes, voxels)
    return voxels, _slice_notes(planes, step, thick, spacing)


def _step(planes: list[tuple[float, list[np.ndarray]]], spacing: float) -> float | None:
    """Distance of the slices that the planes were drawn on, in slices of the grid; None where nothing tells it.

    Only neighbours whose outlines overlap tell it: others belong to lesions apart, which can lie at any distance.
    """
    pairs = zip(planes, planes[1:], strict=False)
    apart = np.array([b - a for (a, below), (b, above) in pairs if _overlap(below, above)])
    apart = apart[apart * spacing <= _THICKEST_MM]
    return _usual(apart) if len(apart) else None


def _overlap(below: list[np.ndarray], above: list[np.ndarray]) -> bool:
    """Whether the box around a polygon (n, 2) of one plane meets one of the other plane."""
    return any(((a.min(0) <= b.max(0)) & (b.min(0) <= a.max(0))).all() for a in below for b in above)


def _usual(steps: np.ndarray) -> float:
    """The step that most planes keep, gaps left out. The mean of what is like the median: positions are rounded."""
    middle = np.quantile(steps, 0.5, method="lower")
    return float(steps[(steps * _LIKE > middle) & (steps < middle * _LIKE)].mean())


def _tears(planes: list[tuple[float, list[np.ndarray]]], step: float) -> bool:
    """Whether a slice stays empty between planes that follow on each other when each goes to its nearest."""
    positions = np.array([p for p, _ in planes])
    return bool(((np.diff(np.floor(positions + 0.5)) > 1) & (np.diff(positions) < _LIKE * step)).any())


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
    corner, part = _part_around(planes, voxels)
    drawn = [(p, even_odd([c - corner for c in polygons], *part.shape[1:])) for p, polygons in planes]
    drawn = [(p, mask) for p, mask in drawn if mask.any()]
    positions, masks = np.array([p for p, _ in drawn]), [mask for _, mask in drawn]
    distance = lru_cache(maxsize=2)(lambda i: _signed_distance(masks[i]))
    for k in range(len(part) if drawn else 0):
        above = int(np.searchsorted(positions, k))
        below = above - 1
        if 0 <= below and above < len(drawn) and positions[above] - positions[below] < _LIKE * step:
            share = (k - positions[below]) / (positions[above] - positions[below])
            near, other = (below, above) if share < 0.5 else (above, below)
            blended = (1 - share) * distance(below) + share * distance(above) > 0
            part[k] = blended | _alone(masks[near], masks[other])
            continue
        near = min((i for i in (below, above) if 0 <= i < len(drawn)), key=lambda i: abs(positions[i] - k))
        if -step / 2 - 1e-6 <= k - positions[near] < step / 2 - 1e-6:  # on low sides only, as in plane
            part[k] = masks[near]


def _part_around(planes: list[tuple[float, list[np.ndarray]]], voxels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First column and row of the polygons' box, a pixel wider all round, and a view of the voxels in it."""
    points = np.concatenate([c for _, polygons in planes for c in polygons])
    size = np.array(voxels.shape[:0:-1])
    low = np.clip(np.floor(points.min(axis=0)).astype(int) - 1, 0, size - 1)
    high = np.clip(np.ceil(points.max(axis=0)).astype(int) + 2, low + 1, size)
    return low, voxels[:, low[1] : high[1], low[0] : high[0]]


def _alone(mask: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The pieces of a plane that end on it, with nothing of the other plane under them: they can't be blended."""
    return mask & ~binary_propagation(mask & other, mask=mask)


def _signed_distance(mask: np.ndarray) -> np.ndarray:
    """Pixels to the outline, positive inside."""
    return distance_transform_edt(mask) - distance_transform_edt(~mask)


def _slice_notes(planes, step: float | None, thick: bool, spacing: float) -> tuple[StudyWarning, ...]:
    positions = np.array([p for p, _ in planes])
    if thick or (step or 1) < 0.75:
        words = "blended between them" if thick else "the nearest taken"
        sentence = f"the contours are {step * spacing:.2f} mm apart, the study's slices {spacing:.2f} mm: {words}"
        notes = (StudyWarning("contour-other-slices", sentence),)
    else:
        off = int((np.abs(positions - np.round(positions)) > _BETWEEN).sum())
        notes = _counted(off, "contour-between-slices", "contour planes between slices, put on the nearest")
    if step is None:
        words = f"contours on single slices of unknown thickness, taken as the study's {spacing:.2f} mm"
        notes += _counted(len(planes), "contour-thickness", words, "give a DICOM-SEG if they were thicker")
    gaps = np.round(np.diff(positions) / (step if thick else 1)) - 1
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
    steps = steps[(steps > _OFF_PLANE_MM) & (steps <= _THICKEST_MM)]
    along = grid.GetSpacing()[int(np.argmax(np.abs(normal @ axes)))]
    return _usual(steps) if len(steps) else along

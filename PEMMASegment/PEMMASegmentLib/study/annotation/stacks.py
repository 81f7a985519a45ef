"""Flat contours in a grid's slices to voxels: even-odd at voxel centres, polygons of a plane combined by exclusive or.

Contours that overlap from plane to plane make a stack, a lesion as a rule. Each is filled by the distance of its own
planes, if they are many and even: the lesions of one structure may have been drawn on several series.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import binary_propagation, distance_transform_edt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ...core import PemmaWarning

THICKEST_MM = 12.0  # planes farther apart than this are separate drawings, not thick slices
BETWEEN = 0.1  # slices; a plane farther from its slice is said
_SAME_PLANE = 0.1  # slices; contours nearer than this were drawn on one slice
_THICKER = 1.02  # slices; less is how positions are rounded
_FINER = 0.75  # slices; contours nearer than this to each other can't all have a slice
_LIKE = 1.5  # times the usual distance of two planes; nearer ones follow on each other, farther ones leave a gap
_EVEN = 0.1  # share of their mean by which the distances of a lesion's planes differ at most; by chance they are uneven
_SAMPLES = 32  # along each side of the box that two outlines share, to see whether they overlap

Planes = list[tuple[float, list[np.ndarray]]]  # ascending: (position in slices, polygons (n, 2) in pixels)


@dataclass(frozen=True)
class _Stack:
    """Planes of contours that overlap, and the distance of the slices that they were drawn on (slices of the grid); None
    where nothing tells it."""

    planes: Planes
    step: float | None

    @cached_property
    def thick(self) -> bool:
        """Whether it was drawn on thicker slices than the grid's, or midway between these."""
        return self.step is not None and (self.step > _THICKER or self._tears())

    @cached_property
    def fine(self) -> bool:
        """Whether it was drawn on finer slices, without a gap: beside one it would end too early to meet the next slice."""
        return not self.thick and (self.step or 1) < _FINER and bool(self._follows.all())

    @property
    def left_empty(self) -> int:
        """Slices of the grid without a plane in gaps of finer slices."""
        if self.thick or (self.step or 1) * _THICKER >= 1:
            return 0
        return _missing(self._nearest, 1)

    @property
    def _follows(self) -> np.ndarray:
        """Whether each plane but the first follows on the one below."""
        return np.diff([p for p, _ in self.planes]) < _LIKE * self.step

    @property
    def _nearest(self) -> np.ndarray:
        """Each plane's nearest slice."""
        return np.floor(np.array([p for p, _ in self.planes]) + 0.5)

    def _tears(self) -> bool:
        """Whether a slice stays empty between planes that follow on each other when each goes to its nearest."""
        return bool(((np.diff(self._nearest) > 1) & self._follows).any())


def fill_slices(index: list[np.ndarray], grid: sitk.Image) -> tuple[np.ndarray, tuple[PemmaWarning, ...]]:
    """Contours (n, 3) in voxel index, flat in the grid's slices, to voxels (z, y, x) uint8; and what the user should know."""
    columns, rows, slices = grid.GetSize()
    voxels = np.zeros((slices, rows, columns), np.uint8)
    stacks = _stacks(index, grid.GetSpacing()[2])
    for stack in stacks:
        if stack.thick or stack.fine:
            _fill_between(stack.planes, stack.step, voxels)
        else:
            _fill_nearest(stack.planes, voxels)
    return voxels, _odd(stacks, grid.GetSpacing()[2])


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
    a, b = polygon, np.concatenate([polygon[1:], polygon[:1]])
    upward = (a[:, 1] <= b[:, 1])[:, None]  # one direction, so that the two sides of a keyhole cancel exactly
    (x0, y0), (x1, y1) = np.where(upward, a, b).T, np.where(upward, b, a).T
    first, stop = (np.clip(np.ceil(y), 0, rows).astype(int) for y in (y0, y1))
    edge = np.repeat(np.arange(len(polygon)), stop - first)
    start = np.cumsum(stop - first) - (stop - first)
    row = first[edge] + np.arange(len(edge)) - start[edge]
    return row, x0[edge] + (row - y0[edge]) * (x1 - x0)[edge] / (y1 - y0)[edge]


def _stacks(index: list[np.ndarray], spacing: float) -> list[_Stack]:
    """The contours as stacks with their steps. spacing: of the grid's slices, mm.

    A few planes may be as many lesions, one above the other by chance, and so may planes at uneven distances: they take
    the step that is usual in the structure.
    """
    planes = _planes(index)
    told = _apart(planes, spacing)
    common = usual(told) if len(told) else None
    parts = _overlapping(planes, spacing)
    apart = [_apart(part, spacing) for part in parts]
    return [_Stack(part, usual(own) if _even(own) else common) for part, own in zip(parts, apart, strict=True)]


def _even(apart: np.ndarray) -> bool:
    """Whether planes at these distances (slices) are surely one lesion on slices of its own."""
    return len(apart) > 2 and bool(np.ptp(apart) < _EVEN * apart.mean())


def _planes(index: list[np.ndarray]) -> Planes:
    """Contours grouped by slice position."""
    ordered = sorted(((float(contour[:, 2].mean()), contour[:, :2]) for contour in index), key=lambda one: one[0])
    planes: Planes = []
    for (position, outline), begins in zip(ordered, _begins(np.array([p for p, _ in ordered])), strict=True):
        if begins:
            planes.append((position, []))
        planes[-1][1].append(outline)
    return planes


def _begins(positions: np.ndarray) -> np.ndarray:
    """Whether a plane begins at each of these, rising. Near ones that go on and on are planes of a series with so fine a step."""
    apart = np.diff(positions, prepend=-np.inf)
    begins = apart > _SAME_PLANE
    for run in np.split(np.arange(len(positions)), np.flatnonzero(apart > 1.5 * _SAME_PLANE))[1:]:
        if np.ptp(positions[run]) > 2 * _SAME_PLANE:
            begins[run[1:]] = apart[run[1:]] > apart[run[1:]].max() / 2
    return begins


def _overlapping(planes: Planes, spacing: float) -> list[Planes]:
    """The planes' polygons in groups: those that overlap in a plane, or with the nearest plane above that has such."""
    if not planes:
        return []
    outlines = [polygon for _, polygons in planes for polygon in polygons]
    positions, counts = np.array([p for p, _ in planes]), [len(polygons) for _, polygons in planes]
    plane, first = np.repeat(np.arange(len(planes)), counts), np.cumsum([0, *counts])
    boxes = _boxes(outlines)
    pairs = []
    for k, position in enumerate(positions):
        end = first[k + np.count_nonzero((positions[k:] - position) * spacing <= THICKEST_MM)]
        for i in range(first[k], first[k + 1]):
            pairs += [(i, other) for other in _met(i, end, plane, outlines, boxes)]
    count, group = _joined(pairs, len(outlines))
    found: list[Planes] = [[] for _ in range(count)]
    for i, outline in enumerate(outlines):
        part, position = found[group[i]], positions[plane[i]]
        if not part or part[-1][0] != position:
            part.append((position, []))
        part[-1][1].append(outline)
    return found


def _joined(pairs: list[tuple[int, int]], count: int) -> tuple[int, np.ndarray]:
    """Number of groups that pairs of `count` things make, and each thing's group."""
    rows, columns = np.reshape(pairs, (-1, 2)).astype(int).T
    return connected_components(coo_array((np.ones(len(rows)), (rows, columns)), shape=(count, count)), directed=False)


def _met(i: int, end: int, plane: np.ndarray, outlines: list[np.ndarray], boxes: np.ndarray) -> list[int]:
    """Which of the outlines after i and before `end` overlap it: all in its plane, and all in the nearest above with such.

    plane and boxes: of each outline; planes ascend.
    """
    low, high = boxes[i + 1 : end, 0], boxes[i + 1 : end, 1]
    met: list[int] = []
    for j in i + 1 + np.flatnonzero(((low <= boxes[i, 1]) & (boxes[i, 0] <= high)).all(axis=1)):
        if met and plane[j] > plane[met[-1]] > plane[i]:
            break
        if _share_area(outlines[i], outlines[j]):
            met.append(int(j))
    return met


def _share_area(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether both polygons hold one of the points in the box that they share."""
    low, high = np.maximum(a.min(axis=0), b.min(axis=0)), np.minimum(a.max(axis=0), b.max(axis=0))
    pixel = np.maximum(high - low, 1e-9) / _SAMPLES
    inside = [even_odd([(polygon - low) / pixel - 0.5], _SAMPLES, _SAMPLES) for polygon in (a, b)]
    return bool((inside[0] & inside[1]).any())


def _apart(planes: Planes, spacing: float) -> np.ndarray:
    """Distances (slices) of neighbouring planes whose outlines overlap: others belong to lesions apart, at any distance."""
    pairs = zip(planes, planes[1:], strict=False)
    apart = np.array([b - a for (a, below), (b, above) in pairs if _overlap(below, above)])
    return apart[apart * spacing <= THICKEST_MM]


def _overlap(below: list[np.ndarray], above: list[np.ndarray]) -> bool:
    """Whether the box around a polygon (n, 2) of one plane meets one of the other plane."""
    (low, high), (other_low, other_high) = (_boxes(polygons).swapaxes(0, 1) for polygons in (below, above))
    meet = (low[:, None] <= other_high) & (other_low <= high[:, None])
    return bool(meet.all(axis=2).any())


def _boxes(polygons: list[np.ndarray]) -> np.ndarray:
    """Lowest and highest corner of each polygon: (polygons, 2, 2)."""
    return np.array([(polygon.min(axis=0), polygon.max(axis=0)) for polygon in polygons])


def usual(steps: np.ndarray) -> float:
    """The step that most planes keep, gaps left out. The mean of what is like the median: positions are rounded."""
    middle = np.quantile(steps, 0.5, method="lower")
    return float(steps[(steps * _LIKE > middle) & (steps < middle * _LIKE)].mean())


def _fill_nearest(planes: Planes, voxels: np.ndarray) -> None:
    """Each plane goes to its nearest slice; where several meet the nearest stays."""
    nearest: dict[int, tuple[float, list[np.ndarray]]] = {}
    for position, polygons in planes:
        k = int(np.floor(position + 0.5))
        distance = abs(position - k)
        if 0 <= k < len(voxels) and (k not in nearest or distance < nearest[k][0]):
            nearest[k] = (distance, polygons)
    corner, part = _part_around(planes, voxels)
    for k, (_, polygons) in nearest.items():
        part[k] |= even_odd([c - corner for c in polygons], *part.shape[1:])


def _fill_between(planes: Planes, step: float, voxels: np.ndarray) -> None:
    """Contours on slices thicker or finer than the grid's: outlines blended between neighbours, ends half a step long.

    A lesion that so lies between two slices is put on one.
    """
    corner, part = _part_around(planes, voxels)
    drawn = [(p, even_odd([c - corner for c in polygons], *part.shape[1:])) for p, polygons in planes]
    drawn = [(p, mask) for p, mask in drawn if mask.any()]
    positions, masks = np.array([p for p, _ in drawn]), [mask for _, mask in drawn]
    distance = lru_cache(maxsize=2)(lambda i: _signed_distance(masks[i]))
    met = False
    for k in range(len(part) if drawn else 0):
        above = int(np.searchsorted(positions, k))
        below = above - 1
        if 0 <= below and above < len(drawn) and positions[above] - positions[below] < _LIKE * step:
            share = (k - positions[below]) / (positions[above] - positions[below])
            near, other = (below, above) if share < 0.5 else (above, below)
            blended = (1 - share) * distance(below) + share * distance(above) > 0
            part[k] |= blended | _alone(masks[near], masks[other])
            met = True
            continue
        near = min((i for i in (below, above) if 0 <= i < len(drawn)), key=lambda i: abs(positions[i] - k))
        if -step / 2 - 1e-6 <= k - positions[near] < step / 2 - 1e-6:  # on low sides only, as in plane
            part[k] |= masks[near]
            met = True
    middle = len(drawn) // 2
    k = int(np.floor(positions[middle] + 0.5)) if drawn else -1
    if not met and 0 <= k < len(part):
        part[k] |= masks[middle]


def _part_around(planes: Planes, voxels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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


def counted(count: int, code: str, words: str, way_out: str = "") -> tuple[PemmaWarning, ...]:
    """A warning that ends in a count; none for 0."""
    return (PemmaWarning(code, f"{words}: {count}", way_out),) if count else ()


def _odd(stacks: list[_Stack], spacing: float) -> tuple[PemmaWarning, ...]:
    thick, fine = ([s for s in stacks if getattr(s, kind)] for kind in ("thick", "fine"))
    as_drawn = _positions([s for s in stacks if not s.thick and not s.fine])
    told = _other_slices(thick, spacing) + _other_slices(fine, spacing)
    off = int((np.abs(as_drawn - np.round(as_drawn)) > BETWEEN).sum())
    told += counted(off, "contour-between-slices", "contour planes between slices, put on the nearest")
    if any(stack.step is None for stack in stacks):
        words = f"contours on single slices of unknown thickness, taken as the study's {spacing:.2f} mm"
        way_out = "give a DICOM-SEG if they were thicker"
        told += counted(len(_positions(stacks)), "contour-thickness", words, way_out)
    missing = _missing(_positions(thick), max([s.step for s in thick], default=1))
    missing += max(_missing(_positions([s for s in stacks if not s.thick]), 1), sum(s.left_empty for s in stacks))
    return told + counted(missing, "contour-gap", "slices without a contour among slices with one, left empty")


def _positions(stacks: list[_Stack]) -> np.ndarray:
    """Where the stacks have planes, each once, ascending."""
    return np.array(sorted({position for stack in stacks for position, _ in stack.planes}))


def _other_slices(stacks: list[_Stack], spacing: float) -> tuple[PemmaWarning, ...]:
    if not stacks:
        return ()
    least, most = (f"{end(stack.step for stack in stacks) * spacing:.2f}" for end in (min, max))
    apart = least if least == most else f"{least} to {most}"
    sentence = f"the contours are {apart} mm apart, the study's slices {spacing:.2f} mm: blended between them"
    return (PemmaWarning("contour-other-slices", sentence),)


def _missing(positions: np.ndarray, step: float) -> int:
    """Slices that up to three in a row lack among planes of this step."""
    gaps = np.round(np.diff(positions) / step) - 1
    return int(gaps[(gaps > 0) & (gaps <= 3)].sum())

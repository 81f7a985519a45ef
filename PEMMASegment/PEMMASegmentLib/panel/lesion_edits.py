"""New shapes of lesions at a click: one more lesion, grown from the probability or the PET, and one cut in two.

    grown from    around the local maximum within REACH_MM of the click, down to
    probability   the threshold, or where the maximum lies below it half of the maximum; at least SEEN at the maximum
    PET           PET_FRACTION of the maximum, which is at least LEAST_SUV
and never farther than BOUND_MM from the maximum, nor beyond the valley to a higher maximum or another lesion.
No Slicer in here.
"""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..core import PemmaError
from ..core.components import Box
from ..core.voxels import Voxels

REACH_MM = 10.0
BOUND_MM = 30.0
SEEN = 0.1
PET_FRACTION = 0.41
LEAST_SUV = 1.0
#: a region that fills more of the bounding ball than this is background, not a lesion
_BACKGROUND = 0.5
_PEAK_MM = 4.0  # maxima nearer to each other than this are one
_ALL = np.ones((3, 3, 3), bool)

Point = tuple[float, float, float]
Index = tuple[int, int, int]  # z, y, x


@dataclass(frozen=True)
class Grown:
    """Voxels (bool, z y x) of a new lesion in `box`. source: "probability" or "pet"; level: its lowest value there.

    cut: whether it ends at BOUND_MM.
    """

    voxels: np.ndarray
    box: Box
    source: str
    level: float
    cut: bool


def grow(numbers: np.ndarray, probability: sitk.Image, pet: sitk.Image | None, threshold: float, at: Point) -> Grown:
    """A lesion around a point (LPS mm). numbers: (z, y, x) of the lesions that are there; pet: SUVbw or None.

    Raises PemmaError "crosshair-outside", "lesion-there" and "nothing-there".
    """
    click = _index(probability, at)
    if number := int(numbers[click]):
        raise PemmaError("lesion-there", f"lesion {number} is already there", "tick it, or put the crosshair elsewhere")
    box = _around(click, probability, REACH_MM + BOUND_MM)
    inside = tuple(c - part.start for c, part in zip(click, box, strict=True))
    taken, grid = numbers[box] > 0, _cropped(probability, box)
    step = grid.GetSpacing()[::-1]
    seen = sitk.GetArrayFromImage(grid)
    found = _around_peak(seen, taken, inside, step, lambda peak: threshold if peak >= threshold else peak / 2, SEEN)
    source = "probability"
    if found is None and pet is not None:
        suv = sitk.GetArrayFromImage(sitk.Resample(pet, grid, sitk.Transform(), sitk.sitkLinear, 0.0, sitk.sitkFloat32))
        found = _around_peak(suv, taken, inside, step, lambda peak: PET_FRACTION * peak, LEAST_SUV)
        source = "pet"
    if found is None:
        way_out = "put the crosshair on the middle of the lesion, or draw it in the Segment Editor"
        raise PemmaError("nothing-there", f"nothing stands out within {REACH_MM:g} mm of the crosshair", way_out)
    return Grown(found[0], box, source, found[1], found[2])


def cut(lesions: Voxels, grid: sitk.Image, pet: sitk.Image | None, at: Point) -> tuple[int, np.ndarray, Box]:
    """Cuts the lesion at a point (LPS mm) in two: its number, and the part around the point (bool, z y x) in a box.

    A lesion of several pieces gives the piece at the point. Else it is cut along the valley of the PET (without PET: at
    its narrowest place) between the point and the highest other maximum; where there is none, half-way to its far end.
    Raises PemmaError "crosshair-outside" and "no-lesion-there".
    """
    click = _index(grid, at)
    number = int(lesions.under(np.ravel_multi_index(click, lesions.shape)[None])[0])
    if not number:
        way_out = "put the crosshair into the part of a lesion that is to become a lesion of its own"
        raise PemmaError("no-lesion-there", "there is no lesion at the crosshair", way_out)
    [(_, box, lesion)] = lesions.only(lesions.of == number).boxes()
    at_click = tuple(c - part.start for c, part in zip(click, box, strict=True))
    pieces, count = ndimage.label(lesion, _ALL)
    part = pieces == pieces[at_click] if count > 1 else _lobe(lesion, at_click, _cropped(grid, box), pet)
    if part.all() or np.array_equal(part, lesion):
        raise PemmaError("too-small", f"lesion {number} is too small to be cut in two", "use the Segment Editor")
    return number, part, box


def _index(grid: sitk.Image, at: Point) -> Index:
    index = grid.TransformPhysicalPointToIndex(at)
    if any(not 0 <= i < n for i, n in zip(index, grid.GetSize(), strict=True)):
        way_out = "hold Shift and move the mouse over the place in a slice view"
        raise PemmaError("crosshair-outside", "the crosshair lies outside the study", way_out)
    return index[::-1]


def _around(at: Index, grid: sitk.Image, reach: float) -> Box:
    steps, size = grid.GetSpacing()[::-1], grid.GetSize()[::-1]
    far = [int(np.ceil(reach / step)) for step in steps]
    return tuple(slice(max(i - d, 0), min(i + d + 1, n)) for i, d, n in zip(at, far, size, strict=True))


def _cropped(image: sitk.Image, box: Box) -> sitk.Image:
    return image[tuple(reversed(box))]


def _distances(shape, at: Index, step) -> np.ndarray:
    """From a voxel, mm; (z, y, x)."""
    squares = ((np.arange(n) - i) ** 2 * s**2 for n, i, s in zip(shape, at, step, strict=True))
    return np.sqrt(sum(np.ix_(*squares)))


def _maxima(field: np.ndarray, step) -> np.ndarray:
    size = [2 * max(int(_PEAK_MM / s), 1) + 1 for s in step]
    return field == ndimage.maximum_filter(field, size)


def _around_peak(field, taken, click, step, level_of, least) -> tuple[np.ndarray, float, bool] | None:
    """Voxels around the highest maximum near the click, their lowest value, whether the bound cut them; None: no peak."""
    maxima = _maxima(field, step) & ~taken
    near = maxima & (_distances(field.shape, click, step) <= REACH_MM) & (field >= least)
    if not near.any():
        return None
    peak = tuple(int(i) for i in np.unravel_index(np.argmax(np.where(near, field, -np.inf)), field.shape))
    level = float(level_of(field[peak]))
    away = _distances(field.shape, peak, step)
    ball = away <= BOUND_MM
    mask = (field >= level) & ball & ~taken
    if np.count_nonzero(mask) > _BACKGROUND * np.count_nonzero(ball):
        return None
    others = taken | (maxima & (field > field[peak]))
    here = np.zeros_like(mask)
    here[peak] = True
    basins = _basins(field, mask | others, np.where(others, 2, here))
    region = _piece((basins == 1) & mask, here)
    return region, level, bool((region & (away > BOUND_MM - max(step))).any())


def _lobe(lesion: np.ndarray, click: Index, grid: sitk.Image, pet: sitk.Image | None) -> np.ndarray:
    step = grid.GetSpacing()[::-1]
    if pet is None:
        field = ndimage.distance_transform_edt(np.pad(lesion, 1), sampling=step)[1:-1, 1:-1, 1:-1].astype(np.float32)
    else:
        field = sitk.GetArrayFromImage(sitk.Resample(pet, grid, sitk.Transform(), sitk.sitkLinear, 0.0, sitk.sitkFloat32))
    maxima, count = ndimage.label(_maxima(np.where(lesion, field, -np.inf), step) & lesion, _ALL)
    if count == 1:
        away = _distances(lesion.shape, click, step)
        far = tuple(int(i) for i in np.unravel_index(np.argmax(np.where(lesion, away, -1)), lesion.shape))
        return lesion & (away <= _distances(lesion.shape, far, step))
    own = _basins(field, lesion, maxima)[click]
    other = np.where(lesion & (maxima > 0) & (maxima != own), field, -np.inf)
    marks = np.where(maxima == own, 1, np.where(other == other.max(), 2, 0))
    return _piece(_basins(field, lesion, marks) == 1, maxima == own)


def _basins(field: np.ndarray, mask: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """Which of the marked places one comes to when one climbs in `field`; outside the mask one goes last."""
    high, low = float(field.max()) + 1.0, float(field.min())
    relief = np.where(mask, high - field, 2 * high - low).astype(np.float32)
    images = (sitk.GetImageFromArray(relief), sitk.GetImageFromArray(marks.astype(np.uint16)))
    found = sitk.GetArrayFromImage(sitk.MorphologicalWatershedFromMarkers(*images, False, True))
    return np.where(mask, found, 0)


def _piece(region: np.ndarray, at: np.ndarray) -> np.ndarray:
    """What of a region is connected with a place in it."""
    pieces, _ = ndimage.label(region, _ALL)
    return (pieces > 0) & np.isin(pieces, pieces[at & region])

"""How well a label agrees with an expert's: overlap, surfaces, volumes, and intervals over patients.

Labels are `sitk.Image`s of one grid, foreground above zero. Lengths are mm, volumes ml.
"""

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
from scipy import ndimage, spatial, stats

from .images import array, on_one_grid, voxel_ml

RESAMPLES = 10_000
FEW = 20  # below this many patients the percentile interval is too narrow, so BCa is used


def dice(a: sitk.Image, b: sitk.Image) -> float:
    """2|A and B| / (|A| + |B|), 0..1; both empty 1, one empty 0. Raises ValueError when the grids differ."""
    return dice_of(*_pair(a, b))


def dice_of(a: np.ndarray, b: np.ndarray) -> float:
    """`dice` of two masks, bool."""
    total = np.count_nonzero(a) + np.count_nonzero(b)
    return 2 * np.count_nonzero(a & b) / total if total else 1.0


def surface_dice(a: sitk.Image, b: sitk.Image, tolerance_mm: float) -> float:
    """Share of both surfaces, by area, that lies within `tolerance_mm` of the other, 0..1; both empty 1, one empty 0.

    Nikolov et al., J Med Internet Res 2021;23(7):e26151: a surface lies at the corners whose eight voxels differ; the
    image's faces count as surface where the label reaches them. DeepMind's surface-distance and MONAI with
    `use_subvoxels` differ by 0.01 at most, 0.05 where one surface is the other moved by about the tolerance, 0.08 for rough
    outlines and 0.13 for lesions of a few voxels; counts of voxels or of their faces differ by up to 0.3. Raises
    ValueError when the grids differ.
    """
    first, second = _pair(a, b)
    if not (first.any() and second.any()):
        return float(first.any() == second.any())
    spacing = np.array(a.GetSpacing())[::-1]
    (points_a, area_a), (points_b, area_b) = _surface(first, spacing), _surface(second, spacing)
    near_a = area_a[_within(points_a, points_b, tolerance_mm)].sum()
    near_b = area_b[_within(points_b, points_a, tolerance_mm)].sum()
    return float((near_a + near_b) / (area_a.sum() + area_b.sum()))


def missed_ml(pred: sitk.Image, truth: sitk.Image) -> float:
    """Volume of the truth that the prediction leaves out, ml. Raises ValueError when the grids differ."""
    found, wanted = _pair(pred, truth)
    return np.count_nonzero(wanted & ~found) * voxel_ml(truth)


def extra_ml(pred: sitk.Image, truth: sitk.Image) -> float:
    """Volume of the prediction outside the truth, ml. Raises ValueError when the grids differ."""
    return missed_ml(truth, pred)


def blind_dice(truth: sitk.Image, share: float = 0.6) -> float:
    """Dice of an ellipsoid in the middle of the image with `share` of its half extents: a guess without a look."""
    mask = array(truth) > 0
    axes = [((np.arange(n) - (n - 1) / 2) / (n / 2)) ** 2 for n in mask.shape]
    return dice_of(axes[0][:, None, None] + axes[1][:, None] + axes[2] <= share * share, mask)


def bootstrap_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """95 % interval of the mean over patients: 10,000 resamples, percentile (BCa below 20 values); None below two values.

    The same values give the same interval.
    """
    sample = np.asarray(values, dtype=float)
    if len(sample) < 2:
        return None
    if np.ptp(sample) < 1e-12:  # equal but for rounding: BCa's acceleration would be 0/0
        return float(sample[0]), float(sample[0])
    method = "BCa" if len(sample) < FEW else "percentile"
    rng = np.random.default_rng(0)
    found = stats.bootstrap((sample,), np.mean, n_resamples=RESAMPLES, method=method, rng=rng).confidence_interval
    return float(found.low), float(found.high)


def _pair(a: sitk.Image, b: sitk.Image) -> tuple[np.ndarray, np.ndarray]:
    """Both foregrounds as bool (z, y, x)."""
    if not on_one_grid(a, b):
        raise ValueError("labels to compare must lie on one grid")
    return array(a) > 0, array(b) > 0


def _surface(mask: np.ndarray, spacing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners (n, 3) in mm, axes z, y, x, and the area (n,) of surface around each in mm2.

    The area in the cell around a corner is the cell's volume times the length of the mask's gradient there (co-area
    formula): exact for planes along the axes, some 9 % too much on a ball of voxels, which hardly changes a share.
    """
    box = ndimage.find_objects(mask.view(np.uint8))[0]
    inside = np.pad(mask[box], 1).astype(np.float32)
    gradient = [_cell(inside, axis) / spacing[axis] for axis in range(3)]
    length = np.sqrt(sum(g * g for g in gradient))
    corners = np.argwhere(length > 0)
    start = np.array([part.start for part in box])
    return (corners + start) * spacing, length[tuple(corners.T)] * spacing.prod()


def _cell(inside: np.ndarray, axis: int) -> np.ndarray:
    """Difference along `axis`, mean along the others, over each 2 x 2 x 2 voxels."""
    for other in range(3):
        low, high = (np.take(inside, range(first, inside.shape[other] - 1 + first), other) for first in (0, 1))
        inside = high - low if other == axis else (high + low) / 2
    return inside


def _within(points: np.ndarray, others: np.ndarray, tolerance_mm: float) -> np.ndarray:
    """Which of `points` have one of `others` at most `tolerance_mm` away."""
    limit = tolerance_mm + 1e-6  # the tree leaves out what lies exactly at its bound
    distance, _ = spatial.KDTree(others).query(points, distance_upper_bound=limit)
    return np.isfinite(distance)

"""Whether CT and PET of one frame of reference lie centimetres apart, as a wrong shift in an export or a moved patient does.

Both are looked at on one coarse grid. Where they belong together, tissue tells most about uptake (mutual information, as in
registration; Studholme 1999). A shift of one against the other along an axis that tells clearly more gives a warning.

Measured on 39 crops of limbs and trunk, 10 to 30 cm long, also cut smaller, noisy, and as of another scanner: no false
warning; where the CT shows only three fifths of the width, one. Whole-body pairs were not at hand.
Of shifts of 2, 3 and 5 cm in the axial plane 90, 95 and 85 % are found (the rest of 5 cm leaves too little that both show);
along head and feet, where a limb looks the same for centimetres, 25, 45 and 75 %.
"""

from math import ceil

import numpy as np
import SimpleITK as sitk

from ...core import PemmaWarning
from ...core.images import extent_mm

_STEP_MM, _LEAST_MM, _MOST_MM = 6.0, 15.0, 72.0  # of the coarse grid; shifts that are looked for
_SMALLEST_MM = 100.0  # of what both show, along the axis looked at
_MOST_VOXELS = 250_000
_HU, _SUV = (-500, -150, -20, 20, 80, 150), (0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.5)  # borders of the classes
_ROWS, _COLUMNS = len(_HU) + 1, len(_SUV) + 1
#: By axis of LPS: its name, and by how much the information must rise. Of the 39 it rises by 0.02, 0.01 and 0.04 at most.
_AXES = (("left and right", 0.04), ("front and back", 0.04), ("head and feet", 0.06))


def check(ct: sitk.Image, pet: sitk.Image) -> tuple[PemmaWarning, ...]:
    """A warning with axis and size of the shift, if there is one. ct: HU; pet: SUVbw."""
    tissue, uptake = _classes(ct, pet)
    found = [(gain / _AXES[axis][1], _AXES[axis][0], mm) for axis in range(3) for gain, mm in _gain(tissue, uptake, axis)]
    gain, along, mm = max(found, default=(0.0, "", 0.0))
    if gain <= 1:
        return ()
    sentence = f"CT and PET seem to be shifted by about {mm:.0f} mm along {along}"
    return (PemmaWarning("ct-pet-shifted", sentence, "check the registration before you trust any figure"),)


def _classes(ct: sitk.Image, pet: sitk.Image) -> tuple[np.ndarray, np.ndarray]:
    """Classes of tissue and of uptake in the box that both show, (z, y, x), voxels of `_STEP_MM`."""
    boxes = extent_mm(ct), extent_mm(pet)
    low = np.maximum(*(box[:, 0] for box in boxes))
    size = ((np.minimum(*(box[:, 1] for box in boxes)) - low) // _STEP_MM).astype(int)
    coarse = sitk.Image(np.maximum(size, 1).tolist(), sitk.sitkInt8)
    coarse.SetSpacing([_STEP_MM] * 3)
    coarse.SetOrigin((low + _STEP_MM / 2).tolist())
    values = (_on(coarse, image, outside) for image, outside in ((ct, -1024.0), (pet, 0.0)))
    return tuple(np.digitize(value, borders).astype(np.uint8) for value, borders in zip(values, (_HU, _SUV), strict=True))


def _on(grid: sitk.Image, image: sitk.Image, outside: float) -> np.ndarray:
    """Means over about a voxel of the grid."""
    voxels = (min(max(1, round(_STEP_MM / mm)), n) for mm, n in zip(image.GetSpacing(), image.GetSize(), strict=True))
    shrunk = sitk.BinShrink(image, list(voxels))
    return sitk.GetArrayFromImage(sitk.Resample(shrunk, grid, sitk.Transform(), sitk.sitkLinear, outside, sitk.sitkFloat32))


def _gain(tissue: np.ndarray, uptake: np.ndarray, axis: int) -> list[tuple[float, float]]:
    """What the best shift along an axis of LPS gains over none, and its size in mm; nothing for what is too short."""
    tissue, uptake = (np.moveaxis(classes, 2 - axis, 0) for classes in (tissue, uptake))
    long = len(tissue)
    if long * _STEP_MM < _SMALLEST_MM:
        return []
    at_rest = _information(tissue, uptake)
    steps = range(ceil(_LEAST_MM / _STEP_MM), min(round(_MOST_MM / _STEP_MM), 2 * long // 3) + 1)
    told = [(max(_information(tissue[n:], uptake[: long - n]), _information(tissue[: long - n], uptake[n:])), n) for n in steps]
    best, n = max(told)
    return [(best - at_rest, n * _STEP_MM)]


def _information(tissue: np.ndarray, uptake: np.ndarray) -> float:
    """Normalised mutual information less one: 0 where the one tells nothing about the other. Of a sample of the voxels."""
    every = ceil(tissue.size / _MOST_VOXELS)
    pairs = tissue[..., ::every] * _COLUMNS + uptake[..., ::every]
    joint = np.bincount(pairs.ravel(), minlength=_ROWS * _COLUMNS).reshape(_ROWS, _COLUMNS) / pairs.size
    both = _entropy(joint)
    return (_entropy(joint.sum(0)) + _entropy(joint.sum(1))) / both - 1 if both > 0 else 0.0


def _entropy(share: np.ndarray) -> float:
    share = share[share > 0]
    return float(-(share * np.log(share)).sum())

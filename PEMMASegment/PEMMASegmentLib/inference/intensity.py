"""Intensity maps of an adapter: what the network is given in the place of a site's HU and SUV. Reported SUVs stay."""

from collections.abc import Mapping, Sequence
from math import exp, log

import numpy as np
import SimpleITK as sitk

from ..core.images import like

#: One curve: values as the study has them, rising, and the values that the network is given instead.
Curve = Sequence[Sequence[float]]
#: A map that scales PET by more than this, or by less than its inverse, speaks of a scanner's calibration.
MUCH = 1.3
#: The range of SUVs in which a map's scale is judged: above background, below what only few lesions reach.
_JUDGED = np.linspace(1.0, 8.0, 15)


def mapped(images: Mapping[str, sitk.Image], curves: Mapping[str, Curve] | None) -> dict[str, sitk.Image]:
    """The images by modality, those with a curve through it: CT int16 (HU), PET float32 (SUVbw), grids as they are."""
    return {name: _through(image, curves[name]) if curves and name in curves else image for name, image in images.items()}


def pet_scale(curves: Mapping[str, Curve] | None) -> float | None:
    """How much a map scales PET (geometric mean of output over input where lesions lie); None without one."""
    if not curves or "pet" not in curves:
        return None
    given = np.interp(_JUDGED, curves["pet"][1], curves["pet"][0])  # SUVs of the site that become those judged
    return exp(float(np.mean(np.log(_JUDGED / given))))


def scales_much(scale: float | None) -> bool:
    """Whether a PET scale is so far from 1 that the scanner's SUV calibration should be looked at."""
    return scale is not None and abs(log(scale)) > log(MUCH)


def _through(image: sitk.Image, curve: Curve) -> sitk.Image:
    """Linear between the curve's points, constant beyond; slice by slice, since a whole body in float64 is large."""
    given, wanted = (np.asarray(values, dtype=float) for values in curve)
    voxels = sitk.GetArrayViewFromImage(image)
    out = np.empty_like(voxels)
    for plane, target in zip(voxels, out, strict=True):
        values = np.interp(plane, given, wanted)
        target[:] = np.rint(values) if np.issubdtype(out.dtype, np.integer) else values
    return like(out, image)

"""Whether values can be HU and SUVbw, and what is odd about them."""

import numpy as np

from ...core import PemmaError, PemmaWarning

HIGHEST_MEAN_SUV = 50.0  # a body's is about 1: all of the dose in all of the weight; in Bq/ml it is hundreds
#: Half of a body, muscle and fat, has less. In kBq/ml the same image is some two to six times as high.
USUAL_MEDIAN_SUV = 1.5
_UPTAKE = 0.1  # SUV; what is lower is mostly air
USUAL_HIGHEST_SUV = (0.2, 500.0)  # above: the injected vein, a syringe in view, or wrong units


def check_ct(voxels: np.ndarray) -> list[PemmaWarning]:
    """What is odd about HU (any shape) that come from a Hounsfield scale in DICOM headers."""
    if voxels.min() < 0:
        return []
    return [
        PemmaWarning(
            "not-hounsfield",
            "the CT has no value below 0 HU, no fat and no air: it may not be in HU",
            "check the series",
        )
    ]


def check_pet(voxels: np.ndarray, way_out: str, place: str) -> list[PemmaWarning]:
    """What is odd about SUVbw (any shape) from DICOM or any other file. Refuses what no body has, with way_out and place."""
    low, top = float(voxels.min()), float(voxels.max())
    mean = float(voxels.mean(where=voxels > 0, dtype=np.float64)) if top > 0 else 0.0
    if mean > HIGHEST_MEAN_SUV:
        raise PemmaError(
            "suv-implausible",
            f"the mean SUV above 0 is {mean:.3g}, which no body has: dose, weight, injection time or units must be wrong",
            way_out,
            place,
        )
    if top <= 0 or low == top:
        state = f"every voxel is {low:g}" if low == top else "no voxel is above 0"
        return [PemmaWarning("pet-empty", f"the PET is empty, {state}: it shows no lesion, there be one or not", way_out)]
    found = []
    if not USUAL_HIGHEST_SUV[0] <= top <= USUAL_HIGHEST_SUV[1]:
        found.append(PemmaWarning("suv-implausible", f"the highest SUV is {top:.3g}", "check dose, weight and units"))
    if low < 0:
        found.append(PemmaWarning("pet-negative", f"the PET has negative values (lowest {low:.3g}), which were kept"))
    return found


def check_units(voxels: np.ndarray, what: str) -> list[PemmaWarning]:
    """Whether a PET without headers (any shape), said to be in SUVbw, may be in other units.

    Measured on 39 crops of limbs and trunk: the median is 0.41 to 0.91. Images of brain or liver alone have more, as well.
    """
    shown = voxels[voxels > _UPTAKE]
    median = float(np.median(shown)) if shown.size else 0.0
    if median <= USUAL_MEDIAN_SUV:
        return []
    sentence = f"half of what the PET shows is above {median:.3g}; SUVbw is seldom so high, the PET may be in kBq/ml"
    return [PemmaWarning("suv-doubtful", sentence, f"check that {what} is in SUVbw")]

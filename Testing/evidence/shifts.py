"""Other hospitals, simulated: what another scanner, reconstruction, uptake time or way to contour does to a patient.

Deterministic: the noise depends on the patient's name alone. Images are changed whole and cut afterwards.
"""

import zlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import SimpleITK as sitk
from scipy import ndimage as ndi
from scoring import Case, tool

from PEMMASegmentLib.core.images import array, like, to_grid_of

#: The second site of shared/tools with other constants: between the sites, and a scanner wrong in other ways.
CONSTANTS = {
    "second": {},
    "second, halfway": {"CT_GAIN": 0.82, "CT_SHIFT": -30.0, "CT_BLUR": 0.8, "CT_NOISE": 18.0, "CUP_HU": 25.0, "PET_GAIN": 1.4,
                        "PET_FLOOR": 0.4, "PET_MU": 0.010, "PET_BLUR": 3.0, "PET_NOISE": 0.10},
    "second, otherwise": {"CT_GAIN": 1.3, "CT_SHIFT": 40.0, "PET_GAIN": 0.6, "PET_FLOOR": 0.3, "PET_MU": 0.005},
}  # fmt: skip
SHARE_OF_MAX = 0.41


def _second(constants: dict[str, float]) -> Callable[[Case], Case]:
    def change(case: Case) -> Case:
        site = tool("second_site")
        for name, value in constants.items():
            assert hasattr(site, name)
            setattr(site, name, value)
        ct, pet = site.second_site(case.study.ct, case.study.pet, case.name)
        return _with(case, sitk.Cast(ct, sitk.sitkInt16), pet)

    return change


def blurred(case: Case) -> Case:
    """Another reconstruction: PET smoothed by 7 mm FWHM more."""
    sigma = 7.0 / 2.355
    pet = ndi.gaussian_filter(array(case.study.pet), [sigma / s for s in case.study.pet.GetSpacing()[::-1]])
    return _with(case, case.study.ct, like(pet, case.study.pet))


def noisy(case: Case) -> Case:
    """A quarter of the counts: PET noise of 30 % with a grain of 3 mm (relative, as OSEM's is)."""
    pet, rng = array(case.study.pet), np.random.default_rng(zlib.crc32(case.name.encode()))
    grain = ndi.gaussian_filter(rng.standard_normal(pet.shape), [3.0 / s for s in case.study.pet.GetSpacing()[::-1]])
    noise = (0.3 * grain / grain.std()).astype(np.float32)
    return _with(case, case.study.ct, like(np.maximum(pet * (1 + noise), 0), case.study.pet))


def late(case: Case) -> Case:
    """Imaged 120 min after injection, not 60: background falls by 15 %, what is hot (above SUV 2.5) rises by 30 %."""
    pet = array(case.study.pet)
    hot = 1 / (1 + np.exp(-(pet - 2.5) / 0.5))
    return _with(case, case.study.ct, like((pet * (0.85 + 0.45 * hot)).astype(np.float32), case.study.pet))


def metabolic(case: Case) -> Case:
    """Another convention: of the contour only what has 41 % of its SUVmax or more. The images are the first site's."""
    pet = to_grid_of(case.study.pet, case.study.ct, 0.0)
    inside = array(case.label) > 0
    suv = array(pet)
    label = inside & (suv >= SHARE_OF_MAX * suv[inside].max())
    return replace(case, label=like(label.astype(np.uint8), case.label))


SHIFTS: dict[str, Callable[[Case], Case]] = {
    "first": lambda case: case,
    **{name: _second(constants) for name, constants in CONSTANTS.items()},
    "blur": blurred, "noise": noisy, "late": late, "41 % of SUVmax": metabolic,
}  # fmt: skip


def _with(case: Case, ct: sitk.Image, pet: sitk.Image) -> Case:
    return replace(case, study=replace(case.study, ct=ct, pet=pet))

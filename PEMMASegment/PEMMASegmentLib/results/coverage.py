"""What is said of lesions that one of the two images does not show to their end."""

from collections.abc import Iterable

import numpy as np
import SimpleITK as sitk

from ..core import Lesion, Segmentation
from .components import lesion_numbers
from .covered import cut_voxels


def coverage(
    lesions: Iterable[Lesion], segmentation: Segmentation, pet: sitk.Image | None
) -> tuple[tuple[str, str], ...]:
    """Notes (code, sentence) on the lesions of `segmentation`; none for a study without PET.

    "pet-coverage": lesions without PET figures. "ct-coverage": lesions at a face of the label's grid, the CT's, that cuts
    the PET.
    """
    if pet is None:
        return ()
    lesions, found = list(lesions), []
    if numbers := [lesion.number for lesion in lesions if lesion.suv_max is None]:
        found.append(("pet-coverage", f"{_reach(numbers)} beyond the PET's field of view: no SUV figures for what the PET does "
                      "not show, and the totals are without them"))
    reached = _reached(segmentation, pet)
    if numbers := [lesion.number for lesion in lesions if lesion.number in reached]:
        found.append(("ct-coverage", f"{_reach(numbers)} the edge of the CT, beyond which the PET goes on: "
                      "all figures are of the part inside"))
    return tuple(found)


def _reached(segmentation: Segmentation, pet: sitk.Image) -> frozenset[int]:
    """Numbers of the lesions at the edge. Without one no lesion is looked for: it takes seconds in a whole body."""
    label = segmentation.label if segmentation.numbers is None else segmentation.numbers
    at = cut_voxels(label, pet)
    return frozenset(np.unique(lesion_numbers(segmentation)[0][tuple(at.T)]).tolist()) if len(at) else frozenset()


def _reach(numbers: list[int]) -> str:
    named = ", ".join(map(str, numbers))
    return f"lesion {named} reaches" if len(numbers) == 1 else f"lesions {named} reach"

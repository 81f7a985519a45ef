"""What is said of lesions that CT, PET or the region that was looked at do not show to their end."""

from collections.abc import Iterable

import numpy as np
import SimpleITK as sitk

from ..core import Lesion, PemmaWarning, Segmentation
from .components import lesion_numbers
from .ends import at_end_of_grid, at_end_of_pet, at_end_of_region

_UNSEEN = "beyond the PET's field of view: no SUV figures for what the PET does not show, and the totals are without them"
_CUT = {
    "pet-coverage": "the edge of the PET, beyond which the CT goes on: what lies there may be missing from all figures",
    "ct-coverage": "the edge of the CT, beyond which the PET goes on: all figures are of the part inside",
    "roi-coverage": "the edge of the region that was looked at: all figures are of the part inside",
}
#: of the warnings that `coverage` gives
COVERAGE_CODES = tuple(_CUT)


def coverage(
    lesions: Iterable[Lesion], segmentation: Segmentation, pet: sitk.Image | None, drawn: np.ndarray | None = None
) -> tuple[PemmaWarning, ...]:
    """Warnings about the lesions of `segmentation`. drawn: the lesion of each voxel (z, y, x) as a user made them of it.

    "pet-coverage": lesions without PET figures, and lesions at a face of the PET beyond which the CT goes on: the network
    ends its contour about there, so that nearly all of it lies inside. "ct-coverage": lesions at a face of the label's grid,
    the CT's, that cuts the PET. "roi-coverage": lesions at a face of the region.
    """
    numbers = {lesion.number: lesion for lesion in lesions}
    unseen = [n for n, lesion in numbers.items() if pet is not None and lesion.suv_max is None]
    found = [PemmaWarning("pet-coverage", f"{_reach(unseen)} {_UNSEEN}")] if unseen else []
    for code, reached in _reached(segmentation, pet, drawn).items():
        told = [n for n in numbers if n in reached and not (code == "pet-coverage" and n in unseen)]
        found += [PemmaWarning(code, f"{_reach(told)} {_CUT[code]}")] if told else []
    return tuple(found)


def _reached(segmentation: Segmentation, pet: sitk.Image | None, drawn: np.ndarray | None) -> dict[str, frozenset[int]]:
    """Numbers of the lesions at each end. Where none is marked no lesion is looked for: it takes seconds in a whole body."""
    grid = segmentation.label
    marked = sitk.GetArrayViewFromImage(grid) if drawn is None else drawn
    ends = {}
    if pet is not None:
        ends = {"pet-coverage": at_end_of_pet(marked, grid, pet), "ct-coverage": at_end_of_grid(marked, grid, pet)}
    if segmentation.roi_mm is not None:
        ends["roi-coverage"] = at_end_of_region(marked, grid, segmentation.roi_mm)
    ends = {code: at for code, at in ends.items() if len(at)}
    voxels = drawn if drawn is not None or not ends else lesion_numbers(segmentation)[0]
    return {code: frozenset(np.unique(voxels[tuple(at.T)]).tolist()) for code, at in ends.items()}


def _reach(numbers: list[int]) -> str:
    named = ", ".join(map(str, numbers))
    return f"lesion {named} reaches" if len(numbers) == 1 else f"lesions {named} reach"

"""What can be a case: a contour that lies on its study, on a study large enough to learn from."""

import numpy as np
import SimpleITK as sitk

from ..core import PemmaError
from ..core.images import array, on_one_grid, to_grid_of
from ..study.types import PetCtStudy

#: Smaller than this on any axis, a study shows no surroundings to tell a lesion from.
SMALLEST_MM, SMALLEST_VOXELS = 30.0, 8
#: A contour lies beside the body when half of it is air to the CT (HU) or, without CT, to the PET (SUVbw).
_AIR = {"ct": -900.0, "pet": 0.05}
#: What to do with a case that can't be used: a proof takes all studies that are named, and all cases of a library.
LEAVE_OUT = ("leave it out (of a library: export the others and import them into another one, "
             "`pemma-segment cases export`)")  # fmt: skip


def check(study: PetCtStudy, label: sitk.Image) -> None:
    """Raises PemmaError unless study and label (above 0 inside the contour, on `study.grid`) can be a case."""
    for name, image in (("CT", study.ct), ("PET", study.pet)):
        if image is not None:
            _check_size(name, image)
    if not on_one_grid(label, study.grid):
        raise PemmaError("case-contour-elsewhere", "the contour does not lie on the study's voxels",
                         "give the contour of this study")
    marked = sitk.GetArrayViewFromImage(label) > 0
    if not marked.any():
        raise PemmaError("case-contour-empty", "the contour is empty", "draw it, or name the structure that is meant")
    if marked.all():
        raise PemmaError("case-contour-full", "the contour holds every voxel of the study", "give the tumour's contour")
    _check_place(study, marked)


def _check_size(name: str, image: sitk.Image) -> None:
    extent = np.multiply(image.GetSize(), image.GetSpacing())
    if min(image.GetSize()) < SMALLEST_VOXELS or extent.min() < SMALLEST_MM:
        found, voxels = (" x ".join(f"{n:.0f}" for n in sizes) for sizes in (extent, image.GetSize()))
        raise PemmaError("case-too-small", f"the {name} measures only {found} mm ({voxels} voxels)",
                         f"give a study of at least {SMALLEST_MM:.0f} mm and {SMALLEST_VOXELS} voxels on each axis")


def _check_place(study: PetCtStudy, marked: np.ndarray) -> None:
    values = sitk.GetArrayViewFromImage(study.grid)[marked]
    if np.median(values) < _AIR["ct" if study.ct is not None else "pet"]:
        raise PemmaError("case-contour-air", "most of the contour lies in the air beside the body",
                         "give the contour of this study")
    if study.ct is not None and study.pet is not None and not _on_pet(study, marked):
        raise PemmaError("case-contour-elsewhere", "no part of the contour lies on the PET",
                         "give a PET that shows the tumour, or add the CT alone (--inputs ct)")


def _on_pet(study: PetCtStudy, marked: np.ndarray) -> bool:
    everywhere = sitk.Image(study.pet.GetSize(), sitk.sitkUInt8) + 1
    everywhere.CopyInformation(study.pet)
    return bool(array(to_grid_of(everywhere, study.grid, 0, nearest=True))[marked].any())

"""Whether a CT and a PET belong together: one patient, one study, one day, one place."""


import numpy as np
from pydicom import Dataset

from ...core import PemmaError, PemmaWarning
from .. import tags
from ..checks import overlap
from .examination import days_between, names_differ, told_apart_by
from .series import Series


def pair(ct: Series, pet: Series) -> list[PemmaWarning]:
    """Whether these two belong together. Refuses other patients, other days under another study, and no overlap."""
    step = float(np.abs(pet.grid.direction[2]) @ pet.grid.spacing)
    told = check_headers(ct.header, pet.header)
    return told + overlap.check(ct.grid.extent(), pet.grid.extent(), step, "(0020,0032)")


def check_headers(ct: Dataset, pet: Dataset) -> list[PemmaWarning]:
    """The same by a header of each alone, wherever the images lie."""
    found = []
    if keyword := told_apart_by((ct, pet)):
        raise PemmaError(
            "different-patients",
            f"CT and PET are of different patients ({tags.title(keyword)} differs)",
            "take CT and PET of one patient",
            tags.place(keyword),
        )
    if names_differ(ct, pet):
        found.append(
            PemmaWarning(
                "names-differ",
                "CT and PET have one Patient ID (0010,0020) and different names (0010,0010)",
                "check that they are of one patient",
            )
        )
    days = days_between(ct, pet)
    if tags.text(ct, "StudyInstanceUID") != tags.text(pet, "StudyInstanceUID"):
        if days is not None and days > 1:
            raise PemmaError(
                "different-studies",
                f"CT and PET are of different studies, {days} days apart",
                "take CT and PET of one study, or use --inputs ct",
                "(0020,000D)",
            )
        found.append(
            PemmaWarning(
                "different-studies",
                "CT and PET have different Study Instance UIDs (0020,000D)",
                "check that they belong together",
            )
        )
    elif days is not None and days > 1:
        found.append(
            PemmaWarning(
                "different-days", f"CT and PET of this study are {days} days apart", "check that they belong together"
            )
        )
    frame = tags.text(ct, "FrameOfReferenceUID")
    if not frame or frame != tags.text(pet, "FrameOfReferenceUID"):
        found.append(
            PemmaWarning(
                "frame-of-reference",
                "CT and PET do not share a Frame of Reference UID (0020,0052): their alignment is not guaranteed",
                "check the fusion",
            )
        )
    return found


def same(series: Series, pet: Series | None, keyword: str) -> bool:
    """Whether both state the same; False without PET."""
    return pet is not None and tags.text(series.header, keyword) == tags.text(pet.header, keyword)


def shared(ct: Series, pet: Series | None) -> float:
    """Share of the PET's extent along z that the CT covers, 0 to 1; 0 if they don't meet in x or y. 1 without PET."""
    return 1.0 if pet is None else overlap.covered(ct.grid.extent(), pet.grid.extent())

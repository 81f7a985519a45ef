"""Whether a CT and a PET belong together: one patient, one study, one day, one place."""

from typing import TYPE_CHECKING

import numpy as np

from ..core import PemmaError
from . import tags, times
from .types import StudyWarning

if TYPE_CHECKING:
    from .series import Series


def pair(ct: "Series", pet: "Series") -> list[StudyWarning]:
    """Whether these two belong together. Refuses other patients, other days under another study, and no overlap."""
    found = []
    if not same(ct, pet, "PatientID"):
        raise PemmaError(
            "different-patients",
            "CT and PET are of different patients (Patient ID (0010,0020) differs)",
            "give the folder of one patient",
            "(0010,0020)",
        )
    days = _days_between(ct, pet)
    if not same(ct, pet, "StudyInstanceUID"):
        if days is not None and days > 1:
            raise PemmaError(
                "different-studies",
                f"CT and PET are of different studies, {days} days apart",
                "give one study, or use --inputs ct",
                "(0020,000D)",
            )
        found.append(
            StudyWarning(
                "different-studies",
                "CT and PET have different Study Instance UIDs (0020,000D)",
                "check that they belong together",
            )
        )
    elif days is not None and days > 1:
        found.append(
            StudyWarning(
                "different-days", f"CT and PET of this study are {days} days apart", "check that they belong together"
            )
        )
    if not same(ct, pet, "FrameOfReferenceUID") or not tags.text(ct.header, "FrameOfReferenceUID"):
        found.append(
            StudyWarning(
                "frame-of-reference",
                "CT and PET do not share a Frame of Reference UID (0020,0052): their alignment is not guaranteed",
                "check the fusion",
            )
        )
    return found + check_overlap(ct.grid.extent(), pet.grid.extent(), "(0020,0032)")


def check_overlap(ct: np.ndarray, pet: np.ndarray, place: str) -> list[StudyWarning]:
    """Whether boxes (3, 2) in LPS mm show one region. Refuses under a quarter of the PET's length, tells under 80 %."""
    share = _share(ct, pet)
    if share < 0.25:
        state = "do not overlap" if share <= 0 else f"overlap over {share:.0%} of the PET only"
        raise PemmaError(
            "ct-pet-apart", f"CT and PET {state}", "give CT and PET of one region, or use --inputs ct or pet", place
        )
    if share < 0.8:
        sentence = f"only {share:.0%} of the PET's length lies on the CT"
        return [StudyWarning("ct-pet-overlap", sentence, "beyond it there is no CT")]
    return []


def _days_between(ct: "Series", pet: "Series") -> int | None:
    dates = []
    for series in (ct, pet):
        named = (tags.text(series.header, k) for k in ("AcquisitionDate", "SeriesDate", "StudyDate"))
        found = [d for d in map(times.date, named) if d is not None]
        if not found:
            return None
        dates.append(found[0])
    return abs((dates[0] - dates[1]).days)


def same(series: "Series", pet: "Series | None", keyword: str) -> bool:
    """Whether both state the same; False without PET."""
    return pet is not None and tags.text(series.header, keyword) == tags.text(pet.header, keyword)


def overlap(ct: "Series", pet: "Series | None") -> float:
    """Share of the PET's extent along z that the CT covers, 0 to 1; 0 if they don't meet in x or y. 1 without PET."""
    return 1.0 if pet is None else _share(ct.grid.extent(), pet.grid.extent())


def _share(ct: np.ndarray, pet: np.ndarray) -> float:
    shared = np.minimum(ct[:, 1], pet[:, 1]) - np.maximum(ct[:, 0], pet[:, 0])
    return float(shared[2] / np.ptp(pet[2])) if (shared > 0).all() else 0.0

"""A PET/CT study as the rest of the library sees it, and what a user may type in where headers lack it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import SimpleITK as sitk

from ..core import PemmaError, PemmaWarning

if TYPE_CHECKING:
    from pydicom import Dataset


def left_out(which: str, problem: PemmaError) -> PemmaWarning:
    """Says that the "ct" or "pet" of a study is not used, and why."""
    return PemmaWarning(f"{which}-left-out", f"the {which.upper()} was left out: {problem.sentence}", problem.way_out)


@dataclass(frozen=True)
class Typed:
    """Values that a user typed because the headers lack them or have doubtful ones; each one used is flagged in all results.

    weight_kg: kg; height_m: m; dose_bq: administered activity in Bq; injection_time: "HHMMSS" or "YYYYMMDDHHMMSS";
    isotope: "F-18", which gives the half-life.
    """

    weight_kg: float | None = None
    height_m: float | None = None
    dose_bq: float | None = None
    injection_time: str | None = None
    isotope: str | None = None


@dataclass(frozen=True)
class Suv:
    """How the PET became SUVbw: the route in words and the factor on rescaled values (None if it differs per slice)."""

    route: str
    factor: float | None
    typed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Candidate:
    """A series that was seen: its kind, whether it was chosen, and why (or why not).

    date: "2024-03-10", "" if not known; told where the folder is looked at, kept nowhere.
    """

    series_uid: str
    modality: str
    description: str
    slices: int
    chosen: bool
    reason: str
    date: str = ""


@dataclass(frozen=True)
class PetCtStudy:
    """One patient's CT (HU, int16) and PET (SUVbw, float32) in LPS millimetres; either may be None, not both.

    ct_headers, pet_headers: pydicom data sets without pixels, in the order of the image's slices (index k of the z
    axis); of a multi-frame file its one data set; empty for a NIfTI study. study_key: a stable text made of UIDs (or
    of the voxels' hash), never of a name. Choice of series and SUV assumptions are told in `warnings` and `candidates`.
    """

    ct: sitk.Image | None
    pet: sitk.Image | None
    ct_headers: tuple["Dataset", ...] = ()
    pet_headers: tuple["Dataset", ...] = ()
    suv: Suv | None = None
    warnings: tuple[PemmaWarning, ...] = ()
    candidates: tuple[Candidate, ...] = field(default=())
    study_key: str = ""
    kind: str = "dicom"

    @property
    def grid(self) -> sitk.Image:
        """The image on whose grid labels lie: the CT, or the PET when there is no CT."""
        return self.ct if self.ct is not None else self.pet

    @property
    def grid_headers(self) -> tuple["Dataset", ...]:
        """Headers of the series that `grid` came from."""
        return self.ct_headers if self.ct is not None else self.pet_headers

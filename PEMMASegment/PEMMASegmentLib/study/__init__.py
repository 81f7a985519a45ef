"""A folder of DICOM (or NIfTI) files to one `PetCtStudy`: CT in HU, PET in SUVbw, geometry in LPS; annotations to labels."""

from .inspecting import describe
from .loading import load
from .types import Candidate, PetCtStudy, StudyWarning, Suv, Typed

__all__ = ["Candidate", "PetCtStudy", "StudyWarning", "Suv", "Typed", "describe", "load"]

"""A folder of DICOM (or NIfTI) files to one `PetCtStudy`: CT in HU, PET in SUVbw, geometry in LPS; annotations to labels."""

from .inspecting import describe
from .loading import load
from .types import Candidate, PetCtStudy, Suv, Typed

__all__ = ["Candidate", "PetCtStudy", "Suv", "Typed", "describe", "load"]

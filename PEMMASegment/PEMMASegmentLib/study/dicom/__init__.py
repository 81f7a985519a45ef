"""The DICOM files of a folder, as they lie there, to a study: CT in HU, PET in SUVbw."""

from .loading import load

__all__ = ["load"]

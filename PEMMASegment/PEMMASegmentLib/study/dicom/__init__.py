"""The DICOM files of a folder, as they lie there, to a study: CT in HU, PET in SUVbw.

The work goes through scan, judging, examination, choosing, pairing and pixels; loading is its list of steps.
"""

from .loading import load

__all__ = ["load"]

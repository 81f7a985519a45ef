"""Headers of the source series made fit for a new object: completed and cleaned on copies, the originals untouched."""

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from .uids import uid_of

if TYPE_CHECKING:
    from pydicom import DataElement, Dataset

#: type 2 attributes that a derived object takes from its source: must exist, may be empty
_TYPE_2 = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime",
    "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
_LONGEST = {"SH": 16, "LO": 64, "CS": 16}
_CODED = {"PatientSex": ("", "M", "F", "O")}
_JUDGED = ("SH", "LO", "CS", "PN", "DA", "TM", "AS", "DS", "IS", "UI")


def clean_sources(headers: Sequence["Dataset"]) -> list["Dataset"]:
    """The same in order, but the first, whose values a new object takes over, as a copy that is valid in every value.

    Text that is too long is cut, what is invalid otherwise is emptied (type 2) or left out.
    """
    from pydicom import config

    with config.disable_value_validation():  # reading an invalid value warns, and the warning may quote it
        return _cleaned(headers)


def _cleaned(headers: Sequence["Dataset"]) -> list["Dataset"]:
    lack_frame = not all(header.get("FrameOfReferenceUID") for header in headers)
    sources = [copy.deepcopy(header) if k == 0 or lack_frame else header for k, header in enumerate(headers)]
    first = sources[0]
    if lack_frame:
        for source in sources:
            source.FrameOfReferenceUID = uid_of("frame", first.SeriesInstanceUID)
    for element in [element for element in first if element.VR in _JUDGED]:
        _clean(first, element)
    for keyword in _TYPE_2:
        if first.get(keyword) is None:
            setattr(first, keyword, "")
    return sources


def match_slices(grid: sitk.Image, headers: Sequence["Dataset"]) -> bool:
    """Whether header k is the plane k of `grid`: size, orientation, pixel spacing, position (a quarter of a voxel)."""
    columns, rows, planes = grid.GetSize()
    first = headers[0]
    if len(headers) != planes or (first.get("Rows"), first.get("Columns")) != (rows, columns):
        return False
    if any("ImagePositionPatient" not in h or "ImageOrientationPatient" not in h for h in headers):
        return False
    spacing = [float(value) for value in first.PixelSpacing][::-1]
    cosines = np.reshape(grid.GetDirection(), (3, 3))[:, :2].T.ravel()
    return (
        np.allclose(spacing, grid.GetSpacing()[:2], rtol=1e-4)
        and all(np.allclose(_floats(h.ImageOrientationPatient), cosines, atol=1e-4) for h in headers)
        and all(np.allclose(_index(grid, h), (0, 0, k), rtol=0, atol=0.25) for k, h in enumerate(headers))
    )


def _index(grid: sitk.Image, header: "Dataset") -> tuple[float, ...]:
    return grid.TransformPhysicalPointToContinuousIndex(_floats(header.ImagePositionPatient))


def _floats(values) -> list[float]:
    return [float(value) for value in values]


def _clean(dataset: "Dataset", element: "DataElement") -> None:
    if _is_valid(element):
        return
    longest = _LONGEST.get(element.VR)
    if longest and element.VM == 1:
        shorter = copy.copy(element)
        shorter._value = str(element.value)[:longest].strip()
        if _is_valid(shorter):
            dataset[element.tag] = shorter
            return
    del dataset[element.tag]


def _is_valid(element: "DataElement") -> bool:
    from pydicom import config
    from pydicom.valuerep import validate_value

    values = element.value if element.VM > 1 else [element.value]
    texts = [value.original_string if hasattr(value, "original_string") else str(value or "") for value in values]
    try:
        for text in texts:
            validate_value(element.VR, text, config.RAISE)
    except ValueError:
        return False
    return texts[0] in _CODED.get(element.keyword, (texts[0],))

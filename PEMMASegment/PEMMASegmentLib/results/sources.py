"""Headers of the source series made fit for a new object: completed and cleaned on copies, the originals untouched."""

import copy
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from ..study.times import date, time_of_day
from .uids import uid_of

if TYPE_CHECKING:
    from pydicom import DataElement, Dataset

#: type 2 attributes that a derived object takes from its source: must exist, may be empty
_TYPE_2 = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime",
    "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
_LONGEST = {"SH": 16, "LO": 64, "CS": 16, "PN": 64}
_CODED = {
    "PatientSex": ("", "M", "F", "O"),
    "PatientIdentityRemoved": ("YES", "NO"),
    "QualityControlSubject": ("YES", "NO"),
    "LossyImageCompression": ("00", "01"),
}
#: numbers of the character sets of one byte a letter, alone ("ISO_IR n") or with code extensions ("ISO 2022 IR n")
_SETS = (100, 101, 109, 110, 144, 127, 126, 138, 148, 203, 13, 166)
_ALONE = ("ISO_IR 192", "GB18030", "GBK", *(f"ISO_IR {number}" for number in _SETS))
_EXTENDED = tuple(f"ISO 2022 IR {number}" for number in (6, *_SETS, 87, 159))
_MORE_BYTES = ("ISO 2022 IR 87", "ISO 2022 IR 159")  # a letter
_JUDGED = ("SH", "LO", "CS", "PN", "DA", "TM", "AS", "DS", "IS")  # UIDs stay: they tie the objects together
_WORDS = ("SH", "LO", "PN", "ST", "LT", "UT", "UC")
_ONE_LINE = ("SH", "LO", "PN")
_MAY_BE_EMPTY = (*_TYPE_2, "PositionReferenceIndicator")  # of what a derived object copies
_MUST_EXIST = ("StudyInstanceUID", "SOPInstanceUID")  # a frame of reference that is missing is filled in
_MUST_AGREE = ("StudyInstanceUID", "FrameOfReferenceUID")


def why_no_seg(headers: Sequence["Dataset"]) -> str:
    """Why a DICOM-SEG can't reference these slices, in a sentence; "" if it can."""
    from pydicom.datadict import dictionary_description as named

    no_seg = "no DICOM-SEG can reference the images:"
    for keyword in _MUST_EXIST:
        if not all(header.get(keyword) for header in headers):
            return f"{no_seg} a slice has no {named(keyword)}"
    for keyword in _MUST_AGREE:
        if len({str(header[keyword].value) for header in headers if header.get(keyword)}) > 1:
            return f"{no_seg} their slices do not share one {named(keyword)}"
    return ""


def clean_sources(headers: Sequence["Dataset"], grid: sitk.Image) -> list["Dataset"]:
    """The same in order, but the first, whose values a new object takes over, as a copy that is valid in every value.

    Text that is too long is cut, numbers are rounded to what fits; what is invalid otherwise is emptied (type 2) or left
    out. The slice step becomes that of `grid`, the study's: readers place slices by it, and what headers say of it is untested.
    """
    from pydicom import config

    with config.disable_value_validation():  # reading an invalid value warns, and the warning may quote it
        sources = _agreeing(headers)
        _clean(sources[0])
        _state_step(_shared_measures(sources[0], grid) if is_multiframe(sources[0]) else sources[0], grid)
    return sources


def is_multiframe(header: "Dataset") -> bool:
    """Whether it is of an Enhanced image, whose frames have geometry in functional groups."""
    return "PerFrameFunctionalGroupsSequence" in header


def own_planes(grid: sitk.Image) -> dict:
    """Geometry of a grid that is not slice for slice the source's (resampled for uneven gaps, multi-frame sources)."""
    import highdicom as hd

    cosines = np.reshape(grid.GetDirection(), (3, 3))
    column_step, row_step, plane_step = grid.GetSpacing()
    return {
        "plane_positions": [
            hd.PlanePositionSequence("PATIENT", grid.TransformIndexToPhysicalPoint((0, 0, k)))
            for k in range(grid.GetSize()[2])
        ],
        "plane_orientation": hd.PlaneOrientationSequence("PATIENT", cosines[:, :2].T.ravel().tolist()),
        "pixel_measures": hd.PixelMeasuresSequence(
            pixel_spacing=(row_step, column_step), slice_thickness=plane_step, spacing_between_slices=plane_step
        ),
    }


def _agreeing(headers: Sequence["Dataset"]) -> list["Dataset"]:
    """The first copied; all copied when not all state one frame of reference and, to the last digit, one orientation.

    These then take the frame of reference of the others, or a common one that is made, and the first one's orientation:
    highdicom refuses slices that rounding turned apart.
    """
    stated = [header.FrameOfReferenceUID for header in headers if header.get("FrameOfReferenceUID")]
    orientation = headers[0].get("ImageOrientationPatient")
    lack, turned = len(stated) < len(headers), any(h.get("ImageOrientationPatient") != orientation for h in headers)
    sources = [copy.deepcopy(header) if k == 0 or lack or turned else header for k, header in enumerate(headers)]
    for source in sources:
        if lack:
            source.FrameOfReferenceUID = stated[0] if stated else uid_of("frame", source.SeriesInstanceUID)
        if turned:
            source.ImageOrientationPatient = orientation
    return sources


def _state_step(measures: "Dataset", grid: sitk.Image) -> None:
    step = f"{grid.GetSpacing()[2]:.8g}"  # mm
    measures.SpacingBetweenSlices = step
    if not measures.get("SliceThickness"):
        measures.SliceThickness = step


def _shared_measures(source: "Dataset", grid: sitk.Image) -> "Dataset":
    """The pixel measures of all frames: made, like their orientation, where each frame has its own, which highdicom ignores."""
    from pydicom import Dataset

    if not source.get("SharedFunctionalGroupsSequence"):
        source.SharedFunctionalGroupsSequence = [Dataset()]
    [shared, *_], planes = source.SharedFunctionalGroupsSequence, own_planes(grid)
    if not shared.get("PlaneOrientationSequence"):
        shared.PlaneOrientationSequence = planes["plane_orientation"]
    if not shared.get("PixelMeasuresSequence"):
        shared.PixelMeasuresSequence = planes["pixel_measures"]
    return shared.PixelMeasuresSequence[0]


def _clean(source: "Dataset") -> None:
    for tag in list(source.keys()):
        element = _readable(source, tag)
        if element is None or (element.is_empty and element.keyword not in _MAY_BE_EMPTY):
            del source[tag]  # of other types an empty value says nothing, or is an error
        elif element.VR in _JUDGED and not _is_valid(element):
            _repair(source, element)
    for keyword in _TYPE_2:
        if source.get(keyword) is None:
            setattr(source, keyword, "")
    if not _known_characters(source):
        source.decode()
        source.SpecificCharacterSet = "ISO_IR 192"


def _readable(source: "Dataset", tag) -> "DataElement | None":
    try:
        return source[tag]
    except (ValueError, OverflowError, NotImplementedError):  # what pydicom raises for a value that its VR can't hold
        return None


def _repair(source: "Dataset", element: "DataElement") -> None:
    """Replaces the element by a valid one of almost the same value, or takes it out."""
    repaired = copy.copy(element)
    try:
        repaired._value = _shortened(element)
    except ValueError:  # no number at all
        repaired._value = None
    if repaired._value is not None and _is_valid(repaired):
        source[element.tag] = repaired
    else:
        del source[element.tag]


def _shortened(element: "DataElement"):
    from pydicom.valuerep import DSfloat, PersonName

    values = list(element.value) if element.VM > 1 else [element.value]
    if _takes_one(element):
        values = values[:1]
    if element.VR == "DS":
        values = [DSfloat(float(value), auto_format=True) for value in values]
    elif element.VR == "PN":
        values = [PersonName(_one_line(value)[: _LONGEST["PN"]]) for value in values]
    elif element.VR in _LONGEST:
        values = [_one_line(value)[: _LONGEST[element.VR]].strip() for value in values]
    else:
        return None
    return values if len(values) > 1 else values[0]


def _one_line(value) -> str:
    return "".join(" " if unicodedata.category(c) == "Cc" else c for c in str(value))


def _takes_one(element: "DataElement") -> bool:
    """Whether its attribute has a single value: a backslash in a name makes two."""
    from pydicom.datadict import dictionary_has_tag, dictionary_VM

    return dictionary_has_tag(element.tag) and dictionary_VM(element.tag) == "1"


def _is_valid(element: "DataElement") -> bool:
    from pydicom import config
    from pydicom.valuerep import validate_value

    values = element.value if element.VM > 1 else [element.value]
    texts = [_as_stored(value) for value in values]
    try:
        for text in texts:
            validate_value(element.VR, text, config.RAISE)
    except ValueError:
        return False
    if element.VR in _ONE_LINE and any(text != _one_line(text) for text in texts):
        return False
    if not all(_is_possible(element.VR, text) for text in texts if text):
        return False
    one = len(texts) < 2 or not _takes_one(element)
    return one and texts[0] in _CODED.get(element.keyword, (texts[0],))


def _is_possible(vr: str, text: str) -> bool:
    """Whether there is such a day or time. The pattern of their VRs lets 30 February pass, and a leap second, which
    validators refuse."""
    if vr == "DA":
        return date(text) is not None
    return vr != "TM" or (time_of_day(text) is not None and text[4:6] != "60")


def _as_stored(value) -> str:
    """Numbers keep the text that they were read from; it may be longer than what they print as."""
    original = getattr(value, "original_string", None)
    return original if isinstance(original, str) else "" if value is None else str(value)


def _known_characters(source: "Dataset") -> bool:
    """Whether highdicom takes the character set as it is: one term without code extensions, or several that all have them,
    the first of one byte a letter. It knows neither an empty first term nor Korean nor, among several, Chinese."""
    if "SpecificCharacterSet" not in source:
        return all(str(element.value).isascii() for element in source if element.VR in _WORDS)
    element = source["SpecificCharacterSet"]
    terms = list(element.value) if element.VM > 1 else [element.value]
    if len(terms) == 1:
        return terms[0] in _ALONE
    return set(terms) <= set(_EXTENDED) and terms[0] not in _MORE_BYTES


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

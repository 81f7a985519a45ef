"""Enhanced (multi-frame) CT and PET: each frame's functional groups laid out as the header of one classic slice."""

from pydicom import DataElement, Dataset
from pydicom.datadict import keyword_for_tag, tag_for_keyword

from ...core import PemmaError
from .. import tags
from ..tags import EXPORT_AGAIN

#: UCUM code (with "ml", which UCUM writes "mL" too) of a real world value mapping -> (Units, SUV Type) of classic PET
UNITS = {
    "Bq/ml": ("BQML", ""),
    "{SUVbw}g/ml": ("GML", "BW"),
    "g/ml{SUVbw}": ("GML", "BW"),
    "{SUVlbm}g/ml": ("GML", "LBM"),
    "g/ml{SUVlbm}": ("GML", "LBM"),
    "{SUVibw}g/ml": ("GML", "IBW"),
    "g/ml{SUVibw}": ("GML", "IBW"),
    "{SUVbsa}cm2/ml": ("CM2ML", "BSA"),
    "cm2/ml{SUVbsa}": ("CM2ML", "BSA"),
}
GROUPS = (
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelMeasuresSequence",
    "PixelValueTransformationSequence",
    "FrameContentSequence",
    "CTImageFrameTypeSequence",
    "PETFrameTypeSequence",
    "UnassignedSharedConvertedAttributesSequence",
    "UnassignedPerFrameConvertedAttributesSequence",
)
LISTS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
MOST_FRAMES = 20_000


def flatten(header: Dataset, file: str, legacy: bool) -> list[Dataset]:
    """One data set a frame, in stored order, with the tags of a classic CT or PET slice.

    legacy: Legacy Converted, whose series keeps classic Units, Decay Correction and dose.
    """
    count = tags.number(header, "NumberOfFrames") or 0
    shared = tags.items(header, LISTS[0])
    each = tags.items(header, LISTS[1])
    if count != len(each) or not 0 < count <= MOST_FRAMES:
        raise PemmaError(
            "frames-incomplete",
            "Number of Frames (0028,0008) does not fit the frames that the file describes",
            EXPORT_AGAIN,
            file,
        )
    common = Dataset()
    for tag in header.keys():
        if keyword_for_tag(tag) not in LISTS:
            common[tag] = header.get_item(tag)
    if not legacy:
        _classic_flags(common)
    return [_frame(common, [*shared, frame], legacy) for frame in each]


def _classic_flags(common: Dataset) -> None:
    """What Enhanced PET says with YES and NO, in the words of classic PET (C.8.22)."""
    corrected = [
        name
        for name, keyword in (
            ("ATTN", "AttenuationCorrected"),
            ("DECY", "DecayCorrected"),
            ("SCAT", "ScatterCorrected"),
        )
        if tags.text(common, keyword) == "YES"
    ]
    common.CorrectedImage = corrected
    decay = tags.text(common, "DecayCorrected")
    if tags.text(common, "Modality") == "PT":
        common.DecayCorrection = {"YES": "START", "NO": "NONE"}.get(decay, "")


def _frame(common: Dataset, groups: list[Dataset], legacy: bool) -> Dataset:
    frame = Dataset()
    frame.update(common)
    mappings = []
    for group in groups:
        for keyword in GROUPS:
            for item in tags.items(group, keyword):
                for tag in item.keys():
                    frame[tag] = item.get_item(tag)
        mappings = tags.items(group, "RealWorldValueMappingSequence") or mappings
    if tags.text(frame, "Modality") == "PT" and not legacy:
        _activity(frame, mappings)
    _times(frame)
    return frame


def _activity(frame: Dataset, mappings: list[Dataset]) -> None:
    """Slope and Units of Enhanced PET: the real world value mapping in Bq/ml, else the one in SUV; if there is none of
    these, the mappings that a refusal is to name."""
    known = {}
    for mapping in mappings:
        for code in tags.items(mapping, "MeasurementUnitsCodeSequence"):
            known.setdefault(UNITS.get(tags.text(code, "CodeValue").replace("mL", "ml")), mapping)
    known.pop(None, None)
    if "Units" in frame:
        del frame.Units
    if known:
        units = min(known, key=lambda pair: pair[0] != "BQML")
        frame.Units, frame.SUVType = units
        _put(frame, "RescaleSlope", tags.number(known[units], "RealWorldValueSlope"))
        _put(frame, "RescaleIntercept", tags.number(known[units], "RealWorldValueIntercept") or 0.0)
    else:
        frame.RealWorldValueMappingSequence = mappings


def _times(frame: Dataset) -> None:
    acquired = tags.text(frame, "FrameAcquisitionDateTime") or tags.text(frame, "AcquisitionDateTime")
    if acquired and "AcquisitionTime" not in frame:
        frame.AcquisitionDateTime = acquired
    duration = tags.number(frame, "FrameAcquisitionDuration")
    if duration is not None and "ActualFrameDuration" not in frame:
        _put(frame, "ActualFrameDuration", duration)


def _put(frame: Dataset, keyword: str, value: float | None) -> None:
    """Sets a number in full precision: DS holds 16 characters and IS no fraction."""
    tag = tag_for_keyword(keyword)
    frame[tag] = DataElement(tag, "FD", value)

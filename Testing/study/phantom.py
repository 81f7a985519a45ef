"""A small PET/CT pair as DICOM data sets, so that tests can spoil one thing at a time; values tell slices apart."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
from pydicom import Dataset
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    PositronEmissionTomographyImageStorage,
)

from PEMMASegmentLib.study import suv
from PEMMASegmentLib.study.types import Typed

ROOT = "1.2.826.0.1.3680043.8.498.7"
SLICES, STEP = 8, 3.0
#: SUVbw of one rescaled unit: 70 kg, 350 MBq, injected 60 min before, F-18
FACTOR = 70e3 / 350e6 * 2 ** (3600 / 6586.2)


@dataclass
class Pair:
    """CT and PET slices in ascending z; `name_of` gives the file names."""

    ct: list[Dataset] = field(default_factory=lambda: series("CT"))
    pet: list[Dataset] = field(default_factory=lambda: series("PT"))

    @property
    def all(self) -> list[Dataset]:
        return self.ct + self.pet

    def write(self, folder: Path) -> Path:
        with pydicom.config.disable_value_validation():
            for group, name in ((self.ct, "ct"), (self.pet, "pet")):
                (folder / name).mkdir(parents=True, exist_ok=True)
                for k, header in enumerate(group):
                    header.save_as(folder / name / f"{k:03d}.dcm", enforce_file_format=False)
        return folder


def series(modality: str, count: int = SLICES) -> list[Dataset]:
    return [CT(k) if modality == "CT" else PT(k) for k in range(count)]


def stored(header: Dataset) -> np.ndarray:
    return np.frombuffer(header.PixelData, "<i2").reshape(header.Rows, header.Columns)


def CT(k: int) -> Dataset:
    """16 rows x 20 columns of 4 mm; air, a body of 40 HU + k, one slice of metal."""
    header = _header("CT", CTImageStorage, k, rows=16, columns=20, pixel_mm=4.0)
    values = np.full((16, 20), 24, np.int16)
    values[3:13, 4:16] = 1064 + k
    header.RescaleIntercept, header.RescaleSlope, header.RescaleType = "-1024", "1", "HU"
    header.ConvolutionKernel = "STANDARD"
    return _with_pixels(header, values)


def PT(k: int) -> Dataset:
    """8 rows x 10 columns of 8 mm; Bq/ml with a slope that differs from slice to slice."""
    header = _header("PT", PositronEmissionTomographyImageStorage, k, rows=8, columns=10, pixel_mm=8.0)
    values = np.zeros((8, 10), np.int16)
    values[1:7, 2:8] = 3000 + 100 * k
    values[3, 4] = 20000
    header.RescaleIntercept, header.RescaleSlope = "0", str(1.0 + k / 10)
    header.Units, header.DecayCorrection, header.CorrectedImage = "BQML", "START", ["ATTN", "DECY", "SCAT"]
    header.SeriesType, header.FrameReferenceTime, header.ActualFrameDuration = ["STATIC", "IMAGE"], "0", "120000"
    header.PatientWeight, header.PatientSize = "70", "1.75"
    item, code = Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "77004003", "SCT", "^18^Fluorine"
    item.RadionuclideTotalDose, item.RadionuclideHalfLife = "350000000", "6586.2"
    item.RadiopharmaceuticalStartTime, item.Radiopharmaceutical = "110000", "FDG"
    item.RadionuclideCodeSequence = [code]
    header.RadiopharmaceuticalInformationSequence = [item]
    return _with_pixels(header, values)


def tracer(header: Dataset) -> Dataset:
    return header.RadiopharmaceuticalInformationSequence[0]


def plan(typed: Typed = Typed(), slices: int = 3, each=lambda header: None, **changes) -> suv.Plan:
    """Plan of the phantom's PET after changes: keyword of the header or, if known there, of the tracer item -> value
    (None: deleted); `each` changes a header further."""
    headers = series("PT", slices)
    with pydicom.config.disable_value_validation():
        for header in headers:
            for keyword, value in changes.items():
                target = tracer(header) if keyword.startswith("Radio") and "Sequence" not in keyword else header
                setattr(target, keyword, value)
                if value is None:
                    del target[keyword]
            each(header)
    return suv.plan(headers, typed)


def codes(made: suv.Plan) -> list[str]:
    return [w.code for w in made.warnings]


def to_reference(seconds: float, half_life: float = 6586.2) -> float:
    """SUVbw per Bq/ml of the phantom for this time from injection to reference."""
    return 70e3 / 350e6 * 2 ** (seconds / half_life)


def _header(modality: str, sop_class: str, k: int, rows: int, columns: int, pixel_mm: float) -> Dataset:
    number = {"CT": 1, "PT": 2}[modality]
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, sop_class
    meta.MediaStorageSOPInstanceUID = f"{ROOT}.{number}.{k + 1}"
    header = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    header.SOPClassUID, header.SOPInstanceUID, header.Modality = sop_class, f"{ROOT}.{number}.{k + 1}", modality
    header.StudyInstanceUID, header.SeriesInstanceUID, header.FrameOfReferenceUID = (
        f"{ROOT}.9",
        f"{ROOT}.{number}",
        ROOT,
    )
    header.PatientName, header.PatientID, header.PatientSex, header.ImageType = "Doe^Jane", "SECRET-ID", "F", [
        "ORIGINAL", "PRIMARY", "AXIAL"]  # fmt: skip
    header.StudyDate = header.SeriesDate = header.AcquisitionDate = "20240310"
    header.StudyTime = header.SeriesTime = header.AcquisitionTime = "120000"
    header.SeriesNumber, header.InstanceNumber, header.SeriesDescription = number, k + 1, f"{modality} phantom"
    header.ImagePositionPatient = [-40.0 + pixel_mm / 2, -32.0 + pixel_mm / 2, STEP * k]
    header.ImageOrientationPatient, header.PixelSpacing = [1, 0, 0, 0, 1, 0], [pixel_mm, pixel_mm]
    header.SliceThickness, header.Rows, header.Columns = STEP, rows, columns
    return header


def _with_pixels(header: Dataset, values: np.ndarray) -> Dataset:
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 16
    header.HighBit, header.PixelRepresentation = 15, 1
    header.PixelData = values.tobytes()
    return header


def enhanced_ct(order, number: int = 60) -> Dataset:
    """These slices of the phantom's CT as one Enhanced CT, frames stored in this order; `number` ends its UID."""
    slices = Pair().ct
    whole = Dataset()
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality",
                    "StudyDate", "SeriesNumber", "Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored",
                    "HighBit", "PixelRepresentation", "PhotometricInterpretation"):  # fmt: skip
        setattr(whole, keyword, slices[0][keyword].value)
    whole.SOPClassUID, whole.SOPInstanceUID, whole.NumberOfFrames = EnhancedCTImageStorage, f"{ROOT}.{number}", len(order)
    whole.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    whole.SharedFunctionalGroupsSequence = [group(
        PlaneOrientationSequence=part(slices[0], "ImageOrientationPatient"),
        PixelMeasuresSequence=part(slices[0], "PixelSpacing", "SliceThickness"))]  # fmt: skip
    whole.PerFrameFunctionalGroupsSequence = [group(
        PlanePositionSequence=part(slices[k], "ImagePositionPatient"),
        PixelValueTransformationSequence=part(slices[k], "RescaleSlope", "RescaleIntercept", "RescaleType"))
        for k in order]  # fmt: skip
    whole.PixelData = b"".join(slices[k].PixelData for k in order)
    whole.file_meta = FileMetaDataset()
    whole.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return whole


def part(header: Dataset, *keywords) -> Dataset:
    item = Dataset()
    for keyword in keywords:
        item[keyword] = header[keyword]
    return item


def group(**items) -> Dataset:
    made = Dataset()
    for keyword, item in items.items():
        setattr(made, keyword, Sequence([item]))
    return made

"""Writes a whole-body PET/CT study as DICOM: a body-shaped phantom with a few hot lesions, in the sizes of a real scan.
`answer` gives the images of such a scan with many lesions, and what a network might say of them, without files.

    python whole_body.py OUT        CT 512 x 512 x 326, 0.977 x 0.977 x 3.27 mm, HU; PET 200 x 200 x 326, 4.07 mm, BQML
"""

import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, PositronEmissionTomographyImageStorage, generate_uid

SLICES, SLICE_MM = 326, 3.27
CT_SIDE, CT_MM = 512, 0.976562
PET_SIDE, PET_MM = 200, 4.07283
WEIGHT_KG, DOSE_BQ, HALF_LIFE_S, UPTAKE_S = 75.0, 350e6, 6586.2, 3600
#: Lesions: centre in mm from the middle of the scan (x, y, z), radius mm, SUV.
LESIONS = ((30.0, 20.0, 150.0, 18.0, 9.0), (-60.0, 10.0, -60.0, 25.0, 14.0), (90.0, 0.0, -350.0, 30.0, 11.0))


def write(out: Path, slices: int = SLICES, pet: bool = True, ct: bool = True) -> Path:
    """Writes `out/ct/*.dcm` and `out/pet/*.dcm`; returns `out`. z runs from -half to +half of the scan, upwards."""
    study = {"StudyInstanceUID": _uid("study"), "FrameOfReferenceUID": _uid("frame")}
    if ct:
        _series(out / "ct", study, CTImageStorage, "CT", slices, CT_SIDE, CT_MM, _ct_slice, _ct_tags())
    if pet:
        _series(out / "pet", study, PositronEmissionTomographyImageStorage, "PT", slices, PET_SIDE, PET_MM, _pet_slice,
                _pet_tags(slices))
    return out


def answer(lesions: int = 30) -> tuple[sitk.Image, sitk.Image, sitk.Image, list[tuple[float, float, float]]]:
    """CT (empty), PET and probability of blurred balls of 5 to 30 mm, most of them small; and their centres, LPS mm.

    The last ball is one that the network hardly sees.
    """
    rng = np.random.default_rng(0)
    ct = _image(np.zeros((SLICES, CT_SIDE, CT_SIDE), np.int16), CT_MM)
    probability, centres = np.zeros((SLICES, CT_SIDE, CT_SIDE), np.float32), []
    step, size = np.array(ct.GetSpacing()[::-1]), np.array(probability.shape)
    for n in range(lesions + 1):
        radius = 5 * 6 ** rng.uniform() ** 2
        index = np.round(size * [(n + 0.7) / (lesions + 1.4), rng.uniform(0.3, 0.7), rng.uniform(0.3, 0.7)]).astype(int)
        reach = np.ceil(2 * radius / step).astype(int)
        box = tuple(slice(max(i - r, 0), min(i + r + 1, s)) for i, r, s in zip(index, reach, size, strict=True))
        squares = (((np.arange(part.start, part.stop) - i) * mm) ** 2 for part, i, mm in zip(box, index, step, strict=True))
        away = np.sqrt(sum(np.ix_(*squares))) / radius
        ball = (rng.uniform(0.7, 1.0) if n < lesions else 0.3) / (1 + np.exp(8 * (away - 1)))
        probability[box] = np.maximum(probability[box], ball)
        centres.append(ct.TransformIndexToPhysicalPoint(index[::-1].tolist()))
    found = _image(probability, CT_MM)
    pet = sitk.Resample(found, _image(np.zeros((SLICES, PET_SIDE, PET_SIDE), np.float32), PET_MM))
    return ct, sitk.AdditiveGaussianNoise(pet * 12 + 1, 0.1, 0.0, 0), found, centres


def _image(voxels: np.ndarray, mm: float) -> sitk.Image:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((mm, mm, SLICE_MM))
    image.SetOrigin([-(n - 1) / 2 * step for n, step in zip(image.GetSize(), image.GetSpacing(), strict=True)])
    return image


def _series(folder, study, sop_class, modality, slices, side, mm, voxels, tags) -> None:
    folder.mkdir(parents=True)
    centres = (np.arange(side) - (side - 1) / 2) * mm
    for k in range(slices):
        z = (k - (slices - 1) / 2) * SLICE_MM
        stored, slope, intercept = voxels(centres[None, :], centres[:, None], z)
        header = _header(study, sop_class, modality, k, z, side, mm)
        header.update(tags)
        header.RescaleSlope, header.RescaleIntercept = f"{slope:.10g}", f"{intercept:g}"
        header.PixelData = stored.astype("<i2").tobytes()
        header.save_as(folder / f"{k:04d}.dcm", enforce_file_format=True)


def _header(study, sop_class, modality, k, z, side, mm) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = sop_class, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = _uid(f"{modality} {k}")
    header = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    header.update(study)
    header.SOPClassUID, header.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    header.SeriesInstanceUID, header.Modality = _uid(f"series {modality}"), modality
    header.PatientName, header.PatientID, header.PatientSex = "Phantom^Whole body", "WHOLEBODY", "O"
    header.PatientBirthDate, header.StudyID, header.AccessionNumber = "", "1", ""
    header.ReferringPhysicianName, header.Manufacturer = "", "Synthesised"
    header.StudyDate = header.SeriesDate = header.AcquisitionDate = header.ContentDate = "20200101"
    header.StudyTime = header.SeriesTime = header.AcquisitionTime = header.ContentTime = "120000"
    header.SeriesNumber, header.InstanceNumber = {"CT": 1, "PT": 2}[modality], k + 1
    header.PatientPosition, header.PositionReferenceIndicator = "HFS", ""
    corner = -(side - 1) / 2 * mm
    header.ImagePositionPatient = [f"{corner:.6f}", f"{corner:.6f}", f"{z:.6f}"]
    header.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    header.PixelSpacing, header.SliceThickness = [mm, mm], SLICE_MM
    header.Rows = header.Columns = side
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 16, 15, 1
    return header


def _ct_tags() -> Dataset:
    tags = Dataset()
    tags.ImageType, tags.KVP, tags.RescaleType = ["ORIGINAL", "PRIMARY", "AXIAL"], 120, "HU"
    tags.ConvolutionKernel = "STANDARD"
    return tags


def _pet_tags(slices: int) -> Dataset:
    """BQML, decay-corrected to the start of the acquisition, which is the series time: the plainest route to SUVbw."""
    tags = Dataset()
    tags.ImageType, tags.Units, tags.DecayCorrection = ["ORIGINAL", "PRIMARY"], "BQML", "START"
    tags.CorrectedImage = ["DECY", "ATTN", "SCAT", "DTIM", "RAN", "NORM"]
    tags.SeriesType, tags.CountsSource, tags.NumberOfSlices = ["WHOLE BODY", "IMAGE"], "EMISSION", slices
    tags.PatientWeight, tags.PatientSize, tags.RescaleType = WEIGHT_KG, 1.75, "BQML"
    tags.ActualFrameDuration, tags.FrameReferenceTime = 180000, 90000
    tags.ReconstructionMethod, tags.AttenuationCorrectionMethod = "OSEM", "CT"
    drug = Dataset()
    drug.RadiopharmaceuticalStartTime, drug.RadiopharmaceuticalStartDateTime = "110000", "20200101110000"
    drug.RadionuclideTotalDose, drug.RadionuclideHalfLife = DOSE_BQ, HALF_LIFE_S
    drug.RadionuclidePositronFraction = 0.97
    drug.Radiopharmaceutical = "FDG -- fluorodeoxyglucose"
    drug.RadionuclideCodeSequence = [_code("C-111A1", "SRT", "^18^Fluorine")]
    drug.RadiopharmaceuticalCodeSequence = [_code("C-B1031", "SRT", "Fluorodeoxyglucose F^18^")]
    tags.RadiopharmaceuticalInformationSequence = [drug]
    return tags


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _ct_slice(x, y, z) -> tuple[np.ndarray, float, float]:
    hu = np.full(np.broadcast_shapes(x.shape, y.shape), -1000.0, np.float32)
    hu[_body(x, y, z)] = -90.0  # fat under the skin
    hu[_body(x, y, z, shrink=15.0)] = 40.0
    return np.round(hu), 1.0, 0.0


def _pet_slice(x, y, z) -> tuple[np.ndarray, float, float]:
    suv = np.where(_body(x, y, z), 0.6, 0.0)
    for cx, cy, cz, radius, value in LESIONS:
        suv[(x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2 <= radius**2] = value
    at_start = DOSE_BQ * 2.0 ** (-UPTAKE_S / HALF_LIFE_S)
    bq_ml = suv * at_start / (WEIGHT_KG * 1000.0)
    slope = max(float(bq_ml.max()), 1.0) / 32000
    return np.round(bq_ml / slope), slope, 0.0


def _body(x, y, z, shrink: float = 0.0) -> np.ndarray:
    """Head, trunk and two legs of a person lying on the back, z upwards from the middle of the scan (mm)."""
    if z > 380:  # head
        return (x / (80 - shrink)) ** 2 + (y / (95 - shrink)) ** 2 < 1
    if z > -200:
        return (x / (190 - shrink)) ** 2 + (y / (115 - shrink)) ** 2 < 1
    return ((np.abs(x) - 90) / (75 - shrink)) ** 2 + (y / (80 - shrink)) ** 2 < 1


def _uid(text: str) -> str:
    return generate_uid(entropy_srcs=["whole-body phantom", text])


if __name__ == "__main__":
    write(Path(sys.argv[1]))

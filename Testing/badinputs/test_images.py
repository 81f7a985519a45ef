"""CT and PET that are wrong or odd (the numbers are rows of the table of bad inputs), made from a small pair that loads.

Verdicts: L loads without a warning, W loads and says so, R is refused; `code` names the warning or the refusal.
"""

import contextlib
import copy
import os
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pydicom
import pytest
from pydicom import DataElement, Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from PEMMASegmentLib import study
from PEMMASegmentLib.core import PemmaError

from ..study.phantom import FACTOR, ROOT, SLICES, STEP, Pair, series, stored, tracer


@dataclass(frozen=True)
class Case:
    row: int
    verdict: str
    code: str
    spoil: Callable


CASES: list[Case] = []


def case(row: int, verdict: str, code: str = ""):
    """Adds a function that spoils a `Pair`; it may return one that spoils the folder after the files are written."""

    def add(spoil: Callable) -> Callable:
        CASES.append(Case(row, verdict, code, spoil))
        return spoil

    return add


def for_all(headers, **values) -> None:
    for header in headers:
        for keyword, value in values.items():
            if value is None:
                del header[keyword]
            else:
                setattr(header, keyword, value)


def patch(path: str, old: bytes, new: bytes) -> Callable:
    def change(folder):
        file = folder / path
        assert old in file.read_bytes()
        file.write_bytes(file.read_bytes().replace(old, new, 1))

    return change


def encode(pair: Pair, syntax) -> None:
    for header in pair.all:
        header.file_meta.TransferSyntaxUID = syntax


def clone(header: Dataset, uid: str) -> Dataset:
    twin = copy.deepcopy(header)
    twin.SOPInstanceUID = twin.file_meta.MediaStorageSOPInstanceUID = uid
    return twin


def clones(headers: list[Dataset], number: int) -> list[Dataset]:
    """The same images as another series."""
    twins = [clone(h, f"{ROOT}.{number}.{k + 1}") for k, h in enumerate(headers)]
    for_all(twins, SeriesInstanceUID=f"{ROOT}.{number}", SeriesNumber=number)
    return twins


# Files


@case(1, "W", "syntax-guessed")
def no_preamble_no_meta(pair):
    def strip(folder):
        for path in folder.rglob("*.dcm"):
            bare = Dataset(pydicom.dcmread(path))
            bare.save_as(path, implicit_vr=False, little_endian=True)

    return strip


@case(2, "W", "syntax-guessed")
def no_transfer_syntax(pair):
    def drop(folder):
        for path in folder.rglob("*.dcm"):
            data = pydicom.dcmread(path)
            del data.file_meta.TransferSyntaxUID
            data.save_as(path, implicit_vr=False, little_endian=True)

    return drop


@case(3, "R", "damaged-file")
def meta_says_implicit(pair):
    return patch("ct/003.dcm", b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2\0\0\0")


@case(4, "L")
def big_endian(pair):
    def rewrite(folder):
        for path in folder.rglob("*.dcm"):
            data = pydicom.dcmread(path)
            data.PixelData = stored(data).astype(">i2").tobytes()
            data.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
            pydicom.dcmwrite(path, data, implicit_vr=False, little_endian=False, force_encoding=True)

    return rewrite


@case(5, "L")
def deflated(pair):
    encode(pair, DeflatedExplicitVRLittleEndian)


@case(5, "L")
def implicit(pair):
    encode(pair, ImplicitVRLittleEndian)


@case(6, "L")
def rle(pair):
    for header in pair.all:
        header.compress(RLELossless, generate_instance_uid=False)


@case(6, "L")
def jpeg_ls(pair):
    for header in pair.all:
        header.compress(JPEGLSLossless, generate_instance_uid=False)


@case(8, "W", "ct-lossy")
def lossy_ct(pair):
    for_all(pair.ct, LossyImageCompression="01")


@case(9, "R", "pet-lossy")
def lossy_pet(pair):
    for_all(pair.pet, LossyImageCompression="01")


@case(10, "R", "transfer-syntax")
def mpeg(pair):
    for header in pair.ct:
        header.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"
        header.PixelData = encapsulate([header.PixelData])


@case(10, "R", "transfer-syntax")
def private_syntax(pair):
    return patch("ct/003.dcm", b"1.2.840.10008.1.2.1\0", b"1.2.840.113619.5.2\0\0")


@case(11, "R", "modality-missing")
def modality_missing(pair):
    for_all(pair.ct, Modality=None)


@case(12, "R", "modality-mismatch")
def modality_contradicts(pair):
    for_all(pair.pet, Modality="CT")


@case(13, "R", "no-images")
def magnetic_resonance(pair):
    for_all(pair.all, Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.4")


@case(14, "W", "sop-uid-missing")
def sop_uid_missing(pair):
    for_all(pair.ct, SOPInstanceUID=None)


@case(15, "W", "uid-invalid")
def sop_uid_invalid(pair):
    pair.ct[0].SOPInstanceUID = "1.2.03.letters"


@case(16, "W", "duplicates-ignored")
def file_twice(pair):
    return lambda folder: (folder / "copy.dcm").write_bytes((folder / "pet/003.dcm").read_bytes())


@case(17, "R", "conflicting-duplicates")
def one_uid_two_contents(pair):
    twin = clone(pair.pet[3], pair.pet[3].SOPInstanceUID)
    twin.PixelData = bytes(len(twin.PixelData))
    pair.pet.append(twin)


@case(18, "R", "series-uid-missing")
def series_uid_missing(pair):
    for_all(pair.ct, SeriesInstanceUID=None)


@case(19, "R", "series-halves")
def split_in_halves(pair):
    for_all(pair.pet[4:], SeriesInstanceUID=ROOT + ".77")


@case(19, "R", "series-halves")
def split_alternately(pair):
    for_all(pair.pet[::2], SeriesInstanceUID=ROOT + ".77")


@case(20, "W", "series-split")
def two_reconstructions(pair):
    twins = [clone(h, f"{ROOT}.5.{k}") for k, h in enumerate(pair.ct)]
    for_all(twins, ImageType=["DERIVED", "SECONDARY", "AXIAL"])
    pair.ct += twins


@case(21, "R", "several-patients")
def two_patients_in_a_series(pair):
    pair.pet[2].PatientID = "OTHER"


@case(22, "R", "several-patients")
def two_patients(pair):
    for_all(pair.ct, PatientID="OTHER")


@case(23, "W", "different-studies")
def two_studies(pair):
    for_all(pair.ct, StudyInstanceUID=ROOT + ".8")


@case(23, "R", "different-studies")
def two_studies_weeks_apart(pair):
    for_all(pair.ct, StudyInstanceUID=ROOT + ".8", AcquisitionDate="20240401")


@case(24, "L")
def unknown_character_set(pair):
    for_all(pair.all, SpecificCharacterSet="ISO_IR 999")


@case(25, "L")
def iso_2022(pair):
    for_all(pair.all, SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName="Yamada^Tarou=\x1b$B;3ED\x1b(B")


@case(26, "L")
def endless_name(pair):
    for_all(pair.all, PatientName="A^B^C^D^E=" + "x" * 200)


@case(27, "R", "value-not-a-number")
def slope_with_comma(pair):
    pair.pet[2].RescaleSlope = "1"
    return patch("pet/002.dcm", struct.pack("<HH2sH", 0x28, 0x1053, b"DS", 2) + b"1 ",
                 struct.pack("<HH2sH", 0x28, 0x1053, b"DS", 4) + b"1,5 ")  # fmt: skip


@case(27, "R", "value-not-finite")
def slope_nan(pair):
    return patch("pet/000.dcm", b"DS\x04\x001.0 ", b"DS\x04\x00NaN ")


@case(27, "L")
def unused_nonsense(pair):
    return patch("pet/000.dcm", b"DS\x04\x003.0 ", b"DS\x04\x00a,b ")  # Slice Thickness


@case(28, "L")
def whole_number_with_fraction(pair):
    for k in range(SLICES):
        pair.pet[k].ActualFrameDuration = "30000000"
    return lambda folder: [patch(f"pet/{k:03d}.dcm", b"30000000", b"300000.5")(folder) for k in range(SLICES)]


@case(29, "R", "value-ambiguous")
def two_weights(pair):
    for_all(pair.pet, PatientWeight=["70", "80"])


@case(30, "L")
def unknown_vr(pair):
    for header in pair.pet:
        header[0x00101030] = DataElement(0x00101030, "UN", b"70")


@case(31, "L")
def private_garbage(pair):
    for header in pair.all:
        header.add_new(0x00991010, "UN", os.urandom(33))
        header.add_new(0x70530010, "LO", "SOMEBODY ELSE")
        header.add_new(0x70531000, "UN", b"\xff\xfe\x00nonsense")


@case(32, "R", "repeated-tag")
def rows_twice(pair):
    rows = struct.pack("<HH2sHH", 0x28, 0x10, b"US", 2, 8)
    return patch("pet/003.dcm", rows, rows + rows[:-2] + struct.pack("<H", 7))


@case(34, "L")
def sequences_of_undefined_length(pair):
    for header in pair.pet:
        header["RadiopharmaceuticalInformationSequence"].is_undefined_length = True
        tracer(header).is_undefined_length_sequence_item = True


@case(34, "R", "damaged-file")
def sequence_that_never_ends(pair):
    sequences_of_undefined_length(pair)
    return lambda folder: os.truncate(folder / "pet/003.dcm", (folder / "pet/003.dcm").read_bytes().index(b"77004003"))


# Geometry


@case(35, "R", "missing-geometry")
def position_missing_once(pair):
    del pair.pet[3].ImagePositionPatient


@case(36, "R", "missing-geometry")
def position_missing(pair):
    for k, header in enumerate(pair.ct):
        del header.ImagePositionPatient
        header.SliceLocation = STEP * k


@case(37, "R", "missing-geometry")
def orientation_missing(pair):
    for_all(pair.ct, ImageOrientationPatient=None)


@case(38, "R", "invalid-orientation")
def orientation_not_unit(pair):
    for_all(pair.ct, ImageOrientationPatient=[0.9, 0, 0, 0, 1, 0])


@case(38, "L")
def orientation_rounded(pair):
    for_all(pair.ct, ImageOrientationPatient=[1.0001, 0, 0, 0, 1, 0])


@case(39, "L")
def shuffled(pair):
    np.random.default_rng(1).shuffle(pair.pet)
    for k, header in enumerate(pair.pet):
        header.InstanceNumber = k


@case(40, "L")
def instance_numbers_equal(pair):
    for_all(pair.all, InstanceNumber=1)


@case(41, "L")
def slice_location_contradicts(pair):
    for k, header in enumerate(pair.ct):
        header.SliceLocation = -5.0 * k


@case(43, "R", "missing-slices")
def one_missing(pair):
    del pair.pet[4]


@case(44, "R", "missing-slices")
def three_missing(pair):
    del pair.ct[2:5]


@case(45, "L")
def ends_missing(pair):
    del pair.ct[-1]


@case(46, "R", "repeated-positions")
def position_twice(pair):
    pair.pet.append(clone(pair.pet[3], ROOT + ".6.1"))


@case(47, "L")
def steps_rounded(pair):
    for k, header in enumerate(pair.pet):
        header.ImagePositionPatient[2] = STEP * k + 0.03 * (-1) ** k


@case(48, "R", "irregular-slices")
def steps_irregular(pair):
    for k, header in enumerate(pair.pet):
        header.ImagePositionPatient[2] = STEP * (k + 0.2 * (k % 2))


@case(49, "R", "irregular-slices")
def thin_then_thick(pair):
    for k, header in enumerate(pair.ct):
        header.ImagePositionPatient[2] = STEP * (k + max(0, k - 4))


@case(50, "R", "tilted-gantry")
def gantry_tilt(pair):
    for k, header in enumerate(pair.ct):
        header.ImagePositionPatient[1] += STEP * k * np.tan(np.radians(15))
        header.GantryDetectorTilt = 15


@case(51, "L")
def sagittal(pair):
    for k, header in enumerate(pair.pet):
        header.ImageOrientationPatient, header.PixelSpacing = [0, 1, 0, 0, 0, -1], [3, 4]
        header.ImagePositionPatient = [10 - STEP * k, -20, 21]


@case(52, "W", "localizer-dropped")
def scout_in_series(pair):
    scout = clone(pair.ct[0], ROOT + ".6.2")
    scout.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    pair.ct.append(scout)


@case(52, "W", "localizer-dropped")
def localizer_in_series(pair):
    scout = clone(pair.ct[0], ROOT + ".6.2")
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    pair.ct.append(scout)


@case(53, "R", "not-a-volume")
def single_slice(pair):
    del pair.pet[1:]


@case(54, "R", "not-a-volume")
def two_slices(pair):
    del pair.pet[2:]


@case(55, "R", "mixed-sizes")
def one_slice_smaller(pair):
    pair.ct[3].Rows, pair.ct[3].PixelData = 8, pair.ct[3].PixelData[: 8 * 20 * 2]


@case(56, "R", "mixed-spacing")
def one_slice_other_spacing(pair):
    pair.ct[3].PixelSpacing = [4.1, 4.1]


@case(57, "L")
def pixels_not_square(pair):
    for_all(pair.ct, PixelSpacing=[4.0, 3.5])


@case(58, "R", "missing-geometry")
def imager_spacing_only(pair):
    for_all(pair.ct, PixelSpacing=None, ImagerPixelSpacing=[4, 4])


@case(59, "R", "invalid-spacing")
def spacing_zero(pair):
    for_all(pair.ct, PixelSpacing=[0, 0])


@case(59, "R", "invalid-spacing")
def spacing_huge(pair):
    for_all(pair.ct, PixelSpacing=[1e9, 1e9])


@case(60, "L")
def thickness_is_not_the_step(pair):
    for_all(pair.ct, SliceThickness=0)


@case(61, "L")
def far_from_the_origin(pair):
    for header in pair.all:
        header.ImagePositionPatient[2] -= 1500


# Pixels


@case(62, "R", "no-pixel-data")
def no_pixel_data(pair):
    del pair.ct[3].PixelData


@case(63, "R", "truncated-file")
def pixel_data_short(pair):
    pair.ct[3].PixelData = pair.ct[3].PixelData[:-100]


@case(64, "L")
def pixel_data_long(pair):
    pair.ct[3].PixelData += bytes(50)


@case(65, "L")
def dirty_high_bits(pair):
    for header in pair.ct:
        header.BitsStored, header.HighBit, header.PixelRepresentation = 12, 11, 0
        header.PixelData = (stored(header).astype(np.uint16) | 0xF000).tobytes()


@case(66, "R", "mixed-pixel-types")
def mixed_signs(pair):
    pair.pet[3].PixelRepresentation = 0


@case(67, "R", "pixel-format")
def eight_bits(pair):
    for header in pair.ct:
        header.BitsAllocated = header.BitsStored = 8
        header.HighBit, header.PixelData = 7, bytes(16 * 20)


@case(67, "R", "no-pixel-data")
def float_pixels(pair):
    for header in pair.pet:
        values = stored(header).astype(np.float32)
        del header.PixelData
        header.BitsAllocated, header.FloatPixelData = 32, values.tobytes()


@case(68, "R", "colour-image")
def colour(pair):
    for_all(pair.ct, SamplesPerPixel=3, PhotometricInterpretation="RGB")


@case(69, "W", "inverted-display")
def inverted(pair):
    for_all(pair.ct, PhotometricInterpretation="MONOCHROME1")


@case(70, "L")
def padding(pair):
    for header in pair.ct:
        values = stored(header).copy()
        values[values == 0] = -2000
        header.PixelPaddingValue, header.PixelData = -2000, values.tobytes()
        header["PixelPaddingValue"].VR = "SS"


@case(71, "L")
def padding_unsigned(pair):
    for header in pair.ct:
        values = stored(header).copy()
        values[0, 0] = -2000
        header.PixelData = values.tobytes()
        header.add_new("PixelPaddingValue", "US", 63536)


@case(72, "R", "rescale-missing")
def no_hounsfield_scale(pair):
    for_all(pair.ct, RescaleSlope=None, RescaleIntercept=None)


@case(73, "R", "not-hounsfield")
def not_hounsfield(pair):
    for_all(pair.ct, RescaleType="US")


@case(73, "W", "not-hounsfield")
def windowed_to_bytes(pair):
    for header in pair.ct:
        header.RescaleIntercept, header.PixelData = "0", (stored(header) // 5).astype(np.int16).tobytes()
        del header.RescaleType


@case(74, "L")
def metal(pair):
    for header in pair.ct:
        values = stored(header).copy()
        values[5, 5] = 31000
        header.PixelData = values.tobytes()


@case(75, "R", "pet-empty")
def empty_pet(pair):
    for header in pair.pet:
        header.PixelData = bytes(len(header.PixelData))


@case(76, "W", "pet-negative")
def negative_pet(pair):
    values = stored(pair.pet[3]).copy()
    values[0, 0] = -50
    pair.pet[3].PixelData = values.tobytes()


@case(77, "R", "rescale-slope")
def slope_zero(pair):
    pair.pet[3].RescaleSlope = "0"


@case(77, "R", "rescale-slope")
def slope_negative(pair):
    pair.pet[3].RescaleSlope = "-1"


@case(79, "R", "pet-intercept")
def pet_intercept(pair):
    for_all(pair.pet, RescaleIntercept="5")


# SUV


@case(80, "R", "pet-units")
def units_missing(pair):
    for_all(pair.pet, Units=None)


@case(80, "R", "pet-units")
def units_of_counts_per_second(pair):
    for_all(pair.pet, Units="CPS")


@case(80, "R", "pet-counts-without-factor")
def counts_without_factor(pair):
    for_all(pair.pet, Units="CNTS")


@case(81, "W", "suv-kind-converted")
def lean_body_mass(pair):
    for_all(pair.pet, Units="GML", SUVType="LBM")
    for header in pair.pet:
        header.RescaleSlope = "0.0005"


@case(82, "R", "decay-correction")
def decay_correction_missing(pair):
    for_all(pair.pet, DecayCorrection=None)


@case(83, "L")
def admin(pair):
    for_all(pair.pet, DecayCorrection="ADMIN")


@case(84, "R", "weight-missing")
def weight_zero(pair):
    for_all(pair.pet, PatientWeight="0")


@case(84, "W", "weight-unit")
def weight_in_grams(pair):
    for_all(pair.pet, PatientWeight="70000")


@case(84, "R", "weight-implausible")
def weight_impossible(pair):
    for_all(pair.pet, PatientWeight="700")


@case(85, "R", "dose-missing")
def dose_missing(pair):
    for_all(map(tracer, pair.pet), RadionuclideTotalDose=None)


@case(85, "W", "dose-unit")
def dose_in_mbq(pair):
    for_all(map(tracer, pair.pet), RadionuclideTotalDose="350")


@case(85, "R", "dose-implausible")
def dose_impossible(pair):
    for_all(map(tracer, pair.pet), RadionuclideTotalDose="1e12")


@case(86, "W", "half-life-from-code")
def half_life_missing(pair):
    for_all(map(tracer, pair.pet), RadionuclideHalfLife=None)


@case(86, "R", "half-life-wrong")
def half_life_zero(pair):
    for_all(map(tracer, pair.pet), RadionuclideHalfLife="0")


@case(86, "R", "half-life-wrong")
def half_life_in_minutes(pair):
    for_all(map(tracer, pair.pet), RadionuclideHalfLife="110")


@case(87, "R", "injection-time-missing")
def injection_missing(pair):
    for_all(map(tracer, pair.pet), RadiopharmaceuticalStartTime=None)


@case(88, "R", "injection-after-scan")
def injection_after_scan(pair):
    for_all(map(tracer, pair.pet), RadiopharmaceuticalStartDateTime="20240310130000")


@case(92, "W", "uptake-unusual")
def uptake_of_five_minutes(pair):
    for_all(map(tracer, pair.pet), RadiopharmaceuticalStartTime="115500")


@case(92, "W", "uptake-unusual")
def uptake_of_nine_hours(pair):
    for_all(map(tracer, pair.pet), RadiopharmaceuticalStartTime="030000")


@case(93, "W", "acquisition-time-missing")
def acquisition_times_missing(pair):
    for_all(pair.pet, AcquisitionTime=None)


@case(94, "R", "dose-implausible")
def dose_a_thousandth(pair):
    for_all(map(tracer, pair.pet), RadionuclideTotalDose="350000")


@case(94, "R", "suv-implausible")
def suv_of_thousands(pair):
    for header in pair.pet:
        header.RescaleSlope = "1000"


@case(95, "R", "two-radiopharmaceuticals")
def two_tracers(pair):
    for header in pair.pet:
        header.RadiopharmaceuticalInformationSequence = [tracer(header), copy.deepcopy(tracer(header))]


@case(96, "W", "tracer-not-fdg")
def other_tracer(pair):
    for_all(map(tracer, pair.pet), Radiopharmaceutical="F18-PSMA")


@case(97, "R", "pet-not-attenuation-corrected")
def uncorrected_only(pair):
    for_all(pair.pet, CorrectedImage=["DECY"])


@case(98, "L")
def uncorrected_beside(pair):
    twins = clones(pair.pet, 12)
    for_all(twins, CorrectedImage=["DECY"])
    pair.pet += twins


@case(99, "R", "repeated-positions")
def dynamic(pair):
    twins = [clone(h, f"{ROOT}.5.{k}") for k, h in enumerate(pair.pet)]
    for_all(twins, AcquisitionTime="121000")
    pair.pet += twins


@case(100, "R", "pet-series-type")
def gated(pair):
    for_all(pair.pet, SeriesType=["GATED", "IMAGE"])


@case(101, "R", "pet-reprojection")
def reprojection(pair):
    for_all(pair.pet, SeriesType=["WHOLE BODY", "REPROJECTION"])


# Pairs


@case(103, "L")
def ct_alone(pair):
    pair.pet.clear()


@case(103, "L")
def pet_alone(pair):
    pair.ct.clear()


@case(104, "W", "series-chosen")
def lung_kernel_beside(pair):
    twins = clones(pair.ct, 11)
    for_all(twins, ConvolutionKernel="LUNG")
    pair.ct += twins


@case(105, "W", "frame-of-reference")
def other_frame_of_reference(pair):
    for_all(pair.ct, FrameOfReferenceUID=ROOT + ".55")


@case(106, "R", "no-overlap")
def elsewhere(pair):
    for header in pair.ct:
        header.ImagePositionPatient[2] += 500


@case(107, "W", "partial-overlap")
def half_a_ct(pair):
    del pair.ct[4:]


@case(108, "L")
def ct_of_smaller_field(pair):
    for_all(pair.ct, PixelSpacing=[2.0, 2.0])


@case(109, "L")
def ct_flipped(pair):
    for header in pair.ct:
        header.ImageOrientationPatient = [-1, 0, 0, 0, -1, 0]
        header.ImagePositionPatient[:2] = [38, 30]


@case(111, "W", "different-days")
def pet_of_another_day(pair):
    for_all(pair.ct, AcquisitionDate="20240301")


# Folders


@case(122, "R", "nothing-to-load")
def empty_folder(pair):
    pair.ct.clear()
    pair.pet.clear()


@case(123, "R", "nothing-to-load")
def thousands_of_other_files(pair):
    pair.ct.clear()
    pair.pet.clear()
    return lambda folder: [(folder / f"{k}.txt").write_bytes(b"text") for k in range(2000)]


@case(124, "W", "not-dicom")
def text_named_dicom(pair):
    return lambda folder: (folder / "notes.dcm").write_text("not an image " * 20)


@case(125, "W", "not-dicom")
def empty_file(pair):
    return lambda folder: (folder / "empty.dcm").touch()


@case(126, "R", "truncated-file")
def file_cut_in_half(pair):
    return lambda folder: os.truncate(folder / "ct/003.dcm", (folder / "ct/003.dcm").stat().st_size // 2 + 300)


@case(126, "R", "damaged-file")
def file_cut_in_its_header(pair):
    return lambda folder: os.truncate(folder / "ct/003.dcm", 600)


@case(127, "W", "archive-ignored")
def archive_beside(pair):
    return lambda folder: (folder / "more.zip").write_bytes(b"PK\x03\x04")


@case(128, "L")
def index_that_points_outside(pair):
    index = Dataset()
    record = Dataset()
    record.DirectoryRecordType, record.ReferencedFileID = "IMAGE", ["..", "..", "secret"]
    index.FileSetID, index.DirectoryRecordSequence = "DISC", [record]
    index.SOPClassUID = "1.2.840.10008.1.3.10"
    return lambda folder: index.save_as(folder / "DICOMDIR", implicit_vr=False, little_endian=True)


@case(135, "W", "archive-ignored")
def archive_that_escapes(pair):
    def craft(folder):
        with zipfile.ZipFile(folder / "more.zip", "w") as archive:
            archive.writestr("../../outside.dcm", "x")

    return craft


@case(129, "W", "dead-link")
def dead_link(pair):
    return lambda folder: (folder / "gone.dcm").symlink_to(folder / "nowhere.dcm")


@case(129, "L")
def loop_of_folders(pair):
    return lambda folder: (folder / "ct/again").symlink_to(folder)


@case(131, "L")
def odd_names(pair):
    return lambda folder: [path.rename(path.with_name(f"ü %s\n {k} " + "x" * 180))
                           for k, path in enumerate(folder.rglob("*.dcm"))]  # fmt: skip


@case(137, "R", "truncated-file")
def declared_size_impossible(pair):
    for_all(pair.ct, Rows=4000, Columns=4000)


@case(137, "R", "impossible-size")
def declared_size_absurd(pair):
    for_all(pair.ct, Rows=65535, Columns=65535)


@case(138, "R", "pixels-unreadable")
def frame_of_another_size(pair):
    for header in pair.ct:
        header.compress(RLELossless, generate_instance_uid=False)
    for_all(pair.ct, Rows=18)


@case(139, "R", "damaged-file")
def element_of_four_gigabytes(pair):
    return patch("ct/003.dcm", b"\x08\x00\x60\x00CS\x02\x00CT", b"\x08\x00\x60\x00UN\x00\x00\xf0\xff\xff\xff")


@case(140, "L")
def nested_deeply(pair):
    return nest(60)


@case(140, "R", "damaged-file")
def nested_absurdly(pair):
    return nest(5000)


def nest(levels: int) -> Callable:
    start = struct.pack("<HH2sHL", 0x0099, 0x1010, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    stop = struct.pack("<HHL", 0xFFFE, 0xE00D, 0) + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    pixels = struct.pack("<HH", 0x7FE0, 0x0010)
    return patch("ct/003.dcm", pixels, start * levels + stop * levels + pixels)


@case(141, "L")
def large_private_value(pair):
    pair.ct[3].add_new(0x00991010, "OB", bytes(5_000_000))


@case(143, "W", "burned-in-annotation")
def burned_in(pair):
    for_all(pair.ct, BurnedInAnnotation="YES")


@case(144, "L")
def markup_in_the_description(pair):
    for_all(pair.ct, SeriesDescription="<script>%s{0}</script>\n[error] x")


@case(142, "R", "missing-slices")
def identifiers_everywhere(pair):
    del pair.pet[4]
    for header in pair.all:
        header.add_new(0x00991010, "LO", "SECRET-ID")
        header.SeriesDescription = header.ImageComments = header.ProtocolName = "Doe Jane SECRET-ID"


@case(145, "R", "several-patients")
def newline_in_the_patient_id(pair):
    for_all(pair.ct, PatientID="SECRET-ID\nerror: Doe")


@case(154, "L")
def anonymised_dates(pair):
    for_all(pair.all, PatientName="ANON", StudyDate="19000101", SeriesDate="19000101", AcquisitionDate="19000101")


@case(155, "W", "date-invalid")
def date_in_the_future(pair):
    for_all(pair.all, StudyDate="29990101")


@case(155, "R", "decay-reference-missing")
def day_that_never_was(pair):
    for_all(pair.pet, SeriesDate="20240231", AcquisitionDate="20240231")


def test_cases_cover_the_table():
    assert len(CASES) >= 100
    assert len({c.row for c in CASES}) >= 90


@pytest.mark.parametrize("one", CASES, ids=lambda c: f"{c.row:03d}-{c.spoil.__name__}")
def test_verdict(one: Case, tmp_path, recwarn):
    with pydicom.config.disable_value_validation():
        pair = Pair()
        after = one.spoil(pair)
    folder = pair.write(tmp_path / "study")
    if after:
        after(folder)
    recwarn.clear()
    if one.verdict == "R":
        with pytest.raises(PemmaError) as refusal:
            study.load(folder)
        assert refusal.value.code == one.code
        told = str(refusal.value)
        assert refusal.value.way_out
    else:
        loaded = study.load(folder)
        codes = [w.code for w in loaded.warnings]
        assert one.code in codes if one.verdict == "W" else codes == []
        check_values(loaded, one)
        told = " ".join(f"{w.sentence} {w.way_out}" for w in loaded.warnings)
    assert not any(secret in told for secret in ("Doe", "Jane", "SECRET", str(tmp_path)))
    assert not recwarn.list, "pydicom's warnings may hold a patient's values"


def test_spoilt_bytes_give_a_study_or_a_refusal(tmp_path):
    """Bytes changed, put in or cut off anywhere: never an exception that is not meant for the user."""
    chance = np.random.default_rng(7)
    folder = Pair(ct=series("CT", 3), pet=series("PT", 3)).write(tmp_path)
    files = sorted(folder.rglob("*.dcm"))
    for turn in range(60):
        path = files[turn % len(files)]
        whole = path.read_bytes()
        at = int(chance.integers(132, len(whole) - 100))
        kept = (whole[at + 1 :], whole[at:], b"")[turn // len(files) % 3]
        path.write_bytes(whole[:at] + chance.bytes(turn % 5) + kept)
        with contextlib.suppress(PemmaError):
            study.load(folder)
        path.write_bytes(whole)
    assert study.load(folder).warnings == ()


def check_values(loaded: study.PetCtStudy, one: Case) -> None:
    """Whatever is odd about the files, values and places are those of the pair."""
    import SimpleITK as sitk

    spoilt = {
        "windowed_to_bytes",
        "lean_body_mass",
        "admin",
        "uptake_of_five_minutes",
        "uptake_of_nine_hours",
        "ends_missing",
    }
    if loaded.ct is not None and one.spoil.__name__ not in spoilt:
        body = sitk.GetArrayFromImage(loaded.ct)[:, 8, 10]
        assert body.tolist() == [40 + k for k in range(len(body))]
        assert sitk.GetArrayFromImage(loaded.ct)[0, 0, 0] in (-1000, -1024)
    if loaded.pet is not None and one.spoil.__name__ not in spoilt:
        hot = sitk.GetArrayFromImage(loaded.pet)[:, 3, 4]
        assert np.allclose(hot, [20000 * (1 + k / 10) * FACTOR for k in range(SLICES)], rtol=1e-4)

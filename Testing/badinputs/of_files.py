"""Files that hold wrong or odd bytes, series and identities."""

import os
import struct

import pydicom
from pydicom import DataElement, Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from ..study.phantom import ROOT, SLICES, stored, tracer
from .spoil import case, clone, encode, for_all, patch


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


@case(16, "W", "duplicates-ignored")
def file_twice_by_another_writer(pair):
    def copy(folder):
        data = pydicom.dcmread(folder / "pet/003.dcm")
        data.preamble, data.file_meta.ImplementationVersionName = b"II*\0" * 32, "OTHER"
        data.save_as(folder / "copy.dcm")

    return copy


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


@case(20, "R", "pet-choice")
def two_reconstructions_of_the_pet(pair):
    twins = [clone(h, f"{ROOT}.5.{k}") for k, h in enumerate(pair.pet)]
    for_all(twins, ImageType=["DERIVED", "SECONDARY", "AXIAL"])
    pair.pet += twins


@case(21, "R", "several-patients")
def two_patients_in_a_series(pair):
    pair.pet[2].PatientID = "OTHER"


@case(21, "R", "several-studies")
def two_studies_in_a_series(pair):
    for_all(pair.pet[4:], StudyInstanceUID=ROOT + ".8")


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

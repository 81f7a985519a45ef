"""Folders, series and texts that no loader should stumble over."""

import os
import struct
import zipfile
from collections.abc import Callable

from pydicom import Dataset
from pydicom.uid import (
    RLELossless,
)

from .spoil import case, for_all, patch


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


@case(129, "W", "dead-link")
def link_to_itself(pair):
    return lambda folder: (folder / "loop").symlink_to("loop")


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


@case(155, "W", "date-invalid")
def birth_on_day_00(pair):
    for_all(pair.all, PatientBirthDate="19500100")


@case(155, "W", "dates-missing")
def day_that_never_was(pair):
    for_all(pair.pet, SeriesDate="20240231", AcquisitionDate="20240231")

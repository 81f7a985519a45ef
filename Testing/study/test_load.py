"""Studies as they come: real patients, multi-frame and compressed files, the facts a SEG needs."""

import shutil
import threading
import types

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import get_decoder
from pydicom.uid import JPEGLosslessSV1, SecondaryCaptureImageStorage

from PEMMASegmentLib import study
from PEMMASegmentLib.core import Cancelled, PemmaError
from PEMMASegmentLib.core.images import array
from PEMMASegmentLib.study.dicom import pixels, scan

from .phantom import FACTOR, ROOT, SLICES, Pair, enhanced_ct, stored

PATIENTS = ("STS_008", "STS_019", "STS_042")


@pytest.mark.parametrize("patient", PATIENTS)
def test_real_patient_equals_its_nifti_copy(patient, shared, unpack):
    loaded = study.load(unpack(f"sts/dicom/{patient}.zip"))
    copied = sitk.ReadImage(str(shared / "data/sts" / patient / "pet.nii.gz"), sitk.sitkFloat32)
    assert np.abs(array(loaded.pet) - array(copied)).max() < 0.0009
    for get in ("GetOrigin", "GetSpacing", "GetDirection"):
        assert np.allclose(getattr(loaded.pet, get)(), getattr(copied, get)(), atol=1e-4)
    assert (loaded.ct.GetPixelID(), loaded.pet.GetPixelID()) == (sitk.sitkInt16, sitk.sitkFloat32)
    assert array(loaded.ct).min() == -1000 and loaded.suv.route == "GML, SUV type BW"
    assert [c.modality for c in loaded.candidates if c.chosen] == ["CT", "PT"]
    assert len(loaded.candidates) == 3 and all(c.reason for c in loaded.candidates)


def test_ct_equals_its_files(unpack):
    loaded = study.load(unpack("sts/dicom/STS_019.zip"))
    for k, header in enumerate(loaded.ct_headers):
        assert float(header.ImagePositionPatient[2]) == pytest.approx(
            loaded.ct.TransformIndexToPhysicalPoint((0, 0, k))[2]
        )
    files = [pydicom.dcmread(f) for f in unpack("sts/dicom/STS_019.zip").rglob("CT/*")]
    by_uid = {f.SOPInstanceUID: f.pixel_array for f in files}
    for k, header in enumerate(loaded.ct_headers):
        assert np.array_equal(array(loaded.ct)[k], by_uid[header.SOPInstanceUID])


def test_headers_are_fit_for_a_seg(tmp_path):
    pair = Pair()
    for header in pair.all:
        header.add_new(0x00991010, "LO", "private")
    loaded = study.load(pair.write(tmp_path))
    for headers, image in ((loaded.ct_headers, loaded.ct), (loaded.pet_headers, loaded.pet)):
        assert len(headers) == image.GetSize()[2]
        assert not any("PixelData" in h or any(tag.is_private for tag in h.keys()) for h in headers)
        assert [float(h.ImagePositionPatient[2]) for h in headers] == sorted(
            float(h.ImagePositionPatient[2]) for h in headers)  # fmt: skip
    assert loaded.study_key == f"{ROOT}.9|{ROOT}.1|{ROOT}.2"
    assert loaded.grid is loaded.ct and loaded.grid_headers is loaded.ct_headers


# Encodings


def lossless_jpeg(header: Dataset, frames: np.ndarray, file) -> None:
    """Compresses (frames, rows, columns) by SimpleITK, for want of an encoder in pydicom; `file` is for its use."""
    encoded = []
    for values in frames:
        image = sitk.GetImageFromArray(values[None])
        sitk.WriteImage(image, str(file), useCompression=True, compressor="JPEG", imageIO="GDCMImageIO")
        one = pydicom.dcmread(file)
        assert one.file_meta.TransferSyntaxUID == JPEGLosslessSV1
        encoded += generate_frames(one.PixelData, number_of_frames=1)
    file.unlink()
    header.PixelData, header["PixelData"].is_undefined_length = encapsulate(encoded), True
    header.file_meta.TransferSyntaxUID = JPEGLosslessSV1


@pytest.mark.parametrize("decoder", ["of pydicom", "of SimpleITK"])
def test_lossless_jpeg_is_exact(decoder, tmp_path, unpack, monkeypatch):
    """The most common compression in archives: slices, also inverted ones, and frames with slopes of their own."""
    if decoder == "of SimpleITK":
        monkeypatch.setattr(pixels, "get_decoder", lambda syntax: types.SimpleNamespace(is_available=False))
    elif not get_decoder(JPEGLosslessSV1).is_available:
        pytest.skip("needs python-gdcm")
    pair = Pair()
    for header in pair.all:
        lossless_jpeg(header, stored(header)[None], tmp_path / "encoded.dcm")
    for header in pair.ct:
        header.PhotometricInterpretation = "MONOCHROME1"
    loaded = study.load(pair.write(tmp_path / "study"))
    assert array(loaded.ct)[:, 8, 10].tolist() == [40 + k for k in range(SLICES)]
    assert np.allclose(array(loaded.pet)[:, 3, 4], [20000 * (1 + k / 10) * FACTOR for k in range(SLICES)])
    [source] = (folder := unpack("suv/e01_enhanced_pet.zip") / "PT").iterdir()
    whole = pydicom.dcmread(source)
    lossless_jpeg(whole, whole.pixel_array, tmp_path / "encoded.dcm")
    (tmp_path / "frames").mkdir()
    whole.save_as(tmp_path / "frames/pet.dcm")
    assert np.array_equal(array(study.load(tmp_path / "frames").pet), array(study.load(folder).pet))


@pytest.mark.parametrize("compressed", [False, True])
def test_enhanced_ct_with_shuffled_frames(compressed, tmp_path):
    whole = enhanced_ct([3, 0, 6, 1, 7, 2, 5, 4])
    if compressed:
        whole.compress("1.2.840.10008.1.2.5", generate_instance_uid=False)
    whole.save_as(tmp_path / "ct.dcm", enforce_file_format=True)
    (tmp_path / "pair").mkdir()
    loaded, classic = study.load(tmp_path), study.load(Pair(pet=[]).write(tmp_path / "pair"))
    assert np.array_equal(array(loaded.ct), array(classic.ct)) and loaded.ct.GetOrigin() == classic.ct.GetOrigin()
    assert len(loaded.ct_headers) == 1 and loaded.ct_headers[0].NumberOfFrames == 8


def test_enhanced_with_fewer_frames_than_declared(tmp_path):
    whole = enhanced_ct(range(8))
    whole.PixelData = encapsulate([whole.PixelData])[:1000]
    whole.save_as(tmp_path / "ct.dcm", enforce_file_format=True)
    with pytest.raises(PemmaError) as refusal:
        study.load(tmp_path)
    assert refusal.value.code == "truncated-file"


# Progress, inspect


def test_progress_rises_and_stops_the_work(tmp_path):
    folder = Pair().write(tmp_path)
    seen = []
    study.load(folder, progress=lambda fraction, words: seen.append((fraction, words)))
    assert [f for f, _ in seen] == sorted(f for f, _ in seen) and {w for _, w in seen} > {
        "reading headers",
        "reading CT",
    }

    def stop(fraction, words):
        if fraction > 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        study.load(folder, progress=stop)


def test_file_that_vanishes_while_reading(tmp_path):
    folder = Pair().write(tmp_path)
    once = threading.Event()

    def remove(fraction, words):
        if words == "reading CT" and not once.is_set():
            (folder / "ct/005.dcm").unlink()
            once.set()

    with pytest.raises(PemmaError) as refusal:
        study.load(folder, progress=remove)
    assert (refusal.value.code, refusal.value.place) == ("series-changed", "005.dcm")


def test_file_and_folder_that_the_drive_gives_no_more(tmp_path):
    folder = Pair().write(tmp_path)
    (folder / "image.dcm").symlink_to("/proc/self/mem")  # its first byte is an input/output error
    with pytest.raises(PemmaError) as refusal:
        study.load(folder)
    assert (refusal.value.code, refusal.value.place) == ("series-changed", "image.dcm")
    with pytest.raises(PemmaError) as refusal:
        list(scan._walk(folder / "gone", set()))
    assert refusal.value.code == "series-changed"


def test_archive_is_to_be_unpacked(tmp_path):
    archive = shutil.make_archive(str(tmp_path / "archives/study"), "zip", Pair().write(tmp_path / "study"))
    for given, sentence in ((archive, "not a folder"), (tmp_path / "archives", "none of the 1 files")):
        with pytest.raises(PemmaError, match=f"{sentence}.*unpack the archive"):
            study.load(given)


def test_describe(tmp_path):
    found = study.describe(study.load(Pair().write(tmp_path)))
    assert sorted(found) == ["candidates", "ct", "pet", "verdict", "warnings"] and found["verdict"] == "load"
    assert found["ct"] == {"size": [20, 16, 8], "spacing_mm": [4.0, 4.0, 3.0], "series_uid": ROOT + ".1",
                           "frame_of_reference_uid": ROOT}  # fmt: skip
    suv = found["pet"]["suv"]
    assert sorted(suv) == ["factor", "max", "median", "median_above_0", "min", "min_above_0", "route"]
    assert suv["max"] == pytest.approx(20000 * 1.7 * FACTOR) and suv["min"] == 0
    assert suv["min_above_0"] == pytest.approx(3000 * FACTOR)


def test_inspect_of_one_modality(tmp_path):
    assert study.describe(study.load(Pair(pet=[]).write(tmp_path / "a")))["pet"] is None
    assert study.describe(study.load(Pair(ct=[]).write(tmp_path / "b")))["ct"] is None


def test_folder_of_other_objects_is_told_what_they_are(tmp_path):
    pair = Pair()
    for header in pair.all:
        header.Modality, header.SOPClassUID = "PT", SecondaryCaptureImageStorage
    with pytest.raises(PemmaError, match="only Secondary Capture Image Storage") as refusal:
        study.load(pair.write(tmp_path))
    assert (refusal.value.code, refusal.value.place) == ("no-images", "(0008,0016)")

"""Pixel data: stored values slice by slice, and the HU and SUV volumes of them."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels import get_decoder
from pydicom.pixels import pixel_array as decode
from pydicom.uid import SecondaryCaptureImageStorage

from ...core import PemmaError, Progress
from .. import tags
from ..tags import EXPORT_AGAIN
from .files import READ_ERRORS, File, read_again, unreachable
from .pixelformat import frame_bytes
from .series import Series, Slice

AIR_HU = -1024
TISSUE_HU = (-900, 3000)  # lung to dense bone


def stored_values(one: Slice, opened: dict[Path, Dataset]) -> np.ndarray:
    """Stored integers (rows, columns) of a slice; bits above Bits Stored are masked.

    opened: keeps the last compressed file between calls, for the frames of a multi-frame one.
    """
    columns, rows = one.plane.size
    try:
        if one.file.pixels is not None and not one.file.pixels.encapsulated:
            values = _plain(one)
        elif get_decoder(one.file.syntax).is_available:
            values = decode(_opened(one.file, opened), index=one.frame or 0, raw=True)
        else:
            values = _by_simpleitk(_opened(one.file, opened), one.frame or 0)
    except FileNotFoundError as problem:
        raise unreachable(problem, one.file.name) from None
    except (RuntimeError, OSError, *READ_ERRORS):
        raise PemmaError(
            "pixels-unreadable",
            "the pixel data can't be decoded, the file is damaged or cut",
            EXPORT_AGAIN,
            one.file.name,
        ) from None
    if values.shape != (rows, columns):
        raise PemmaError(
            "frame-size", "the decoded image has another size than the header says", EXPORT_AGAIN, one.file.name
        )
    return _masked(values, one.header)


def _opened(file: File, opened: dict[Path, Dataset]) -> Dataset:
    if file.path not in opened:
        opened.clear()
        opened[file.path] = read_again(file)
    return opened[file.path]


def _plain(one: Slice) -> np.ndarray:
    """Uncompressed values straight from the file."""
    columns, rows = one.plane.size
    size = frame_bytes(one)
    with one.file.path.open("rb") as stream:
        stream.seek(one.file.pixels.offset + (one.frame or 0) * size)
        data = stream.read(size)
    order = "<" if one.file.syntax.is_little_endian else ">"
    return np.frombuffer(data, f"{order}u{size // (rows * columns)}").reshape(rows, columns)


def _by_simpleitk(whole: Dataset, frame: int) -> np.ndarray:
    """Stored values of one frame through SimpleITK's GDCM.

    It would rescale all frames by the first one's slope and turn MONOCHROME1 round: it is shown the frame without either.
    """
    bare = Dataset()
    bare.SOPClassUID, bare.SOPInstanceUID = SecondaryCaptureImageStorage, "2.25.1"
    bare.SamplesPerPixel, bare.PhotometricInterpretation = 1, "MONOCHROME2"
    for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation"):
        bare[keyword] = whole[keyword]
    bare.HighBit = bare.BitsStored - 1
    count = int(tags.number(whole, "NumberOfFrames") or 1)
    bare.PixelData = encapsulate([get_frame(whole.PixelData, frame, number_of_frames=count)])
    bare.file_meta = pydicom.dataset.FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = whole.file_meta.TransferSyntaxUID
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "frame.dcm")
        bare.save_as(file, enforce_file_format=True)
        return sitk.GetArrayFromImage(sitk.ReadImage(file, imageIO="GDCMImageIO"))[0]


def _masked(values: np.ndarray, header: Dataset) -> np.ndarray:
    """int32/int64 values of the lowest Bits Stored bits, with their sign."""
    stored, signed = int(tags.number(header, "BitsStored")), tags.number(header, "PixelRepresentation") == 1
    wide = values.astype(np.int64) if values.dtype.itemsize > 2 else values.astype(np.int32)
    wide &= (1 << stored) - 1
    return np.where(wide >= 1 << (stored - 1), wide - (1 << stored), wide) if signed else wide


def padding(values: np.ndarray, header: Dataset) -> np.ndarray | None:
    """Where the stored values are padding (0028,0120), (0028,0121); None if there is none that could be told from tissue."""
    ends = [tags.number(header, k) for k in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    if ends[0] is None or (tags.text(header, "Modality") == "CT" and _is_tissue(ends, header)):
        return None
    low, high = sorted(_as_pixel(e if e is not None else ends[0], header) for e in ends)
    return (values >= low) & (values <= high)


def _is_tissue(ends: Sequence[float | None], header: Dataset) -> bool:
    """Whether a CT's padding, such as 0 without an intercept, is a value that a patient has: all of it would turn to air."""
    bits = int(tags.number(header, "BitsAllocated"))
    slope, intercept = tags.number(header, "RescaleSlope"), tags.number(header, "RescaleIntercept")
    meant = [_signed(int(end), bits) * slope + intercept for end in ends if end is not None]  # HU; 63536 stands for -2000
    return any(TISSUE_HU[0] < hu < TISSUE_HU[1] for hu in meant)


def _as_pixel(value: float, header: Dataset) -> int:
    """A padding value as `stored_values` gives it: of Bits Stored, signed where pixels are."""
    stored = int(tags.number(header, "BitsStored"))
    signed = tags.number(header, "PixelRepresentation") == 1
    return _signed(int(value), stored) if signed else int(value) & ((1 << stored) - 1)


def _signed(value: int, bits: int) -> int:
    """The number that the lowest bits stand for as a two's complement."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def volume(series: Series, progress: Progress) -> np.ndarray:
    """All slices (z, y, x): HU as int16 of a CT, SUVbw as float32 of a PET. One array, filled slice by slice."""
    columns, rows = series.slices[0].plane.size
    is_ct = series.modality == "CT"
    out = np.empty((len(series.slices), rows, columns), np.int16 if is_ct else np.float32)
    opened: dict[Path, Dataset] = {}
    kept = 0
    for k, one in enumerate(series.slices):
        progress(k / len(series.slices), f"reading {series.modality}")
        values = stored_values(one, opened)
        pad = padding(values, one.header)
        if is_ct:
            out[k] = _hounsfield(values, one.header, pad)
        else:
            out[k] = values * (tags.number(one.header, "RescaleSlope") * series.plan.factors[k])
            if pad is not None:
                out[k][pad & (values <= 0)] = 0
                kept += np.count_nonzero(pad & (values > 0))
    if kept:
        _tell_kept(series, kept)
    return out


def _tell_kept(series: Series, kept: int) -> None:
    """What lies above 0 may be activity, the hottest of all where the greatest number stands for padding too."""
    series.warn(
        "pet-padding-kept",
        f"{kept} voxels of the PET have the Pixel Padding Value (0028,0120), which is above 0; they were kept as activity",
        "look whether they lie in the patient",
    )


def _hounsfield(values: np.ndarray, header: Dataset, pad: np.ndarray | None) -> np.ndarray:
    slope, intercept = tags.number(header, "RescaleSlope"), tags.number(header, "RescaleIntercept")
    hounsfield = np.clip(np.rint(values * slope + intercept), -32768, 32767)
    if pad is not None:
        hounsfield[pad] = AIR_HU
    return hounsfield.astype(np.int16)

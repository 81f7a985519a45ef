"""Pixel data: what a header must say before they are decoded, stored values slice by slice, HU and SUV volumes."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom import Dataset
from pydicom.pixels import get_decoder
from pydicom.pixels import pixel_array as decode
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1, JPEGLSNearLossless

from ..core import PemmaError, Progress
from . import tags
from .scan import READ_ERRORS, File
from .tags import EXPORT_AGAIN
from .types import StudyWarning

if TYPE_CHECKING:
    from .series import Series, Slice

AIR_HU = -1024
MOST_PIXELS = 4096 * 4096  # of one slice
MOST_VOXELS = 1 << 31
LOSSY = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless)
#: no pydicom decoder without an optional wheel; SimpleITK's own GDCM reads these
BY_SIMPLEITK = (JPEGLossless, JPEGLosslessSV1)
OTHER_PET = "choose another series with --pet-series, or use --inputs ct"


def check(modality: str, slices: Sequence["Slice"]) -> list[StudyWarning]:
    """Refuses pixel formats that can't be loaded in full truth; warns of what is doubtful. Reads no pixels."""
    found: list[StudyWarning] = []
    for keyword in (
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
        "SamplesPerPixel",
        "PhotometricInterpretation",
    ):
        _same_format(slices, keyword)
    first = slices[0]
    _check_colour(modality, first, found)
    _check_bits(first.header)
    _check_size(slices)
    for one in slices:
        _check_syntax(one.file)
        _check_length(one)
        _check_rescale(modality, one)
    _check_lossy(modality, slices, found)
    return found


def _same_format(slices: Sequence["Slice"], keyword: str) -> None:
    if len({tags.texts(s.header, keyword) for s in slices}) > 1:
        raise PemmaError(
            "mixed-pixel-types",
            f"{tags.title(keyword)} differs between the slices of one series",
            EXPORT_AGAIN,
            tags.place(keyword),
        )


def _check_colour(modality: str, one: "Slice", found: list[StudyWarning]) -> None:
    samples = tags.number(one.header, "SamplesPerPixel") or 1
    meaning = tags.text(one.header, "PhotometricInterpretation").upper() or "MONOCHROME2"
    if samples != 1 or meaning not in ("MONOCHROME1", "MONOCHROME2"):
        raise PemmaError(
            "colour-image",
            f"{one.file.name} is a colour image, not a slice of values",
            "choose another series",
            "(0028,0004)",
        )
    if meaning == "MONOCHROME1":
        if modality == "PT":
            raise PemmaError(
                "pet-inverted",
                "Photometric Interpretation (0028,0004) is MONOCHROME1, which PET does not allow",
                OTHER_PET,
                "(0028,0004)",
            )
        found.append(
            StudyWarning(
                "inverted-display",
                "Photometric Interpretation (0028,0004) is MONOCHROME1: the display is "
                "inverted, the values were left as they are",
            )
        )


def _check_bits(header: Dataset) -> None:
    allocated, stored, high, sign = (
        tags.number(header, k) for k in ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
    )
    if allocated not in (16, 32) or not stored or not 1 < stored <= allocated or sign not in (0, 1):
        raise PemmaError(
            "pixel-format",
            "the pixels are not 16 or 32 bit integers (0028,0100), (0028,0101), (0028,0103)",
            "choose another series",
            "(0028,0100)",
        )
    if high is not None and high != stored - 1:
        raise PemmaError(
            "pixel-format", "High Bit (0028,0102) does not fit Bits Stored (0028,0101)", EXPORT_AGAIN, "(0028,0102)"
        )


def _check_size(slices: Sequence["Slice"]) -> None:
    columns, rows = slices[0].plane.size
    if columns < 2 or rows < 2 or columns * rows > MOST_PIXELS or columns * rows * len(slices) > MOST_VOXELS:
        raise PemmaError(
            "impossible-size",
            f"the declared size of {columns} x {rows} x {len(slices)} is impossible for one series",
            EXPORT_AGAIN,
            "(0028,0010)",
        )


def _check_syntax(file: File) -> None:
    if file.syntax in BY_SIMPLEITK:
        return
    try:
        decoder = get_decoder(file.syntax)
    except NotImplementedError:
        name = file.syntax.name if file.syntax in pydicom.uid.UID_dictionary else "unknown"
        raise PemmaError(
            "transfer-syntax",
            f"the transfer syntax ({name}) of {file.name} is not supported",
            "export the series as Explicit VR Little Endian",
            "(0002,0010)",
        ) from None
    if not decoder.is_available:
        raise PemmaError(
            "decoder-missing",
            f"{file.name} is compressed ({file.syntax.name}) and the decoder for it is not installed",
            "pip install pylibjpeg pylibjpeg-openjpeg, or export the series uncompressed",
            "(0002,0010)",
        )


def _check_length(one: "Slice") -> None:
    """Refuses missing and, for uncompressed files, truncated pixel data."""
    data = one.file.pixels
    if data is None:
        return
    if data.length == 0:
        raise PemmaError("no-pixel-data", "the file has no pixel data (7FE0,0010)", EXPORT_AGAIN, one.file.name)
    if data.encapsulated != one.file.syntax.is_compressed:
        raise PemmaError(
            "transfer-syntax",
            "the pixel data are not stored as Transfer Syntax UID (0002,0010) says",
            EXPORT_AGAIN,
            one.file.name,
        )
    frames = (tags.number(one.header, "NumberOfFrames") or 1) if one.frame is not None else 1
    if not data.encapsulated and data.length < frames * _frame_bytes(one):
        raise PemmaError(
            "truncated-file", "the file is cut: it holds fewer pixels than it declares", EXPORT_AGAIN, one.file.name
        )


def _frame_bytes(one: "Slice") -> int:
    columns, rows = one.plane.size
    return columns * rows * int(tags.number(one.header, "BitsAllocated")) // 8


def _check_rescale(modality: str, one: "Slice") -> None:
    slope, intercept = tags.number(one.header, "RescaleSlope"), tags.number(one.header, "RescaleIntercept")
    if slope is None or (modality == "CT" and intercept is None):
        what = "no Hounsfield scale" if modality == "CT" else "no quantities"
        raise PemmaError(
            "rescale-missing",
            f"Rescale Slope or Intercept is missing in {one.file.name}, so the image has {what}",
            EXPORT_AGAIN,
            "(0028,1053)",
        )
    if slope <= 0:
        raise PemmaError(
            "rescale-slope",
            f"Rescale Slope (0028,1053) in {one.file.name} is not positive",
            EXPORT_AGAIN,
            "(0028,1053)",
        )
    if modality == "PT" and intercept:
        raise PemmaError(
            "pet-intercept", "Rescale Intercept (0028,1052) of a PET must be 0 and is not", OTHER_PET, "(0028,1052)"
        )
    if modality == "CT" and tags.text(one.header, "RescaleType").upper() not in ("", "HU"):
        raise PemmaError(
            "not-hounsfield",
            "Rescale Type (0028,1054) says that the CT values are not HU",
            "choose another series with --ct-series",
            "(0028,1054)",
        )


def _check_lossy(modality: str, slices: Sequence["Slice"], found: list[StudyWarning]) -> None:
    if any(tags.text(s.header, "LossyImageCompression") == "01" or s.file.syntax in LOSSY for s in slices):
        if modality == "PT":
            raise PemmaError(
                "pet-lossy", "the PET is lossy compressed and no longer quantitative", OTHER_PET, "(0028,2110)"
            )
        found.append(
            StudyWarning("ct-lossy", "the CT is lossy compressed", "prefer a series without lossy compression")
        )


def read(file: File, stop_before_pixels: bool = False) -> Dataset:
    """The whole file. Refuses one that vanished or that can't be read any more."""
    try:
        dataset = pydicom.dcmread(file.path, force=True, stop_before_pixels=stop_before_pixels)
    except FileNotFoundError:
        raise _vanished(file) from None
    except (OSError, *READ_ERRORS):
        raise PemmaError("damaged-file", "the file can't be read", EXPORT_AGAIN, file.name) from None
    dataset.file_meta.TransferSyntaxUID = file.syntax
    return dataset


def _vanished(file: File) -> PemmaError:
    return PemmaError(
        "series-changed", "a file of the study vanished while it was read", "copy the study first", file.name
    )


def stored_values(one: "Slice", opened: dict[Path, Dataset]) -> np.ndarray:
    """Stored integers (rows, columns) of a slice; bits above Bits Stored are masked.

    opened: keeps the last compressed file between calls, for the frames of a multi-frame one.
    """
    columns, rows = one.plane.size
    try:
        if one.file.pixels is not None and not one.file.pixels.encapsulated:
            values = _plain(one)
        elif one.file.syntax in BY_SIMPLEITK:
            values = _by_simpleitk(one)
        else:
            values = decode(_opened(one.file, opened), index=one.frame or 0, raw=True)
    except FileNotFoundError:
        raise _vanished(one.file) from None
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
        opened[file.path] = read(file)
    return opened[file.path]


def _plain(one: "Slice") -> np.ndarray:
    """Uncompressed values straight from the file."""
    columns, rows = one.plane.size
    size = _frame_bytes(one)
    with one.file.path.open("rb") as stream:
        stream.seek(one.file.pixels.offset + (one.frame or 0) * size)
        data = stream.read(size)
    order = "<" if one.file.syntax.is_little_endian else ">"
    return np.frombuffer(data, f"{order}u{size // (rows * columns)}").reshape(rows, columns)


def _by_simpleitk(one: "Slice") -> np.ndarray:
    """Stored values through SimpleITK's GDCM, which returns them rescaled."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(one.file.path))
    rescaled = sitk.GetArrayFromImage(reader.Execute()).astype(np.float64)
    slope, intercept = tags.number(one.header, "RescaleSlope"), tags.number(one.header, "RescaleIntercept") or 0.0
    return np.rint((rescaled[one.frame or 0] - intercept) / slope).astype(np.int64)


def _masked(values: np.ndarray, header: Dataset) -> np.ndarray:
    """int32/int64 values of the lowest Bits Stored bits, with their sign."""
    stored, signed = int(tags.number(header, "BitsStored")), tags.number(header, "PixelRepresentation") == 1
    wide = values.astype(np.int64) if values.dtype.itemsize > 2 else values.astype(np.int32)
    wide &= (1 << stored) - 1
    return np.where(wide >= 1 << (stored - 1), wide - (1 << stored), wide) if signed else wide


def padding(values: np.ndarray, header: Dataset) -> np.ndarray | None:
    """Where the stored values are padding (0028,0120), (0028,0121); None if there is no such value."""
    ends = [tags.number(header, k) for k in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    if ends[0] is None:
        return None
    low, high = sorted(_signed(e if e is not None else ends[0], header) for e in ends)
    return (values >= low) & (values <= high)


def _signed(value: float, header: Dataset) -> int:
    """A padding value in the pixels' own representation: 63536 stands for -2000 where pixels are signed."""
    stored = int(tags.number(header, "BitsAllocated"))
    value = int(value) & ((1 << stored) - 1)
    return value - (1 << stored) if tags.number(header, "PixelRepresentation") == 1 and value >> (stored - 1) else value


def volume(series: "Series", progress: Progress) -> np.ndarray:
    """All slices (z, y, x): HU as int16 of a CT, SUVbw as float32 of a PET. One array, filled slice by slice."""
    columns, rows = series.slices[0].plane.size
    is_ct = series.modality == "CT"
    out = np.empty((len(series.slices), rows, columns), np.int16 if is_ct else np.float32)
    opened: dict[Path, Dataset] = {}
    for k, one in enumerate(series.slices):
        progress(k / len(series.slices), f"reading {series.modality}")
        values = stored_values(one, opened)
        pad = padding(values, one.header)
        if is_ct:
            out[k] = _hounsfield(values, one.header, pad)
        else:
            out[k] = values * (tags.number(one.header, "RescaleSlope") * series.plan.factors[k])
            if pad is not None:
                out[k][pad] = 0
    return out


def _hounsfield(values: np.ndarray, header: Dataset, pad: np.ndarray | None) -> np.ndarray:
    slope, intercept = tags.number(header, "RescaleSlope"), tags.number(header, "RescaleIntercept")
    hounsfield = np.clip(np.rint(values * slope + intercept), -32768, 32767)
    if pad is not None:
        hounsfield[pad] = AIR_HU
    return hounsfield.astype(np.int16)


def check_ct_values(voxels: np.ndarray) -> list[StudyWarning]:
    if voxels.min() < 0:
        return []
    return [
        StudyWarning(
            "not-hounsfield",
            "the CT has no value below 0 HU, no fat and no air: it may not be in HU",
            "check the series",
        )
    ]


def check_pet_values(voxels: np.ndarray) -> list[StudyWarning]:
    """Refuses an empty PET and SUV that no body has; warns of what is unlikely."""
    top = float(voxels.max())
    if top <= 0 or top == float(voxels.min()):
        raise PemmaError("pet-empty", "the PET is empty: all values are equal", OTHER_PET)
    usual = float(np.median(voxels[voxels > 0]))
    if usual > 50:
        raise PemmaError(
            "suv-implausible",
            f"the median SUV above 0 is {usual:.3g}, which no body has: dose, weight or units must be wrong",
            OTHER_PET,
            "(0018,1074)",
        )
    found = []
    if top > 500 or top < 0.2:
        found.append(StudyWarning("suv-implausible", f"the highest SUV is {top:.3g}", "check dose, weight and units"))
    if voxels.min() < 0:
        found.append(StudyWarning("pet-negative", "the PET has negative values, which were kept"))
    return found

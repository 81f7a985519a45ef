"""What the headers of a series must say before its pixels are decoded: format, length, compression, rescale."""

from collections.abc import Iterable, Sequence
from functools import partial

import pydicom
from pydicom import Dataset
from pydicom.pixels import get_decoder
from pydicom.uid import (
    UID,
    EnhancedPETImageStorage,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSNearLossless,
)

from ...core import PemmaError, PemmaWarning
from .. import tags
from ..tags import EXPORT_AGAIN
from .files import File
from .series import Slice

MOST_PIXELS = 4096 * 4096  # of one slice
MOST_VOXELS = 1 << 31
LOSSY = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless)
#: read through the GDCM in SimpleITK where there is no decoder of pydicom for them
BY_SIMPLEITK = (JPEGLossless, JPEGLosslessSV1)
OTHER_PET = "choose another series with --pet-series, or use --inputs ct"


def check(modality: str, slices: Sequence[Slice]) -> list[PemmaWarning]:
    """Refuses pixel formats that can't be loaded in full truth; warns of what is doubtful. Reads no pixels."""
    found: list[PemmaWarning] = []
    headers = [one.header for one in slices]
    for keyword in (
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
        "SamplesPerPixel",
        "PhotometricInterpretation",
    ):
        tags.same(headers, partial(tags.texts, keyword=keyword), keyword, "mixed-pixel-types")
    first = slices[0]
    _check_colour(modality, first, found)
    _check_bits(first.header)
    _check_size(slices)
    for one in slices:
        _check_syntax(one.file)
        _check_length(one)
        _check_rescale(modality, one)
    return found + check_values(modality, [(one.header, one.file.syntax) for one in slices])


def check_values(modality: str, slices: Iterable[tuple[Dataset, UID]]) -> list[PemmaWarning]:
    """Refuses values that are no HU or no longer quantitative, by header and transfer syntax of each slice; warns of a lossy
    CT."""
    lossy = False
    for header, syntax in slices:
        if modality == "CT" and tags.text(header, "RescaleType").upper() not in ("", "HU"):
            raise PemmaError(
                "not-hounsfield",
                "Rescale Type (0028,1054) says that the CT values are not HU",
                "choose another series with --ct-series",
                "(0028,1054)",
            )
        lossy |= tags.text(header, "LossyImageCompression") == "01" or syntax in LOSSY
    if lossy and modality == "PT":
        raise PemmaError("pet-lossy", "the PET is lossy compressed and no longer quantitative", OTHER_PET, "(0028,2110)")
    way_out = "prefer a series without lossy compression"
    return [PemmaWarning("ct-lossy", "the CT is lossy compressed", way_out)] if lossy else []


def _check_colour(modality: str, one: Slice, found: list[PemmaWarning]) -> None:
    samples = tags.number(one.header, "SamplesPerPixel") or 1
    meaning = tags.text(one.header, "PhotometricInterpretation").upper() or "MONOCHROME2"
    if samples != 1 or meaning not in ("MONOCHROME1", "MONOCHROME2"):
        raise PemmaError(
            "colour-image",
            "a slice is a colour image (Photometric Interpretation (0028,0004)), not one of values",
            "choose another series",
            one.file.name,
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
            PemmaWarning(
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


def _check_size(slices: Sequence[Slice]) -> None:
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
            f"Transfer Syntax UID (0002,0010) of a slice ({name}) is not supported",
            "export the series as Explicit VR Little Endian",
            file.name,
        ) from None
    if not decoder.is_available:
        raise PemmaError(
            "decoder-missing",
            f"a slice is compressed ({file.syntax.name}, (0002,0010)) and the decoder for it is not installed",
            "pip install pylibjpeg pylibjpeg-openjpeg, or export the series uncompressed",
            file.name,
        )


def _check_length(one: Slice) -> None:
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
    if not data.encapsulated and data.length < frames * frame_bytes(one):
        raise PemmaError(
            "truncated-file", "the file is cut: it holds fewer pixels than it declares", EXPORT_AGAIN, one.file.name
        )


def frame_bytes(one: Slice) -> int:
    """Bytes of a slice as it is stored uncompressed."""
    columns, rows = one.plane.size
    return columns * rows * int(tags.number(one.header, "BitsAllocated")) // 8


def _check_rescale(modality: str, one: Slice) -> None:
    slope, intercept = tags.number(one.header, "RescaleSlope"), tags.number(one.header, "RescaleIntercept")
    # an Enhanced PET's are those of the mapping that its Units are laid out from
    mapped = one.header.SOPClassUID == EnhancedPETImageStorage and "Units" in one.header
    slope_tag, intercept_tag = (f"{'RealWorldValue' if mapped else 'Rescale'}{what}" for what in ("Slope", "Intercept"))
    if slope is None or (modality == "CT" and intercept is None):
        what = "no Hounsfield scale" if modality == "CT" else "no quantities"
        raise PemmaError(
            "rescale-missing",
            f"{tags.title(slope_tag)} or {tags.title(intercept_tag)} is missing in a slice, so the image has {what}",
            EXPORT_AGAIN,
            one.file.name,
        )
    if slope <= 0:
        raise PemmaError(
            "rescale-slope",
            f"{tags.title(slope_tag)} of a slice is not positive",
            EXPORT_AGAIN,
            one.file.name,
        )
    if modality == "PT" and intercept:
        raise PemmaError(
            "pet-intercept", f"{tags.title(intercept_tag)} of a PET must be 0 and is not", OTHER_PET, tags.place(intercept_tag)
        )

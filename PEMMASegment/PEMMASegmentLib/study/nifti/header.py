"""What a NIfTI file's own bytes tell and ITK's reader does not: cut or impossible voxels, two voxel sizes, two places."""

import gzip
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...core import PemmaError, PemmaWarning

_LENGTH, _FIRST_VOXEL = 348, 352  # bytes of a NIfTI-1 header; where voxels can begin in a file of one piece
_FIELDS = {
    "dim": (40, "8i2"), "datatype": (70, "i2"), "bitpix": (72, "i2"), "pixdim": (76, "8f4"), "vox_offset": (108, "f4"),
    "units": (123, "u1"), "codes": (252, "2i2"), "quaternion": (256, "3f4"), "offset": (268, "3f4"), "srow": (280, "(3,4)f4"),
}  # fmt: skip
_HEADER = np.dtype({"names": list(_FIELDS), "offsets": [at for at, _ in _FIELDS.values()],
                    "formats": [kind for _, kind in _FIELDS.values()], "itemsize": _LENGTH})  # fmt: skip
_MM = {1: 1000.0, 3: 0.001}  # of a metre, a micrometre; other codes stand for mm
_LPS = np.array([[-1.0], [-1.0], [1.0]])  # of RAS
_LIKE_SIZES, _LIKE_PLACES = 0.01, 0.5  # share of the spacing, voxels: by which two answers may differ


def check_bytes(file: Path) -> np.void:
    """The header, once every voxel was seen: ITK's reader fills a cut file with zeros and turns NaN into 0 without a word.

    Raises EOFError for a file that is cut or has its voxels where none can be, PemmaError for NaN and infinity.
    """
    with gzip.open(file) if file.name.endswith(".gz") else open(file, "rb") as stream:
        content = stream.read(_LENGTH)
        order = "<" if content[:4] == _LENGTH.to_bytes(4, "little") else ">"
        header = np.frombuffer(content, _HEADER.newbyteorder(order), 1)[0]
        if not _FIRST_VOXEL <= header["vox_offset"] < 2**31:
            raise EOFError
        stream.seek(int(header["vox_offset"]))
        voxel = {16: f"{order}f4", 64: f"{order}f8"}.get(int(header["datatype"]))
        left = int(np.prod(header["dim"][1 : header["dim"][0] + 1], dtype=np.int64)) * int(header["bitpix"]) // 8
        while left > 0:
            piece = stream.read(min(left, 2**24))
            if not piece:
                raise EOFError
            left -= len(piece)
            if voxel and not np.isfinite(np.frombuffer(piece, voxel)).all():
                raise not_finite(file)
    return header


def not_finite(file: Path) -> PemmaError:
    """The refusal of NaN and infinity."""
    sentence = "the image holds voxels that are no numbers"
    return PemmaError("image-not-finite", sentence, "replace NaN and infinity", file.name)


def check_place(header: np.void, image: sitk.Image, name: str) -> tuple[PemmaWarning, ...]:
    """A warning for a place that is not given, or given twice (qform, sform, voxel sizes) and half a voxel or more apart.

    image: as ITK read it, which takes its spacing from pixdim and its place, by rules of its own, from one of the two forms.
    name: of the file. Raises PemmaError when the sform has other voxel sizes than the image.
    """
    forms = _forms(header)
    if not forms:
        sentence = f"{name} does not say where in space it lies (qform and sform code 0)"
        return (PemmaWarning("image-place-unknown", sentence, "write it with its qform or sform"),)
    if "sform" in forms:
        _check_size(np.linalg.norm(forms["sform"][:, :3], axis=0), np.array(image.GetSpacing()), name)
    apart = {which: _apart(form, image) for which, form in forms.items()}  # mm, voxels
    if max(voxels for _, voxels in apart.values()) <= _LIKE_PLACES:
        return ()
    used = min(apart, key=apart.get)
    mm = max(mm for mm, _ in apart.values())
    sentence = f"{name} gives two places: its qform and sform lie up to {mm:.0f} mm apart, and the {used} is used"
    if len(forms) < 2:
        sentence = f"{name} gives two places: its voxel sizes (pixdim, used) and its {used} are up to {mm:.0f} mm apart"
    return (PemmaWarning("image-place-doubtful", sentence, "write it again with the right one in both"),)


def _check_size(sform: np.ndarray, used: np.ndarray, name: str) -> None:
    if not (np.abs(sform / used - 1) <= _LIKE_SIZES).all():
        sizes = [" x ".join(f"{mm:.3g}" for mm in size) for size in (used, sform)]
        sentence = f"the image gives two voxel sizes: {sizes[0]} mm (pixdim) and {sizes[1]} mm (sform)"
        raise PemmaError("image-voxel-size", sentence, "write it again with the right one in both", name)


def _forms(header: np.void) -> dict[str, np.ndarray]:
    """Voxel index (x, y, z, 1) to LPS mm, (3, 4), by each form whose code is set."""
    forms = {"qform": _qform(header), "sform": header["srow"].astype(float)}
    mm = _MM.get(int(header["units"]) & 7, 1.0)
    return {name: forms[name] * _LPS * mm for name, code in zip(forms, header["codes"], strict=True) if code > 0}


def _qform(header: np.void) -> np.ndarray:
    """As `_forms`, in RAS and the file's own unit; the standard's "method 2"."""
    b, c, d = header["quaternion"].astype(float)
    a = np.sqrt(max(1 - b * b - c * c - d * d, 0.0))
    turned = np.array([
        [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
        [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
        [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ])  # fmt: skip
    flip, *spacing = header["pixdim"][:4].astype(float)
    turned = turned * np.abs(spacing) * (1, 1, -1 if flip < 0 else 1)
    return np.column_stack([turned, header["offset"]])


def _apart(form: np.ndarray, image: sitk.Image) -> tuple[float, float]:
    """By how much a form places the image's corners elsewhere, at most: mm, and voxels along an axis."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in image.GetSize()], indexing="ij")).reshape(3, -1)
    points = form[:, :3] @ corners + form[:, 3:]
    here = np.array([image.TransformIndexToPhysicalPoint(at) for at in corners.T.tolist()]).T
    index = np.array([image.TransformPhysicalPointToContinuousIndex(point) for point in points.T.tolist()]).T
    apart = (np.linalg.norm(points - here, axis=0).max(), np.abs(index - corners).max())
    return tuple(float(np.nan_to_num(value, nan=np.inf)) for value in apart)

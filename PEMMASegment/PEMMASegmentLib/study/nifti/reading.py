"""A folder of `ct.nii.gz` (HU), `pet.nii.gz` (SUVbw) and perhaps `mask.nii.gz` as a `PetCtStudy`."""

import hashlib
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...core import PemmaError, PemmaWarning
from ...core.files import as_utf8
from ...core.images import extent_mm
from ..checks import overlap, plausible, registration
from ..types import Candidate, PetCtStudy, Suv, left_out
from .header import check_bytes, check_place, not_finite
from .names import CT_FILE, PET_FILE, unused_others

_MOST_VOXELS = 2**31  # a 512 x 512 x 2000 CT has a quarter of this
_OTHER_PET = "give a PET in SUVbw, or the DICOM series"


def load(folder: Path, need: str | None = None) -> PetCtStudy:
    """The study in a folder for which `is_nifti_study` holds; `need` as in `from_files`.

    Raises PemmaError with the file's name.
    """
    ct, pet = (Path(folder) / name for name in (CT_FILE, PET_FILE))
    study = from_files(ct if ct.is_file() else None, pet if pet.is_file() else None, need)
    return replace(study, warnings=(*study.warnings, *unused_others(Path(folder))))


def from_files(ct_file: Path | None, pet_file: Path | None, need: str | None = None) -> PetCtStudy:
    """A study of one or two image files that SimpleITK reads: CT in HU, PET in SUVbw; at least one is given.

    need: "ct", "pet" or "ct+pet"; with one of them the other may be unusable, it is left out with a warning. Raises
    PemmaError for files that can't be read, aren't volumes, hold impossible values, or lie apart in space.
    """
    files = {which: file for which, file in (("ct", ct_file), ("pet", pet_file)) if file is not None}
    if not files:
        raise PemmaError("study-empty", "neither a CT nor a PET is there", "give a folder with at least one of them")
    told: list[PemmaWarning] = []
    images, problems = _read(files, told)
    if len(images) == 2:
        try:
            told += _overlap(images["ct"], images["pet"])
            told += registration.check(**images)
        except PemmaError as problem:
            problems["pet" if need == "ct" else "ct"] = problem
    for which in sorted(problems, key=lambda one: one != need):  # of two, the one that can't be done without is told
        other = "ct" if which == "pet" else "pet"
        if need != other or other not in images:
            raise _with_way_out(problems[which], other) if set(images) == {other} else problems[which]
        images.pop(which, None)
        told.append(left_out(which, problems[which]))
    return PetCtStudy(
        ct=images.get("ct"),
        pet=images.get("pet"),
        suv=Suv("SUVbw as the file gives it", 1.0) if "pet" in images else None,
        warnings=tuple(told),
        candidates=tuple(_candidate(which, file, images, problems) for which, file in files.items()),
        study_key=_key(images.get("ct"), images.get("pet")),
        kind="nifti",
    )


def _read(
    files: dict[str, Path], told: list[PemmaWarning]
) -> tuple[dict[str, sitk.Image], dict[str, PemmaError]]:
    """The images that can be used, and why the others can't."""
    images, problems = {}, {}
    for which, file in files.items():
        try:
            images[which], odd = _read_ct(file) if which == "ct" else _read_pet(file)
            told += odd
        except PemmaError as problem:
            problems[which] = problem
    return images, problems


def _overlap(ct: sitk.Image, pet: sitk.Image) -> list[PemmaWarning]:
    step = float(np.abs(np.reshape(pet.GetDirection(), (3, 3))[2]) @ pet.GetSpacing())
    return overlap.check(extent_mm(ct), extent_mm(pet), step, PET_FILE)


def _with_way_out(problem: PemmaError, other: str) -> PemmaError:
    return PemmaError(problem.code, problem.sentence, f"{problem.way_out}, or use --inputs {other}", problem.place)


def read_volume(file: Path, pixel_type: int) -> tuple[sitk.Image, tuple[PemmaWarning, ...]]:
    """A 3D image in LPS millimetres with the file's slope and intercept applied, and what is doubtful about its place.

    pixel_type: as in sitk.ReadImage. Raises PemmaError when the file can't be read, is not a volume, gives two voxel sizes,
    or declares more voxels than any scan has.
    """
    reader = sitk.ImageFileReader()
    reader.SetFileName(as_utf8(file))
    reader.SetOutputPixelType(pixel_type)
    header = None
    shown = reader.GetGlobalWarningDisplay()
    reader.SetGlobalWarningDisplay(False)  # ITK's lines on the place: `check_place` says it in words, and to the caller
    try:
        reader.ReadImageInformation()
        _check_shape(reader, file)
        if file.name.endswith((".nii", ".nii.gz")):
            header = check_bytes(file)
        image = reader.Execute()
    except (RuntimeError, OSError, EOFError, zlib.error) as error:  # SimpleITK: RuntimeError, also for sheared geometry
        raise PemmaError("image-unreadable", "the image file can't be read", "write it again", file.name) from error
    finally:
        reader.SetGlobalWarningDisplay(shown)
    image = _only_geometry(image[:, :, :, 0] if image.GetDimension() == 4 else image)
    return image, () if header is None else check_place(header, image, file.name)


def _check_shape(reader: sitk.ImageFileReader, file: Path) -> None:
    size = reader.GetSize()
    if len(size) < 3 or min(size[:3]) < 2 or any(n > 1 for n in size[3:]) or reader.GetNumberOfComponents() > 1:
        shape = " x ".join(map(str, size))
        raise PemmaError("image-not-a-volume", f"the image is not one volume ({shape})", "give one 3D image", file.name)
    if np.prod(size, dtype=float) > _MOST_VOXELS:
        raise PemmaError("image-too-large", "the image declares an impossible size", "write it again", file.name)


def _only_geometry(image: sitk.Image) -> sitk.Image:
    """Without the header fields of the file, which may hold a name."""
    for key in image.GetMetaDataKeys():
        image.EraseMetaData(key)
    return image


def _finite(image: sitk.Image, file: Path) -> np.ndarray:
    voxels = sitk.GetArrayViewFromImage(image)
    if not np.isfinite(voxels).all():
        raise not_finite(file)
    return voxels


def _read_ct(file: Path) -> tuple[sitk.Image, tuple[PemmaWarning, ...]]:
    image, told = read_volume(file, sitk.sitkUnknown)
    voxels = _finite(image, file)
    low, high = float(voxels.min()), float(voxels.max())
    if high - low < 50 or low < -32768:
        raise PemmaError(
            "ct-not-hu", f"the CT's values run from {low:g} to {high:g}, not HU", "convert it to HU", file.name
        )
    if low > -200:
        sentence = f"no voxel of the CT is air (lowest value {low:g}); its values may not be HU"
        told += (PemmaWarning("ct-hu-doubtful", sentence, "check that the CT is in HU"),)
    return as_int16(image), told


def as_int16(image: sitk.Image) -> sitk.Image:
    """Rounded; metal beyond int16 becomes its highest value."""
    if image.GetPixelID() == sitk.sitkInt16:
        return image
    whole = sitk.Round(image) if image.GetPixelID() in (sitk.sitkFloat32, sitk.sitkFloat64) else image
    return sitk.Clamp(whole, sitk.sitkInt16, -32768, 32767)


def _read_pet(file: Path) -> tuple[sitk.Image, tuple[PemmaWarning, ...]]:
    image, told = read_volume(file, sitk.sitkFloat32)
    voxels = _finite(image, file)
    odd = [*plausible.check_pet(voxels, _OTHER_PET, file.name), *plausible.check_units(voxels, file.name)]
    return image, (*told, *odd)


def _candidate(which: str, file: Path, images: dict[str, sitk.Image], problems: dict[str, PemmaError]) -> Candidate:
    modality = "CT" if which == "ct" else "PT"
    if which not in images:
        return Candidate("", modality, file.name, 0, False, f"left out: {problems[which].sentence}")
    return Candidate("", modality, file.name, images[which].GetSize()[2], True, "named so in the folder")


def _key(*images: sitk.Image | None) -> str:
    """sha256 of voxels and geometry: the same for the same images, whatever their names."""
    digest = hashlib.sha256()
    for image in images:
        if image is None:
            digest.update(b"none")
            continue
        geometry = np.array([*image.GetSize(), *image.GetSpacing(), *image.GetOrigin(), *image.GetDirection()])
        digest.update(np.round(geometry, 4).tobytes() + sitk.GetArrayViewFromImage(image).tobytes())
    return digest.hexdigest()

"""A case's images on disk: compressed NIfTI for every viewer, the geometry to the last bit beside it."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
import SimpleITK as sitk

from ..core.files import as_utf8, sha256_of, write_atomically
from ..core.images import hash_of, hashes_of_voxels, save, varies
from ..study.nifti import CT_FILE, MASK_FILE, PET_FILE
from ..study.types import PetCtStudy
from .cards import Volume, damaged

T = TypeVar("T")
FILES = {"ct": CT_FILE, "pet": PET_FILE, "mask": MASK_FILE}
_PIXELS = {"ct": sitk.sitkInt16, "pet": sitk.sitkFloat32, "mask": sitk.sitkUInt8}
_ROUNDED = 1e-3  # by which NIfTI's float32 may differ, mm


def content_of(image: sitk.Image) -> str:
    """sha256 of voxels and geometry to 0.1 um: the same for an image that was stored with its geometry in float64."""
    return hash_of((*image.GetSize(), *image.GetSpacing(), *image.GetOrigin(), *image.GetDirection()), image)


def are_of(stored: Mapping[str, Volume], study: PetCtStudy) -> bool:
    """Whether a case's images, by "ct" and "pet", are a study's: one of them has the same voxels, as in `contents_of`."""
    pairs = ((stored.get("ct"), study.ct), (stored.get("pet"), study.pet))
    return any(_is_of(volume, image) for volume, image in pairs if volume and image is not None)


def contents_of(study: PetCtStudy) -> set[str]:
    """Hashes of its CT and PET: a study that has one of them in common is the same study, whatever its contour.

    Of each `content_of`, which cards, adapters and ledgers of earlier versions state, and that of its voxels alone, which
    NIfTI leaves as they are.
    """
    images = [image for image in (study.ct, study.pet) if image is not None]
    return {content_of(image) for image in images} | hashes_of_voxels(*images)


def _is_of(volume: Volume, image: sitk.Image) -> bool:
    """Without reading the file: the card's hash is that of these voxels with the card's geometry."""
    geometry = (*volume.size, *volume.spacing_mm, *volume.origin_mm, *volume.direction)
    same = volume.size == image.GetSize() and volume.content == hash_of(geometry, image)
    return same and (varies(image) or volume.content == content_of(image))


def write(name: str, image: sitk.Image, folder: Path) -> Volume:
    """Writes "ct" (HU), "pet" (SUVbw) or "mask" (0, 1) into a folder. Raises OSError when the disk does not take it."""
    clean = sitk.GetImageFromArray(sitk.GetArrayViewFromImage(image))  # without header fields, which may hold a name
    clean.CopyInformation(image)
    clean = sitk.Cast(clean, _PIXELS[name])
    file = folder / FILES[name]
    write_atomically(file, lambda path: save(clean, path))
    return Volume(
        sha256_of(file), file.stat().st_size, content_of(clean), clean.GetSize(), clean.GetSpacing(), clean.GetOrigin(),
        clean.GetDirection(),
    )  # fmt: skip


def check(id: str, name: str, volume: Volume, folder: Path) -> None:
    """Raises PemmaError "case-damaged" unless the file is there as it was written."""
    check_length(id, name, volume, folder)
    if _asked(sha256_of, id, folder / FILES[name]) != volume.sha256:
        raise damaged(id, f"{FILES[name]} was changed")


def check_length(id: str, name: str, volume: Volume, folder: Path) -> None:
    """Raises PemmaError "case-damaged" unless the file is there with the length that it was written with."""
    if _asked(os.path.getsize, id, folder / FILES[name]) != volume.bytes:
        raise damaged(id, f"{FILES[name]} was cut or changed")


def _asked(what: Callable[[Path], T], id: str, file: Path) -> T:
    try:
        return what(file)
    except OSError as error:
        raise damaged(id, f"{file.name} is missing or can't be read") from error


def read(id: str, name: str, volume: Volume, folder: Path) -> sitk.Image:
    """The image with its geometry, checked by hash. Raises PemmaError "case-damaged"."""
    check(id, name, volume, folder)
    reader = sitk.ImageFileReader()
    reader.SetFileName(as_utf8(folder / FILES[name]))
    try:
        reader.ReadImageInformation()
        if reader.GetSize() != volume.size or reader.GetPixelID() != _PIXELS[name]:
            raise damaged(id, f"{FILES[name]} has another size or kind of voxels than its case.json states")
        stored = reader.Execute()
        image = sitk.GetImageFromArray(sitk.GetArrayViewFromImage(stored))
        image.SetSpacing(volume.spacing_mm)
        image.SetOrigin(volume.origin_mm)
        image.SetDirection(volume.direction)
    except RuntimeError as error:  # ITK's only kind
        raise damaged(id, f"{FILES[name]} can't be read") from error
    pairs = ((image.GetOrigin(), stored.GetOrigin()), (image.GetSpacing(), stored.GetSpacing()))
    if any(np.abs(np.subtract(*pair)).max() > _ROUNDED for pair in pairs) or content_of(image) != volume.content:
        raise damaged(id, f"{FILES[name]} and its case.json state different images")
    return image

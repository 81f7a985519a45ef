"""The images that a result was made on, as its record keeps them: found again after a reload, and told from changed ones."""

import hashlib
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import SimpleITK as sitk

from ..study import PetCtStudy
from . import studies


def contents(study: PetCtStudy) -> dict[str, dict[str, Any]]:
    """Grid and checksum of the voxels by kind ("ct", "pet"): HU and SUVbw, so that another way to SUV tells too.

    Of the checksums that Python has CRC-32 is the quickest: 0.13 s for a whole body's 270 MB.
    """
    return {kind: _content(image) for kind, image in (("ct", study.ct), ("pet", study.pet)) if image is not None}


def changed(before: Mapping[str, Mapping[str, Any]], study: PetCtStudy) -> list[str]:
    """Kinds that the study and `contents` of before both have, and that are not the same."""
    now = contents(study) if before else {}
    return [kind for kind in now if kind in before and not _same(before[kind], now[kind])]


def series(ct_node, pet_node) -> dict[str, str]:
    """Which DICOM files each volume was loaded from, by kind, as a hash that names nobody; none for other volumes."""
    found = {"ct": series_of(ct_node), "pet": series_of(pet_node)}
    return {kind: told for kind, told in found.items() if told}


def series_of(node) -> str:
    """The same for each volume of the same files, "" for one that was not loaded from DICOM."""
    uids = sorted((node.GetAttribute(studies.UIDS) or "").split()) if node is not None else []
    return hashlib.sha256(" ".join(uids).encode()).hexdigest() if uids else ""


def _content(image: sitk.Image) -> dict[str, Any]:
    grid = [*image.GetSize(), *image.GetSpacing(), *image.GetOrigin(), *image.GetDirection()]
    return {"grid": grid, "crc32": zlib.crc32(sitk.GetArrayViewFromImage(image))}


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """A file may round the grid: to a micrometre, as `on_one_grid`."""
    return one["crc32"] == other["crc32"] and np.allclose(one["grid"], other["grid"], rtol=0, atol=1e-3)

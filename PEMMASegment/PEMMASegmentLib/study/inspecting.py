"""What the loader sees of a study, as the plain values that `pemma-segment inspect` prints."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import SimpleITK as sitk
from pydicom import Dataset

from .types import PetCtStudy, Suv


def describe(study: PetCtStudy) -> dict:
    """A study in plain values: sizes and spacings in the order x, y, z, spacing in mm, SUVbw in g/ml."""
    pet = _volume(study.pet, study.pet_headers)
    if pet is not None:
        pet["suv"] = _suv(study.pet, study.suv)
    return {
        "ct": _volume(study.ct, study.ct_headers),
        "pet": pet,
        "candidates": [asdict(candidate) for candidate in study.candidates],
        "warnings": [{"code": w.code, "sentence": w.sentence} for w in study.warnings],
        "verdict": "load-with-warning" if study.warnings else "load",
    }


def _volume(image: sitk.Image | None, headers: Sequence[Dataset]) -> dict | None:
    if image is None:
        return None
    uids = {
        key: str(headers[0].get(keyword, "")) if headers else ""
        for key, keyword in (("series_uid", "SeriesInstanceUID"), ("frame_of_reference_uid", "FrameOfReferenceUID"))
    }
    return {"size": list(image.GetSize()), "spacing_mm": [round(s, 6) for s in image.GetSpacing()], **uids}


def _suv(image: sitk.Image, suv: Suv | None) -> dict:
    voxels = sitk.GetArrayViewFromImage(image)
    above = voxels[voxels > 0]
    return {
        "route": suv.route if suv else "",
        "factor": suv.factor if suv else None,
        "min": float(voxels.min()),
        "median": float(np.median(voxels)),
        "max": float(voxels.max()),
        "min_above_0": float(above.min()) if above.size else None,
        "median_above_0": float(np.median(above)) if above.size else None,
    }

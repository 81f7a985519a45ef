"""`pemma-segment inspect`: what the loader sees in a study, without a network."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import options as shared

if TYPE_CHECKING:
    import SimpleITK as sitk

    from ..core import PemmaError
    from ..study.types import PetCtStudy
    from .terminal import Terminal


def add_to(commands) -> None:
    parser = shared.command(commands, "inspect", run, "tell what the loader sees in a study")
    parser.add_argument("study", type=Path, metavar="STUDY", help="folder of DICOM or NIfTI files")
    shared.add_study_options(parser)


def run(options: argparse.Namespace, terminal: "Terminal") -> bool:
    with terminal.progress("inspect") as progress:
        study, refused = load_what_loads(options, progress)
    seen = what_is_seen(study, refused)
    terminal.result(seen, in_words(seen))
    return True


def load_what_loads(options: argparse.Namespace, progress) -> "tuple[PetCtStudy, list[PemmaError]]":
    """The study, or what is left of it when one modality is refused, and that refusal."""
    from ..core import PemmaError
    from .reading import load_study

    try:
        return load_study(options.study, options, None, progress), []
    except PemmaError as refusal:
        for need in ("ct", "pet"):
            try:
                return load_study(options.study, options, need, progress), [refusal]
            except PemmaError:
                continue  # the first refusal is the one to tell
        raise


def what_is_seen(study: "PetCtStudy", refused: "Sequence[PemmaError]" = ()) -> dict:
    """The JSON object of `inspect --json`; what was refused stands among the warnings."""
    warnings = [{"code": w.code, "sentence": w.sentence, "way_out": w.way_out} for w in (*refused, *study.warnings)]
    candidates = [
        {"series_uid": c.series_uid, "modality": c.modality, "description": c.description, "slices": c.slices,
         "chosen": c.chosen, "reason": c.reason}
        for c in study.candidates
    ]
    return {
        "ct": _image(study.ct, study.ct_headers),
        "pet": _pet(study),
        "candidates": candidates,
        "warnings": warnings,
        "verdict": "load-with-warning" if warnings else "load",
    }


def in_words(seen: dict) -> str:
    """The same for a reader."""
    lines = [_image_in_words(name.upper(), seen[name]) for name in ("ct", "pet")]
    if seen["pet"]:
        suv = seen["pet"]["suv"]
        lines.append(f"SUVbw: {suv['route']}; {suv['min']:.2f} to {suv['max']:.2f}, median {suv['median']:.2f} g/ml")
    lines += [_candidate_in_words(candidate) for candidate in seen["candidates"]]
    lines += [f"warning: {w['sentence']}{_bracketed(w['way_out'])} [{w['code']}]" for w in seen["warnings"]]
    return "\n".join([*lines, f"verdict: {seen['verdict']}"])


def _image(image: "sitk.Image | None", headers) -> dict | None:
    if image is None:
        return None
    first = headers[0] if headers else {}
    return {
        "size": list(image.GetSize()),
        "spacing_mm": list(image.GetSpacing()),
        "series_uid": first.get("SeriesInstanceUID"),
        "frame_of_reference_uid": first.get("FrameOfReferenceUID"),
    }


def _pet(study: "PetCtStudy") -> dict | None:
    import numpy as np
    import SimpleITK as sitk

    if study.pet is None:
        return None
    voxels = sitk.GetArrayViewFromImage(study.pet)
    above = voxels[voxels > 0]
    suv = {
        "route": study.suv.route,
        "factor": study.suv.factor,
        "min": float(voxels.min()),
        "median": float(np.median(voxels)),
        "max": float(voxels.max()),
        "min_above_0": float(above.min()) if above.size else None,
        "median_above_0": float(np.median(above)) if above.size else None,
    }
    return {**_image(study.pet, study.pet_headers), "suv": suv}


def _image_in_words(name: str, image: dict | None) -> str:
    if image is None:
        return f"{name}: none"
    size, spacing = (" x ".join(f"{n:.4g}" for n in image[key]) for key in ("size", "spacing_mm"))
    return f"{name}: {size} voxels of {spacing} mm"


def _candidate_in_words(seen: dict) -> str:
    choice = "used" if seen["chosen"] else "left out"
    return f"{choice}: {seen['modality']} {seen['description']!r}, {seen['slices']} slices: {seen['reason']}"


def _bracketed(way_out: str) -> str:
    return f" ({way_out})" if way_out else ""

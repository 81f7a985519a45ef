"""`result.json`: what was done, with what, and what came out; UIDs, never names."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .. import __version__
from ..core import Identity, Lesion, PemmaWarning, Segmentation
from ..core.files import sha256_of, write_text
from ..study.types import PetCtStudy
from .measure import totals
from .table import kept

SCHEMA = "pemma-segment/result/1"


def write_json(path: Path, record: dict) -> None:
    """Writes what `as_record` gave."""
    write_text(path, json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def as_record(
    study: PetCtStudy,
    segmentation: Segmentation,
    lesions: Sequence[Lesion],
    files: Sequence[Path] = (),
    warnings: Sequence[PemmaWarning] = (),
    options: Mapping[str, Any] | None = None,
) -> dict:
    """The record in plain values.

    files: the other files of this result. warnings: that writing them gave. options: `min_volume_ml`,
    `mtv_rule` and `segments` as they acted: without them a run that threw all lesions out would look like one that found none.
    """
    options = options or {}
    return {
        "schema": SCHEMA,
        "software": {"name": "PEMMASegment", "version": __version__},
        "model": _identity(segmentation.model),
        "adapter": _identity(segmentation.adapter),
        "adapter_parts": list(segmentation.adapter_parts),
        "study": _study(study),
        "suv": asdict(study.suv) if study.suv else None,
        "warnings": [asdict(told) for told in (*study.warnings, *segmentation.warnings, *warnings)],
        "inputs": segmentation.inputs,
        "device": segmentation.device,
        "precision": segmentation.precision,
        "threshold": segmentation.threshold,
        "roi_mm": segmentation.roi_mm,
        "min_volume_ml": options.get("min_volume_ml"),
        "mtv_rule": options.get("mtv_rule") if study.pet is not None else None,
        "segments": options.get("segments"),
        "steps": [asdict(step) for step in segmentation.steps],
        "lesions": [_lesion(lesion) for lesion in kept(lesions)],
        "totals": totals(lesions),
        "files": [{"name": file.name, "sha256": sha256_of(file)} for file in files],
    }


def _identity(identity: Identity | None) -> dict | None:
    return None if identity is None else asdict(identity)


def _study(study: PetCtStudy) -> dict:
    grid = study.grid_headers[0] if study.grid_headers else {}
    return {
        "kind": study.kind,
        "key": study.study_key,
        "study_uid": _uid(grid, "StudyInstanceUID"),
        "frame_of_reference_uid": _uid(grid, "FrameOfReferenceUID"),
        "ct_series_uid": _uid(study.ct_headers[0] if study.ct_headers else {}, "SeriesInstanceUID"),
        "pet_series_uid": _uid(study.pet_headers[0] if study.pet_headers else {}, "SeriesInstanceUID"),
    }


def _uid(header, keyword: str) -> str | None:
    value = header.get(keyword)
    return None if value is None else str(value)


def _lesion(lesion: Lesion) -> dict:
    return {key: value for key, value in asdict(lesion).items() if key != "kept"}

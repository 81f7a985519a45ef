"""What demo, segment, evaluate and the worker do alike: load, segment, measure, write."""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .. import adapters, inference, results
from ..adaptation import installed
from ..core import Lesion, PemmaWarning, Progress, Segmentation, Step
from ..core.progress import part
from ..inference.acting import without_small
from ..network import files
from ..study.types import PetCtStudy
from .reading import load_study
from .terminal import Terminal

if TYPE_CHECKING:
    import SimpleITK as sitk

    from ..adapters import Adapter
    from ..network.files import Model

LOADED, SEGMENTED = 0.15, 0.95  # shares of the progress


@dataclass(frozen=True)
class Segmented:
    """A study and what was found in it."""

    study: PetCtStudy
    segmentation: Segmentation
    lesions: list[Lesion]


def load_model(options: argparse.Namespace) -> "Model":
    """The model that --model names, or the bundled one."""
    return files.load_model(files.find_model(options.model))


def load_adapter(options: argparse.Namespace, model: "Model") -> "Adapter | None":
    """The adapter that --adapter names, refused when it belongs to another model."""
    return None if options.adapter == "none" else adapters.load(installed.find_adapter(options.adapter), model.identity)


def load(folder: Path, options: argparse.Namespace, progress: Progress) -> PetCtStudy:
    """The study with the modalities that --inputs asks for."""
    return load_study(folder, options, None if options.inputs == "auto" else options.inputs, progress)


def segment(folder: Path, model: "Model", options: argparse.Namespace, progress: Progress) -> Segmented:
    """Loads, segments and measures the study in a folder."""
    adapter = load_adapter(options, model)
    return segment_study(lambda progress: load(folder, options, progress), model, adapter, options, progress)


def segment_study(
    read: Callable[[Progress], PetCtStudy], model: "Model", adapter: "Adapter | None", options: argparse.Namespace,
    progress: Progress,
) -> Segmented:  # fmt: skip
    """Segments and measures the study that `read` gives."""
    started = time.perf_counter()
    loaded = read(part(progress, 0, LOADED))
    loading = Step("load", time.perf_counter() - started)
    found = inference.segment(
        loaded, model, adapter=adapter, inputs=options.inputs, device=options.device, threshold=options.threshold,
        min_volume_ml=options.min_volume, roi_mm=options.roi, whole_study=options.whole_study,
        progress=part(progress, LOADED, SEGMENTED),
    )
    started = time.perf_counter()
    lesions = results.measure(
        found.label, loaded.pet, min_volume_ml=smallest_ml(found, options), mtv_rule=options.mtv_rule,
        key=results.result_key(loaded.study_key, found),
    )
    measured = Step("measure", time.perf_counter() - started)
    warnings = found.warnings + results.coverage(lesions, found, loaded.pet)
    return Segmented(loaded, replace(found, steps=(loading, *found.steps, measured), warnings=warnings), lesions)


def write(out: Path, done: Segmented, options: argparse.Namespace) -> dict:
    """Writes the result's files into `out` and gives its record, which tells what became of them."""
    results.write_all(
        out, done.study, done.segmentation, done.lesions, segments=options.segments,
        command_options=of_result(done.segmentation, options),
    )  # fmt: skip
    return json.loads((out / "result.json").read_text(encoding="utf-8"))


def smallest_ml(found: Segmentation, options: argparse.Namespace) -> float:
    """The smallest lesion in ml: as typed, else as the adapter states it, else the usual one."""
    return found.smallest_ml if options.min_volume is None else options.min_volume


def label_of_lesions(done: Segmented, options: argparse.Namespace) -> "sitk.Image":
    """The label (uint8) of what `segment` would write: without components too small for a lesion."""
    return without_small(done.segmentation.label, smallest_ml(done.segmentation, options))


def of_result(found: Segmentation, options: argparse.Namespace) -> dict:
    """The options that shape a result beside what the segmentation itself tells."""
    return {"segments": options.segments, "min_volume_ml": smallest_ml(found, options), "mtv_rule": options.mtv_rule}


def warnings_of(done: Segmented) -> list[PemmaWarning]:
    """What the study and the run have to tell."""
    return [*done.study.warnings, *done.segmentation.warnings]


def warn_of(terminal: Terminal, record: dict, study: str = "") -> None:
    """Says what the study, the run and the writing of its result have to tell."""
    terminal.warnings([PemmaWarning(**told) for told in record["warnings"]], study)

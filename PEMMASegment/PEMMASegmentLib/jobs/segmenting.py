"""From a folder to lesions: load, segment, measure, write."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import SimpleITK as sitk

from .. import adapters, inference, results
from ..adaptation import installed
from ..adapters import Adapter
from ..core import Lesion, PemmaWarning, Progress, Segmentation, Step
from ..core.progress import part
from ..inference.acting import without_small
from ..network import files
from ..network.files import Model
from ..study.types import PetCtStudy
from .options import Running, Segmenting
from .reading import load_study

LOADED, SEGMENTED = 0.15, 0.95  # shares of the progress


@dataclass(frozen=True)
class Segmented:
    """A study and what was found in it."""

    study: PetCtStudy
    segmentation: Segmentation
    lesions: list[Lesion]


def load_model(options: Running) -> Model:
    """The model that is named, or the bundled one."""
    return files.load_model(files.find_model(options.model))


def load_adapter(name: str, model: Model) -> Adapter | None:
    """The adapter of this name or folder, None for "none"; refused when it belongs to another model."""
    return None if name == "none" else adapters.load(installed.find_adapter(name), model.identity)


def segment(folder: Path, model: Model, options: Segmenting, progress: Progress) -> Segmented:
    """Loads, segments and measures the study in a folder."""
    adapter, read = load_adapter(options.adapter, model), partial(load_study, folder, options, options.need)
    return segment_study(read, model, adapter, options, progress)


def segment_study(
    read: Callable[[Progress], PetCtStudy], model: Model, adapter: Adapter | None, options: Segmenting,
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


def write(out: Path, done: Segmented, options: Segmenting) -> dict:
    """Writes the result's files into `out` and gives its record, which tells what became of them."""
    results.write_all(
        out, done.study, done.segmentation, done.lesions, segments=options.segments,
        command_options=of_result(done.segmentation, options),
    )  # fmt: skip
    return json.loads((out / "result.json").read_text(encoding="utf-8"))


def smallest_ml(found: Segmentation, options: Segmenting) -> float:
    """The smallest lesion in ml: as typed, else as the adapter states it, else the usual one."""
    return found.smallest_ml if options.min_volume is None else options.min_volume


def label_of_lesions(done: Segmented, options: Segmenting) -> sitk.Image:
    """The label (uint8) of what `segment` would write: without components too small for a lesion."""
    return without_small(done.segmentation.label, smallest_ml(done.segmentation, options))


def of_result(found: Segmentation, options: Segmenting) -> dict:
    """The options that shape a result beside what the segmentation itself tells."""
    return {"segments": options.segments, "min_volume_ml": smallest_ml(found, options), "mtv_rule": options.mtv_rule}


def warnings_of(done: Segmented) -> list[PemmaWarning]:
    """What the study and the run have to tell."""
    return [*done.study.warnings, *done.segmentation.warnings]

"""`pemma-segment evaluate`: segment and compare with the annotation found in the study or given."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ..jobs.options import Segmenting
from . import options as shared

if TYPE_CHECKING:
    import SimpleITK as sitk

    from ..core import PemmaWarning
    from ..network.files import Model
    from ..study.types import PetCtStudy
    from .terminal import Terminal

TITLES = {
    "study": "study", "dice": "Dice", "surface_dice_2mm": "surface Dice 2 mm", "surface_dice_5mm": "surface Dice 5 mm",
    "missed_ml": "missed ml", "extra_ml": "extra ml", "blind_dice": "blind Dice",
}


def add_to(commands) -> None:
    parser = shared.command(commands, "evaluate", run, "segment studies and compare with their annotations")
    parser.add_argument("studies", type=Path, nargs="+", metavar="STUDY", help="folder of DICOM or NIfTI files")
    parser.add_argument(
        "--annotation", type=Path, metavar="FILE", help="RTSTRUCT, SEG or mask (default: the one in the study)"
    )
    shared.add_annotation_options(parser)
    shared.add_segment_options(parser)
    shared.add_study_options(parser)
    parser.set_defaults(usage_error=parser.error)


def run(options: argparse.Namespace, terminal: "Terminal") -> bool:
    shared.refuse_for_several(options)
    from ..jobs import segmenting
    from .terminal import for_each

    model = segmenting.load_model(shared.typed(Segmenting, options))
    cases, failed = for_each(options.studies, lambda study: evaluate_one(study, model, options, terminal), terminal)
    if cases:
        answer = {**summary(cases), "failed": failed}
        terminal.result(answer, in_words(answer))
    elif terminal.as_json:
        terminal.result({"cases": [], "mean_dice": None, "interval_95": None, "failed": failed}, "")
    return not failed


def evaluate_one(study: Path, model: "Model", options: argparse.Namespace, terminal: "Terminal") -> dict:
    """One row of the answer. Raises PemmaError "no-annotation" when there is nothing to compare with."""
    from ..core import PemmaError
    from ..jobs import segmenting
    from ..study import annotation, nifti
    from ..study.loading import quiet
    from ..study.scan import scan
    from .terminal import base_name, name_among

    name, given = base_name(study), shared.typed(Segmenting, options)
    file = options.annotation or annotation.find(study)
    if file is not None and not file.is_file():  # told before the study is segmented, which takes minutes
        raise PemmaError("annotation-missing", "the annotation file is not there", "check the path", file.name)
    if file is None and study.is_dir():
        if not nifti.is_nifti_study(study):
            quiet(scan)(study, lambda *_: None)  # refuses what is no study at all
        raise PemmaError("no-annotation", "the study has no RTSTRUCT, SEG or mask", "give one with --annotation FILE")
    with terminal.progress(name) as progress:
        done = segmenting.segment(study, model, given, progress)
        truth, told = annotation.read(file, done.study, roi_name=options.annotation_roi)
        found = segmenting.label_of_lesions(done, given)
        figures = compare(found, truth)
    warnings = [*segmenting.warnings_of(done), *told, *_outside(truth, options.roi), *_of_a_model(file, options.annotation_roi)]
    if done.segmentation.adapter:
        warnings += _trained_on(options.adapter, done.study, truth)
    terminal.warnings(warnings, name_among(options.studies, study))
    return {"study": name, **figures, "warnings": [asdict(warning) for warning in warnings]}


def _outside(truth: "sitk.Image", roi_mm: tuple[float, ...] | None) -> "list[PemmaWarning]":
    """A warning where the region that was looked at leaves out some of the annotation."""
    import SimpleITK as sitk

    from ..core import PemmaWarning
    from ..core.images import voxel_ml
    from ..inference.region import voxels_inside

    marked = sitk.GetArrayViewFromImage(truth) != 0
    outside = 0 if roi_mm is None else (marked & ~voxels_inside(truth, roi_mm)).sum()
    if not outside:
        return []
    left_out, whole = (count * voxel_ml(truth) for count in (outside, marked.sum()))
    sentence = f"{left_out:.1f} of {whole:.1f} ml of the annotation lie outside the region (--roi) and count as missed"
    return [PemmaWarning("annotation-outside-region", sentence, "give a region that holds all of it")]


def _of_a_model(file: Path, roi_name: str | None) -> "list[PemmaWarning]":
    """A warning where the contour to compare with is what this software drew, perhaps in the folder of the study itself."""
    from ..core import PemmaWarning
    from ..study.annotation.author import author_of_contour

    author = author_of_contour(file, roi_name)
    if author is None:
        return []
    return [PemmaWarning("annotation-of-a-model", f"the annotation began as the output of {author.model.name}: agreement with it "
                         "proves nothing", "compare with a contour drawn from scratch: --annotation FILE")]


def _trained_on(adapter: str, study: "PetCtStudy", truth: "sitk.Image") -> "list[PemmaWarning]":
    """A warning where the adapter has seen the study before."""
    from ..adaptation.blind import trained_on
    from ..adaptation.installed import find_adapter
    from ..adapters import read_card
    from ..core import PemmaWarning

    card = read_card(find_adapter(adapter))
    if not trained_on(card, study, truth):
        return []
    sentence = f"the adapter {card.name} was trained on this study: agreement with it proves nothing"
    return [PemmaWarning("adapter-trained-on-study", sentence, "evaluate it on studies that it was not trained on")]


def compare(found: "sitk.Image", truth: "sitk.Image") -> dict:
    """The figures of one case; both labels on the study's grid."""
    from ..core import metrics

    return {
        "dice": metrics.dice(found, truth),
        "surface_dice_2mm": metrics.surface_dice(found, truth, 2.0),
        "surface_dice_5mm": metrics.surface_dice(found, truth, 5.0),
        "missed_ml": metrics.missed_ml(found, truth),
        "extra_ml": metrics.extra_ml(found, truth),
        "blind_dice": metrics.blind_dice(truth),
    }


def summary(cases: list[dict]) -> dict:
    """The cases with their mean Dice and its BCa bootstrap interval over studies (None for a single one)."""
    from ..core.metrics import bootstrap_interval

    dice = [case["dice"] for case in cases]
    interval = bootstrap_interval(dice)
    return {"cases": cases, "mean_dice": sum(dice) / len(dice), "interval_95": list(interval) if interval else None}


def in_words(answer: dict) -> str:
    """Table and mean for a reader."""
    from .terminal import table

    rows = [[_cell(case[key]) for key in TITLES] for case in answer["cases"]]
    interval = answer["interval_95"]
    spread = f" (95 % bootstrap interval {interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
    count = len(answer["cases"])
    left_out = f"; {len(answer['failed'])} failed and are left out" if answer["failed"] else ""
    mean = f"mean Dice {answer['mean_dice']:.3f}{spread}, {count} {'study' if count == 1 else 'studies'}{left_out}"
    return f"{table(list(TITLES.values()), rows)}\n{mean}"


def _cell(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.3f}"

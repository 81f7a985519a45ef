"""A segmentation compared with an annotation, and what speaks against the comparison."""

from pathlib import Path

import SimpleITK as sitk

from ..adaptation.blind import trained_on
from ..adaptation.installed import find_adapter
from ..adapters import read_card
from ..core import PemmaError, PemmaWarning, Progress, metrics
from ..core.images import voxel_ml
from ..core.progress import part
from ..inference.region import voxels_inside
from ..network.files import Model
from ..study import annotation
from ..study.annotation.author import author_of_contour
from ..study.types import PetCtStudy
from .names import base_name
from .options import Segmenting
from .reading import Apart, load_study
from .segmenting import LOADED, label_of_lesions, load_adapter, segment_study, warnings_of


def evaluate(
    folder: Path, given: Path | None, roi_name: str | None, model: Model, options: Segmenting, apart: Apart, progress: Progress
) -> tuple[dict, list[PemmaWarning]]:
    """The figures of a study against the given annotation or that in its folder, and what there is to warn of.

    apart: the studies so far. What study or annotation is refused for is told before the network runs, which takes minutes.
    """
    adapter = load_adapter(options.adapter, model)
    study = load_study(folder, options, options.need, part(progress, 0, LOADED))
    file = given or annotation.find(folder)
    if file is None:
        raise PemmaError("no-annotation", "the study has no RTSTRUCT, SEG or mask", "give one with --annotation FILE")
    truth, told = annotation.read(file, study, roi_name=roi_name)
    apart.take(study, base_name(folder))
    done = segment_study(lambda _: study, model, adapter, options, progress)
    figures = compare(label_of_lesions(done, options), truth)
    warnings = [*warnings_of(done), *told, *_outside(truth, options.roi), *_of_a_model(file, roi_name)]
    if done.segmentation.adapter:
        warnings += _trained_on(options.adapter, done.study, truth)
    return figures, warnings


def _outside(truth: sitk.Image, roi_mm: tuple[float, ...] | None) -> list[PemmaWarning]:
    """A warning where the region that was looked at leaves out some of the annotation."""
    marked = sitk.GetArrayViewFromImage(truth) != 0
    outside = 0 if roi_mm is None else (marked & ~voxels_inside(truth, roi_mm)).sum()
    if not outside:
        return []
    left_out, whole = (count * voxel_ml(truth) for count in (outside, marked.sum()))
    sentence = f"{left_out:.1f} of {whole:.1f} ml of the annotation lie outside the region (--roi) and count as missed"
    return [PemmaWarning("annotation-outside-region", sentence, "give a region that holds all of it")]


def _of_a_model(file: Path, roi_name: str | None) -> list[PemmaWarning]:
    """A warning where the contour to compare with is what this software drew, perhaps in the folder of the study itself."""
    author = author_of_contour(file, roi_name)
    if author is None:
        return []
    return [PemmaWarning("annotation-of-a-model", f"the annotation began as the output of {author.model.name}: agreement with it "
                         "proves nothing", "compare with a contour drawn from scratch: --annotation FILE")]


def _trained_on(adapter: str, study: PetCtStudy, truth: sitk.Image) -> list[PemmaWarning]:
    """A warning where the adapter has seen the study before."""
    card = read_card(find_adapter(adapter))
    if not trained_on(card, study, truth):
        return []
    sentence = f"the adapter {card.name} was trained on this study: agreement with it proves nothing"
    return [PemmaWarning("adapter-trained-on-study", sentence, "evaluate it on studies that it was not trained on")]


def compare(found: sitk.Image, truth: sitk.Image) -> dict:
    """The figures of one case; both labels on the study's grid."""
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
    dice = [case["dice"] for case in cases]
    interval = metrics.bootstrap_interval(dice)
    return {"cases": cases, "mean_dice": sum(dice) / len(dice), "interval_95": list(interval) if interval else None}

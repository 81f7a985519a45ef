"""The prospective record: what base and adapter make of a new case before its contour has taught them anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import SimpleITK as sitk

from ..core import PemmaError, Progress, no_progress
from ..core.metrics import dice, extra_ml, missed_ml, surface_dice
from ..core.progress import part
from ..study.types import PetCtStudy
from .cards import LONGEST_TEXT, CaseCard, Origin, Score
from .library import CaseLibrary
from .volumes import contents_of

if TYPE_CHECKING:
    from ..adapters import Adapter, AdapterCard
    from ..core import Segmentation
    from ..network.files import Model

#: A contour that agrees this well with the model's blind output was hardly drawn without it.
LIKE_OUTPUT_DICE = 0.98
LIKE_OUTPUT = f"the contour is almost the model's own output (Dice {LIKE_OUTPUT_DICE:g} or more)"
#: Up to here the progress of `add` is the segmenting.
_SEGMENTED = 0.9


@dataclass(frozen=True)
class Blind:
    """Who segments a new case first, and how. load: () -> (model, current adapter or None), asked when it is needed."""

    load: Callable[[], tuple[Model, Adapter | None]]
    inputs: str = "auto"
    device: str = "auto"
    whole_study: bool = False


def add(
    library: CaseLibrary, study: PetCtStudy, label: sitk.Image, *, patient: str | None, origin: Origin,
    note: str = "", blind: Blind | None = None, why_not: str = "", progress: Progress = no_progress,
) -> CaseCard:  # fmt: skip
    """Adds a case with its blind scores, or with the reason why there are none.

    There are none when the contour began as a model's output, when `blind` is None (`why_not` says why), and when the
    segmentation is refused; none of an adapter that was trained on this very study. A contour that is almost the blind
    output (Dice 0.98) is taken for one that began so, unless its origin is "scratch". Raises what `CaseLibrary.add`,
    `progress` and `blind.load` raise, and "inputs"; all but "cannot-write" comes before the segmentation.
    """
    library.check_new(study, label, patient, (note, why_not))
    found: tuple[Score, ...] = ()
    if not origin.independent:
        why_not = "the contour began as the output of a model"
    elif blind is not None:
        _refuse_unfit(blind, study)
        found, why_not = scores_or_why_not(study, label, blind, part(progress, 0.0, _SEGMENTED))
        alike = like_output(found)
        if alike is not None and origin.kind != "scratch":
            origin, found, why_not = Origin("corrected", alike.model, alike.adapter), (), LIKE_OUTPUT
    progress(_SEGMENTED, "writing the case")
    return library.add(
        study, label, patient=patient, origin=origin, note=note, blind=found, blind_left_out=why_not
    )


def _refuse_unfit(blind: Blind, study: PetCtStudy) -> None:
    """A model that is not there, or inputs that the study lacks, are the user's to put right: no reason for a case without a
    record. Raises PemmaError."""
    from ..inference.segment import choose_inputs

    model, _ = blind.load()
    if blind.inputs != "auto":
        choose_inputs(study, model.card.modalities, blind.inputs)


def like_output(found: Sequence[Score]) -> Score | None:
    """The blind score by which the contour is almost a model's output; None where it agrees less."""
    best = max(found, key=lambda score: score.dice, default=None)
    return best if best is not None and best.dice >= LIKE_OUTPUT_DICE else None


def scores(study: PetCtStudy, label: sitk.Image, blind: Blind, progress: Progress = no_progress) -> tuple[Score, ...]:
    """Scores of the base, and of the adapter unless it is off with these inputs or trained on the study, at the model's own
    threshold.

    Raises PemmaError where the study can't be segmented.
    """
    from ..inference import segment
    from .types import label_of_lesions

    model, adapter = blind.load()
    runs = [None] if adapter is None or trained_on(adapter.card, study, label) else [None, adapter]
    found = []
    for number, one in enumerate(runs):
        found.append(segment(
            study, model, adapter=one, inputs=blind.inputs, device=blind.device, whole_study=blind.whole_study,
            progress=part(progress, number / len(runs), (number + 1) / len(runs)),
        ))  # fmt: skip
    told = [one for one, run in zip(found, runs, strict=True) if run is None or one.adapter]
    return tuple(_score(one, label_of_lesions(one), label) for one in told)


def trained_on(card: AdapterCard, study: PetCtStudy, label: sitk.Image) -> bool:
    """Whether an adapter has seen the study's CT or PET, with whatever contour.

    An older card names only the grids of a library's cases, and studies together with their contour.
    """
    from .fewshot import digest
    from .types import SiteCase

    hashes = (*contents_of(study), digest(SiteCase("", "", study, label)))  # a case's id is the one of its grid
    stated = [card.training.get(name) for name in ("case_images", "case_ids", "case_digests")]  # of a foreign card anything
    return any(one[:12] in known for known in stated if isinstance(known, list) for one in hashes)


def scores_or_why_not(study: PetCtStudy, label: sitk.Image, blind: Blind,
                      progress: Progress) -> tuple[tuple[Score, ...], str]:
    """The `scores`, and why there are none, or none of the adapter's."""
    try:
        found, adapter = scores(study, label, blind, progress), blind.load()[1]
        seen = adapter is not None and trained_on(adapter.card, study, label)
        return found, "without the adapter, which was trained on this study" if seen else ""
    except PemmaError as error:
        return (), f"{error.sentence} [{error.code}]"[:LONGEST_TEXT]


def _score(by: Segmentation, found: sitk.Image, label: sitk.Image) -> Score:
    return Score(by.model, by.adapter, by.inputs, dice(found, label), surface_dice(found, label, 5.0),
                 missed_ml(found, label), extra_ml(found, label))

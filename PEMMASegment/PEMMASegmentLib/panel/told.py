"""What the panel says of a result: how many lesions, what was looked at, which parts of the adapter acted, what to beware of."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from ..core import PemmaWarning
from ..results.coverage import COVERAGE_CODES
from ..study import scanner
from ..study.types import PetCtStudy
from ..worker.events import Result
from . import library, words
from .run import Run


def found(number: int, seconds: float) -> str:
    """How many lesions, and how long it took."""
    template = {
        0: _("No lesion was found ({seconds} s). A lower threshold may show faint ones; Add at crosshair draws one."),
        1: _("1 lesion in {seconds} s."),
    }.get(number, _("{number} lesions in {seconds} s."))
    return template.format(number=number, seconds=f"{seconds:.0f}")


def looked_at(run: Run) -> list[str]:
    """What of the study alone the network saw: choices that may have been meant for another study."""
    found, study = run.segmentation, run.study
    lines = [_("Segmented inside the region alone.")] if found.roi_mm is not None else []
    if study.ct is not None and study.pet is not None and found.inputs != "ct+pet":
        lines.append(_("Segmented from the {kind} alone.").format(kind=found.inputs.upper()))
    return lines


def covered(run: Run) -> list[str]:
    """Which lesions CT, PET or region do not show to their end, as they are drawn now."""
    return [words.warning(told.sentence, told.way_out) for told in run.coverage]


def holding(run: Run) -> list[str]:
    """Which lesions are ticked and hold one that is not."""
    template = _("ticked, with what you unticked in it: lesion {numbers}")
    numbers, way_out = ", ".join(map(str, run.holding_unticked)), _("untick it too, or raise the threshold until they part")
    return [words.warning(template.format(numbers=numbers), way_out)] if numbers else []


def put_away(kinds: Sequence[str], fits: bool) -> str:
    """Why a result is not shown beside images that changed ("ct", "pet"). fits: it can be, when asked for."""
    template = {
        True: _("The {images} changed since the result was made: segment again, or choose it under Result to measure it anew."),
        False: _("The {images} changed place or size since the result was made: segment again, or bring all back to where they "
                 "were, the result too, and choose it under Result."),
    }[fits]  # fmt: skip
    return template.format(images=_images(kinds))


def measured_anew(kinds: Sequence[str]) -> list[str]:
    """What to say when the user wants to see it all the same."""
    template = _("the {images} changed since the result was made: the contours are older, their figures were measured anew")
    return [words.warning(template.format(images=_images(kinds)))] if kinds else []


def lost_pet() -> str:
    """Of a result whose PET was deleted."""
    return words.warning(_("the PET of the result is gone; load it again and choose the result again for its SUV figures"))


def _images(kinds: Sequence[str]) -> str:
    return _("CT and PET") if len(kinds) > 1 else kinds[0].upper()


def notes(answer: Result, study: PetCtStudy, options: Mapping[str, Any]) -> list[str]:
    """Which parts of the adapter acted, and what the run warns of; warnings of the study itself stand with the study, those
    of lesions that CT, PET or region cut with the lesions.

    The process knows the volumes alone; whether the scanner is another than that of the adapter's cases, the headers tell.
    """
    known = {warning.code for warning in study.warnings} | {"adapter-origin", "suv-doubtful", *COVERAGE_CODES}
    warnings = [PemmaWarning(**told) for told in answer.fields.get("warnings") or ()]
    lines = [words.warning(told.sentence, told.way_out) for told in warnings if told.code not in known]
    parts = answer.fields.get("adapter_parts") or ()
    acted = answer.fields.get("adapter") is not None
    here = scanner.of_inputs(scanner.facts(study), answer.fields["inputs"])
    unlike = scanner.unlike(here, library.origin_of(Path(options["adapter"]))) if acted else []
    if unlike:
        template = _("the adapter was made on cases of another kind: here {unlike}")
        lines.append(words.warning(template.format(unlike="; ".join(unlike))))
    if parts:
        acting = _("The adapter {name} acted: {parts}.")
        lines.insert(0, words.in_panel(acting.format(name=answer.fields["adapter"]["name"], parts=", ".join(parts))))
    return lines

"""`pemma-segment evaluate`: segment and compare with the annotation found in the study or given."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ..jobs.options import Segmenting
from . import options as shared
from .terminal import Terminal, base_name, for_each, name_among, table

if TYPE_CHECKING:
    from ..jobs.reading import Apart
    from ..network.files import Model

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


def run(options: argparse.Namespace, terminal: Terminal) -> bool:
    shared.refuse_for_several(options)
    from ..jobs import evaluating, segmenting
    from ..jobs.reading import Apart

    model, apart = segmenting.load_model(shared.typed(Segmenting, options)), Apart()
    cases, failed = for_each(options.studies, lambda study: evaluate_one(study, model, options, apart, terminal), terminal)
    if cases:
        answer = {**evaluating.summary(cases), "failed": failed}
        terminal.result(answer, in_words(answer))
    elif terminal.as_json:
        terminal.result({"cases": [], "mean_dice": None, "interval_95": None, "failed": failed}, "")
    return not failed


def evaluate_one(study: Path, model: "Model", options: argparse.Namespace, apart: "Apart", terminal: Terminal) -> dict:
    """One row of the answer."""
    from ..jobs import evaluating

    with terminal.progress(base_name(study)) as progress:
        figures, warnings = evaluating.evaluate(study, options.annotation, options.annotation_roi, model,
                                                shared.typed(Segmenting, options), apart, progress)
    terminal.warnings(warnings, name_among(options.studies, study))
    return {"study": base_name(study), **figures, "warnings": [asdict(warning) for warning in warnings]}


def in_words(answer: dict) -> str:
    """Table and mean for a reader."""
    rows = [[_cell(case[key]) for key in TITLES] for case in answer["cases"]]
    interval = answer["interval_95"]
    spread = f" (95 % bootstrap interval {interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
    count = len(answer["cases"])
    left_out = f"; {len(answer['failed'])} failed and are left out" if answer["failed"] else ""
    mean = f"mean Dice {answer['mean_dice']:.3f}{spread}, {count} {'study' if count == 1 else 'studies'}{left_out}"
    return f"{table(list(TITLES.values()), rows)}\n{mean}"


def _cell(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.3f}"

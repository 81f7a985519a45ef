"""`pemma-segment adapt`: a small adapter from a site's few annotated cases, with its proof on patients held out."""

import argparse
from pathlib import Path

from ..adaptation.choices import EFFORTS
from ..core import PemmaError
from ..jobs.options import Adapting
from . import options as shared
from .terminal import Terminal, table


def add_to(commands) -> None:
    parser = shared.command(commands, "adapt", run, "adapt the model to a site's few annotated cases, and prove it")
    parser.add_argument("studies", type=Path, nargs="*", metavar="STUDY", help="annotated folder of DICOM or NIfTI files")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="new, empty, or an earlier adapter to replace")
    shared.add(parser, Adapting, "library", metavar="DIR", help="case library, instead of STUDY...")
    shared.add(parser, Adapting, "name", metavar="NAME", help="what the adapter is called (default: method and cases)")
    shared.add_annotation_options(parser)
    training = parser.add_argument_group("training")
    shared.add(training, Adapting, "method", help="default: salt")
    shared.add(training, Adapting, "targets", metavar="PATTERN", help="weights: qv, attn, attn+mlp, all, or names")
    how_long = training.add_mutually_exclusive_group()
    steps = ", ".join(f"{effort} {steps}" for effort, steps in EFFORTS.items())
    shared.add(how_long, Adapting, "effort", help=f"training steps: {steps} (default: standard)")
    shared.add(how_long, Adapting, "minutes", metavar="N", help="about how long the adapter may take")
    shared.add(training, Adapting, "seed", metavar="N", help="the same seed gives the same adapter on the CPU")
    shared.add_running_options(parser.add_argument_group("running"), inputs="what all cases have")
    shared.add_study_options(parser)
    parser.set_defaults(usage_error=parser.error)


def run(options: argparse.Namespace, terminal: Terminal) -> bool:
    try:
        given = shared.typed(Adapting, options)
    except ValueError as error:
        options.usage_error(str(error))
    from ..jobs import adapting, segmenting

    model = segmenting.load_model(given)
    with terminal.progress("adapt") as progress:
        answer = adapting.adapt(model, given, options.out, progress, warn=terminal.warnings)
    terminal.result(answer, in_words(answer, options.out))
    if lost := answer.get("proof_unwritten"):
        terminal.error(PemmaError(**lost))
    return not lost


def in_words(answer: dict, out: Path) -> str:
    """The table before and after, the verdict, what is forgotten."""
    head = ("case", "Dice before", "after", "surface Dice 5 mm before", "after", "missed ml", "extra ml")
    rows = [(row["case"], *(f"{row[key]:.3f}" for key in ("before", "after", "surface_dice_5mm_before", "surface_dice_5mm")),
             *(f"{row[f'{key}_before']:.1f} -> {row[key]:.1f}" for key in ("missed_ml", "extra_ml"))) for row in answer["cases"]]
    shown = table(head, rows) + "\n" if rows else ""
    if "ladder" in answer:
        gains = [(rung["procedure"], gain_in_words(rung), rung["verdict"]) for rung in answer["ladder"]]
        shown = f"{table(('rung', 'Dice gain', 'verdict'), gains)}\n{shown}"
    if answer.get("recommended", "") is None:
        stays = "; the one that lay there before stays" if (out / "adapter.json").is_file() else ""
        return f"{shown}{answer['sentence']}; no adapter was written{stays}"
    gain = gain_in_words(answer)
    shown += f"mean gain {gain}\n" if gain else ""
    shown += f"{answer['verdict']}: {answer['sentence']}\n{answer['reference']['sentence']}\n{answer['note']}"
    if "proof_unwritten" in answer:
        return shown
    inputs = " and ".join(answer["inputs"].upper().split("+"))
    return f"{shown}\nadapter for {inputs} written to {out} ({answer['trained_share']:.1%} of the weights)"


def gain_in_words(record: dict) -> str:
    """Mean Dice gain over patients held out, with its interval; "" where no score was opened."""
    gain, interval = record.get("mean_gain"), record.get("interval_95")
    if gain is None:
        return ""
    return f"{gain:+z.3f}" + (f" (95 % {interval[0]:+z.3f} to {interval[1]:+z.3f})" if interval else "")

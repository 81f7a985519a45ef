"""`pemma-segment adapt`: a small adapter from a site's few annotated cases, with its proof on patients held out."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from . import options as shared

if TYPE_CHECKING:
    from ..adaptation.proof import Seen
    from ..adaptation.types import Procedure, SiteCase
    from ..core import Progress
    from ..network.files import Model
    from .adapt_studies import Given, Warn
    from .terminal import Terminal

WEIGHTS = ("salt", "lora", "dora", "svd")
#: What --minutes can be asked of.
TIMED = (*WEIGHTS, "ladder")
#: Without weights, or with whole parameters; "ladder": all that is usual, from cheap to rich, and which of it to use.
OTHERS = ("threshold", "maps", "flips", "norm+out", "all-weights", "ladder")
EFFORTS = ("quick", "standard", "thorough")
READ, LOOKED = 0.03, 0.05  # shares of the progress


def add_to(commands) -> None:
    parser = shared.command(commands, "adapt", run, "adapt the model to a site's few annotated cases, and prove it")
    parser.add_argument("studies", type=Path, nargs="*", metavar="STUDY", help="annotated folder of DICOM or NIfTI files")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="new, empty, or an earlier adapter to replace")
    add_options(parser)
    parser.set_defaults(usage_error=parser.error)


def add_options(parser: argparse.ArgumentParser) -> None:
    """From which cases, how, and for which inputs; the worker's request has the same."""
    parser.add_argument("--library", type=Path, metavar="DIR", help="case library, instead of STUDY...")
    parser.add_argument("--name", default="", metavar="NAME", help="what the adapter is called (default: method and cases)")
    shared.add_annotation_options(parser)
    training = parser.add_argument_group("training")
    training.add_argument("--method", choices=(*WEIGHTS, *OTHERS), default="salt", help="default: salt")
    training.add_argument("--targets", default="all", metavar="PATTERN", help="weights: qv, attn, attn+mlp, all, or names")
    how_long = training.add_mutually_exclusive_group()
    how_long.add_argument("--effort", choices=EFFORTS, default="standard",
                          help="training steps: quick 30, standard 110, thorough 330 (default: standard)")
    how_long.add_argument("--minutes", type=shared.positive, metavar="N", help="about how long the adapter may take")
    training.add_argument("--seed", type=int, default=0, metavar="N", help="the same seed gives the same adapter on the CPU")
    shared.add_running_options(parser.add_argument_group("running"), inputs="what all cases have")
    shared.add_study_options(parser)


def run(options: argparse.Namespace, terminal: "Terminal") -> bool:
    if bool(options.studies) == bool(options.library):
        options.usage_error("give either --library DIR or STUDY folders")
    shared.refuse_for_several(options)
    if not 0 <= options.seed < 2**32:
        options.usage_error("--seed is a whole number from 0 to 4294967295")
    if options.minutes is not None and options.method not in TIMED:
        options.usage_error(f"--minutes goes with --method {', '.join(TIMED)}")
    from ..core import PemmaError
    from . import work

    model = work.load_model(options)
    with terminal.progress("adapt") as progress:
        answer = adapt(model, options, options.out, progress, warn=terminal.warnings)
    terminal.result(answer, in_words(answer, options.out))
    if lost := answer.get("proof_unwritten"):
        terminal.error(PemmaError(**lost))
    return not lost


def adapt(
    model: "Model", options: argparse.Namespace, out: Path, progress: "Progress", seen: "Seen" = lambda *_: None,
    warn: "Warn" = lambda *_: None,
) -> dict:  # fmt: skip
    """Reads the cases, adapts and proves; the keys of the answer. An unfinished run is kept until it is done.

    seen: given the held-out cases with both labels. warn: given what is to be told of a study when it is read, long before
    the answer, and the study's name where there are several.
    """
    import shutil

    from ..adaptation import adapt as adaptation
    from ..core.folders import unfinished_folder
    from ..core.progress import part
    from . import adapt_studies

    adaptation.check_out(out)
    adaptation.check_given_name(options.name)
    cases, facts, ledger, warnings = _given(options, part(progress, 0.0, READ), warn)
    work = unfinished_folder(out.resolve())
    cases, inputs = adaptation.checked(model, cases, out, options.inputs, options.name, options.whole_study)
    if options.inputs == "auto":
        warnings += adapt_studies.tell("", adaptation.left_out(model, cases, inputs), "", warn)
    if options.studies:
        cases, more = adapt_studies.looked_at(cases, model, options, part(progress, READ, LOOKED), warn)
        warnings += more
    how = procedure(options, model, cases, inputs, work, part(progress, LOOKED, LOOKED))
    told = {"inputs": inputs, "seed": options.seed, "name": options.name, "facts": facts, "device": options.device,
            "case_ids": [case.id for case in cases] if options.library else (), "whole_study": options.whole_study,
            "progress": part(progress, LOOKED, 1.0)}
    if options.method == "ladder":
        from ..adaptation.ladder import procedures

        rungs = procedures(model, inputs, (how,), steps=how.steps, device=options.device, work=work, cases=cases)
        answer = adaptation.climb(model, cases, rungs, out, ledger, **told)
    else:
        answer = adaptation.adapt(model, cases, how, out, ledger, seen=seen, **told)
    if "proof_unwritten" not in answer:  # else the same run can give the adapter again, without its trainings
        shutil.rmtree(work, ignore_errors=True)
    return answer | {"warnings": warnings}


def estimate(model: "Model", options: argparse.Namespace, progress: "Progress") -> dict:
    """What would be trained, in words, and about how many seconds that takes here with all cases (of the ladder all its
    rungs), and its proof with all folds; None where nothing is trained, and for a proof with too few patients. `left_out`:
    a sentence for each image that is used of no case because some have none."""
    from ..adaptation import adapt as adaptation
    from ..adaptation.fewshot import step_seconds
    from ..adaptation.ladder import procedures
    from ..adaptation.proof import dealt
    from ..adaptation.verdict import FEWEST
    from ..core.progress import part

    cases, *_ = _given(options, part(progress, 0.0, 0.3))
    inputs = adaptation.common_inputs(model, cases, options.inputs)
    how = procedure(options, model, cases, inputs, None, part(progress, 0.3, 0.3))
    rungs = (how,)
    if options.method == "ladder":
        rungs = procedures(model, inputs, (how,), steps=how.steps, device=options.device, cases=cases)
    trained = [rung for rung in rungs if hasattr(rung, "steps")]
    seconds = None
    for n, rung in enumerate(trained):
        trying = part(progress, 0.3 + 0.7 * n / len(trained), 0.3 + 0.7 * (n + 1) / len(trained))
        seconds = (seconds or 0.0) + rung.steps * step_seconds(rung, model, cases, inputs, trying)
    folds = dealt(cases)
    proved = seconds and sum(map(len, folds)) >= FEWEST
    lost = adaptation.left_out(model, cases, inputs) if options.inputs == "auto" else []
    return {"words": how.words, "seconds": seconds, "seconds_proof": seconds * len(folds) if proved else None,
            "cases": len(cases), "left_out": [warning.sentence for warning in lost]}


def procedure(
    options: argparse.Namespace, model: "Model", cases: "list[SiteCase]", inputs: str, work: Path | None, progress: "Progress"
) -> "Procedure":
    """What is fitted or trained; of the ladder its rung that trains weights. progress: of the look at a few steps."""
    from ..adaptation import fixes, maps, whole
    from ..adaptation.fewshot import EFFORTS, WeightUpdate, steps_in
    from ..adapters import method
    from ..core import PemmaError

    steps, device = EFFORTS[options.effort], options.device
    if options.method in TIMED:
        name = "salt" if options.method == "ladder" else options.method
        how = WeightUpdate(method(name), options.targets, steps, device, work)
        return how if options.minutes is None else steps_in(how, options.minutes, model, cases, inputs, progress)
    if options.minutes is not None:  # asked by the background process; the command line tells it as wrong usage
        raise PemmaError("option", "--minutes goes with methods that train an update", f"choose one of {', '.join(TIMED)}")
    makers = {
        "threshold": lambda: fixes.Threshold(device), "maps": maps.Maps, "flips": fixes.Flips,
        "norm+out": lambda: whole.WholeParameters(False, steps, device, work),
        "all-weights": lambda: whole.WholeParameters(True, steps, device, work),
    }  # fmt: skip
    return makers[options.method]()


def _given(options: argparse.Namespace, progress: "Progress", warn: "Warn" = lambda *_: None) -> "Given":
    from ..adaptation.library import CaseLibrary
    from . import adapt_studies

    if options.library is None:
        return adapt_studies.read(options, progress, warn)
    library = CaseLibrary(options.library)
    for error in library.damaged():  # a proof without them would be of other cases than the user thinks
        raise error
    cards, cases = library.cards(), []
    for n, card in enumerate(cards):
        cases.append(library.read(card.id))
        progress((n + 1) / len(cards), f"reading case {n + 1} of {len(cards)}")
    return cases, [card.scanner for card in cards], library, []


def in_words(answer: dict, out: Path) -> str:
    """The table before and after, the verdict, what is forgotten."""
    from .terminal import table

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
    return f"{gain:+.3f}" + (f" (95 % {interval[0]:+.3f} to {interval[1]:+.3f})" if interval else "")

"""`pemma-segment cases add|list|show|remove|import|export`: a site's annotated cases, without a patient's identity."""

import argparse
import json
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..jobs.options import Adding
from . import options as shared
from . import streams
from .terminal import Terminal, base_name, for_each, name_among, table

if TYPE_CHECKING:
    from ..adaptation.cards import CaseCard
    from ..adaptation.library import CaseLibrary
    from ..core import Progress
    from ..study.types import PetCtStudy


def add_to(commands) -> None:
    parser = commands.add_parser("cases", help="a site's annotated cases", allow_abbrev=False)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    added = _action(actions, "add", run_add, "take in studies with their contours, de-identified")
    added.add_argument("studies", type=Path, nargs="+", metavar="STUDY", help="folder of DICOM or NIfTI files")
    added.add_argument(
        "--annotation", type=Path, metavar="FILE", help="RTSTRUCT, SEG or mask (default: the one in the study)"
    )
    _add_options(added)
    added.set_defaults(usage_error=added.error)
    _action(actions, "list", run_list, "list the cases, checked by hash")
    shown = _action(actions, "show", run_show, "show a case's card")
    removed = _action(actions, "remove", run_remove, "delete cases")
    taken = _action(actions, "import", run_import, "take in cases that another library exported")
    taken.add_argument("file", type=Path, metavar="ZIP", help="file that `cases export` wrote")
    given = _action(actions, "export", run_export, "write cases into a zip for another library")
    shown.add_argument("case", metavar="CASE", help="id of a case")
    removed.add_argument("cases", nargs="+", metavar="CASE", help="ids of cases")
    given.add_argument("cases", nargs="*", metavar="CASE", help="ids of cases (default: all)")
    given.add_argument("--out", type=Path, required=True, metavar="ZIP", help="file to write; must be new")


def _action(actions, name: str, run, words: str) -> argparse.ArgumentParser:
    parser = shared.command(actions, name, run, words)
    parser.add_argument("--library", type=Path, required=True, metavar="DIR", help="folder of the case library")
    return parser


def _add_options(parser: argparse.ArgumentParser) -> None:
    """What there is to say of a new case."""
    shared.add_annotation_options(parser)
    about = parser.add_argument_group("about the case")
    shared.add(about, Adding, "patient", metavar="NAME", help="whose study it is (default: Patient ID); kept as a pseudonym")
    shared.add(
        about, Adding, "origin",
        help="whose contour it is; corrected: begun as the output of --model and --adapter (default: what the file says)",
    )  # fmt: skip
    shared.add(about, Adding, "note", metavar="TEXT", help="a line about the case, nothing of the patient")
    blind = parser.add_argument_group("blind record: model and adapter segment the case before its contour is known")
    shared.add(blind, Adding, "no_blind", metavar="WHY", help="leave it out, and why")
    shared.add_running_options(blind)
    shared.add_adapter_option(blind)
    shared.add_study_options(parser)


def run_add(options: argparse.Namespace, terminal: Terminal) -> bool:
    from ..adaptation.cards import as_json
    from ..jobs import adding, segmenting
    from ..jobs.reading import load_study
    from ..study import annotation

    shared.refuse_for_several(options)
    library, given = _library(options), shared.typed(Adding, options)

    @cache
    def load():
        model = segmenting.load_model(given)
        return model, segmenting.load_adapter(given.adapter, model)

    def read(folder: Path, progress: "Progress") -> "PetCtStudy":
        return adding.with_inputs(load_study(folder, given, given.need, progress), given.inputs)

    def one(folder: Path) -> dict:
        with terminal.progress(base_name(folder)) as progress:
            file = options.annotation or annotation.find(folder)
            card, warnings = adding.add_case(library, partial(read, folder), file, given, load, progress)
        terminal.warnings(warnings, name_among(options.studies, folder))
        if not terminal.as_json:
            streams.answer(f"{base_name(folder)}: {in_words(card)}")
        return {"study": base_name(folder), "case": as_json(card), "warnings": [asdict(one) for one in warnings]}

    done, failed = for_each(options.studies, one, terminal)
    if terminal.as_json:
        terminal.result({"cases": done, "failed": failed}, "")
    return not failed


def run_list(options: argparse.Namespace, terminal: Terminal) -> bool:
    from ..jobs import cases

    found, damaged = cases.checked(_library(options))
    cards = [card for card, _ in found]
    rows = [[card.id, card.patient, card.origin.kind, card.inputs, f"{card.volume_ml:.1f}", str(card.lesions),
             _blind_dice(card), "ok"] for card in cards]  # fmt: skip
    rows += [[error.place, *["-"] * 6, f"{error.sentence} [{error.code}]"] for error in damaged]
    header = ["case", "patient", "contour", "inputs", "ml", "lesions", "blind Dice", "check"]
    counting = len({card.patient for card in cards if card.origin.independent})
    count = f"patients: {len({card.patient for card in cards})}, of these count in a proof: {counting}"
    words = f"{table(header, rows)}\n{count}" if rows else "the library holds no case"
    terminal.result(cases.as_answer(found, damaged), words)
    return not damaged


def run_show(options: argparse.Namespace, terminal: Terminal) -> bool:
    from ..adaptation.cards import as_json
    from ..jobs import cases

    card, shown = cases.show(_library(options), options.case)
    text = json.dumps(as_json(card), indent=1, ensure_ascii=False)
    terminal.result(shown, f"{in_words(card)}\nthumbnail: {shown['thumbnail']}\n{text}")
    return True


def run_remove(options: argparse.Namespace, terminal: Terminal) -> bool:
    from ..jobs import cases

    answer = cases.remove(_library(options), options.cases)
    terminal.result(answer, f"removed {', '.join(answer['removed'])}")
    return True


def run_import(options: argparse.Namespace, terminal: Terminal) -> bool:
    from ..jobs import cases

    answer = cases.take_in(_library(options), options.file)
    words = [f"imported {', '.join(answer['imported']) or 'nothing'}"]
    words += [f"already there: {', '.join(answer['already_there'])}"] * bool(answer["already_there"])
    terminal.result(answer, "\n".join(words))
    return True


def run_export(options: argparse.Namespace, terminal: Terminal) -> bool:
    from ..jobs import cases

    answer = cases.export(_library(options), options.cases, options.out)
    terminal.result(answer, f"exported {', '.join(answer['exported'])} to {options.out}")
    return True


def _library(options: argparse.Namespace) -> "CaseLibrary":
    from ..adaptation.library import CaseLibrary

    return CaseLibrary(options.library)


def in_words(card: "CaseCard") -> str:
    """One line about a case."""
    from ..jobs.adding import left_out_in_words

    lesions = f"{card.lesions} lesion{'s' * (card.lesions > 1)}"
    scores = [f"blind Dice {_by(score)} {score.dice:.3f}" for score in card.blind]
    left_out = list(filter(None, [left_out_in_words(card)]))
    parts = [f"case {card.id}", f"patient {card.patient}", f"contour {_whose(card)}", f"{card.volume_ml:.1f} ml", lesions]
    return ", ".join([*parts, card.inputs.upper(), *scores, *left_out])


def _whose(card: "CaseCard") -> str:
    origin = card.origin
    if origin.model is None:
        return {"scratch": "drawn from scratch", "imported": "imported", "corrected": "corrected"}[origin.kind]
    adapter = f" with adapter {origin.adapter.name}" if origin.adapter else ""
    return f"corrected from {origin.model.name}{adapter}"


def _by(score) -> str:
    return score.adapter.name if score.adapter else score.model.name


def _blind_dice(card: "CaseCard") -> str:
    return " / ".join(f"{score.dice:.3f}" for score in card.blind) or "-"

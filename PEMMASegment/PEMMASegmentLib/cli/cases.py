"""`pemma-segment cases add|list|show|remove|import|export`: a site's annotated cases, without a patient's identity."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from . import options as shared

if TYPE_CHECKING:
    from ..adaptation.cards import CaseCard, Origin
    from ..adaptation.library import CaseLibrary
    from ..adapters import Adapter
    from ..core import PemmaError, Progress
    from ..network.files import Model
    from ..study.types import PetCtStudy, StudyWarning
    from .terminal import Terminal

    Load = Callable[[], tuple[Model, Adapter | None]]

#: A contour that agrees this well with the model's blind output was hardly drawn without it.
SUSPICIOUS_DICE = 0.98


def add_to(commands) -> None:
    parser = commands.add_parser("cases", help="a site's annotated cases", allow_abbrev=False)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    added = _action(actions, "add", run_add, "take in studies with their contours, de-identified")
    added.add_argument("studies", type=Path, nargs="+", metavar="STUDY", help="folder of DICOM or NIfTI files")
    added.add_argument(
        "--annotation", type=Path, metavar="FILE", help="RTSTRUCT, SEG or mask (default: the one in the study)"
    )
    add_options(added)
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


def add_options(parser: argparse.ArgumentParser) -> None:
    """What there is to say of a new case; the worker's request has the same."""
    shared.add_annotation_options(parser)
    about = parser.add_argument_group("about the case")
    about.add_argument("--patient", metavar="NAME", help="whose study it is (default: Patient ID); kept as a pseudonym")
    about.add_argument(
        "--origin", choices=("scratch", "corrected", "imported"),
        help="whose contour it is; corrected: begun as the output of --model and --adapter (default: what the file says)",
    )  # fmt: skip
    about.add_argument("--note", default="", metavar="TEXT", help="a line about the case, nothing of the patient")
    blind = parser.add_argument_group("blind record: model and adapter segment the case before its contour is known")
    blind.add_argument("--no-blind", metavar="WHY", default="", help="leave it out, and why")
    shared.add_running_options(blind)
    shared.add_adapter_option(blind)
    shared.add_study_options(parser)


def run_add(options: argparse.Namespace, terminal: "Terminal") -> bool:
    from functools import partial

    from ..adaptation.library import CaseLibrary
    from ..study import annotation
    from .reading import load_study
    from .terminal import base_name, for_each

    if options.annotation is not None and len(options.studies) > 1:
        options.usage_error("--annotation goes with one STUDY")
    library, load = CaseLibrary(options.library), loading(options)
    need = None if options.inputs == "auto" else options.inputs

    def one(folder: Path) -> dict:
        with terminal.progress(base_name(folder)) as progress:
            file = options.annotation or annotation.find(folder)
            card, warnings = add_case(library, partial(load_study, folder, options, need), file, options, load, progress)
        terminal.warnings(warnings)
        if not terminal.as_json:
            print(f"{base_name(folder)}: {in_words(card)}", flush=True)
        return {"study": base_name(folder), "case": as_json(card)}

    done, failed = for_each(options.studies, one, terminal)
    if terminal.as_json:
        terminal.result({"cases": done, "failed": failed}, "")
    return not failed


def loading(options: argparse.Namespace) -> "Load":
    """What --model and --adapter name, loaded once and only when it is needed."""
    import functools

    @functools.cache
    def load():
        from . import work

        model = work.load_model(options)
        return model, work.load_adapter(options, model)

    return load


def add_case(
    library: "CaseLibrary", read: "Callable[[Progress], PetCtStudy]", file: Path | None, options: argparse.Namespace,
    load: "Load", progress: "Progress", origin: "Origin | None" = None,
) -> "tuple[CaseCard, list[StudyWarning]]":  # fmt: skip
    """Adds the study that `read` gives with the annotation in `file`; its card and what to tell the user.

    origin: where the caller knows better than file and options whose contour it is.
    """
    from ..adaptation import blind
    from ..adaptation.identity import patient_id
    from ..core import PemmaError
    from ..core.progress import part
    from ..study import annotation

    study = with_inputs(read(part(progress, 0, 0.2)), options.inputs)
    if file is None:
        raise PemmaError("no-annotation", "the study has no RTSTRUCT, SEG or mask", "give one with --annotation FILE")
    label, notes = annotation.read(file, study, roi_name=options.annotation_roi)
    patient = options.patient or patient_id(study)
    card = blind.add(
        library, study, label, patient=patient, origin=origin or origin_of(file, options, load), note=options.note,
        blind=None if options.no_blind else blind.Blind(load, options.inputs, options.device, options.whole_study),
        why_not=options.no_blind, progress=part(progress, 0.2, 1),
    )  # fmt: skip
    return card, [*study.warnings, *notes, *_told(card, patient, options)]


def with_inputs(study: "PetCtStudy", inputs: str) -> "PetCtStudy":
    """The study without the image that --inputs leaves out; the case then has no such image."""
    from dataclasses import replace

    if inputs == "pet":
        return replace(study, ct=None, ct_headers=())
    return replace(study, pet=None, pet_headers=(), suv=None) if inputs == "ct" else study


def origin_of(file: Path, options: argparse.Namespace, load: "Load") -> "Origin":
    """Whose contour it is. A SEG of this software says so itself, and nobody may say otherwise."""
    from ..adaptation.cards import Origin
    from ..core import PemmaError
    from ..study.annotation.author import author_of

    author = author_of(file)
    if author is None:
        return stated_origin(options, load)
    if options.origin not in (None, "corrected"):
        sentence = f"the contour began as the output of {author.model.name}, its file says"
        raise PemmaError("case-origin", sentence, "leave --origin out: such a case is good for training, not for the proof")
    return Origin("corrected", author.model, author.adapter)


def stated_origin(options: argparse.Namespace, load: "Load") -> "Origin":
    """What --origin says; a contour of which nobody says anything is imported."""
    from ..adaptation.cards import Origin

    if options.origin != "corrected":
        return Origin(options.origin or "imported")
    model, adapter = load()
    return Origin("corrected", model.identity, adapter.identity if adapter else None)


def _told(card: "CaseCard", patient: str | None, options: argparse.Namespace) -> "list[StudyWarning]":
    from ..study.types import StudyWarning

    told = []
    if patient is None:
        sentence = f"nobody says whose study case {card.id} is: it counts as a patient of its own"
        told.append(StudyWarning("patient-unknown", sentence, "name studies of one patient alike with --patient"))
    if card.blind_left_out and card.origin.independent and not options.no_blind:
        told.append(StudyWarning("no-blind-record", f"no blind record: {card.blind_left_out}"))
    if any(score.dice >= SUSPICIOUS_DICE for score in card.blind):
        sentence = f"the contour of case {card.id} is almost the model's own output"
        told.append(StudyWarning("contour-like-output", sentence, "if it began so, add it with --origin corrected"))
    return told


def run_list(options: argparse.Namespace, terminal: "Terminal") -> bool:
    from ..adaptation.library import CaseLibrary
    from .terminal import table

    found, damaged = checked(CaseLibrary(options.library))
    cards = [card for card, _ in found]
    rows = [[card.id, card.patient, card.origin.kind, card.inputs, f"{card.volume_ml:.1f}", str(card.lesions),
             _blind_dice(card), "ok"] for card in cards]  # fmt: skip
    rows += [[error.place, *["-"] * 6, f"{error.sentence} [{error.code}]"] for error in damaged]
    header = ["case", "patient", "contour", "inputs", "ml", "lesions", "blind Dice", "check"]
    counting = len({card.patient for card in cards if card.origin.independent})
    count = f"patients: {len({card.patient for card in cards})}, of these count in a proof: {counting}"
    terminal.result(as_answer(found, damaged), f"{table(header, rows)}\n{count}")
    return not damaged


def checked(library: "CaseLibrary") -> "tuple[list[tuple[CaseCard, dict]], list[PemmaError]]":
    """All sound cases as `show` gives them, and what is wrong with the others, by every byte of their files."""
    from ..core import PemmaError

    found, damaged = [], []
    for id in library.ids():
        try:
            found.append(show(library, id))
        except PemmaError as error:
            if error.code != "case-unknown":  # removed by another program since
                damaged.append(error)
    return found, damaged


def as_answer(found: "list[tuple[CaseCard, dict]]", damaged: "list[PemmaError]") -> dict:
    """What `cases list --json` prints."""
    errors = [{"case": e.place, "code": e.code, "sentence": e.sentence, "way_out": e.way_out} for e in damaged]
    return {"cases": [shown for _, shown in found], "damaged": errors}


def run_show(options: argparse.Namespace, terminal: "Terminal") -> bool:
    import json

    from ..adaptation.library import CaseLibrary

    card, shown = show(CaseLibrary(options.library), options.case)
    text = json.dumps(as_json(card), indent=1, ensure_ascii=False)
    terminal.result(shown, f"{in_words(card)}\nthumbnail: {shown['thumbnail']}\n{text}")
    return True


def show(library: "CaseLibrary", id: str) -> "tuple[CaseCard, dict]":
    """A checked case: its card, and what `cases show --json` prints."""
    card = library.check(id)
    return card, {**as_json(card), "thumbnail": str(library.thumbnail(id))}


def run_remove(options: argparse.Namespace, terminal: "Terminal") -> bool:
    from ..adaptation.library import CaseLibrary

    terminal.result(remove(CaseLibrary(options.library), options.cases), f"removed {', '.join(options.cases)}")
    return True


def remove(library: "CaseLibrary", ids: list[str]) -> dict:
    """Deletes cases, one after the other."""
    for id in ids:
        library.remove(id)
    return {"removed": ids}


def run_import(options: argparse.Namespace, terminal: "Terminal") -> bool:
    from ..adaptation.library import CaseLibrary

    answer = take_in(CaseLibrary(options.library), options.file)
    words = [f"imported {', '.join(answer['imported']) or 'nothing'}"]
    words += [f"already there: {', '.join(answer['already_there'])}"] * bool(answer["already_there"])
    terminal.result(answer, "\n".join(words))
    return True


def take_in(library: "CaseLibrary", file: Path) -> dict:
    """The cases of a zip, and which of them are new."""
    before = set(library.ids()) if library.folder.is_dir() else set()
    ids = [card.id for card in library.import_(file)]
    return {"imported": [id for id in ids if id not in before], "already_there": [id for id in ids if id in before]}


def run_export(options: argparse.Namespace, terminal: "Terminal") -> bool:
    from ..adaptation.library import CaseLibrary

    answer = export(CaseLibrary(options.library), options.cases, options.out)
    terminal.result(answer, f"exported {', '.join(answer['exported'])} to {options.out}")
    return True


def export(library: "CaseLibrary", ids: list[str], out: Path) -> dict:
    """The named cases, or all, into a new zip."""
    from ..core import PemmaError

    chosen = ids or library.ids()
    if not chosen:
        raise PemmaError("no-cases", "the library holds no case", "add one first")
    if out.exists():
        raise PemmaError("out-exists", "there is a file of that name", "name a new one with --out", out.name)
    library.export(chosen, out)
    return {"exported": chosen, "out": str(out)}


def as_json(card: "CaseCard") -> dict:
    """A card in plain values."""
    from ..adaptation import cards

    return cards.as_json(card)


def in_words(card: "CaseCard") -> str:
    """One line about a case."""
    lesions = f"{card.lesions} lesion{'s' * (card.lesions > 1)}"
    scores = [f"blind Dice {_by(score)} {score.dice:.3f}" for score in card.blind]
    left_out = [f"no blind record: {card.blind_left_out}"] if card.blind_left_out else []
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

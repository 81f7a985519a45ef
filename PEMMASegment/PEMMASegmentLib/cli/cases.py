"""`pemma-segment cases add|list|show|remove|import|export`: a site's annotated cases, without a patient's identity."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from . import adding
from . import options as shared

if TYPE_CHECKING:
    from ..adaptation.cards import CaseCard
    from ..adaptation.library import CaseLibrary
    from ..core import PemmaError
    from .terminal import Terminal


def add_to(commands) -> None:
    parser = commands.add_parser("cases", help="a site's annotated cases", allow_abbrev=False)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    added = _action(actions, "add", run_add, "take in studies with their contours, de-identified")
    added.add_argument("studies", type=Path, nargs="+", metavar="STUDY", help="folder of DICOM or NIfTI files")
    added.add_argument(
        "--annotation", type=Path, metavar="FILE", help="RTSTRUCT, SEG or mask (default: the one in the study)"
    )
    adding.add_options(added)
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


def run_add(options: argparse.Namespace, terminal: "Terminal") -> bool:
    from dataclasses import asdict
    from functools import partial

    from ..adaptation.library import CaseLibrary
    from ..study import annotation
    from . import streams
    from .reading import load_study
    from .terminal import base_name, for_each, name_among

    shared.refuse_for_several(options)
    library, load = CaseLibrary(options.library), adding.loading(options)
    need = None if options.inputs == "auto" else options.inputs

    def one(folder: Path) -> dict:
        with terminal.progress(base_name(folder)) as progress:
            file = options.annotation or annotation.find(folder)
            card, warnings = adding.add_case(library, partial(load_study, folder, options, need), file, options, load, progress)
        terminal.warnings(warnings, name_among(options.studies, folder))
        if not terminal.as_json:
            streams.answer(f"{base_name(folder)}: {in_words(card)}")
        return {"study": base_name(folder), "case": as_json(card), "warnings": [asdict(one) for one in warnings]}

    done, failed = for_each(options.studies, one, terminal)
    if terminal.as_json:
        terminal.result({"cases": done, "failed": failed}, "")
    return not failed


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
    terminal.result(as_answer(found, damaged), f"{table(header, rows)}\n{count}" if rows else "the library holds no case")
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

    answer = remove(CaseLibrary(options.library), options.cases)
    terminal.result(answer, f"removed {', '.join(answer['removed'])}")
    return True


def remove(library: "CaseLibrary", ids: list[str]) -> dict:
    """Deletes cases, one after the other; none of them when one is unknown."""
    ids = list(dict.fromkeys(ids))
    for id in sorted(ids, key=library.ids().__contains__):  # the unknown first: the library refuses them
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
    if not out.parent.is_dir():
        raise PemmaError("no-folder", "the folder for the file is not there", "make it, or name another one with --out", out.name)
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
    left_out = list(filter(None, [adding.left_out_in_words(card)]))
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

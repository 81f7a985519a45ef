"""What is done with the cases of a library, and what is told of it: list, show, remove, import, export."""

from pathlib import Path

from ..adaptation.book import own_ledger
from ..adaptation.cards import CaseCard, as_json
from ..adaptation.library import CaseLibrary
from ..core import PemmaError


def checked(library: CaseLibrary) -> tuple[list[tuple[CaseCard, dict]], list[PemmaError]]:
    """All sound cases as `show` gives them, and what is wrong with the others, by every byte of their files."""
    found, damaged = [], []
    for id in library.ids():
        try:
            found.append(show(library, id))
        except PemmaError as error:
            if error.code != "case-unknown":  # removed by another program since
                damaged.append(error)
    return found, damaged


def as_answer(found: list[tuple[CaseCard, dict]], damaged: list[PemmaError]) -> dict:
    """What `checked` found, in plain values."""
    errors = [{"case": e.place, "code": e.code, "sentence": e.sentence, "way_out": e.way_out} for e in damaged]
    return {"cases": [shown for _, shown in found], "damaged": errors}


def show(library: CaseLibrary, id: str) -> tuple[CaseCard, dict]:
    """A checked case: its card, and the same in plain values with the file of its thumbnail."""
    card = library.check(id)
    return card, {**as_json(card), "thumbnail": str(library.thumbnail(id))}


def remove(library: CaseLibrary, ids: list[str]) -> dict:
    """Deletes cases, one after the other; none of them when one is unknown."""
    ids = list(dict.fromkeys(ids))
    for id in sorted(ids, key=library.ids().__contains__):  # the unknown first: the library refuses them
        library.remove(id)
    return {"removed": ids}


def take_in(library: CaseLibrary, file: Path) -> dict:
    """The cases of a zip, and which of them are new."""
    before = set(library.ids()) if library.folder.is_dir() else set()
    ids = [card.id for card in library.import_(file)]
    return {"imported": [id for id in ids if id not in before], "already_there": [id for id in ids if id in before]}


def export(library: CaseLibrary, ids: list[str], out: Path) -> dict:
    """The named cases, or all, into a new zip."""
    chosen = ids or library.ids()
    if not chosen:
        raise PemmaError("no-cases", "the library holds no case", "add one first")
    if out.exists():
        raise PemmaError("out-exists", "there is a file of that name", "name a new one with --out", out.name)
    if not out.parent.is_dir():
        raise PemmaError("no-folder", "the folder for the file is not there", "make it, or name another one with --out", out.name)
    library.export(chosen, out, own_ledger())
    return {"exported": chosen, "out": str(out)}

"""Where a new adapter goes among the user's: a free place, or that of the very same run, which was stopped and goes on."""

import json
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from .. import __version__
from ..core import PemmaError
from ..core.files import flush
from ..core.folders import is_plain_name, unfinished_folder
from ..core.resources import user_folder
from . import library

RUN = "run.json"  # in the folder of the unfinished work, beside that of its trainings: which run it belongs to
#: Fields of a request that change where and how it computes, or what it says, but not which adapter it makes.
_BESIDE = {"library", "model", "device", "whole_study"}


def run_of(fields: dict, model_sha256: str, cases: Sequence[dict]) -> dict:
    """What makes a run the same run, in plain values: the request's choices, the model's weights, the cases as they are."""
    told = {key: value for key, value in fields.items() if key not in _BESIDE}
    return told | {"model": model_sha256, "cases": sorted(card["sha256"] for card in cases), "version": __version__}


def take(typed: str, usual: str, run: dict) -> Path:
    """The folder for the adapter of this run, called `typed`, or `usual` with a number where that is taken.

    A place belongs to one run from here on, also before its adapter is there. An adapter is never replaced, but by the run
    that made it and was stopped before its proof was done: its weights are the same.
    Raises PemmaError "adapter-name", "adapter-exists", "adapter-unfinished", "cannot-write".
    """
    place = user_folder() / "adapters"
    if not typed:
        return next(out for out in (place / _numbered(usual, n) for n in count(1)) if _taken(out, run))
    if not is_plain_name(typed) or typed == "none":
        way_out = "use letters, digits, dot, dash, plus and underscore, not the word none"
        raise PemmaError("adapter-name", f"{typed!r} can't name an adapter", way_out)
    if not _taken(place / typed, run):
        if (place / typed).exists():
            raise PemmaError("adapter-exists", f"there is an adapter {typed} already", "choose another name")
        sentence = f"another training, under way or stopped, has the name {typed}"
        raise PemmaError("adapter-unfinished", sentence, "choose another name")
    return place / typed


def _taken(out: Path, run: dict) -> bool:
    """Takes the place for this run; False where it is another's."""
    return _goes_on(out, run) if out.exists() else _note(unfinished_folder(out), run)


def _goes_on(out: Path, run: dict) -> bool:
    """Whether this run made what is there and was stopped; with words of the user's own it is the user's."""
    work, there = unfinished_folder(out), library.told_of(out)
    made = {library.told_of(folder).get("sha256") for folder in work.glob("*/*/")}
    return _noted(work) == run and bool(there.get("sha256")) and there["sha256"] in made and not there.get("note")


def _noted(work: Path) -> dict | None:
    try:
        return json.loads((work / RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _note(work: Path, run: dict) -> bool:
    """Notes the run where none is noted, never over another: of several processes at once only one can. Whether it is noted."""
    try:
        work.mkdir(parents=True, exist_ok=True)
        return _write_new(work / RUN, json.dumps(run)) or _noted(work) == run
    except OSError as error:
        sentence = f"no adapter can be written: {error.strerror or type(error).__name__}"
        raise PemmaError("cannot-write", sentence, "free some space on the disk of your adapters") from error


def _write_new(file: Path, text: str) -> bool:
    """False where there is such a file already, which stays as it is. Raises OSError, with nothing left."""
    try:
        with open(file, "x", encoding="utf-8") as stream:
            stream.write(text)
        flush(file)
    except FileExistsError:
        return False
    except OSError:  # a full disk: half a note would keep the place from everybody
        file.unlink(missing_ok=True)
        raise
    return True


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"

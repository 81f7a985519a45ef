"""From a site's cases to an adapter folder with its proof: train on all, deliver, prove, tell."""

import time
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..adapters import AdapterCard, read_card, save, write_card
from ..adapters.card import CARD
from ..adapters.files import WEIGHTS
from ..core import PemmaError, PemmaWarning, Progress, no_progress
from ..core.folders import can_replace, is_litter, recover_folder, replace_folder
from ..core.progress import Reached, Words, named, part, reached
from ..inference import region
from ..inference.device import choose as choose_device
from ..inference.segment import choose_inputs
from ..network.files import Model
from ..study import scanner
from ..study.identifying import words_of
from . import installed
from . import ladder as ladders
from . import ledger as ledgers
from .fewshot import check_case, digest
from .fitness import LEAVE_OUT
from .proof import Proof, Seen, dealt, labels, pair, prove, references, untrained
from .record import as_record, nothing_recommended, of_ladder, without_cases
from .types import Fitted, Procedure, SiteCase
from .verdict import FEWEST, Verdict, too_few
from .volumes import contents_of

#: A segmentation as a share of a training, for the progress.
_SEGMENTING = 0.02
#: What comes last: the adapter is in its place by then.
_FORGETTING = ("what is forgotten", Reached("what is forgotten", there=True))
#: Time left: told after so many seconds and messages, from so many of the last, without leaps of so many usual ones.
_TOLD_AFTER_S, _FEWEST_MARKS, _MARKS, _LEAP = 5.0, 5, 400, 10.0


def adapt(model: Model, cases: Sequence[SiteCase], procedure: Procedure, out: Path, ledger: ledgers.Ledger, *,
          inputs: str = "auto", seed: int = 0, name: str = "", facts: Sequence[dict[str, str]] | None = None,
          case_ids: Sequence[str] = (), device: str = "auto", whole_study: bool = False, progress: Progress = no_progress,
          seen: Seen = lambda *_: None) -> dict:
    """Makes an adapter of all cases in `out`, proves the procedure on patients held out; gives `record.as_record`.

    The adapter is there, without a verdict, before the proof begins, as `progress` tells from then on (`Reached.there`), and
    at the end its card is written again; where that can't be done, `proof_unwritten` of the record tells why, with the keys
    of a PemmaError.
    A stopped run goes on with the same call where `procedure` keeps its unfinished work.
    facts: what the headers of each case state (`study.scanner.facts`), None: read from the cases. case_ids: of cases of a
    library, for the card; a folder's name may tell a patient and is none. seen: as for `prove`.
    Raises PemmaError for what the user can put right, and what `progress` raises.
    """
    started = time.monotonic()
    cases, inputs = checked(model, cases, out, inputs, name, whole_study)
    if sum(map(len, dealt(cases))) >= FEWEST:  # else nothing is tried
        ledger.check_tries()
    known = references(model, inputs)
    own, folds, tested = untrained(known, cases), len(dealt(cases)), sum(case.independent for case in cases)
    spans = Spans(with_time_left(progress), [1.0, folds + 2 * tested * _SEGMENTING, 2 * len(own) * _SEGMENTING])
    fitted = procedure.fit(model, cases, inputs, seed, spans.next("training the adapter"))
    fitted = _deliver(out, fitted, cases, procedure, name, case_ids,
                      facts or [scanner.facts(case.study) for case in cases])
    proof, tries, said = _judged(procedure, model, cases, inputs, seed, ledger,
                                 spans.next("the adapter is there; its proof", Reached("its proof", there=True)), device,
                                 whole_study, seen)
    kept = labels(model, fitted, own, inputs, spans.next(*_FORGETTING), device)
    record = as_record(said, proof, [pair(*one) for one in kept], tries, fitted.card, time.monotonic() - started,
                       len(known) - len(own))
    return _with_proof_kept(out, fitted.card, record)


def climb(model: Model, cases: Sequence[SiteCase], rungs: Sequence[Procedure], out: Path, ledger: ledgers.Ledger, *,
          inputs: str = "auto", seed: int = 0, name: str = "", facts: Sequence[dict[str, str]] | None = None,
          case_ids: Sequence[str] = (), device: str = "auto", whole_study: bool = False,
          progress: Progress = no_progress) -> dict:
    """The ladder: proves every rung on the same patients and makes an adapter, of all cases, by the one it recommends.

    Gives the record of that rung with `ladder`, a row for each, and `recommended`; where no rung is shown to help nothing
    is written and `recommended` is None. Otherwise as `adapt`.
    """
    started = time.monotonic()
    cases, inputs = checked(model, cases, out, inputs, name, whole_study)
    known = references(model, inputs)
    own = untrained(known, cases)
    spans = Spans(with_time_left(progress), [len(rungs) * len(dealt(cases)), 1.0, 2 * len(own) * _SEGMENTING])
    found = ladders.ladder(model, cases, rungs, inputs, ledger, seed, spans.next("the ladder"), device=device,
                           whole_study=whole_study)
    lost = sum("lost" in one for one in ledger.tries())
    if found.recommended is None:
        return nothing_recommended(found, lost, inputs, time.monotonic() - started)
    rung, span = found.rungs[found.recommended], spans.next("the recommended adapter")
    fitted = rung.procedure.fit(model, cases, inputs, seed, span)
    fitted = _deliver(out, fitted, cases, rung.procedure, name, case_ids,
                      facts or [scanner.facts(case.study) for case in cases])
    kept = [pair(*one) for one in labels(model, fitted, own, inputs, spans.next(*_FORGETTING), device)]
    record = as_record(rung.verdict, rung.proof, kept, ledgers.Tries(rung.verdict.tries), fitted.card,
                       time.monotonic() - started, len(known) - len(own)) | of_ladder(found, lost)
    return _with_proof_kept(out, fitted.card, record)


def checked(model: Model, cases: Sequence[SiteCase], out: Path, inputs: str, name: str = "",
            whole_study: bool = False) -> tuple[list[SiteCase], str]:
    """The cases in their order and the inputs to use; refuses `out`, `name` and cases that won't do before any training."""
    check_out(out)
    check_given_name(name, {word for case in cases for word in words_of(case.study)})
    inputs = common_inputs(model, cases, inputs)
    for case in cases:
        check_case(case, inputs, model)
        if not whole_study:
            _check_region(model, case, inputs)
    return sorted(cases, key=lambda case: case.id), inputs


def check_given_name(name: str, words: Collection[str] = ()) -> None:
    """Refuses what could not be imported under this name, or tells a patient; "" is the default one. Raises PemmaError as
    `installed.check_given_name` does."""
    if name:
        installed.check_given_name(name, words)


def _check_region(model: Model, case: SiteCase, inputs: str) -> None:
    """Refuses a case that the proof, after the training, could not segment."""
    searched = inputs.split("+")[0]
    body = region.find_body(getattr(case.study, searched), searched)
    if outside := region.outside(body.longest_mm, model.card.region.longest_mm):
        raise PemmaError("adapt-region", f"case {case.id} reaches outside the model's region: {outside}",
                         f"{LEAVE_OUT}, or adapt all the same (--whole-study)", case.id)


def common_inputs(model: Model, cases: Sequence[SiteCase], inputs: str) -> str:
    """What all cases have and the model knows, for "auto"; otherwise what was asked for, where all have it."""
    if not cases:
        raise PemmaError("adapt-cases", "there is no case to adapt to", "add annotated cases first")
    if inputs != "auto":
        return choose_inputs(cases[0].study, model.card.modalities, inputs)[0]
    common = [name for name in model.card.modalities if all(getattr(c.study, name, None) is not None for c in cases)]
    if not common:
        raise PemmaError("adapt-inputs", "the cases have no image in common that the model knows",
                         "adapt to those with a CT and to those without apart (from a library: export both and import each into "
                         "one of its own, `pemma-segment cases export`)")
    return "+".join(common)


def left_out(model: Model, cases: Sequence[SiteCase], inputs: str) -> list[PemmaWarning]:
    """A warning for each image that the model knows and some cases have, but not all, so that it is used of none."""
    told = []
    for name in model.card.modalities:
        without = [case.id for case in cases if getattr(case.study, name, None) is None]
        if name not in inputs.split("+") and len(without) < len(cases):
            none = f"{len(without)} of {len(cases)} cases {'has' if len(without) == 1 else 'have'} none"
            names = ", ".join(without[:5]) + (" ..." if len(without) > 5 else "")
            told.append(PemmaWarning("adapt-left-out", f"the {name.upper()} of all cases is left out: {none}",
                                     f"adapt without {names}, or have it so with --inputs {inputs}"))
    return told


def check_out(out: Path) -> None:
    """Raises PemmaError unless `out` is new, empty, or an adapter folder."""
    out = Path(out).resolve()
    recover_folder(out)
    if out.exists() and not out.is_dir():
        raise PemmaError("out-is-a-file", "the place for the adapter is a file", "name a folder", out.name)
    present = {f.name for f in out.iterdir()} if out.is_dir() else set()
    foreign = {name for name in present - {CARD, WEIGHTS} if not is_litter(name)}
    if foreign:
        raise PemmaError("out-not-empty", f"the folder for the adapter holds something else ({min(foreign)})",
                         "name a new or an empty folder", out.name)
    if not can_replace(out):
        raise PemmaError("cannot-write", "the adapter can't be written there", "name another folder with --out", out.name)


def with_time_left(progress: Progress) -> Progress:
    """Adds to the words how long the rest will take, as long as it goes on at the pace of late."""
    marks = deque([(time.monotonic(), 0.0)], maxlen=_MARKS)
    started = marks[0][0]

    def told(fraction: float, words: str) -> None:
        marks.append((time.monotonic(), fraction))
        left = seconds_left(marks) if marks[-1][0] - started > _TOLD_AFTER_S else None
        progress(fraction, words if left is None else Words(f"{words} ({in_words(left)} left)", reached(words)))

    return told


def seconds_left(marks: Sequence[tuple[float, float]]) -> float | None:
    """From (time in s, fraction done) of each message; None as long as they are too few to tell.

    A leap is no work of now: a run that goes on reports at once what an earlier one had done.
    """
    seconds, done = np.diff(np.array(marks), axis=0).T
    if np.count_nonzero(done > 0) < _FEWEST_MARKS:
        return None
    work = done <= _LEAP * np.median(done[done > 0])
    return float((1 - marks[-1][1]) * seconds[work].sum() / done[work].sum())


def in_words(seconds: float) -> str:
    """About how long: "40 s", "3 min"."""
    return f"{max(10, round(seconds, -1)):.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


class Spans:
    """The progress of several pieces of work, one after the other, by their shares of the time."""

    def __init__(self, progress: Progress, shares: Sequence[float]):
        self._progress, self._shares, self._total, self._done = progress, list(shares), sum(shares), 0.0

    def next(self, name: str, of: Reached | None = None) -> Progress:
        """The callback of the next piece, as `named`."""
        start = self._done
        self._done += self._shares.pop(0) / self._total
        return part(named(self._progress, name, of), start, self._done)


def _deliver(out: Path, fitted: Fitted, cases: Sequence[SiteCase], procedure: Procedure, name: str,
             case_ids: Sequence[str], facts: Sequence[dict[str, str]]) -> Fitted:
    """Puts the adapter in the place of what was there, as a whole; its card names no cases but those of a library."""
    training = fitted.card.training | {
        "procedure": procedure.words, "cases": len(cases), "patients": len({case.patient for case in cases}),
        "independent_cases": sum(case.independent for case in cases), "case_digests": [digest(case)[:12] for case in cases],
        "case_images": sorted({content[:12] for case in cases for content in contents_of(case.study)}),
    }  # fmt: skip
    training |= {"case_ids": sorted(case_ids)} if case_ids else {}
    typed = {name for case in cases if case.study.suv for name in case.study.suv.typed}
    training |= {"suv_typed": sorted(typed)} if typed else {}
    card = replace(fitted.card, name=name or f"{procedure.name.replace(' ', '-')}-{len(cases)}-cases", training=training,
                   origin=scanner.gathered(scanner.of_inputs(one, fitted.card.inputs) for one in facts), verdict="")
    try:
        replace_folder(Path(out).resolve(), lambda folder: save(folder, fitted.tensors, card), last=CARD)
        return Fitted(read_card(out), fitted.tensors)
    except OSError as error:
        raise _unwritable(out, error) from error


def _unwritable(out: Path, error: OSError) -> PemmaError:
    words = error.strerror or type(error).__name__
    return PemmaError("cannot-write", f"the adapter can't be written: {words}",
                      "free some space, or name another folder with --out", Path(out).name)


def _with_proof_kept(out: Path, delivered: AdapterCard, record: dict) -> dict:
    """The record, kept on the adapter's card; also where that can't be written any more, since its try stands in the ledger."""
    try:
        _write_proof(out, delivered, without_cases(record), record["verdict"])
    except PemmaError as error:
        note = f"{record['note']}; the proof could not be written onto the adapter: {error.sentence}"
        return record | {"note": note, "proof_unwritten": error.as_json()}
    return record


def _write_proof(out: Path, delivered: AdapterCard, scores: dict, verdict: str) -> None:
    """Puts the proof on the card of the adapter that was delivered, if that still lies there, beside a note of the user's."""
    try:
        if not (Path(out) / CARD).exists():
            raise PemmaError("adapter-missing", "it is no longer in its folder",
                             "run the same again: it goes on from what it kept", Path(out).name)
        there = read_card(out)
        if (there.sha256, there.fixes, there.training) != (delivered.sha256, delivered.fixes, delivered.training):
            raise PemmaError("adapter-replaced", "another program put another adapter in its place during the proof",
                             "run this again with an --out of its own", Path(out).name)
        write_card(out, replace(there, scores=scores, verdict=verdict))
    except OSError as error:
        raise _unwritable(out, error) from error


def _judged(procedure: Procedure, model: Model, cases: Sequence[SiteCase], inputs: str, seed: int, ledger: ledgers.Ledger,
            progress: Progress, device: str, whole_study: bool, seen: Seen) -> tuple[Proof, ledgers.Tries, Verdict]:
    """Proof, tries and verdict; with fewer than three patients nothing is tried."""
    patients = [patient for fold in dealt(cases) for patient in fold]
    if len(patients) < FEWEST:
        return Proof((), 0), ledgers.Tries(0), too_few(len(patients), sum(case.independent for case in cases))
    entry = ledgers.about(procedure, model.identity, ledgers.stated(cases), inputs, seed, patients,
                          choose_device(device).device.type, ledgers.images_of(cases, patients))
    opened: list[ledgers.Tries] = []
    proof = prove(procedure, model, cases, inputs, seed, progress, seen=seen, device=device, whole_study=whole_study,
                  opening=lambda: opened.append(ledgers.open_scores(ledger, entry)))
    return proof, opened[0], proof.judged(opened[0].count)

"""A small adapter from a site's few annotated cases with its proof on patients held out, or how long that would take."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..adaptation import adapt as adaptation
from ..adaptation import fixes, maps, whole
from ..adaptation.book import own_ledger
from ..adaptation.choices import EFFORTS, TIMED
from ..adaptation.fewshot import WeightUpdate, step_seconds, steps_in
from ..adaptation.ladder import procedures
from ..adaptation.ledger import WithOwn
from ..adaptation.library import CaseLibrary
from ..adaptation.proof import Seen, dealt
from ..adaptation.types import Procedure, SiteCase
from ..adaptation.verdict import FEWEST
from ..adapters import method
from ..core import PemmaError, Progress
from ..core.folders import unfinished_folder, work_held
from ..core.progress import part
from ..network.files import Model
from . import adapt_studies
from .adapt_studies import Given, Warn
from .options import Adapting

READ, LOOKED = 0.03, 0.05  # shares of the progress


def adapt(
    model: Model, options: Adapting, out: Path, progress: Progress, seen: Seen = lambda *_: None,
    warn: Warn = lambda *_: None,
) -> dict:  # fmt: skip
    """Reads the cases, adapts and proves; the keys of the answer. An unfinished run is kept until it is done, whatever else is
    done for the same `out`.

    seen: given the held-out cases with both labels. warn: given what is to be told of a study when it is read, long before
    the answer, and the study's name where there are several. Raises PemmaError "run-busy" while another run is at work there.
    """
    with _alone_for(out.resolve()):
        work = _work_of(model, options, out.resolve())
        answer = _adapted(model, options, out, work, progress, seen, warn)
        if "proof_unwritten" not in answer:  # else the same run can give the adapter again, without its trainings
            _forget(work)
    return answer


@contextmanager
def _alone_for(out: Path) -> Iterator[None]:
    """Keeps other runs from `out` (absolute), its adapter and its unfinished work."""
    with ExitStack() as stack:
        try:
            ours = stack.enter_context(work_held(out))
        except OSError as error:
            raise PemmaError("cannot-write", f"the adapter can't be written there: {error.strerror or type(error).__name__}",
                             "name another folder with --out", out.name) from error
        if not ours:
            raise PemmaError("run-busy", "another run is at work on this adapter", "wait until it is done, or name another --out",
                             out.name)
        yield


def _work_of(model: Model, options: Adapting, out: Path) -> Path:
    """Where this run's trainings are kept. With other cases it is the same run, though not one of them is of use any more."""
    asked = (model.identity.sha256, options.method, options.targets, options.effort, options.minutes, options.seed,
             options.inputs)
    return unfinished_folder(out) / hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]


def _forget(work: Path) -> None:
    """Removes what was kept of a run, and all that lies beside it where no other run has left anything."""
    shutil.rmtree(work, ignore_errors=True)
    if not any(one.is_dir() for one in work.parent.glob("*")):
        shutil.rmtree(work.parent, ignore_errors=True)


def _adapted(model: Model, options: Adapting, out: Path, work: Path, progress: Progress, seen: Seen, warn: Warn) -> dict:
    """As `adapt`. work: where the trainings are kept."""
    adaptation.check_out(out)
    adaptation.check_given_name(options.name)
    cases, facts, ledger, warnings = _given(options, part(progress, 0.0, READ), warn)
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
        rungs = procedures(model, inputs, (how,), steps=how.steps, device=options.device, work=work, cases=cases)
        answer = adaptation.climb(model, cases, rungs, out, ledger, **told)
    else:
        answer = adaptation.adapt(model, cases, how, out, ledger, seen=seen, **told)
    return answer | {"warnings": warnings}


def estimate(model: Model, options: Adapting, progress: Progress) -> dict:
    """What would be trained, in words, and about how many seconds that takes here with all cases (of the ladder all its
    rungs), and its proof with all folds; None where nothing is trained, and for a proof with too few patients. `left_out`:
    a sentence for each image that is used of no case because some have none."""
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
    options: Adapting, model: Model, cases: list[SiteCase], inputs: str, work: Path | None, progress: Progress
) -> Procedure:
    """What is fitted or trained; of the ladder its rung that trains weights. progress: of the look at a few steps."""
    steps, device = EFFORTS[options.effort], options.device
    if options.method in TIMED:
        name = "salt" if options.method == "ladder" else options.method
        how = WeightUpdate(method(name), options.targets, steps, device, work)
        return how if options.minutes is None else steps_in(how, options.minutes, model, cases, inputs, progress)
    makers = {
        "threshold": lambda: fixes.Threshold(device), "maps": maps.Maps, "flips": fixes.Flips,
        "norm+out": lambda: whole.WholeParameters(False, steps, device, work),
        "all-weights": lambda: whole.WholeParameters(True, steps, device, work),
    }  # fmt: skip
    return makers[options.method]()


def _given(options: Adapting, progress: Progress, warn: Warn = lambda *_: None) -> Given:
    if options.library is None:
        return adapt_studies.read(options, progress, warn)
    library = CaseLibrary(options.library)
    for error in library.damaged():  # a proof without them would be of other cases than the user thinks
        raise error
    cards, cases = library.cards(), []
    for n, card in enumerate(cards):
        cases.append(library.read(card.id))
        progress((n + 1) / len(cards), f"reading case {n + 1} of {len(cards)}")
    return cases, [card.scanner for card in cards], WithOwn(library, own_ledger()), []

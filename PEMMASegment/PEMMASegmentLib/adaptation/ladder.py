"""The cheap fixes first: rungs from two numbers to trained weights, each proved on the same held-out patients.

Recommended is the cheapest rung than which none of its successors is shown to be better: every rung stands against the
base and against all rungs below it by the rule of `verdict`, and each rung is a try that raises the bar for all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..core import PemmaError, Progress, no_progress
from ..core.progress import named, part
from ..inference.device import choose
from ..network.files import Model
from . import ledger as ledgers
from .choices import EFFORTS
from .fewshot import WeightUpdate, check_case
from .fixes import Flips, Stack, Threshold
from .ledger import Ledger
from .maps import Maps
from .proof import Proof, dealt, prove, references, untrained
from .types import Procedure, SiteCase
from .verdict import ACCEPTED, ENOUGH, FEWEST, HARM, Verdict
from .whole import WholeParameters


@dataclass(frozen=True)
class Rung:
    """A procedure with its proof. verdict: against the base; steps: against each rung below it, in their order."""

    procedure: Procedure
    proof: Proof
    verdict: Verdict
    steps: tuple[Verdict, ...] = field(default=())


@dataclass(frozen=True)
class Ladder:
    """The rungs from cheap to rich, and which one to use: None for the base as it is."""

    rungs: tuple[Rung, ...]
    recommended: int | None
    sentence: str


def procedures(model: Model, inputs: str, trained: Sequence[Procedure] = (WeightUpdate(),),
               steps: int = EFFORTS["standard"], device: str = "auto", work: Path | None = None,
               cases: Sequence[SiteCase] = ()) -> tuple[Procedure, ...]:
    """The usual rungs: two numbers, maps, mirrored inputs upon them, norms and last layer, `trained`. Without reference
    cases of the model that are not among `cases` there is nothing to map onto, and that rung is left out.
    steps, device, work: as for `WholeParameters`, of all but `trained`.
    """
    maps = (Maps(),) if untrained(references(model, inputs), cases) else ()
    cheap = [Threshold(device)]
    if maps:
        cheap.append(Stack((*maps, Threshold(device))))
    cheap.append(Stack((*maps, Threshold(device), Flips())))
    return (*cheap, WholeParameters(steps=steps, device=device, work=work), *trained)


def ladder(model: Model, cases: Sequence[SiteCase], rungs: Sequence[Procedure], inputs: str, ledger: Ledger,
           seed: int = 0, progress: Progress = no_progress, *, device: str = "auto", whole_study: bool = False) -> Ladder:
    """Proves every rung on the same folds, each as a try of its own; what is said of any of them counts all of them.

    Raises PemmaError "ladder-cases" below three patients with contours of their own, and what `prove` raises.
    """
    patients = [patient for fold in dealt(cases) for patient in fold]
    if len(patients) < FEWEST:
        raise PemmaError("ladder-cases", f"with {len(patients)} patients nothing can be told",
                         f"add cases: at least {FEWEST} patients, better {ENOUGH}")
    for case in cases:
        check_case(case, inputs, model)
    ledger.check_tries()
    stated, images, proofs, tries = ledgers.stated(cases), ledgers.images_of(cases, patients), [], []
    for n, rung in enumerate(rungs):
        span = named(part(progress, n / len(rungs), (n + 1) / len(rungs)), rung.name)
        entry = ledgers.about(rung, model.identity, stated, inputs, seed, patients, choose(device).device.type, images)
        proofs.append(prove(rung, model, cases, inputs, seed, span, device=device, whole_study=whole_study,
                            opening=lambda entry=entry: tries.append(ledgers.open_scores(ledger, entry).count)))
    return judged(rungs, proofs, max(tries))


def judged(rungs: Sequence[Procedure], proofs: Sequence[Proof], tries: int) -> Ladder:
    """The ladder of proofs made on the same patients."""
    done = []
    for rung, proof in zip(rungs, proofs, strict=True):
        steps = tuple(_step(below.proof, proof, tries) for below in done)
        done.append(Rung(rung, proof, proof.judged(tries), steps))
    best = recommended(done)
    return Ladder(tuple(done), best, _sentence(done, best))


def harmful(rungs: Sequence[Rung]) -> bool:
    """Whether every rung was seen to harm."""
    return all(rung.verdict.word == HARM for rung in rungs)


def recommended(rungs: Sequence[Rung]) -> int | None:
    """Climbs from the base to the next rung that is shown to add something, until none is left."""
    at = None
    for n, rung in enumerate(rungs):
        told = rung.verdict if at is None else rung.steps[at]
        if told.word == ACCEPTED and rung.verdict.word != HARM:
            at = n
    return at


def _step(below: Proof, above: Proof, tries: int) -> Verdict:
    """What the upper rung adds to the lower one, patient by patient; a lesion it finds makes up for none that it loses."""
    pairs = (replace(up, before=low.after, missed_before=low.missed_after)
             for low, up in zip(below.pairs, above.pairs, strict=True))
    return Proof(tuple(pairs), above.folds).judged(tries)


def _sentence(rungs: Sequence[Rung], at: int | None) -> str:
    patients = len(rungs[0].proof.by_patient()[0])
    if harmful(rungs):
        return "every rung was seen to harm: go on with the base"
    if patients < ENOUGH:
        return f"with {patients} patients no rung can be shown to help; that needs {ENOUGH}: go on with the base"
    if at is None:
        return "no rung is shown to help: go on with the base"
    rung = rungs[at]
    rest = "nothing above it is shown to add to it" if at + 1 < len(rungs) else "it is the last one"
    return f"recommended: {rung.procedure.name}, Dice {rung.verdict.mean_gain:+.3f} against the base; {rest}"

"""The one rule that turns scores of held-out patients into a verdict.

Per patient the gain is the Dice with the adapter minus the Dice without, the mean over the patient's studies. n is the
number of held-out patients.

harm seen        a lesion that the base finds is missed, or a patient is worse by more than 0.05 in a study, or the gains'
                 mean is -0.005 or less and below zero by a two-sided t-test at 5 %
accepted         no harm, n >= 5, mean gain >= 0.02, and t >= bar(n, tries)
not shown        anything else with n >= 3; with three or four patients the sentence says "no harm seen, not proved", or by
                 how much the mean falls
too few cases    n < 3

t is the paired t statistic, mean / (standard deviation / sqrt(n)). Its bar is the one-sided quantile of Student's t with
n - 1 degrees of freedom at the level 0.025 / (k (k + 1)) for the k-th try on these patients, so that the levels of all
tries there will ever be add up to 2.5 %. Patients of one run share its training cases and its seed, so that their gains
may move together; the bar is raised by the factor that a shared share of 0.12 of the gains' variance asks for,
sqrt((1 + (n - 1) 0.12) / (1 - 0.12)). `Testing/evidence/false_proof.py` measures both: how often nothing is accepted as
something, and how often a true gain is accepted.

A sign-flip test can't do it: with five patients its smallest p is 1/32 = 3.1 %, so that by the signs alone no gain of five
patients could ever be accepted. t asks for more: gains of one sign that are also alike in size, their standard deviation
below 0.49 of their mean at the first try. Gains that are nothing are seldom so alike, and that is what keeps five patients
under 2.5 % over recorded scores; for five gains that are alike already, chance is 1/32 and no rule can make it less.

A lesion is newly missed if the base's label touches it and the adapter's does not. Parts of a contour closer to each other
than 10 mm are one lesion here (one necrotic tumour, not several), those closer than 30 mm too where the base finds them as
one, and parts under 0.5 ml do not count (a ball of 10 mm, about the smallest that is measured). Why 10 mm alone do not do:
a contour at 41 % of SUVmax breaks 12 of 28 single tumours into parts, and an adapter that drew that very contour, blurred by
4 mm, would be said to miss a lesion in 7 of the 28; so in none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import erf, inf, sqrt

import numpy as np
from scipy import stats

from ..core.types import SMALLEST_ML

LEVEL, SHARED = 0.025, 0.12
ENOUGH, FEWEST = 5, 3
MIN_GAIN, WORST = 0.02, -0.05
#: A smaller fall of the mean is told, but is no harm, however sure: a quarter of the gain that is asked for.
SEEN = 0.005
#: What a lesion is, for "newly missed": parts of a contour closer than this are one, or than that if the base
#: finds them as one; parts under SMALLEST_ML do not count.
ONE_LESION_MM, ONE_FINDING_MM = 10.0, 30.0
#: Non-inferiority on the model's reference cases: the interval of the mean must lie above this.
FORGETTING = -0.03
_POWER, _MOST = 0.8, 60  # four times out of five; more patients than any site will annotate

ACCEPTED, NOT_SHOWN, HARM, TOO_FEW = "accepted", "not shown", "harm seen", "too few cases"


@dataclass(frozen=True)
class Verdict:
    """word: one of the four. mean_gain, interval_95: of the Dice gains over patients (Student's t), None if unknown.

    more: about how many more patients would decide, at the next try, below five how many a proof lacks; None where no number
    can be told.
    """

    word: str
    sentence: str
    mean_gain: float | None
    interval_95: tuple[float, float] | None
    tries: int
    more: int | None = None


def verdict(before: Sequence[float], after: Sequence[float], tries: int = 1, newly_missed: int = 0,
            worst: Sequence[float] | None = None) -> Verdict:
    """The verdict on Dice before and after, one of each a held-out patient; tries: this one counted.

    newly_missed: lesions that the base finds and the adapter misses. worst: each patient's gain in the study that gained
    least; None where all have one study.
    """
    gains = np.asarray(after, float) - np.asarray(before, float)
    if len(gains) < FEWEST:
        return too_few(len(gains))
    mean = float(gains.mean())
    found = {"mean_gain": mean, "interval_95": interval(gains), "tries": tries}
    if harm := _harm(gains, gains if worst is None else np.asarray(worst, float), newly_missed):
        return Verdict(HARM, f"{harm} (patients held out)", **found)
    if len(gains) < ENOUGH:
        seen = "no harm seen" if mean >= 0 else _falls(mean)
        sentence = f"{seen}, not proved: that needs at least {ENOUGH} patients with contours of their own, not {len(gains)}"
        return Verdict(NOT_SHOWN, sentence, **found, more=ENOUGH - len(gains))
    low, high = found["interval_95"]
    if mean >= MIN_GAIN and t_of(gains) >= bar(len(gains), tries):
        sentence = f"shown to help on {len(gains)} patients held out: Dice {mean:+.3f} (95 % interval {low:+.3f} to {high:+.3f})"
        return Verdict(ACCEPTED, sentence, **found)
    more = cases_to_decide(mean, float(gains.std(ddof=1)), len(gains), tries + 1)  # a run with them is the next try
    return Verdict(NOT_SHOWN, _more(more, mean, low, high), **found, more=more)


def too_few(n: int, cases: int = 0) -> Verdict:
    """What is said of fewer than three patients: no score of theirs is opened. cases: of them, whose contours count."""
    found = "no patient has" if n == 0 else "only one patient has" if n == 1 else f"only {n} patients have"
    sentence = f"nothing can be said: {found} a contour that did not begin as a model's output; add at least {ENOUGH - n} more"
    if cases > n:  # anonymised archives often have one Patient ID for all
        sentence += f" ({cases} cases have {n} Patient ID{'s' * (n > 1)}; where they are of different people, add them to a " \
                    "case library with --patient)"
    return Verdict(TOO_FEW, sentence, None, None, 0)


def bar(n: int, tries: int) -> float:
    """What t must reach with n patients, at the `tries`-th try."""
    level = LEVEL / (tries * (tries + 1))
    return _quantile(1 - level, n - 1) * sqrt((1 + (n - 1) * SHARED) / (1 - SHARED))


def t_of(gains: np.ndarray) -> float:
    """Paired t statistic of the gains; without any spread it is infinite with the sign of the mean."""
    mean, spread = gains.mean(), gains.std(ddof=1)
    if spread < 1e-9:
        return inf if mean > 0 else -inf
    return float(mean / (spread / sqrt(len(gains))))


def interval(gains: Sequence[float]) -> tuple[float, float] | None:
    """Student's t interval of the mean gain, 95 %; None below two patients. The bootstrap is too narrow for a handful."""
    gains, n = np.asarray(gains, float), len(gains)
    if n < 2:
        return None
    half = _quantile(0.975, n - 1) * float(gains.std(ddof=1)) / sqrt(n)
    return float(gains.mean()) - half, float(gains.mean()) + half


def cases_to_decide(mean: float, spread: float, n: int, tries: int) -> int | None:
    """How many more patients with this mean gain and spread would be accepted four times out of five, at the `tries`-th try.

    Accepted: t and mean reach what is asked for, and nobody falls by more than 0.05, which the more patients the less is
    likely. None when the gain is below what is asked for, or no number up to 60 patients will do.
    """
    if mean < MIN_GAIN:
        return None
    spread = max(spread, 1e-9)
    for total in range(max(n, ENOUGH) + 1, _MOST + 1):
        needed, around = bar(total, tries), mean / spread * sqrt(total)  # t is about normal around that, with this spread:
        reached = _below((around - needed) / sqrt(1 + needed**2 / (2 * (total - 1))))
        large_enough = _below((mean - MIN_GAIN) / spread * sqrt(total))
        if reached * large_enough * _below((mean - WORST) / spread) ** total >= _POWER:
            return total - n
    return None


def forgotten(before: Sequence[float], after: Sequence[float], trained_on: int = 0) -> str:
    """What the model's reference cases tell, in a sentence: not worse, a little, worse, or not known (margin 0.03 Dice).

    trained_on: how many more there are, which are among the adapter's own cases and tell nothing.
    """
    gains, other = np.asarray(after, float) - np.asarray(before, float), "other " * bool(trained_on)
    left_out = f"; {trained_on} left out, on which the adapter was trained" if trained_on else ""
    if len(gains) < 2:
        few = f"only one {other}reference case" if len(gains) else f"no {other}reference cases"
        return f"what is forgotten is not known: the model has {few} for these inputs{left_out}"
    low, high = interval(gains)
    told = f"Dice {gains.mean():+z.3f} on the model's {len(gains)} {other}reference cases (95 % interval {low:+z.3f} to " \
           f"{high:+z.3f}{left_out})"
    if low >= FORGETTING:
        return f"{'a small loss is shown' if round(high, 3) < 0 else 'nothing forgotten'}: {told}"
    return f"the model's own site is worse: {told}" if high < 0 else f"not shown that nothing is forgotten: {told}"


@cache
def _quantile(share: float, freedom: int) -> float:
    """Of Student's t."""
    return float(stats.t.ppf(share, freedom))


def _below(z: float) -> float:
    """Share of the standard normal distribution below z."""
    return (1 + erf(z / sqrt(2))) / 2


def _harm(gains: np.ndarray, worst: np.ndarray, newly_missed: int) -> str:
    """What harm there is, in words; "" for none."""
    worse, on_average = int((worst < WORST).sum()), int((gains < WORST).sum())
    _low, high = interval(gains)
    told = []
    if newly_missed:
        told.append(f"{newly_missed} lesion{'s' * (newly_missed > 1)} missed that the base finds (parts of a contour closer "
                    f"than {ONE_LESION_MM:g} mm, or than {ONE_FINDING_MM:g} mm where the base finds them as one, are one "
                    f"lesion; those under {SMALLEST_ML:g} ml do not count)")
    if worse:
        told.append(f"{worse} of {len(gains)} patients worse by more than {-WORST:g} Dice{' in a study' * (worse > on_average)}")
    if high < 0 and gains.mean() <= -SEEN:
        told.append(_falls(gains.mean()))
    return ", ".join(told)


def _falls(mean: float) -> str:
    return f"the mean Dice falls by {f'{-mean:.3f}' if mean <= -SEEN else f'less than {SEEN:g}'}"


def _more(more: int | None, mean: float, low: float, high: float) -> str:
    """What is missing of a proof, in words; no more than the interval of the mean gain shows."""
    if more is not None:
        return f"about {more} more patient{'s' * (more > 1)} would decide, if they gain as much"
    if high < 0:
        return f"{_falls(mean)}: more patients would hardly change that"
    if mean < MIN_GAIN and round(high, 3) <= MIN_GAIN:
        return f"the mean gain is below {MIN_GAIN:g}, its 95 % interval not above: more patients would hardly change that"
    if mean < MIN_GAIN:
        return f"too few patients to tell whether the mean gain reaches {MIN_GAIN:g} (95 % interval {low:+z.3f} to {high:+z.3f})"
    return f"the gains differ too much between patients, or are too near {MIN_GAIN:g}, for a number of them to be told"

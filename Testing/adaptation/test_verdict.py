"""The verdict's rule on gains worked out by hand, its bar, and how seldom it takes nothing for something."""

from math import inf, sqrt
from pathlib import Path

import numpy as np
import pytest

from PEMMASegmentLib.adaptation.verdict import bar, cases_to_decide, forgotten, interval, t_of, verdict
from PEMMASegmentLib.core.images import array
from PEMMASegmentLib.core.metrics import dice

from ..evidence import false_proof


def of(*gains: float, tries: int = 1, missed: int = 0):
    return verdict([0.6] * len(gains), [0.6 + gain for gain in gains], tries, missed)


def test_accepted_needs_five_patients_a_clear_gain_and_nobody_harmed():
    assert of(0.10, 0.11, 0.09, 0.12, 0.08).word == "accepted"
    assert of(0.10, 0.11, 0.09, 0.12).word == "not shown"
    assert of(0.015, 0.016, 0.014, 0.017, 0.013).word == "not shown"  # below 0.02, however sure
    assert of(0.10, 0.11, 0.09, 0.12, 0.08, missed=1).word == "harm seen"
    assert of(0.30, 0.31, 0.29, 0.32, 0.28, -0.06).word == "harm seen"
    assert of(0.30, 0.01, 0.02, 0.02, 0.01).word == "not shown"  # one patient makes the mean
    assert of(-0.03, -0.031, -0.029, -0.03, -0.032).word == "harm seen"  # small, but sure


def test_the_sentences_say_what_is_missing():
    assert "nothing can be said" in of().sentence and of().word == "too few cases" and of().mean_gain is None
    assert of(0.1, 0.1).interval_95 is None and of(0.1, 0.1).word == "too few cases" and "3 more" in of(0.1, 0.1).sentence
    assert of(0.10, 0.11, 0.09).sentence.startswith("no harm seen, not proved") and of(0.1, 0.11, 0.09).more == 2
    assert of(0.10, 0.11, -0.09).word == "harm seen" and "1 of 3 patients" in of(0.10, 0.11, -0.09).sentence
    assert "differ too much" in of(0.10, 0.02, 0.13, 0.0, 0.05).sentence
    unsure = of(0.10, 0.04, 0.13, 0.03, 0.05)
    assert unsure.word == "not shown" and f"about {unsure.more} more patients would decide" in unsure.sentence
    assert of(0.01, -0.01, 0.0, 0.01, 0.0).more is None


def test_every_try_raises_the_bar():
    assert bar(5, 1) == pytest.approx(3.4954 * sqrt(1.48 / 0.88), abs=2e-3)  # t(0.9875; 4), a shared share of 0.12
    bars = [bar(5, tries) for tries in range(1, 6)]
    assert bars == sorted(bars) and len(set(bars)) == 5
    good = (0.10, 0.11, 0.09, 0.12, 0.06)
    assert of(*good).word == "accepted" and of(*good, tries=8).word == "not shown" and of(*good, tries=8).tries == 8
    assert sum(0.025 / (k * (k + 1)) for k in range(1, 10_000)) < 0.025


def test_t_and_its_interval_by_hand():
    gains = np.array([0.1, 0.2, 0.3])  # mean 0.2, standard deviation 0.1
    assert t_of(gains) == pytest.approx(0.2 / (0.1 / sqrt(3)))
    low, high = interval(gains)
    assert (low + high) / 2 == pytest.approx(0.2) and high - low == pytest.approx(2 * 4.3027 * 0.1 / sqrt(3), abs=1e-4)
    assert t_of(np.full(5, 0.1)) == inf and t_of(np.full(5, -0.1)) == -inf


def test_more_cases_are_asked_for_the_smaller_the_gain():
    asked = [cases_to_decide(gain, 0.06, 5, 1) for gain in (0.12, 0.09, 0.07)]
    assert asked == sorted(asked) and asked[0] >= 1
    assert cases_to_decide(0.01, 0.01, 5, 1) is None and cases_to_decide(0.021, 0.3, 5, 1) is None


def test_as_many_more_patients_as_are_told_decide_four_times_of_five_at_the_next_try():
    """Who adds them and runs it again makes another try, whose bar is higher."""
    gains = np.array([0.005, 0.04, 0.07, 0.10, 0.135])  # mean 0.07
    said = of(*gains)
    total = 5 + said.more
    draws = np.random.default_rng(0).normal(0.07, gains.std(ddof=1), (2000, total))
    t = draws.mean(1) / draws.std(1, ddof=1) * sqrt(total)
    assert 0.75 < np.mean(t >= bar(total, said.tries + 1)) < 0.88


def test_forgetting_is_told_with_its_margin():
    assert forgotten([0.7] * 5, [0.7, 0.71, 0.69, 0.7, 0.7]).startswith("nothing forgotten")
    assert forgotten([0.7] * 5, [0.6, 0.61, 0.59, 0.6, 0.6]).startswith("the model's own site is worse")
    assert forgotten([0.7] * 5, [0.6, 0.8, 0.65, 0.75, 0.7]).startswith("not shown that nothing")
    assert "on the model's 2 other reference cases" in forgotten([0.7] * 2, [0.7] * 2, 3)
    assert "3 left out, on which the adapter was trained)" in forgotten([0.7] * 2, [0.7] * 2, 3)
    assert "not known: the model has no reference cases" in forgotten([], [])
    assert "not known: the model has only one reference case" in forgotten([0.7], [0.7])


def test_chance_is_seldom_accepted_and_a_true_gain_often():
    """The evidence's own functions, on gains of many spreads; `false_proof.py flips` does it on recorded ones, 10,000 draws."""
    rng = np.random.default_rng(3)
    runs = [rng.standard_t(4, 10) * spread for spread in (0.02, 0.04, 0.08)]
    assert max(false_proof.flips(runs, draws=400).values()) < 0.04  # 0.025 and three standard errors
    found = false_proof.power([rng.normal(size=10) * 0.05], draws=200)
    assert found[5, 0.15] > 0.9 and found[10, 0.08] > 0.9 and found[10, 0.03] < found[10, 0.05] < found[10, 0.08]


def test_contours_of_other_patients_are_pasted_in(shared, monkeypatch):
    monkeypatch.syspath_prepend(Path(false_proof.__file__).parent)
    names = ["STS_019", "STS_042"]
    put = false_proof.pasted(names, np.random.default_rng(0))
    own = false_proof.at_second_site(names)
    for case, as_drawn in zip(put, own, strict=True):
        assert case.label.GetSize() == case.study.ct.GetSize() and array(case.label).any()
        assert dice(case.label, as_drawn.label) < 0.9

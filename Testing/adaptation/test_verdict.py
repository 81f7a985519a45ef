"""The verdict's rule on gains worked out by hand, its bar, and how seldom it takes nothing for something."""

from math import inf, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    said = of(0.30, 0.31, 0.29, 0.32, 0.28, -0.06)
    assert said.word == "harm seen" and "1 of 6 patients worse" in said.sentence and "in a study" not in said.sentence
    assert of(0.30, 0.01, 0.02, 0.02, 0.01).word == "not shown"  # one patient makes the mean
    assert of(-0.03, -0.031, -0.029, -0.03, -0.032).word == "harm seen"  # small, but sure
    assert of(-0.006, -0.0061, -0.0059, -0.006).word == "harm seen"
    assert of(-0.0004, -0.0005, -0.0003, -0.0004, -0.0005).word == "not shown"  # sure, but too small to be seen


def test_a_study_that_is_ruined_is_harm_whatever_the_same_patients_other_study_gains():
    gains = (0.05, 0.052, 0.05, 0.048, 0.05)  # the last one -0.3 and 0.4 in two studies
    said = verdict([0.5] * 5, [0.5 + gain for gain in gains], worst=[*gains[:4], -0.3])
    assert said.word == "harm seen" and "1 of 5 patients worse by more than 0.05 Dice in a study" in said.sentence
    assert of(*gains).word == verdict([0.5] * 5, [0.5 + gain for gain in gains], worst=gains).word == "accepted"


def test_the_sentences_say_what_is_missing():
    assert "nothing can be said" in of().sentence and of().word == "too few cases" and of().mean_gain is None
    assert of(0.1, 0.1).interval_95 is None and of(0.1, 0.1).word == "too few cases" and "3 more" in of(0.1, 0.1).sentence
    assert of(0.10, 0.11, 0.09).sentence.startswith("no harm seen, not proved") and of(0.1, 0.11, 0.09).more == 2
    assert of(0.10, 0.11, -0.09).word == "harm seen" and "1 of 3 patients" in of(0.10, 0.11, -0.09).sentence
    assert "differ too much" in of(0.10, 0.02, 0.13, 0.0, 0.05).sentence
    unsure = of(0.10, 0.04, 0.13, 0.03, 0.05)
    assert unsure.word == "not shown" and f"about {unsure.more} more patients would decide" in unsure.sentence
    assert of(0.01, -0.01, 0.0, 0.01, 0.0).more is None
    assert of(-0.021, -0.049, -0.026).sentence.startswith("the mean Dice falls by 0.032, not proved: that needs at least 5")
    assert of(0.15, 0.05, -0.04, -0.04, -0.03).sentence.startswith("too few patients to tell whether the mean gain reaches 0.02")
    assert "hardly change that" in of(0.0195, 0.0196, 0.0194, 0.0199, 0.0185).sentence  # to +0.020, as it would be printed
    assert "more patients would hardly change that" in of(0.015, 0.016, 0.014, 0.017, 0.013).sentence


@given(st.sampled_from([0.0, -0.0004, -0.001, 0.0196, 0.02, 0.05, -0.03]), st.floats(-5, -0.8), st.integers(3, 12),
       st.integers(0, 2**32 - 1), st.integers(1, 3))  # fmt: skip
@settings(max_examples=300)
def test_no_sentence_says_more_than_the_interval_shows(mean, spread, patients, seed, tries):
    gains = np.random.default_rng(seed).normal(mean, 10**spread, patients)
    gains += np.random.default_rng(seed + 1).normal(0, 10**spread)
    said, told = of(*gains, tries=tries), forgotten([0.8] * patients, 0.8 + gains)
    (low, high), average, sentence = said.interval_95, said.mean_gain, said.sentence
    shown = {
        "shown to help": low > 0, "would decide": average >= 0.02, "no harm seen": average >= 0,
        "hardly change": round(high, 3) <= 0.02, "falls by": average < 0, "falls by 0.": average <= -0.005,
        "too few patients to tell whether": round(low, 3) < 0.02 < round(high, 3),
    }  # fmt: skip
    assert all(holds for words, holds in shown.items() if words in sentence), sentence
    assert said.word != "harm seen" or high < 0 and average <= -0.005 or gains.min() < -0.05
    assert ("nothing forgotten" in told) <= (low >= -0.03 and round(high, 3) >= 0) and ("loss is shown" in told) <= (high < 0)
    assert ("site is worse" in told) <= (high < 0) and "-0.000" not in sentence + told


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
    asked = [cases_to_decide(gain, 0.04, 5, 1) for gain in (0.12, 0.09, 0.07)]
    assert asked == sorted(asked) and asked[0] >= 1
    assert cases_to_decide(0.01, 0.01, 5, 1) is None and cases_to_decide(0.021, 0.3, 5, 1) is None


@pytest.mark.parametrize(("mean", "spread"), [(0.07, 0.04), (0.03, 0.02), (0.021, 0.005), (0.08, 0.05), (0.1, 0.08)])
def test_as_many_more_patients_as_are_told_decide_four_times_of_five_at_the_next_try(mean, spread):
    """Who adds them and runs it again makes another try, whose bar is higher; each of them may fall by more than 0.05."""
    more = cases_to_decide(mean, spread, 5, 2)
    draws = np.random.default_rng(0).normal(mean, spread, (1000, 5 + (more or 10)))
    t = draws.mean(1) / draws.std(1, ddof=1) * sqrt(draws.shape[1])
    reached = np.mean((t >= bar(draws.shape[1], 2)) & (draws.mean(1) >= 0.02) & (draws.min(1) >= -0.05))
    assert 0.77 < reached < 0.9 if more else reached < 0.77
    assert (more is None) == ((mean, spread) == (0.1, 0.08))  # of as many as t alone asks for, 43, one falls in 78 %


def test_forgetting_is_told_with_its_margin():
    assert forgotten([0.7] * 5, [0.7, 0.71, 0.69, 0.7, 0.7]).startswith("nothing forgotten")
    assert forgotten([0.8] * 5, [0.775, 0.774, 0.776, 0.773, 0.777]).startswith("a small loss is shown: Dice -0.025")
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
    assert false_proof.rare(draws=200)[5, 0.1] == pytest.approx(0.9**5, abs=0.1)  # nobody of those who lose is held out
    assert found[5, 0.15] > 0.9 and found[10, 0.08] > 0.9 and found[10, 0.03] < found[10, 0.05] < found[10, 0.08]


def test_contours_of_other_patients_are_pasted_in(shared, monkeypatch):
    monkeypatch.syspath_prepend(Path(false_proof.__file__).parent)
    names = ["STS_019", "STS_042"]
    put = false_proof.pasted(names, np.random.default_rng(0))
    own = false_proof.at_second_site(names)
    for case, as_drawn in zip(put, own, strict=True):
        assert case.label.GetSize() == case.study.ct.GetSize() and array(case.label).any()
        assert dice(case.label, as_drawn.label) < 0.9

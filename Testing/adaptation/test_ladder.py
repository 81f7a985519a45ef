"""The rungs: each does what it says and no more, one upon another, and the rule that recommends one of them."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from PEMMASegmentLib.adaptation import fewshot, resuming, whole
from PEMMASegmentLib.adaptation.fewshot import WeightUpdate
from PEMMASegmentLib.adaptation.fixes import THRESHOLDS, VOLUMES_ML, Flips, Stack, Threshold, choose, dice_table, joined
from PEMMASegmentLib.adaptation.ladder import judged, ladder, procedures
from PEMMASegmentLib.adaptation.maps import Maps
from PEMMASegmentLib.adaptation.proof import Pair, Proof, Scores, references
from PEMMASegmentLib.adaptation.record import nothing_recommended
from PEMMASegmentLib.adaptation.whole import WholeParameters
from PEMMASegmentLib.adapters import load, method, save
from PEMMASegmentLib.core import Cancelled, PemmaError
from PEMMASegmentLib.core.images import array
from PEMMASegmentLib.core.metrics import dice
from PEMMASegmentLib.core.progress import reached
from PEMMASegmentLib.inference import segment


class Book:
    """A ledger in memory."""

    def __init__(self):
        self.entries: list[dict] = []

    def tries(self) -> list[dict]:
        return self.entries

    def record_try(self, about: dict) -> None:
        self.entries.append(about)

    def check_tries(self) -> None:
        """Memory can always be written."""


def test_the_table_of_threshold_and_volume_is_what_counting_gives():
    probability, truth = np.zeros((8, 8, 8), np.float32), np.zeros((8, 8, 8), bool)
    probability[1:4, 1:4, 1:4], probability[6:, 6:, 6:], probability[0, 7, 0] = 0.7, 0.32, 0.32
    truth[1:4, 1:4, 2:5] = True
    table = dice_table(probability, truth, ml=0.07)
    at = lambda p, ml: table[THRESHOLDS.index(p), VOLUMES_ML.index(ml)]  # noqa: E731
    assert at(0.5, 0.5) == at(0.5, 1.0) == pytest.approx(2 * 18 / 54)
    assert at(0.3, 0.5) == pytest.approx(2 * 18 / 62)  # the corner counts as long as it is no too small lesion, a speck never
    assert at(0.3, 1.0) == at(0.5, 0.5) and at(0.3, 2.0) == 0.0 and at(0.8, 0.5) == 0.0


def test_a_few_cases_move_the_numbers_only_for_more_than_nothing():
    flat = np.full((len(THRESHOLDS), len(VOLUMES_ML)), 0.7)
    assert choose(flat, 0.8) == (0.8, 0.5)
    flat[THRESHOLDS.index(0.3), 2] = 0.704
    assert choose(flat, 0.8) == (0.8, 0.5)
    flat[THRESHOLDS.index(0.3), 2] = 0.72
    assert choose(flat, 0.8) == (0.3, 2.0)


def test_two_numbers_are_refitted_and_act(model, cases):
    fitted = Threshold(device="cpu").fit(model, cases, "ct+pet")
    assert not fitted.tensors and not fitted.card.trains and fitted.card.threshold in THRESHOLDS
    scores = [[dice(segment(c.study, model, adapter=a, inputs="ct+pet").label, c.label) for c in cases] for a in (None, fitted)]
    assert np.mean(scores[1]) > np.mean(scores[0]) + 0.01  # an untrained network's 0.5 is no good threshold


@pytest.mark.parametrize("everything", [False, True])
def test_whole_parameters_are_trained_stored_and_the_base_keeps_its_bits(model, cases, tmp_path, everything):
    before = {n: t.clone() for n, t in model.net.state_dict().items()}
    how, losses = WholeParameters(everything, steps=10, device="cpu"), []
    made = how.fit(model, cases, "ct+pet", 0, lambda _, words: losses.append(reached(words).loss) if "loss" in words else 0)
    assert len(losses) == 10 and (not everything or np.mean(losses[-3:]) < np.mean(losses[:3]))  # norms are slow
    assert all(torch.equal(t, before[n]) for n, t in model.net.state_dict().items())
    names = set(made.card.parameters)
    assert {"base.vit.norm.weight", "fused.out.conv.conv.weight"} <= names
    assert ("base.vit.blocks.0.attn.qkv.weight" in names) == everything
    assert not any("norm_cross_attn" in n or n.startswith("base.decoder2") for n in names)  # nothing that never runs
    assert everything == (made.card.trained_share > 0.5)
    save(tmp_path / "a", made.tensors, made.card)
    stored = load(tmp_path / "a", model.identity)
    again = how.fit(model, cases, "ct+pet", 0)
    assert all(torch.equal(t, again.tensors[n]) and torch.equal(t, stored.tensors[n]) for n, t in made.tensors.items())
    changed, plain = (segment(cases[0].study, model, adapter=a, inputs="ct+pet").probability for a in (stored, None))
    assert not np.allclose(array(changed), array(plain), atol=1e-3)


def test_whole_parameters_go_on_where_they_were_stopped(model, cases, tmp_path, monkeypatch):
    monkeypatch.setattr(resuming, "CHECKPOINT_SECONDS", 0.0)
    straight = WholeParameters(steps=4, device="cpu").fit(model, cases[:1], "ct+pet")
    how, steps = WholeParameters(steps=4, device="cpu", work=tmp_path), []

    def stopping(_fraction, words):
        if "loss" in words:
            steps.append(words.split(",")[0])
            if len(steps) == 2:
                raise Cancelled

    with pytest.raises(Cancelled):
        how.fit(model, cases[:1], "ct+pet", 0, stopping)
    made = [how.fit(model, cases[:1], "ct+pet", 0, stopping) for _ in range(2)]
    assert steps == [f"step {n} of 4" for n in (1, 2, 3, 4)]  # none twice, and a finished run is only read
    assert all(torch.equal(t, one.tensors[n]) for n, t in straight.tensors.items() for one in made)
    monkeypatch.setattr(whole, "resumed", lambda work, key, *_: key)
    key = how.fit(model, cases[:1], "ct+pet")
    monkeypatch.setattr(fewshot, "choose_device", lambda device: SimpleNamespace(device=torch.device("cuda")))  # none here
    assert how.fit(model, cases[:1], "ct+pet") != key  # what a GPU has done is not gone on with on the CPU


def test_one_upon_another_holds_the_parts_of_all(model, cases):
    lora = WeightUpdate(method("lora"), steps=3, device="cpu")
    both = Stack((Maps(), lora, Threshold(device="cpu"), Flips()))
    assert both.name == "maps+lora+threshold+flips"
    made = both.fit(model, cases, "ct+pet")
    card = made.card
    assert card.intensity and card.flips and card.threshold and card.targets and made.tensors
    assert card.base == model.identity and card.training["cases"] == 3 and "pet_scale" in card.training
    found = segment(cases[0].study, model, adapter=made, inputs="ct+pet")
    assert len(found.adapter_parts) >= 5 and found.adapter == made.identity
    with pytest.raises(ValueError, match="two updates"):
        joined(made, made)


def test_the_ladder_runs_all_rungs_on_the_same_patients_and_each_is_a_try(model, cases):
    rungs = [rung for rung in procedures(model, "ct+pet") if not isinstance(rung, WeightUpdate | WholeParameters)]
    assert [rung.name for rung in rungs] == ["threshold", "maps+threshold", "maps+threshold+flips"]
    book, told = Book(), []
    found = ladder(model, cases, rungs, "ct+pet", book, progress=lambda fraction, words: told.append((fraction, words)))
    assert len(book.entries) == 3 and all(rung.verdict.tries == 3 for rung in found.rungs)
    assert {tuple(p.case for p in rung.proof.pairs) for rung in found.rungs} == {("case0", "case1", "case2")}
    assert found.recommended is None and "needs 5" in found.sentence  # three patients prove nothing
    assert told[-1][0] == pytest.approx(1.0) and [f for f, _ in told] == sorted(f for f, _ in told)
    assert told[0][1].startswith("threshold: fold 1 of 3")
    with pytest.raises(PemmaError, match="ladder-cases"):
        ladder(model, cases[:2], rungs, "ct+pet", book)


def test_the_usual_rungs(model):
    names = [rung.name for rung in procedures(model, "ct+pet")]
    assert names == ["threshold", "maps+threshold", "maps+threshold+flips", "norm+out", "salt"]
    assert procedures(model, "ct+pet", steps=7)[3].steps == 7  # the effort asked for is that of all rungs
    asked = repr(procedures(model, "ct+pet", (), device="cpu"))  # no rung goes to another device than asked for
    assert asked.count("device='cpu'") == 4 and "auto" not in asked
    without = replace(model, folder=model.folder / "nowhere")
    assert not references(without, "ct+pet")
    assert [rung.name for rung in procedures(without, "ct+pet")][:3] == ["threshold", "threshold+flips", "norm+out"]


@pytest.mark.parametrize(
    "gains, expected",
    [
        ([0.0, 0.0, 0.0], None),
        ([0.10, 0.10, 0.10], 0),  # nothing above the first adds to it
        ([0.0, 0.10, 0.10], 1),
        ([0.10, 0.10, 0.20], 2),
        ([0.10, 0.0, 0.11], 0),  # 0.01 more is not worth it
        ([-0.10, 0.10, 0.0], 1),
    ],
)
def test_the_cheapest_rung_that_no_successor_is_shown_to_beat_is_recommended(gains, expected):
    rungs = [Threshold(), Maps(), Flips()]
    found = judged(rungs, [proof(gain) for gain in gains], tries=3)
    assert found.recommended == expected
    assert ("go on with the base" in found.sentence) == (expected is None)
    assert expected is None or f"recommended: {rungs[expected].name}" in found.sentence


def proof(gain: float, patients: int = 8) -> Proof:
    """Scores of which the gain is the same for all patients but for a little."""
    before = np.linspace(0.5, 0.7, patients)
    after = before + gain + np.linspace(-0.005, 0.005, patients)
    score = lambda value: Scores(value, value, 0.0, 0.0)  # noqa: E731
    none = frozenset()
    pairs = (Pair(f"c{n}", f"p{n}", score(b), score(a), none, none) for n, (b, a) in enumerate(zip(before, after, strict=True)))
    return Proof(tuple(pairs), patients)


def missing(of: Proof, before: set[int], after: set[int]) -> Proof:
    """The same, where the labels of the first patient miss these lesions."""
    first = replace(of.pairs[0], missed_before=frozenset(before), missed_after=frozenset(after))
    return replace(of, pairs=(first, *of.pairs[1:]))


def test_harm_is_never_recommended():
    harmful = missing(proof(0.10), set(), {1})
    one = judged([Threshold(), Maps()], [proof(0.0), harmful], tries=2)
    assert one.recommended is None and nothing_recommended(one, 0, "ct", 1.0)["verdict"] == "not shown"
    every = judged([Threshold(), Maps()], [proof(-0.10), harmful], tries=2)
    told = nothing_recommended(every, 0, "ct", 1.0)
    assert {row["verdict"] for row in told["ladder"]} == {told["verdict"]} == {"harm seen"} and "every rung" in told["sentence"]


def test_a_lesion_found_makes_up_for_none_that_is_lost():
    """Against the rung below: lesion 2 is found there and lost here, lesion 1 the other way round, the base finds neither."""
    below, above = missing(proof(0.0), {1, 2}, {1}), missing(proof(0.10), {1, 2}, {2})
    found = judged([Threshold(), Maps()], [below, above], tries=2)
    assert [rung.verdict.word for rung in found.rungs] == ["not shown", "accepted"] and found.recommended == 1
    assert found.rungs[1].steps[0].word == "harm seen"
    swapped = missing(proof(0.20), {2}, {1})  # against the base as well
    assert swapped.newly_missed == 1 and judged([Maps()], [swapped], tries=1).recommended is None

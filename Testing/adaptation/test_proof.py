"""The proof: who is held out from what, when scores are opened, what is a lesion, what the ledger counts."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from PEMMASegmentLib.adaptation import ledger, proof
from PEMMASegmentLib.adaptation.blind import Blind
from PEMMASegmentLib.adaptation.blind import scores as blind_scores
from PEMMASegmentLib.adaptation.library import CaseLibrary
from PEMMASegmentLib.adaptation.proof import Proof, Scores, dealt, labels, lesions, pair, prove, references, scores
from PEMMASegmentLib.adaptation.verdict import verdict
from PEMMASegmentLib.adapters import AdapterCard
from PEMMASegmentLib.adapters.files import Adapter
from PEMMASegmentLib.core import Identity
from PEMMASegmentLib.core.images import array, like
from PEMMASegmentLib.inference import segment

from . import hospital
from .procedures import Threshold


def test_every_patient_is_held_out_once_with_all_cases_and_only_own_contours_count(model, five):
    twice, corrected = hospital.case(5, patient="P0"), hospital.case(6, patient="P1", independent=False)
    only_corrected = hospital.case(7, independent=False)
    cases = [*five[:3], twice, corrected, only_corrected]
    how = Threshold()
    found = prove(how, model, cases, "ct+pet")
    assert found.folds == 3 and [pair.case for pair in found.pairs] == ["case0", "case1", "case2", "case5"]
    assert how.given == [["case1", "case2", "case6", "case7"], ["case0", "case2", "case5", "case7"],
                         ["case0", "case1", "case5", "case6", "case7"]]
    before, after = found.by_patient()
    assert len(before) == len(after) == 3
    assert after[0] == pytest.approx(np.mean([p.after.dice for p in found.pairs if p.patient == "P0"]))
    many = [hospital.case(0, patient=f"P{n:02}") for n in range(12)]
    assert [len(fold) for fold in dealt(many)] == [3, 3, 2, 2, 2] and sorted(sum(dealt(many), ())) == [c.patient for c in many]


def test_scores_are_opened_once_at_the_end_after_the_ledger(model, five, monkeypatch):
    order = []
    how = Threshold()
    real = proof.scores
    monkeypatch.setattr(proof, "scores", lambda *labels: order.append("score") or real(*labels))
    prove(how, model, five[:3], "ct+pet", opening=lambda: order.append(f"opened after {len(how.given)} trainings"))
    assert order == ["opened after 3 trainings", *["score"] * 6]


def test_a_lesion_that_only_the_base_touches_is_newly_missed(five):
    case = five[0]
    voxels = array(case.label)
    voxels[:2, :3, :3] = 1  # a second lesion, in a corner
    case = replace(case, label=like(voxels, case.label))
    one_left = voxels.copy()
    one_left[:2, :3, :3] = 0
    both, one, none = (like(v, case.label) for v in (voxels, one_left, voxels * 0))
    assert [pair(case, *two).newly_missed for two in ((both, both), (both, one), (one, both), (both, none), (none, one))] \
        == [0, 1, 0, 2, 0]  # fmt: skip
    assert "missed that the base finds (parts of a contour closer than 10 mm" in verdict([0.6] * 5, [0.7] * 5, 1, 1).sentence
    figures = pair(case, both, none)
    assert (figures.before.dice, figures.before.missed_ml, figures.after.dice, figures.after.extra_ml) == (1, 0, 0, 0)
    assert figures.after.missed_ml == pytest.approx(voxels.sum() * 0.216)


def test_a_speck_is_no_lesion_in_a_proof_as_in_a_result(model, five):
    """An adapter that leaves a voxel (0.2 ml) of what the base finds has lost it: the user is not given specks."""
    probability = array(segment(five[0].study, model).probability)
    at = np.unravel_index(probability.argmax(), probability.shape)
    voxels = probability * 0
    voxels[tuple(slice(n - 1, n + 2) for n in at)] = 1
    case = replace(five[0], label=like(voxels.astype(np.uint8), five[0].label))
    card = AdapterCard("t", "1", None, "", (), model.identity, "ct+pet", threshold=float(probability.max()))
    speck = Adapter(card, {})
    assert array(segment(case.study, model, adapter=speck).label).sum() == 1
    [(_, before, after)] = labels(model, speck, [case], "ct+pet")
    assert not array(after).any() and pair(case, before, after).newly_missed == 1
    base, adapted = blind_scores(case.study, case.label, Blind(lambda: (model, speck)))
    assert adapted.missed_ml == pytest.approx(27 * 0.216) and base.dice == scores(before, case.label).dice
    kept = Adapter(replace(card, min_volume_ml=0.0), {})  # what the adapter's card says holds
    [(_, _, after)] = labels(model, kept, [case], "ct+pet")
    assert array(after).sum() == 1 and pair(case, before, after).newly_missed == 0


@pytest.mark.parametrize(("apart", "count", "bridged"), [(9.9, 1, 1), (10.1, 2, 1), (29.9, 2, 1), (30.1, 2, 2)])
def test_fragments_of_one_tumour_are_one_lesion_and_two_tumours_are_two(five, apart, count, bridged):
    """Two parts of 0.59 ml each, `apart` mm between their nearest voxel centres, and a speck that does not count.

    bridged: how many lesions they are where the base's label holds both, and what lies between.
    """
    voxels = np.zeros((10, 12, 40), np.uint8)
    voxels[2:7, 2:8, 2:5], voxels[2:7, 2:8, 14:17], voxels[9, 11, 39] = 1, 1, 1
    truth = sitk.GetImageFromArray(voxels)
    truth.SetSpacing((apart / 10, 20 / apart, 3.3))
    first, over = np.copy(voxels), np.copy(voxels)
    first[:, :, 14:], over[4, 4, 2:17] = 0, 1
    case, one, none, whole = replace(five[0], label=truth), *(like(v, truth) for v in (first, voxels * 0, over))
    assert lesions(truth, none).max() == count and lesions(truth, whole).max() == bridged
    assert lesions(truth, none)[9, 11, 39] == 0 and lesions(none, truth).max() == 0
    assert [pair(case, truth, found).newly_missed for found in (truth, one, none)] == [0, count - 1, count]
    assert [pair(case, whole, found).newly_missed for found in (truth, one, none)] == [0, bridged - 1, bridged]


def test_many_lesions_take_no_more_memory_than_few(five):
    """A whole body has a hundred million voxels and may have fifty lesions."""
    voxels = np.zeros((60, 60, 60), np.uint8)
    for corner in np.ndindex(4, 4, 4):
        voxels[tuple(slice(15 * n, 15 * n + 5) for n in corner)] = 1
    truth = like(voxels, sitk.GetImageFromArray(voxels))
    truth.SetSpacing((2.0, 2.0, 2.0))
    tracemalloc.start()
    assert lesions(truth, truth).max() == 64
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 30 * voxels.size


def test_the_reference_cases_are_the_models_own(model):
    assert [case.id for case in references(model, "pet")] == ["R90", "R91"]
    assert references(replace(model, folder=model.folder / "reference"), "ct") == []


def test_the_ledger_counts_looks_at_these_patients_and_forgets_nothing(tmp_path):
    book = CaseLibrary(tmp_path / "library")
    base = Identity("tiny", "1", "ab")
    entry = lambda at, patients, seed=0: ledger.about(Threshold(at), base, ["d1"], "ct", seed, patients)  # noqa: E731
    assert ledger.open_scores(book, entry(0.4, ["P1", "P2"])).count == 1
    assert ledger.open_scores(book, entry(0.4, ["P1", "P2"])).count == 1  # the same try: the same scores
    assert ledger.open_scores(book, entry(0.5, ["P2", "P3"])).count == 2
    assert ledger.open_scores(book, entry(0.5, ["P2", "P3"], seed=1)).count == 3
    assert ledger.open_scores(book, entry(0.4, ["P8"])).count == 1  # nobody has looked at that patient
    on_gpu = [ledger.about(Threshold(0.4), base, ["d1"], "ct", 0, ["P8"], "cuda")["try"] for _ in range(2)]
    assert on_gpu[0] != on_gpu[1]  # the sums of a GPU come in any order: other scores, another look
    cases = [hospital.case(0), hospital.case(1), hospital.case(0, patient="P1", independent=False)]
    others = [cases[::-1],  # windows are drawn by position
              [hospital.case(0), hospital.case(1, patient="P7"), cases[2]],  # added anew with --patient: other folds
              [*cases[:2], hospital.case(0, patient="P0", independent=False)], [*cases[:2], hospital.case(0, patient="P1")]]
    tries = [ledger.about(Threshold(0.4), base, ledger.stated(given), "ct", 0, ["P0", "P1"])["try"]
             for given in (cases, list(cases), *others)]
    assert tries[0] == tries[1] and len(set(tries)) == 5
    assert ledger.images_of(cases, ["P0"]) == ledger.images_of([hospital.case(0)], ["P0"]) != ledger.images_of(cases, ["P1"])
    sorted((book.folder / "tries").glob("*.json"))[0].unlink()
    again = ledger.open_scores(book, entry(0.6, ["P1"]))
    assert again.lost == 1 and again.count == 2


def test_a_patient_is_harmed_who_is_harmed_in_one_study(model, five):
    found = prove(Threshold(0.45), model, [*five[:4], hospital.case(5, patient="P0")], "ct+pet")
    score = lambda dice: Scores(dice, dice, 0.0, 0.0)  # noqa: E731
    gains = dict(zip(found.pairs, (0.3, 0.05, 0.052, 0.05, -0.2), strict=True))  # P0: +0.3 and -0.2
    pairs = tuple(replace(one, before=score(0.5), after=score(0.5 + gain)) for one, gain in gains.items())
    said = Proof(pairs, 4).judged(1)
    assert said.mean_gain == pytest.approx(0.0505) and said.word == "harm seen" and "in a study" in said.sentence
    assert Proof(pairs[:4], 4).judged(1).word == "not shown"


def test_a_try_of_another_version_is_another_try(monkeypatch):
    now = ledger.about(Threshold(), Identity("tiny", "1", "ab"), ["d1"], "ct", 0, ["P1"])["try"]
    monkeypatch.setattr(ledger, "__version__", "another")
    assert ledger.about(Threshold(), Identity("tiny", "1", "ab"), ["d1"], "ct", 0, ["P1"])["try"] != now

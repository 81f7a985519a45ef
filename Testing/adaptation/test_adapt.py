"""From cases to an adapter with its proof: what is written when, what a stopped run leaves, what is refused."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from pydicom import Dataset

from PEMMASegmentLib.adaptation.adapt import adapt, check_out, checked, climb, common_inputs, in_words, seconds_left
from PEMMASegmentLib.adaptation.ladder import procedures
from PEMMASegmentLib.adaptation.library import CaseLibrary
from PEMMASegmentLib.adaptation.maps import Maps, fit_maps
from PEMMASegmentLib.adaptation.proof import prove, references
from PEMMASegmentLib.adaptation.types import label_of_lesions
from PEMMASegmentLib.adaptation.verdict import verdict
from PEMMASegmentLib.adapters import load, read_card, write_card
from PEMMASegmentLib.core import Cancelled, PemmaError
from PEMMASegmentLib.core.images import array
from PEMMASegmentLib.core.progress import reached
from PEMMASegmentLib.inference import segment
from PEMMASegmentLib.study.types import Suv

from . import hospital
from .procedures import Threshold


def test_a_reference_case_among_the_cases_tells_nothing_of_what_is_forgotten(model, five, tmp_path):
    trained_on = replace(references(model, "ct+pet")[0], id="ours", patient="P9")
    for make in (lambda: adapt(model, [*five[:2], trained_on], Threshold(), tmp_path / "out", CaseLibrary(tmp_path / "book")),
                 lambda: climb(model, _well_segmented(model, [*five, trained_on]), [Threshold(0.45)], tmp_path / "out",
                               CaseLibrary(tmp_path / "book"))):  # fmt: skip
        reference = make()["reference"]
        assert [row["case"] for row in reference["cases"]] == ["R91"]
        assert "only one other reference case" in reference["sentence"] and "1 left out" in reference["sentence"]
    site = [case.study for case in [*five[:2], trained_on]]
    own = [case.study for case in references(model, "ct+pet")]
    [alone, both] = [fit_maps(site, one, "ct+pet") for one in (own[1:], own)]
    assert Maps().fit(model, [*five[:2], trained_on], "ct+pet").card.intensity == alone != both
    with pytest.raises(PemmaError, match="among the cases"):  # also of the fold that holds the one case of them out
        prove(Maps(), model, [*five[:2], *(replace(one, patient="P9") for one in references(model, "ct+pet"))], "ct+pet")
    with pytest.raises(PemmaError, match="among the cases"):
        Maps().fit(model, references(model, "ct+pet"), "ct+pet")
    rungs = procedures(model, "ct+pet", cases=references(model, "ct+pet"))
    assert not any("maps" in rung.name for rung in rungs)


def once_there(do):
    """A callback of progress that does something once the adapter can be used."""
    left = [do]

    def progress(_fraction, words):
        if reached(words).there and left:
            left.pop()()

    return progress


def test_the_adapter_is_there_before_its_proof_and_the_card_is_written_again(model, five, tmp_path):
    out, book, seen = tmp_path / "out", CaseLibrary(tmp_path / "book"), []
    words, look = [], once_there(lambda: seen.append((read_card(out).verdict, len(book.tries()))))
    record = adapt(model, five, Threshold(), out, book, progress=lambda f, w: (words.append((f, w)), look(f, w)))
    assert seen == [("", 0)] and len(book.tries()) == 1
    card = read_card(out)
    assert card.verdict == record["verdict"] and card.scores["mean_gain"] == record["mean_gain"]
    assert len(record["cases"]) == 5 and len(record["reference"]["cases"]) == 2 and record["tries"] == 1
    assert [f for f, _ in words] == sorted(f for f, _ in words) and words[-1][0] == pytest.approx(1)
    assert load(out, model.identity).card.training["patients"] == 5
    text = (out / "adapter.json").read_text("utf-8")
    assert "case3" not in text and "P3" not in text
    assert adapt(model, five, Threshold(0.3), out, book)["tries"] == 2  # another try, and `out` is replaced
    assert read_card(out).threshold == 0.3
    renamed = [replace(case, patient=f"Q{n}") for n, case in enumerate(five)]  # taken out and added again with --patient
    assert adapt(model, renamed, Threshold(0.3), out, book)["tries"] == 3


def test_from_the_scores_on_the_card_anybody_can_reckon_the_verdict(model, five, tmp_path):
    """The mean of the rows is not that of the patients where one of them has two studies."""
    cases = [*five, hospital.case(5, patient="P0")]
    record = adapt(model, cases, Threshold(0.3), tmp_path / "out", CaseLibrary(tmp_path / "book"))
    scores = read_card(tmp_path / "out").scores
    assert [row["patient"] for row in scores["cases"]] == [f"patient {n}" for n in (1, 2, 3, 4, 5, 1)]
    gains = {}
    for row in scores["cases"]:
        gains.setdefault(row["patient"], []).append(row["after"] - row["before"])
    means, worst = [np.mean(of) for of in gains.values()], [min(of) for of in gains.values()]
    assert np.mean(means) == pytest.approx(scores["mean_gain"])
    again = verdict([0.0] * 5, means, scores["tries"], sum(row["newly_missed"] for row in scores["cases"]), worst)
    assert (again.word, again.sentence) == (record["verdict"], record["sentence"])


def test_a_stopped_proof_leaves_the_adapter_and_opens_no_score(model, five, tmp_path):
    out, book = tmp_path / "out", CaseLibrary(tmp_path / "book")

    def stop(fraction, words):
        if "fold 3" in words:
            raise Cancelled

    with pytest.raises(Cancelled):
        adapt(model, five, Threshold(), out, book, progress=stop)
    assert load(out, model.identity).card.verdict == "" and not book.folder.exists()
    assert [f.name for f in tmp_path.iterdir()] == ["out"]


def test_an_adapter_that_cannot_be_written_leaves_the_earlier_one(model, five, tmp_path, monkeypatch):
    out, book = tmp_path / "out", CaseLibrary(tmp_path / "book")
    adapt(model, five[:1], Threshold(0.3), out, book)
    (out / ".writing-left").write_text("by a run that was killed")
    real = os.rename

    def full(source, target):
        if str(source).endswith("new"):
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(PemmaError, match="No space left"):
        adapt(model, five[:1], Threshold(0.4), out, book)
    assert read_card(out).threshold == 0.3 and [f.name for f in tmp_path.iterdir()] == ["out"]


def test_a_proof_whose_adapter_was_replaced_or_is_gone_is_told_all_the_same(model, five, tmp_path):
    """Its try stands in the ledger: once looked at, the scores must not be lost."""
    out, book = tmp_path / "out", CaseLibrary(tmp_path / "book")

    def other() -> None:
        write_card(out, replace(read_card(out), name="another", threshold=0.9))

    record = adapt(model, five, Threshold(0.4), out, book, progress=once_there(other))
    assert record["proof_unwritten"]["code"] == "adapter-replaced" and len(record["cases"]) == 5 and record["tries"] == 1
    assert read_card(out).name == "another" and read_card(out).verdict == ""
    record = adapt(model, five, Threshold(0.4), tmp_path / "gone", book,
                   progress=once_there(lambda: shutil.rmtree(tmp_path / "gone")))
    assert record["proof_unwritten"]["code"] == "adapter-missing" and record["proof_unwritten"]["way_out"]
    assert "could not be written onto the adapter: it is no longer" in record["note"] and not (tmp_path / "gone").exists()


def test_a_note_written_during_the_proof_stays(model, five, tmp_path):
    out, book = tmp_path / "out", CaseLibrary(tmp_path / "book")
    noted = once_there(lambda: write_card(out, replace(read_card(out), note="thick slices")))
    adapt(model, five, Threshold(0.4), out, book, progress=noted)
    assert read_card(out).note == "thick slices" and read_card(out).verdict


def test_a_ledger_that_cannot_be_written_is_told_before_any_work(model, five, tmp_path):
    """A folder that can only be read can't be had by who may write everywhere; a file in its place can't be written either."""
    out, book, how = tmp_path / "out", CaseLibrary(tmp_path / "book"), Threshold()
    book.pseudonym("Anna")
    (book.folder / "tries").write_text("")
    asked = {"cannot-write": "copy the whole library", "library-key": "import them into a new library"}
    for code, way_out in asked.items():
        for work in (adapt, lambda model, cases, how, out, book: climb(model, cases, [how], out, book)):
            with pytest.raises(PemmaError) as refused:
                work(model, five, how, out, book)
            assert refused.value.code == code and way_out in refused.value.way_out
        (book.folder / "tries").unlink(missing_ok=True)
        (book.folder / "cases").mkdir(exist_ok=True)
        shutil.rmtree(book.folder / "private", ignore_errors=True)  # as a copy of the cases alone
    assert not how.given and not out.exists()
    assert adapt(model, five[:2], how, out, book)["verdict"] == "too few cases"  # nothing is tried


def test_too_few_patients_give_an_adapter_and_say_so(model, five, tmp_path):
    book = CaseLibrary(tmp_path / "book")
    record = adapt(model, five[:2], Threshold(), tmp_path / "out", book)
    assert record["verdict"] == "too few cases" and record["cases"] == [] and "add at least 3 more" in record["sentence"]
    assert record["tries"] == 0 and not book.folder.exists() and read_card(tmp_path / "out").verdict == "too few cases"
    assert "--patient" not in record["sentence"]


@pytest.mark.parametrize(("kept", "told"), [(0.09, True), (0.1, False), (None, False)])
def test_an_adapter_that_learned_next_to_nothing_says_so(model, five, tmp_path, kept, told):
    """The less the base misses, the less of a training is kept: of cases that were hardly corrected, next to nothing."""
    how = Threshold(training={} if kept is None else {"strength": kept})
    record = adapt(model, five[:1], how, tmp_path / "out", CaseLibrary(tmp_path / "book"))
    assert ("almost nothing was learned" in record["note"]) == told


def test_cases_of_one_patient_id_are_told_apart_from_too_few(model, five, tmp_path):
    """Anonymised archives often give everybody the same Patient ID; and SUVs with a typed weight stay known as such."""
    typed = replace(five[0].study, suv=Suv("typed", 1.0, ("weight",)))
    cases = [replace(five[0], study=typed), *five[1:]]
    alike = [replace(case, patient="P") for case in cases]
    record = adapt(model, alike, Threshold(), tmp_path / "out", CaseLibrary(tmp_path / "book"))
    assert record["verdict"] == "too few cases" and "5 cases have 1 Patient ID; " in record["sentence"]
    card = read_card(tmp_path / "out")
    assert "--patient" in record["sentence"] and card.training["suv_typed"] == ["weight"]
    assert set(card.origin) == {"ct_voxels_mm", "pet_voxels_mm"}
    adapt(model, alike, Threshold(), tmp_path / "out", CaseLibrary(tmp_path / "book"), inputs="ct")
    assert set(read_card(tmp_path / "out").origin) == {"ct_voxels_mm"}  # of the PET that it was not given it knows nothing


def test_what_cannot_be_done_is_refused_with_a_way_out(model, five, tmp_path):
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    book = CaseLibrary(tmp_path / "book")
    mixed = [hospital.case(0, without="pet"), hospital.case(1, without="ct")]
    asked = {"out-not-empty": lambda: check_out(foreign), "out-is-a-file": lambda: check_out(tmp_path / "file"),
             "adapt-cases": lambda: adapt(model, [], Threshold(), tmp_path / "o", book),
             "adapt-inputs": lambda: common_inputs(model, mixed, "auto")}
    for code, ask in asked.items():
        with pytest.raises(PemmaError) as refused:
            ask()
        assert refused.value.code == code and refused.value.way_out
    assert "pemma-segment cases export" in refused.value.way_out  # all cases of a library are taken
    assert (foreign / "thesis.txt").read_text() == "mine"
    assert common_inputs(model, [*five, mixed[0]], "auto") == "ct"


def test_a_name_that_the_headers_of_a_case_state_names_no_adapter(model, five, tmp_path):
    header = Dataset()
    header.PatientName, header.PatientID, header.PatientBirthDate = "Doe^Jane", "4711-0815", "19331122"
    cases = [*five[:2], replace(five[2], study=replace(five[2].study, pet_headers=(header,)))]
    for name in ("doe-1", "ward_47110815", "salt-22111933"):
        with pytest.raises(PemmaError, match="adapter-identity"):
            checked(model, cases, tmp_path / "o", "auto", name)
    checked(model, cases, tmp_path / "o", "auto", "doable-4711")


def _well_segmented(model, cases):
    """Cases whose contours are what the base gives at a threshold of 0.45."""
    return [replace(case, label=label_of_lesions(segment(case.study, model, threshold=0.45))) for case in cases]


def test_the_ladder_delivers_the_rung_that_it_recommends_or_nothing(model, five, tmp_path):
    marked = _well_segmented(model, five)
    assert 0.02 < np.mean([array(case.label).mean() for case in marked]) < 0.98
    out, book, told = tmp_path / "out", CaseLibrary(tmp_path / "book"), []
    rungs = [Threshold(0.45, "right"), Threshold(0.46, "near")]
    record = climb(model, marked, rungs, out, book, progress=lambda *one: told.append(one))
    assert told[-1][0] == pytest.approx(1) and "what is forgotten" in told[-1][1]  # so that it can be cancelled there too
    assert record["recommended"] == "right" and record["verdict"] == "accepted" and len(record["ladder"]) == 2
    assert read_card(out).threshold == 0.45 and read_card(out).verdict == "accepted" and record["tries"] == 2
    assert record["ladder"][0]["after"] == [1.0] * 5
    renamed = [replace(case, patient=f"Q{case.patient}") for case in marked]
    none = climb(model, renamed, [Threshold(0.5, "base")], tmp_path / "other", book)
    assert none["tries"] == 3
    assert none["recommended"] is None and none["cases"] == [] and not (tmp_path / "other").exists()
    assert set(none) - {"ladder", "recommended"} == set(record) - {"ladder", "recommended"}


def test_time_left_in_words():
    assert [in_words(s) for s in (3, 44, 89, 100, 600)] == ["10 s", "40 s", "90 s", "2 min", "10 min"]


def test_the_time_left_of_a_run_that_goes_on_is_not_that_of_what_was_done_before():
    steady = [(2.0 * n, 0.01 * n) for n in range(20)]  # 2 s for a hundredth
    assert seconds_left(steady) == pytest.approx(162) and seconds_left(steady[:4]) is None
    resumed = [(0.0, 0.0), (3.0, 0.001), *((5.0 + 2 * n, 0.5 + 0.01 * n) for n in range(20))]
    assert seconds_left(resumed) == pytest.approx(0.31 * 200, rel=0.1)

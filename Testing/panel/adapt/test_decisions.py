"""What is said of an adapter's proof, and what the user decides on it."""

import pytest

from ..conftest import click, wait
from .clicks import cell, full_disk, renamed, saved

pytest.importorskip("slicer", reason="needs the package slicer-core", exc_type=ImportError)
pytest.importorskip("PyQt5.QtWidgets", reason="needs the package PyQt5", exc_type=ImportError)


def test_the_box_of_adapters_tells_verdicts_and_asks(module, inside, home, tiny, asked, monkeypatch):
    """As Use does: an adapter that is not accepted is in use after a yes; back to the base is one click."""
    import slicer

    saved(home / "adapters" / "good", tiny, "accepted", "helps")
    saved(home / "adapters" / "worse", tiny, "harm seen", "harm seen on a patient")
    panel, box = module.panel, module.panel.ui.adapterComboBox
    panel.chosen.adapter = str(home / "adapters" / "worse")  # as a scene may say
    panel.use(panel.chosen)
    assert [box.itemText(n) for n in range(3)] == ["none", "good 1: accepted", "worse 1: harm seen"]
    assert box.currentIndex == 2 and asked == []
    pick(box, 1)
    assert panel.chosen.adapter.endswith("good") and asked == []
    with monkeypatch.context() as patch:
        patch.setattr(slicer.util, "confirmOkCancelDisplay", lambda words, *_, **more: bool(asked.append(words)))
        pick(box, 2)
    assert "Harm seen on a patient" in asked[-1] and panel.chosen.adapter.endswith("good") and box.currentIndex == 1
    assert "good" in inside.ui.inUseLabel.text
    pick(box, 2)
    assert len(asked) == 2 and panel.chosen.adapter.endswith("worse")
    pick(box, 0)
    assert len(asked) == 2 and panel.chosen.adapter == ""


def pick(box, at: int) -> None:
    """As a click in the opened list does."""
    box.setCurrentIndex(at)
    box.activated.emit(at)


def test_what_is_said_of_the_proof_and_of_how_long_it_takes(app):
    """Figures over patients are told with the number of patients; a ladder proves first."""
    from PEMMASegmentLib.panel import adapt_adapters, adapt_methods, adapt_proof

    rows = [{"case": f"c{n}", "patient": patient, "before": 0.5, "after": after}
            for n, (patient, after) in enumerate([("P-1", 0.6), ("P-1", 0.8), ("P-2", 0.5), ("P-3", 0.5)])]  # fmt: skip
    record = {"verdict": "not shown", "sentence": "s", "mean_gain": 0.067, "interval_95": [-0.2, 0.3], "cases": rows,
              "reference": {"sentence": ""}, "note": ""}  # fmt: skip
    assert "3 held-out patient(s)" in adapt_proof.in_words(record)
    assert adapt_proof._mean(rows) == pytest.approx((0.5, 0.5 + 0.2 / 3))
    seconds = {"cases": 3, "seconds": 600.0, "seconds_proof": 1800.0}
    assert "10 min, its proof in about 30 min" in adapt_methods.in_words(seconds, "norm+out")
    assert "with their proofs in about 40 min" in adapt_methods.in_words(seconds, "ladder")
    few = seconds | {"seconds_proof": None}
    assert "adapter in about 10 min. Nothing will be proved" in adapt_methods.in_words(few, "salt")
    assert "need three patients" in adapt_methods.in_words(few, "ladder")
    card = {"name": "a", "check": "ok", "verdict": "", "training": {"case_ids": ["0a1b", "2c3d"]}, "scores": {}, "origin": {}}
    assert "Cases: 0a1b, 2c3d" in adapt_adapters._card(card) and "Cases:" not in adapt_adapters._card(card | {"training": {}})
    rows = [{"case": f"case {n}", "before": 0.5, "after": 0.6} | whose for n, whose in enumerate(({"patient": "patient 1"}, {}))]
    shown = adapt_adapters._card(card | {"scores": {"cases": rows}})
    assert "| case 0, patient 1 | 0.500 |" in shown and "| case 1 | 0.500 |" in shown  # older cards name no patients
    for odd in ({"sentence": 5}, {"cases": [{"case": "1"}]}, {"cases": 5}, {"reference": {"sentence": []}}, {"reference": [1]}):
        assert "figures can't be read" in adapt_adapters._card(card | {"scores": odd, "training": {"case_ids": 5}})


def test_what_is_decided_is_done_and_no_held_out_case_stays_in_the_views(
    app, module, inside, site, home, tiny, asked, tmp_path, monkeypatch
):
    """Used, kept, renamed, deleted in the manager, discarded while its result was under way; refused on a full disk."""
    import SimpleITK as sitk

    from PEMMASegmentLib.adaptation.library import CaseLibrary
    from PEMMASegmentLib.core.folders import work_held

    ui, panel, said = inside.ui, module.panel, module.panel.ui.messageLabel
    case, one = inside.cases.cards[0]["id"], home / "adapters" / "one"
    files = {when: tmp_path / f"{when}.nrrd" for when in ("before", "after")}
    for file in files.values():
        sitk.WriteImage(CaseLibrary(site).read(case).label, str(file))
    figures = {f"{name}{when}": 1.0 for name in ("missed_ml", "extra_ml", "surface_dice_5mm") for when in ("", "_before")}
    row = {"case": case, "patient": "P-1", "before": 0.5, "after": 0.6} | figures
    record = {"verdict": "accepted", "sentence": "s", "mean_gain": 0.1, "interval_95": [0.0, 0.2], "cases": [row],
              "reference": {"cases": [], "sentence": "r"}, "note": "n", "held_out": {case: files}}  # fmt: skip

    def compare() -> None:
        cell(ui.proofTable, 0)
        wait(app, lambda: "in orange" in ui.comparisonLabel.text)
        assert held_out()

    saved(one, tiny, "accepted", "helps")
    inside.proof.show(one, record)
    compare()
    panel.ui.adaptSection.collapsed = True
    assert not held_out() and "A click on a case" in ui.comparisonLabel.text
    panel.ui.adaptSection.collapsed = False
    compare()
    click(panel.ui.viewButton)
    assert not held_out()
    cell(ui.proofTable, 0)
    panel._adapt_section.clear_comparison()  # before the case was read
    wait(app, lambda: not panel.worker.busy)
    assert not held_out()
    compare()
    click(ui.useAdapterButton)
    assert panel.chosen.adapter == str(one) and asked == [] and not held_out()
    compare()
    click(ui.keepAdapterButton)
    assert "one is kept" in said.text and "is in use" in said.text and not held_out()

    ui.adaptersGroupBox.collapsed = False
    wait(app, lambda: ui.adapterTable.rowCount == 1)
    inside.proof.show(one, record)
    renamed(app, inside, "two", said)
    click(ui.discardAdapterButton)
    wait(app, lambda: "Discarded: two" in said.text)
    assert panel.chosen.adapter == "" and not list((home / "adapters").iterdir())
    saved(one, tiny, "accepted", "helps")
    inside.adapters.refresh()
    wait(app, lambda: ui.adapterTable.rowCount == 1)
    inside.proof.show(one, record)
    cell(ui.adapterTable, 0)
    click(ui.deleteAdapterButton)
    wait(app, lambda: "Deleted" in said.text)
    assert not ui.keepAdapterButton.enabled and not ui.discardAdapterButton.enabled

    saved(one, tiny, "accepted", "helps")
    inside._discarding = one
    inside._on_done(one, record)
    wait(app, lambda: "Discarded: one" in said.text)
    assert not one.exists() and not ui.useAdapterButton.enabled
    unfinished = home / "adapters" / ".another.unfinished"
    unfinished.mkdir()
    inside._on_stopped(home / "adapters" / "another", False)
    assert unfinished.is_dir() and "goes on where it stopped" in ui.verdictText.toPlainText()
    with work_held(home / "adapters" / "another"):  # in another window
        click(ui.discardAdapterButton)
        assert unfinished.is_dir() and "nother run is at work" in said.text
    click(ui.discardAdapterButton)
    assert not unfinished.exists() and "Discarded: another" in said.text

    wait(app, lambda: "on this computer" in ui.estimateLabel.text)
    full_disk(monkeypatch, inside.training.worker)
    click(ui.adaptButton)
    assert inside.training.out is None and "o temporary folder can be made" in said.text


def held_out() -> list:
    """Nodes of a held-out case in the scene."""
    import slicer

    return [node for node in slicer.util.getNodesByClass("vtkMRMLNode") if (node.GetName() or "").startswith("Held-out case")]


def test_an_adapter_that_is_gone_when_its_proof_ends_is_not_offered(inside, tmp_path):
    record = {"verdict": "too few cases", "sentence": "s", "mean_gain": None, "interval_95": None, "cases": [],
              "reference": {"cases": [], "sentence": "r"}, "note": "n", "held_out": {}}  # fmt: skip
    buttons = [getattr(inside.ui, f"{name}AdapterButton") for name in ("use", "keep", "discard")]
    for code, offered in (("cannot-write", True), ("adapter-missing", False), ("adapter-replaced", False)):
        inside.proof.show(tmp_path, record | {"proof_unwritten": {"code": code}})
        assert [button.enabled for button in buttons] == [offered] * 3

"""Adapt locally, with clicks: real cases, the real background processes, a tiny network and few steps of training."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from ..conftest import choosing, click, left_behind, wait
from .clicks import LONG, MINUTES, cell, everything, full_disk, picture, renamed
from .test_plot import columns

pytest.importorskip("slicer", reason="needs the package slicer-core", exc_type=ImportError)
pytest.importorskip("PyQt5.QtWidgets", reason="needs the package PyQt5", exc_type=ImportError)


def test_from_cases_to_an_adapter_in_use(app, module, inside, site, home, asked, monkeypatch):
    """Estimate, training with its curve, the adapter before its proof, verdict, comparison, use, manager, base."""
    ui, main, panel = inside.ui, module.panel.ui, module.panel
    wait(app, lambda: "on this computer" in ui.estimateLabel.text)
    assert "SALT: new strengths" in ui.estimateLabel.text
    ui.methodComboBox.currentText = "Threshold"
    wait(app, lambda: "as long as segmenting each" in ui.estimateLabel.text)
    assert not ui.effortComboBox.enabled and not ui.minutesSpinBox.enabled
    for method, told in (("Norms and last layer", "its proof in about"), ("Ladder", "with their proofs in about")):
        ui.methodComboBox.currentText = method
        wait(app, lambda told=told: told in ui.estimateLabel.text)
    ui.methodComboBox.currentText = "SALT"
    wait(app, lambda: inside.training._estimating is not None)  # Start does not wait for it
    click(ui.adaptButton)
    wait(app, lambda: inside.training.out is None or inside.training._asked.there)
    out = home / "adapters" / "salt-3-cases"
    assert inside.training.out == out and (out / "adapter.json").is_file(), main.messageLabel.text
    assert panel.chosen.adapter == "" and main.adapterComboBox.currentText == "none"  # never by itself
    assert [main.adapterComboBox.itemText(n) for n in range(main.adapterComboBox.count)][1:] == ["salt-3-cases 1: no proof"]
    click(ui.useAdapterButton)
    assert "not proved" in asked[-1] and panel.chosen.adapter == str(out)
    assert "salt-3-cases" in ui.inUseLabel.text
    picture(module, "adapt-1.png")
    of_another_tracer(out)
    click(main.segmentButton)
    wait(app, lambda: main.segmentButton.text == "Segment")
    assert inside.training.out == out, "the proof should still run"
    assert panel.run.segmentation.adapter.name == "salt-3-cases", main.messageLabel.text
    assert "another kind" in main.messageLabel.text and "tracer FDG (there FLT)" in main.messageLabel.text
    full_disk(monkeypatch, inside.training.worker)  # the proof is shown all the same
    wait(app, lambda: inside.training.out is None, 300)
    looks_right_after_the_proof(module, inside)
    compares(app, module, inside)
    picture(module, "adapt-2.png")
    click(ui.baseButton)
    assert panel.chosen.adapter == "" and main.adapterComboBox.currentText == "none" and not ui.baseButton.enabled
    click(ui.keepAdapterButton)
    assert "is off" in main.messageLabel.text and not ui.useAdapterButton.enabled
    manages(app, module, inside, home, asked)


def of_another_tracer(adapter: Path) -> None:
    """As if its cases had been made with another tracer; until its proof writes the card again."""
    card = json.loads((adapter / "adapter.json").read_text())
    card["origin"]["tracer"] = ["FLT"]
    (adapter / "adapter.json").write_text(json.dumps(card))


def looks_right_after_the_proof(module, inside) -> None:
    ui = inside.ui
    assert ui.proofTable.rowCount == 5  # three held out, two of the model's own
    words = ui.verdictText.toPlainText()
    assert ("not proved" in words or "arm seen" in words) and "95 % interval" in words and "trained on all cases" in words
    assert "3 held-out patient(s)" in words
    assert [ui.proofTable.verticalHeaderItem(row).text() for row in range(5)] == ["1", "2", "3", "", ""]  # as in the plot
    gains = [float(ui.proofTable.item(row, 3).text()) for row in range(3)]
    dots, ends = (columns(role) for role in ("table", "interval"))
    assert len(dots["Case"]) == 4 and dots["Adapter"][3] - dots["Base"][3] == pytest.approx(sum(gains) / 3, abs=0.001)
    assert sum(ends["Ends"]) / 2 == pytest.approx(dots["Adapter"][3]) and ends["Case"][0] == ends["Case"][1]
    assert "(model's)" in ui.proofTable.item(3, 0).text() and "→" in ui.proofTable.item(0, 4).text()
    assert module.panel.ui.messageLabel.text.startswith("The proof of salt-3-cases is done")


def compares(app, module, inside) -> None:
    """A click on a held-out case shows both segmentations in two colours; one on a reference case says why not."""
    import slicer

    ui = inside.ui
    cell(ui.proofTable, 0)
    wait(app, lambda: "in orange" in ui.comparisonLabel.text)
    [node] = [n for n in slicer.util.getNodesByClass("vtkMRMLSegmentationNode") if n.GetName() == "Held-out case"]
    segments = [node.GetSegmentation().GetNthSegment(n) for n in range(3)]
    assert [segment.GetName() for segment in segments] == ["Contour", "Base", "Adapter"]
    assert len({segment.GetColor() for segment in segments}) == 3 and node.GetHideFromEditors()
    assert slicer.modules.markups.logic().jumps
    cell(ui.proofTable, 3)
    assert "not kept" in ui.comparisonLabel.text


def manages(app, module, inside, home, asked) -> None:
    """Note, rename while in use, export, delete, import, use."""
    ui, panel, message = inside.ui, module.panel, module.panel.ui.messageLabel
    ui.adaptersGroupBox.collapsed = False
    wait(app, lambda: ui.adapterTable.rowCount == 1)
    cell(ui.adapterTable, 0)
    assert "3 case(s) of 3 patient(s)" in ui.adapterCardText.toPlainText() and "STS" not in ui.adapterCardText.toPlainText()
    assert all(card["id"] in ui.adapterCardText.toPlainText() for card in inside.cases.cards)
    click(ui.useSelectedButton)
    assert panel.chosen.adapter.endswith("salt-3-cases")
    renamed(app, inside, "ours", message)
    assert panel.chosen.adapter == str(home / "adapters" / "ours")
    cell(ui.adapterTable, 0)
    ui.adapterNoteEdit.text = "of the first three"
    click(ui.noteAdapterButton)
    wait(app, lambda: "note is kept" in message.text)
    cell(ui.adapterTable, 0)
    assert "of the first three" in ui.adapterCardText.toPlainText()
    choosing(home.parent / "ours.zip", new=True)
    click(ui.exportAdapterButton)
    wait(app, lambda: "exported" in message.text)
    picture(module, "adapt-3.png")
    click(ui.deleteAdapterButton)
    wait(app, lambda: ui.adapterTable.rowCount == 0)
    assert panel.chosen.adapter == "" and "Deleted" in message.text
    choosing(home.parent / "ours.zip")
    click(ui.importAdapterButton)
    wait(app, lambda: ui.adapterTable.rowCount == 1)
    assert panel.chosen.adapter == "" and "off until" in message.text


def test_the_estimate_is_of_the_cases_that_are_there(app, inside, site, asked, monkeypatch):
    """One that is still under way when a case is taken out is not shown, but asked for again."""
    ui, training, told = inside.ui, inside.training, []
    take = training._take
    monkeypatch.setattr(training, "_take", lambda event: (told.append(getattr(event, "words", "")), take(event)))
    ui.methodComboBox.currentText = "LoRA"
    wait(app, lambda: "trying a few steps" in told)
    group = training.worker._child._process.pid
    os.killpg(group, signal.SIGSTOP)  # it has read three cases, and takes its time
    ui.caseList.item(0).setSelected(True)
    click(ui.removeCasesButton)
    wait(app, lambda: ui.caseList.count == 2)
    os.killpg(group, signal.SIGCONT)
    wait(app, lambda: "on this computer" in ui.estimateLabel.text)
    assert "From 2 case(s)" in ui.estimateLabel.text and "three patients" in ui.estimateLabel.text
    ui.methodComboBox.currentText = "SALT"
    wait(app, lambda: training._estimating is not None)
    ui.caseLibraryPathEdit.currentPath = ""  # its answer is of no use any more
    wait(app, lambda: training._estimating is None)
    assert "on this computer" not in ui.estimateLabel.text


def test_stopped_and_killed_it_loses_nothing_but_the_run(app, module, inside, site, home):
    """Stopped in mid-training, killed in mid-training, gone on with, discarded: cases and adapters stay as they are."""
    ui, message = inside.ui, module.panel.ui.messageLabel
    (home / "adapters" / "earlier").mkdir(parents=True)
    (home / "adapters" / "earlier" / "adapter.json").write_text("{}")
    before = everything(site), everything(home / "adapters" / "earlier")
    ui.minutesSpinBox.value = LONG
    start(app, inside)
    click(ui.adaptButton)
    wait(app, lambda: inside.training.out is None)
    assert "ancelled" in message.text and "goes on where it stopped" in ui.verdictText.toPlainText()
    assert ui.adaptButton.enabled and not ui.useAdapterButton.enabled
    start(app, inside)
    group = inside.training.worker._child._process.pid
    os.kill(group, signal.SIGKILL)
    wait(app, lambda: inside.training.out is None)
    assert "was killed" in message.text and ui.adaptButton.text == "Train an adapter"
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)
    assert (everything(site), everything(home / "adapters" / "earlier")) == before
    assert [f.name for f in (home / "adapters").iterdir() if not f.name.startswith(".")] == ["earlier"]
    start(app, inside)
    click(ui.adaptButton)
    wait(app, lambda: inside.training.out is None)
    click(ui.discardAdapterButton)
    assert "Discarded" in message.text and [f.name for f in (home / "adapters").iterdir()] == ["earlier"]
    assert left_behind(module) == []
    module.panel.ui.adaptSection.collapsed = True


def start(app, inside) -> None:
    """Until a few steps are done."""
    click(inside.ui.adaptButton)
    wait(app, lambda: inside.training.out is None or len(inside.training._asked.steps) > 2)
    assert inside.training.out is not None
    asked, drawn = inside.training._asked, columns("table")
    assert list(drawn["Step"]) == asked.steps and list(drawn["Loss"]) == pytest.approx(asked.losses)
    assert asked.part == "training the adapter" and not asked.there


def test_what_was_used_is_never_written_over(app, module, inside, site, home):
    """In use during its proof, which is stopped: another run takes another place, the same run goes on in its own."""
    ui, chosen, message = inside.ui, module.panel.chosen, module.panel.ui.messageLabel
    out = home / "adapters" / "salt-3-cases"
    assert place_of(app, inside, until_there=True) == out
    click(ui.useAdapterButton)
    stopped(app, inside)
    before = everything(out)
    ui.minutesSpinBox.value = 2 * MINUTES
    assert place_of(app, inside) == out.with_name("salt-3-cases-2")
    stopped(app, inside)
    ui.adaptNameEdit.text = "salt-3-cases"
    click(ui.adaptButton)
    assert inside.training.out is None and "choose another name" in message.text and "salt-3-cases already" in message.text
    ui.adaptNameEdit.text = ""
    assert everything(out) == before and chosen.adapter == str(out)
    ui.minutesSpinBox.value = MINUTES
    assert place_of(app, inside, until_there=True) == out
    stopped(app, inside)
    assert everything(out)["adapter.safetensors"] == before["adapter.safetensors"]
    module.panel.ui.adaptSection.collapsed = True


def place_of(app, inside, until_there=False) -> Path:
    """Where a training that was begun by a click works."""
    click(inside.ui.adaptButton)
    out = inside.training.out
    wait(app, lambda: inside.training.out is None or inside.training._asked.there or not until_there)
    assert inside.training.out == out
    return out


def stopped(app, inside) -> None:
    click(inside.ui.adaptButton)
    wait(app, lambda: inside.training.out is None)


def test_a_training_refused_for_its_region_puts_no_box_into_the_views(app, module, inside, site, tiny, tmp_path):
    """Its way out is the one that a training has."""
    import slicer

    short = Path(shutil.copytree(tiny, tmp_path / "short"))
    card = json.loads((short / "model.json").read_text())
    card["region"]["longest_mm"] = 10.0
    (short / "model.json").write_text(json.dumps(card))
    module.panel.chosen.model = str(short)
    module.panel.use(module.panel.chosen)
    click(inside.ui.adaptButton)
    wait(app, lambda: inside.training.out is None)
    said = module.panel.ui.messageLabel.text
    assert "the model knows regions of up to 10 mm" in said and "tick Whole study" in said and "Segment again" not in said
    assert module.panel.chosen.roi is None and not slicer.util.getNodesByClass("vtkMRMLMarkupsROINode")
    module.panel.ui.adaptSection.collapsed = True

"""Adapt locally, with clicks: real cases, the real background processes, a tiny network and few steps of training."""

import hashlib
import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from .conftest import click, left_behind, wait
from .conftest import picture as whole_picture

pytest.importorskip("slicer", reason="needs the package slicer-core", exc_type=ImportError)
pytest.importorskip("PyQt5.QtWidgets", reason="needs the package PyQt5", exc_type=ImportError)
SITE = ("STS_001", "STS_016", "STS_025")  # of the adapting hospital of data.md
MINUTES, LONG = 0.05, 2.0


@pytest.fixture(scope="module")
def three(shared, tmp_path_factory) -> Path:
    """A library with three patients of the site; their contours count."""
    from PEMMASegmentLib.adaptation.library import CaseLibrary, Origin
    from PEMMASegmentLib.study import annotation, nifti

    library = CaseLibrary(tmp_path_factory.mktemp("site") / "three")
    for name in SITE:
        folder = shared / "data" / "sts" / name
        study = nifti.load(folder)
        label, _ = annotation.read(folder / nifti.MASK_FILE, study)
        library.add(study, label, patient=name, origin=Origin("scratch"), blind_left_out="of a test")
    return library.folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """A network of a few thousand numbers that knows everything, with two small reference cases."""
    from ..adaptation import hospital

    folder = tmp_path_factory.mktemp("models") / "tiny"
    hospital.model(folder)
    card = json.loads((folder / "model.json").read_text())
    card["region"]["longest_mm"] = 2000.0
    (folder / "model.json").write_text(json.dumps(card))
    return folder


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """The user's folder and settings, empty; the background processes have the folder too."""
    from PyQt5 import QtCore

    monkeypatch.setenv("PEMMA_SEGMENT_HOME", str(tmp_path / "home"))
    QtCore.QCoreApplication.setOrganizationName("PEMMASegment")
    QtCore.QSettings.setPath(QtCore.QSettings.NativeFormat, QtCore.QSettings.UserScope, str(tmp_path / "settings"))
    return tmp_path / "home"


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """Questions, all of them answered with OK."""
    import slicer

    questions = []
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda words, *_, **more: not questions.append(words))
    return questions


@pytest.fixture
def inside(app, home, asked, module, tiny):
    """The section, opened for the first time, with the tiny model."""
    panel = module.panel
    panel.chosen.model, panel.chosen.device = str(tiny), "cpu"
    panel.use(panel.chosen)
    panel.ui.adaptSection.collapsed = False
    app.processEvents()
    inside = panel._adapt_section.inside
    assert inside.ui.caseList.count == 0 and "No case yet" in inside.ui.casesLabel.text
    assert not inside.training.worker.running and not panel.worker.running and not inside.ui.adaptButton.enabled
    return inside


@pytest.fixture
def site(app, inside, three, tmp_path) -> Path:
    """A library with three cases, opened."""
    library = Path(shutil.copytree(three, tmp_path / "library"))
    inside.ui.caseLibraryPathEdit.currentPath = str(library)
    wait(app, lambda: inside.ui.caseList.count == 3)
    inside.ui.effortComboBox.setCurrentIndex(3)
    inside.ui.minutesSpinBox.value = MINUTES
    return library


def test_from_cases_to_an_adapter_in_use(app, module, inside, site, home, asked):
    """Estimate, training with its curve, the adapter before its proof, verdict, comparison, use, manager, base."""
    ui, main, panel = inside.ui, module.panel.ui, module.panel
    wait(app, lambda: "on this computer" in ui.estimateLabel.text)
    assert "SALT: new strengths" in ui.estimateLabel.text
    ui.methodComboBox.currentText = "Threshold"
    wait(app, lambda: "as long as segmenting each" in ui.estimateLabel.text)
    assert not ui.effortComboBox.enabled and not ui.minutesSpinBox.enabled
    ui.methodComboBox.currentText = "SALT"
    wait(app, lambda: inside.training._estimating is not None)  # Start does not wait for it
    click(ui.adaptButton)
    wait(app, lambda: inside.training.out is None or inside.training._asked.there)
    out = home / "adapters" / "salt-3-cases"
    assert inside.training.out == out and (out / "adapter.json").is_file(), main.messageLabel.text
    assert panel.chosen.adapter == "" and main.adapterComboBox.currentText == "none"  # never by itself
    assert [main.adapterComboBox.itemText(n) for n in range(main.adapterComboBox.count)][1:] == ["salt-3-cases 1"]
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
    wait(app, lambda: inside.training.out is None, 300)
    looks_right_after_the_proof(module, inside)
    compares(app, module, inside)
    picture(module, "adapt-2.png")
    click(ui.baseButton)
    assert panel.chosen.adapter == "" and main.adapterComboBox.currentText == "none" and not ui.baseButton.enabled
    click(ui.keepAdapterButton)
    assert "is off" in main.messageLabel.text and not ui.useAdapterButton.enabled
    manages(app, module, inside, home, asked)


def picture(module, name: str) -> None:
    """The section alone, as high as it wants to be."""
    import slicer

    ui, app = module.panel.ui, slicer.app
    others = [getattr(ui, f"{one}Section") for one in ("study", "view", "segment", "lesions", "export")]
    for section in others:
        section.collapsed = True
    for height in (2600, 2250):
        module.parent.resize(480, height)
        app.processEvents()
    whole_picture(module, name)
    for section in others:
        section.collapsed = False
    app.processEvents()


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
    click(ui.useSelectedButton)
    assert panel.chosen.adapter.endswith("salt-3-cases")
    ui.adapterNameEdit.text = "ours"
    click(ui.renameAdapterButton)
    wait(app, lambda: "is called ours" in message.text)
    assert panel.chosen.adapter == str(home / "adapters" / "ours")
    cell(ui.adapterTable, 0)
    ui.adapterNoteEdit.text = "of the first three"
    click(ui.noteAdapterButton)
    wait(app, lambda: "note is kept" in message.text)
    cell(ui.adapterTable, 0)
    assert "of the first three" in ui.adapterCardText.toPlainText()
    ui.adapterFilePathEdit.currentPath = str(home.parent / "ours.zip")
    click(ui.exportAdapterButton)
    wait(app, lambda: "exported" in message.text)
    picture(module, "adapt-3.png")
    click(ui.deleteAdapterButton)
    wait(app, lambda: ui.adapterTable.rowCount == 0)
    assert panel.chosen.adapter == "" and "Deleted" in message.text
    click(ui.importAdapterButton)
    wait(app, lambda: ui.adapterTable.rowCount == 1)
    assert panel.chosen.adapter == "" and "off until" in message.text


def cell(table, row: int) -> None:
    """A click on the first cell of a row."""
    from PyQt5 import QtCore, QtTest

    at = table.visualItemRect(table.item(row, 0)).center()
    QtTest.QTest.mouseClick(table.viewport(), QtCore.Qt.LeftButton, pos=at)


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


def everything(folder: Path) -> dict[str, str]:
    """Hashes of all files."""
    return {
        str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(folder.rglob("*")) if f.is_file()
    }


def test_the_current_study_becomes_a_case(app, module, inside, tmp_path, sts_008):
    """Corrected when a model began the contour, from scratch when a person did; never twice; given away and taken back."""
    ui, main, panel = inside.ui, module.panel.ui, module.panel
    ui.caseLibraryPathEdit.currentPath = str(tmp_path / "ours")
    click(ui.addCaseButton)
    assert "o contour is chosen" in main.messageLabel.text
    main.thresholdSlider.value = 0.5
    click(main.segmentButton)
    wait(app, lambda: main.segmentButton.text == "Segment")
    inside.use(panel.chosen)
    ui.caseNoteEdit.text = "this is STS_008"
    click(ui.addCaseButton)
    wait(app, lambda: "names the patient" in main.messageLabel.text)
    ui.caseNoteEdit.text = "a note"
    click(ui.addCaseButton)
    wait(app, lambda: "was added" in main.messageLabel.text)
    [card] = inside.cases.cards
    assert card["origin"]["kind"] == "corrected" and card["origin"]["model"]["name"] == "tiny" and card["note"] == "a note"
    assert card["scanner"]["tracer"] == "FDG" and card["scanner"]["manufacturer"] and card["patient"].startswith("P-")
    assert "corrected from tiny" in ui.caseList.item(0).text() and "0 of them count" in ui.casesLabel.text
    click(ui.addCaseButton)
    wait(app, lambda: "already" in main.messageLabel.text)
    given = tmp_path / "cases.zip"
    ui.caseFilePathEdit.currentPath = str(given)
    click(ui.exportCasesButton)
    wait(app, lambda: "exported" in main.messageLabel.text)
    ui.caseList.item(0).setSelected(True)
    click(ui.removeCasesButton)
    wait(app, lambda: ui.caseList.count == 0)
    ui.caseContourSelector.setCurrentNode(drawn(panel.chosen.ct))
    click(ui.addCaseButton)
    wait(app, lambda: "was added" in main.messageLabel.text)
    [card] = inside.cases.cards
    assert card["origin"]["kind"] == "scratch" and len(card["blind"]) == 1 and "blind Dice" in ui.caseList.item(0).text()
    ui.caseLibraryPathEdit.currentPath = str(tmp_path / "theirs")
    ui.caseFilePathEdit.currentPath = str(given)
    click(ui.importCasesButton)
    wait(app, lambda: "1 case(s) imported" in main.messageLabel.text)
    assert inside.cases.cards[0]["origin"]["kind"] == "corrected"
    ui.caseLibraryPathEdit.currentPath = str(tmp_path / "folders")
    ui.caseStudyPathEdit.currentPath = str(sts_008)
    click(ui.addFolderButton)
    wait(app, lambda: ui.caseList.count == 1)
    assert inside.cases.cards[0]["origin"]["kind"] == "imported"
    picture(module, "adapt-4.png")
    text = b"".join(f.read_bytes() for name in ("ours", "theirs", "folders") for f in (tmp_path / name).rglob("*.json"))
    assert b"STS_008" not in text and left_behind(module) == []


def drawn(ct):
    """A segmentation that a person drew: a box in the middle."""
    import numpy as np
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Drawn")
    node.SetReferenceImageGeometryParameterFromVolumeNode(ct)
    voxels = np.zeros(slicer.util.arrayFromVolume(ct).shape, np.uint8)
    voxels[20:30, 60:90, 60:90] = 1
    segment_id = node.GetSegmentation().AddEmptySegment("Tumour", "Tumour")
    slicer.util.updateSegmentBinaryLabelmapFromArray(voxels, node, segment_id, ct)
    return node

"""Adapt locally, with clicks: real cases, the real background processes, a tiny network and few steps of training."""

import errno
import hashlib
import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from .conftest import choosing, click, left_behind, wait
from .conftest import picture as whole_picture
from .test_adapt_plot import columns
from .test_parameters import user_chooses
from .test_results import result

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


def test_a_library_that_is_typed_is_read_once_and_kept(app, module, inside, site, tmp_path):
    """Not for each letter: its beginnings may be folders too."""
    import qt

    from PEMMASegmentLib.panel.adapt_cases import SETTING

    edit, kept = inside.ui.caseLibraryPathEdit, []
    for end in range(len(str(tmp_path)), len(str(site)) + 1):
        edit.currentPath = str(site)[:end]
        app.processEvents()
        kept.append(qt.QSettings().value(SETTING))
        assert inside.ui.caseList.count == 0 and not module.panel.worker.busy
    assert set(kept) == {str(site)}
    wait(app, lambda: inside.ui.caseList.count == 3)
    edit.currentPath = str(tmp_path)
    wait(app, lambda: qt.QSettings().value(SETTING) == str(tmp_path))


def cell(table, row: int) -> None:
    """A click on the first cell of a row."""
    from PyQt5 import QtCore, QtTest

    at = table.visualItemRect(table.item(row, 0)).center()
    QtTest.QTest.mouseClick(table.viewport(), QtCore.Qt.LeftButton, pos=at)


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
    refuses_what_is_not_of_the_study(panel, inside)
    given = tmp_path / "cases.zip"
    choosing(given, new=True)
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
    choosing(given)
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


def test_what_was_typed_for_a_case_holds_for_one_study(module, inside, sts_008):
    """Another patient would get its pseudonym."""
    import slicer
    import slicer_app

    ui, main = inside.ui, module.panel.ui
    edits = ui.casePatientEdit, ui.caseNoteEdit, ui.caseRoiEdit
    other = slicer_app.slicer_scene.load_series(sts_008 / "CT", "Other")
    for leave in (lambda: user_chooses(main.ctSelector, other), lambda: slicer.mrmlScene.Clear(0)):
        for edit in edits:
            edit.text = "of the former"
        user_chooses(main.petSelector, main.petSelector.currentNode())
        assert ui.casePatientEdit.text == "of the former"
        leave()
        assert [edit.text for edit in edits] == [""] * 3


def test_of_the_current_study_only_the_chosen_inputs_become_a_case(app, module, inside, tmp_path):
    ui, panel = inside.ui, module.panel
    panel.chosen.inputs = "ct"
    ui.caseLibraryPathEdit.currentPath = str(tmp_path / "ours")
    ui.caseContourSelector.setCurrentNode(drawn(panel.chosen.ct))
    click(ui.addCaseButton)
    wait(app, lambda: "was added" in panel.ui.messageLabel.text)
    [card] = inside.cases.cards
    assert card["inputs"] == "ct" and [score["inputs"] for score in card["blind"]] == ["ct"]


def refuses_what_is_not_of_the_study(panel, inside) -> None:
    """A result is no contour of another patient's volumes; what could not be written whole is taken away."""
    from PEMMASegmentLib.core import PemmaError
    from PEMMASegmentLib.panel import adapt_contours, volumes

    ours, said = panel.chosen.ct, panel.ui.messageLabel
    panel.ui.ctSelector.setCurrentNode(volumes.volume_of(volumes.image_of(ours), "of another patient"))
    click(inside.ui.addCaseButton)
    assert "result of other volumes" in said.text and inside.ui.addCaseButton.enabled
    panel.ui.ctSelector.setCurrentNode(ours)
    study, folder = panel._study(), panel.worker.private_folder()
    (folder / "pet-header.dcm").mkdir()  # the last of its files can't be written
    with pytest.raises(PemmaError, match="headers can't be written"):
        adapt_contours.request_fields(study, study.ct, folder)
    assert not folder.exists()


def drawn(ct):
    """A segmentation that a person drew: a box in the middle."""
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Drawn")
    node.SetReferenceImageGeometryParameterFromVolumeNode(ct)
    voxels = np.zeros(slicer.util.arrayFromVolume(ct).shape, np.uint8)
    voxels[20:30, 60:90, 60:90] = 1
    segment_id = node.GetSegmentation().AddEmptySegment("Tumour", "Tumour")
    slicer.util.updateSegmentBinaryLabelmapFromArray(voxels, node, segment_id, ct)
    return node


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


def test_a_folder_with_two_contours_becomes_a_case_once_its_contour_is_named(app, module, inside, unpack, tmp_path):
    study, ui, main = legs(unpack, tmp_path), inside.ui, module.panel.ui
    ui.caseLibraryPathEdit.currentPath = str(tmp_path / "ours")
    refused(app, inside, study)
    assert "contour's name" in main.messageLabel.text
    ui.caseRoiEdit.text = "GTV_Mass"
    click(ui.addFolderButton)
    wait(app, lambda: ui.caseList.count == 1)
    [card] = inside.cases.cards
    assert card["inputs"] == "pet" and not card["suv_typed"] and ui.caseRoiEdit.text == ""


def test_what_is_typed_is_of_the_current_study_alone(app, module, inside, weightless, expert, unpack, tmp_path):
    """A folder without a weight is neither read with the current patient's, nor does it change or hide anything of theirs."""
    from PEMMASegmentLib.adaptation.library import CaseLibrary
    from PEMMASegmentLib.core.images import array

    panel, ui, main = module.panel, inside.ui, module.panel.ui
    ui.caseLibraryPathEdit.currentPath = str(tmp_path / "ours")
    user_chooses(main.petSelector, weightless)
    main.weightSpinBox.value = 7.0
    assert panel._results.add(result(panel, expert))
    refused(app, inside, legs(unpack, tmp_path, PatientWeight=None))
    told = main.messageLabel.text
    assert told.count("Weight (0010,1030) is missing") == 1 and "current study alone: load this one" in told
    assert main.weightSpinBox.value == 7.0 and panel.run is not None and ui.caseList.count == 0
    main.weightSpinBox.value = 70.0
    ui.caseContourSelector.setCurrentNode(drawn(panel.chosen.ct))
    click(ui.addCaseButton)
    wait(app, lambda: ui.caseList.count == 1)
    [card] = inside.cases.cards
    assert card["suv_typed"] == ["weight"] and "typed in: weight" in ui.caseList.item(0).toolTip()
    kept, shown = (array(study.pet).max() for study in (CaseLibrary(tmp_path / "ours").read(card["id"]).study, panel._study()))
    assert main.weightSpinBox.value == 70.0 and kept == pytest.approx(shown)


def legs(unpack, tmp_path, **header) -> Path:
    """A PET of the legs with an RTSTRUCT of two structures, with these values in its headers."""
    import pydicom

    source, study = unpack("suv/STS_001_wholebody.zip"), tmp_path / "study"
    study.mkdir()
    for file in [source / "RS" / "1-1.dcm", *sorted((source / "PT").iterdir())[-60:]]:
        read = pydicom.dcmread(file)
        for keyword, value in header.items():
            setattr(read, keyword, value)
        read.save_as(study / f"{file.parent.name}-{file.name}")
    return study


def refused(app, inside, folder: Path) -> None:
    inside.ui.caseStudyPathEdit.currentPath = str(folder)
    click(inside.ui.addFolderButton)
    wait(app, lambda: inside.ui.addFolderButton.enabled)


def test_what_is_said_of_the_proof_and_of_how_long_it_takes(app):
    """Figures over patients are told with the number of patients; a ladder proves first."""
    from PEMMASegmentLib.panel import adapt_adapters, adapt_proof, adapt_training

    rows = [{"case": f"c{n}", "patient": patient, "before": 0.5, "after": after}
            for n, (patient, after) in enumerate([("P-1", 0.6), ("P-1", 0.8), ("P-2", 0.5), ("P-3", 0.5)])]  # fmt: skip
    record = {"verdict": "not shown", "sentence": "s", "mean_gain": 0.067, "interval_95": [-0.2, 0.3], "cases": rows,
              "reference": {"sentence": ""}, "note": ""}  # fmt: skip
    assert "3 held-out patient(s)" in adapt_proof.in_words(record)
    assert adapt_proof._mean(rows) == pytest.approx((0.5, 0.5 + 0.2 / 3))
    seconds = {"cases": 3, "seconds": 600.0, "seconds_proof": 1800.0}
    assert "10 min, its proof in about 30 min" in adapt_training._in_words(seconds, "norm+out")
    assert "with their proofs in about 40 min" in adapt_training._in_words(seconds, "ladder")
    few = seconds | {"seconds_proof": None}
    assert "adapter in about 10 min. Nothing will be proved" in adapt_training._in_words(few, "salt")
    assert "need three patients" in adapt_training._in_words(few, "ladder")
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

    wait(app, lambda: "on this computer" in ui.estimateLabel.text)
    full_disk(monkeypatch, inside.training.worker)
    click(ui.adaptButton)
    assert inside.training.out is None and "o temporary folder can be made" in said.text


def full_disk(monkeypatch, worker) -> None:
    """From now on no private folder can be made."""
    monkeypatch.setattr(worker, "private_folder", lambda: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))


def saved(folder: Path, model: Path, verdict: str, sentence: str) -> None:
    """An adapter that changes nothing."""
    from PEMMASegmentLib.adapters import AdapterCard, save
    from PEMMASegmentLib.network.files import load_model

    save(folder, {}, AdapterCard(folder.name, "1", None, "", (), load_model(model).identity, "ct+pet", threshold=0.45,
                                 verdict=verdict, scores={"sentence": sentence}))  # fmt: skip


def renamed(app, inside, name: str, said) -> None:
    """The first adapter of the manager."""
    cell(inside.ui.adapterTable, 0)
    inside.ui.adapterNameEdit.text = name
    click(inside.ui.renameAdapterButton)
    wait(app, lambda: f"is called {name}" in said.text)


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

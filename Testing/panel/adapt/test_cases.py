"""The library in the panel: studies become cases, what is typed for one holds for it alone."""

from pathlib import Path

import numpy as np
import pytest

from ..conftest import choosing, click, left_behind, wait
from ..test_parameters import user_chooses
from ..test_results import result
from .clicks import picture

pytest.importorskip("slicer", reason="needs the package slicer-core", exc_type=ImportError)
pytest.importorskip("PyQt5.QtWidgets", reason="needs the package PyQt5", exc_type=ImportError)


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


def test_the_chosen_inputs_are_those_of_the_blind_scores_alone(app, module, inside, tmp_path):
    """The case keeps all images of the study, whose grid its contour was drawn on; inputs it hasn't got are told."""
    ui, panel, said = inside.ui, module.panel, module.panel.ui.messageLabel
    pet, panel.chosen.inputs = panel.chosen.pet, "pet"
    ui.caseLibraryPathEdit.currentPath = str(tmp_path / "ours")
    ui.caseContourSelector.setCurrentNode(drawn(panel.chosen.ct))
    user_chooses(panel.ui.petSelector, None)
    click(ui.addCaseButton)
    wait(app, lambda: ui.addCaseButton.enabled)
    assert "The study has no PET" in said.text and "choose Inputs ct" in said.text
    user_chooses(panel.ui.petSelector, pet)
    click(ui.addCaseButton)
    wait(app, lambda: "was added" in said.text)
    [card] = inside.cases.cards
    assert card["inputs"] == "ct+pet" and [score["inputs"] for score in card["blind"]] == ["pet"]
    assert "resampled" not in said.text


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


def test_what_is_typed_and_chosen_while_a_case_is_added_is_of_the_next(app, module, inside, site, tmp_path):
    """Neither its end nor its refusal takes it, and the cases of one library don't stand under another's path."""
    ui, panel, said, other = inside.ui, module.panel, module.panel.ui.messageLabel, tmp_path / "other"
    edits, idle = (ui.casePatientEdit, ui.caseNoteEdit), lambda: not panel.worker.busy and not inside.cases._settled.active
    ui.caseContourSelector.setCurrentNode(drawn(panel.chosen.ct))
    ui.caseLibraryPathEdit.currentPath = ""
    click(ui.addCaseButton)
    assert "No folder for the case library" in said.text and left_behind(module) == []
    ui.caseLibraryPathEdit.currentPath = str(other)
    for note, path in (("this is STS_008", site), ("first visit", other)):  # that names the patient
        for edit, text in zip(edits, ("kn-12", note), strict=True):
            edit.text = text
        click(ui.addCaseButton)
        assert [edit.text for edit in edits] == ["", ""]
        if path is other:
            ui.caseNoteEdit.text, ui.caseStudyPathEdit.currentPath = "second", "next"
            ui.caseLibraryPathEdit.currentPath = str(site)
        wait(app, idle)
        assert [edit.text for edit in edits] == (["", "second"] if path is other else ["kn-12", note])
    assert "was added" in said.text and ui.caseStudyPathEdit.currentPath == "next" and ui.caseList.count == 3
    inside.cases.refresh()
    ui.caseLibraryPathEdit.currentPath = str(tmp_path / "not there")
    wait(app, idle)
    assert ui.caseList.count == 0 and inside.cases.cards == [] and "was added" in said.text


def test_a_list_that_is_read_meanwhile_leaves_what_a_run_told_and_the_chosen_contour(app, module, inside, site):
    ui, main, idle = inside.ui, module.panel.ui, lambda: not module.panel.worker.busy
    ours = drawn(module.panel.chosen.ct)
    for chosen in (True, False):
        user_chooses(ui.caseContourSelector, None if chosen else ours)
        click(main.segmentButton)
        main.adaptSection.collapsed = True
        main.adaptSection.collapsed = ui.adaptersGroupBox.collapsed = False
        if chosen:
            user_chooses(ui.caseContourSelector, ours)
        wait(app, idle)
        assert " s." in main.messageLabel.text and (ui.caseContourSelector.currentNode() is ours) is chosen

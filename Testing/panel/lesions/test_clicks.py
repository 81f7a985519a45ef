"""By clicks from one lesion to an edited SEG; results that outlive what they were made from."""

import importlib

import numpy as np
import pytest

from ..conftest import click, picture, put_crosshair, wait
from .acts import IN_TUMOUR, ONLY_PET, SEEN, cells, finished, paint, select, shown

pytest.importorskip("slicer", reason="needs the package slicer-core", exc_type=ImportError)
pytest.importorskip("PyQt5.QtWidgets", reason="needs the package PyQt5", exc_type=ImportError)
runs = importlib.import_module("PEMMASegmentLib.panel.runs")


def test_by_clicks_from_one_lesion_to_an_edited_seg(app, module, panel, tmp_path):
    import pydicom
    import slicer
    from PyQt5 import QtCore, QtWidgets

    ui, table = panel.ui, panel.ui.lesionTable
    assert cells(table, 0) == ["1"] and not ui.undoButton.enabled
    for index, button in ((SEEN, ui.addButton), (ONLY_PET, ui.addButton), (IN_TUMOUR, ui.cutButton)):
        put_crosshair(panel, index)
        click(button)
    assert cells(table, 0) == ["1", "2", "3", "4"] and "Lesion 1 was split" in ui.messageLabel.text
    assert set(cells(table, 7)) == {"flagged, edited"}
    put_crosshair(panel, SEEN)
    click(ui.addButton)
    assert "already there" in ui.messageLabel.text
    select(table, 1, 2)
    click(ui.mergeButton)
    assert cells(table, 0) == ["1", "2", "4"] and ui.undoButton.text == "Undo: merge"
    click(ui.undoButton)
    assert cells(table, 0) == ["1", "2", "3", "4"]
    table.item(2, 0).setCheckState(QtCore.Qt.Unchecked)
    assert "Kept: 3" in ui.totalsLabel.text and ui.undoButton.text == "Undo: tick"
    select(table, 0, 1)
    for state in ("reviewed, edited", "flagged, edited"):  # pressed again it takes them back, not all the others too
        click(ui.reviewButton)
        assert cells(table, 7) == [state, state, *["flagged, edited"] * 2]
    select(table, 0)
    click(ui.reviewButton)
    assert cells(table, 7) == ["reviewed, edited", *["flagged, edited"] * 3]
    picture(module, "lesions.png")
    click(ui.copyButton)
    copied = [line.split("\t") for line in QtWidgets.QApplication.clipboard().text().splitlines()]
    assert [row[0] for row in copied] == ["Lesion", "1", "2", "4", "All"] and copied[1][1] == table.item(0, 1).text()
    assert float(copied[-1][1]) == pytest.approx(sum(float(row[1]) for row in copied[1:-1]), abs=0.02)
    select(table, 3)
    click(ui.editButton)
    editor = slicer.mrmlScene.GetSingletonNode("SegmentEditor", "vtkMRMLSegmentEditorNode")
    assert slicer.app.selected == ["SegmentEditor"] and editor.GetSelectedSegmentID() == "Lesion_4"
    assert (editor.GetSegmentationNode(), editor.GetSourceVolumeNode()) == (panel.run.node, panel.chosen.ct)
    before = table.item(3, 1).text()
    paint(panel.run, 4)
    wait(app, lambda: table.item(3, 1).text() != before)
    assert ui.undoButton.text == "Undo: edit"
    click(ui.tableButton)
    assert "o place for" in ui.messageLabel.text
    ui.exportPathEdit.currentPath = str(tmp_path)
    click(ui.tableButton)
    click(ui.exportButton)
    assert "PEMMASegment.dcm in" in ui.exportLabel.text and (tmp_path / "PEMMASegment.csv").is_file()
    seg = pydicom.dcmread(tmp_path / "PEMMASegment.dcm")
    assert {item.SegmentAlgorithmType for item in seg.SegmentSequence} == {"SEMIAUTOMATIC"}
    as_it_was = [[cells(table, column) for column in range(8)], panel.run.reviewed, shown(panel.run)]
    uids = [lesion.tracking_uid for lesion in panel.run.lesions]
    saved_and_opened(tmp_path)
    assert panel.run is not None, ui.messageLabel.text
    back = [[cells(table, column) for column in range(8)], panel.run.reviewed, shown(panel.run)]
    assert back[:2] == as_it_was[:2] and np.array_equal(back[2], as_it_was[2])
    assert [lesion.tracking_uid for lesion in panel.run.lesions] == uids
    assert [lesion.kept for lesion in panel.run.lesions] == [True, True, False, True]
    put_crosshair(panel, (30, 74, 84))
    click(ui.cutButton)
    assert cells(table, 0) == ["1", "2", "3", "4", "5"]


def saved_and_opened(folder) -> None:
    import zipfile

    import slicer

    for node in slicer.util.getNodesByClass("vtkMRMLStorableNode"):
        node.AddDefaultStorageNode()
    slicer.mrmlScene.SetRootDirectory(str(folder))
    assert slicer.mrmlScene.WriteToMRB(str(folder / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    with zipfile.ZipFile(folder / "scene.mrb") as archive:
        archive.extractall(folder / "unpacked")
    slicer.mrmlScene.SetURL(str(next((folder / "unpacked").rglob("*.mrml"))))
    slicer.mrmlScene.Import()


def test_a_result_outlives_its_ct(app, module, panel, tmp_path):
    """Cropped in place, and deleted: what was shown goes on; what can't be shown again is said, also in mid-run."""
    import pydicom
    import slicer
    import vtk

    ui, ct, node, finish = panel.ui, panel.chosen.ct, panel.run.node, finished(panel, tmp_path)
    figures = cells(ui.lesionTable, 1)
    crop = vtk.vtkExtractVOI()
    crop.SetInputData(ct.GetImageData())
    crop.SetVOI(0, 99, 0, 99, 0, 29)
    crop.Update()
    ct.SetAndObserveImageData(crop.GetOutput())
    click(ui.reviewButton)
    assert cells(ui.lesionTable, 7) == ["reviewed"] and not ui.messageLabel.text
    slicer.mrmlScene.RemoveNode(ct)
    ui.thresholdSlider.value = 0.5
    click(ui.undoButton)
    ui.exportPathEdit.currentPath = str(tmp_path)
    for button in (ui.reviewButton, ui.tableButton, ui.exportButton, ui.editButton):
        click(button)
    assert cells(ui.lesionTable, 1) == figures and (tmp_path / "PEMMASegment.csv").is_file()
    assert len(pydicom.dcmread(tmp_path / "PEMMASegment.dcm").SegmentSequence) == 1
    finish()
    assert "removed while they were segmented" in ui.messageLabel.text and panel.run.node is node
    module._on_scene_closed(None, None)
    assert "no longer there" in ui.messageLabel.text and panel.run is None


def test_the_former_result_comes_back_and_files_that_are_back_too(app, module, panel, tmp_path, monkeypatch):
    import slicer

    ui, first = panel.ui, panel.run.node
    put_crosshair(panel, SEEN)
    click(ui.addButton)
    finished(panel, tmp_path)()
    second = panel.run.node
    assert ui.resultSelector.currentNode() is second is panel.chosen.result is not first
    assert [one.GetDisplayNode().GetVisibility() for one in (first, second)] == [0, 1]
    ui.resultSelector.setCurrentNode(first)
    ui.resultSelector.nodeActivated.emit(first)
    assert panel.run.node is panel.chosen.result is first and cells(ui.lesionTable, 0) == ["1", "2"]
    assert [one.GetDisplayNode().GetVisibility() for one in (first, second)] == [1, 0]
    with monkeypatch.context() as patch:  # as in a scene that is opened on another computer
        patch.setattr(slicer, "dicomDatabase", type(slicer.dicomDatabase)())
        module._on_scene_closed(None, None)
        assert "no longer there" in ui.messageLabel.text and panel.run is None
    click(ui.studyButton)
    assert panel.run.node is first and not ui.messageLabel.text
    parts = [first.GetNodeReferenceID(role) for role in (runs.PROBABILITY, runs.TABLE)]
    slicer.mrmlScene.RemoveNode(first)  # in the module Data
    click(ui.removeButton)
    assert [slicer.mrmlScene.GetNodeByID(part) for part in parts] == [None, None] and panel.run is None


def test_the_database_alone_keeps_the_seg_and_tells_when_it_does_not(panel, monkeypatch):
    from pathlib import Path

    import slicer

    ui = panel.ui
    ui.intoDatabaseCheckBox.checked = True
    click(ui.exportButton)
    assert "written: the DICOM database" in ui.exportLabel.text and len(slicer.dicomDatabase.inserted) == 1
    assert list(Path(slicer.app.temporaryPath).rglob("*.dcm")) == []
    ui.thresholdSlider.value = 0.5
    monkeypatch.setattr(slicer.dicomDatabase, "isOpen", False)
    click(ui.exportButton)
    assert "did not take" in ui.messageLabel.text


def test_a_result_that_the_user_took_out_of_the_scene_is_said(app, panel):
    import slicer

    ui = panel.ui
    slicer.mrmlScene.RemoveNode(panel.run.node)
    put_crosshair(panel, SEEN)
    for button in (ui.addButton, ui.cutButton, ui.editButton, ui.reviewButton, ui.copyButton):
        click(button)
        assert "no longer in the scene" in ui.messageLabel.text
        panel._say("")
    ui.thresholdSlider.value = 0.5
    assert "no longer in the scene" in ui.messageLabel.text
    click(ui.removeButton)
    assert panel.run is None and ui.lesionTable.rowCount == 0 and not ui.addButton.enabled

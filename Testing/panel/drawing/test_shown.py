"""What is one act, and that what is drawn is what is measured: overlaps, transforms, a scene opened again."""

import importlib

import numpy as np
import pytest
import SimpleITK as sitk

from ..conftest import FIELDS, at, click, voxels
from .places import BLADDER, ONLY_PET, TUMOUR, lesion_at, paint, shown, state_of

pytest.importorskip("slicer", reason="needs the package slicer-core", exc_type=ImportError)
pytest.importorskip("PyQt5.QtWidgets", reason="needs the package PyQt5", exc_type=ImportError)
logic = importlib.import_module("PEMMASegmentLib.panel.logic")
runs = importlib.import_module("PEMMASegmentLib.panel.runs")
segments = importlib.import_module("PEMMASegmentLib.panel.segments")


def test_a_segment_over_another_takes_its_voxels_and_is_drawn_as_it_is_measured(run, case, three):
    other = runs.create(case.study, FIELDS, three, case.ct, case.pet)
    paint(other, BLADDER)
    copied, bladder = segments.ids(other.node)[2], run._drawing.numbers == 2
    run.node.GetSegmentation().CopySegmentFromSegmentation(other.node.GetSegmentation(), copied)
    assert run.take_edits() and [lesion.number for lesion in run.lesions] == [1, 3, 4] == sorted(segments.ids(run.node))
    assert np.array_equal(run._drawing.numbers == 4, other._drawing.numbers == 2)
    assert np.array_equal(shown(run), run._drawing.numbers > 0) and not run.take_edits()
    other.node.GetSegmentation().CopySegmentFromSegmentation(run.node.GetSegmentation(), segments.ids(run.node)[1])
    again = runs.restore(other.node, case.study)  # edited while another result was shown
    assert np.array_equal(shown(again), again._drawing.numbers > 0) and not again.take_edits()
    run.undo()
    assert np.array_equal(run._drawing.numbers == 2, bladder) and np.array_equal(shown(run), run._drawing.numbers > 0)


def test_a_stroke_into_another_lesion_counts_also_in_an_earlier_segment(run):
    """With "allow overlap" in the Segment Editor both segments have the voxels then."""
    import slicer

    first, stroke = segments.ids(run.node)[1], run._drawing.numbers == 2
    run.node.GetSegmentation().SeparateSegmentLabelmap(first)
    array = slicer.util.arrayFromSegmentBinaryLabelmap(run.node, first, run.reference)
    stroke[:, BLADDER[1] :] = False
    array[stroke] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, run.node, first, run.reference)
    assert shown(run).max() == 2 and run.take_edits()
    assert (run._drawing.numbers[stroke] == 1).all() and lesion_at(run, BLADDER).number == 2
    assert np.array_equal(shown(run), run._drawing.numbers > 0)


def test_a_slider_that_moves_after_a_review_or_an_export_is_another_act(run, tmp_path):
    between = (lambda: run.review([1]), lambda: logic.export_table(run, tmp_path), lambda: logic.export_seg(run, tmp_path))
    for threshold, act in zip((0.6, 0.55, 0.65), between, strict=True):
        run.redraw(threshold=0.7)
        run.redraw(threshold=threshold)
        act()
        run.redraw(threshold=0.4)
        assert run.undo() == "threshold" and run.threshold == threshold
    assert run.undo() == "threshold" and run.threshold == 0.55


def test_a_review_or_an_export_at_another_threshold_changes_nothing_of_what_one_shows(run, tmp_path):
    run.redraw(threshold=0.8)
    run.node.GetSegmentation().RemoveSegment(segments.ids(run.node)[2])
    least = float(sitk.GetArrayViewFromImage(run.segmentation.probability).min())
    run.redraw(threshold=least)  # all is one, less what lies nearer to the deleted lesion
    before = run._drawing.numbers
    run.redraw(threshold=0.5)
    assert lesion_at(run, BLADDER).number not in np.unique(before)  # one that no act has met yet
    run.node.GetSegmentation().GetSegment(segments.ids(run.node)[1]).SetName("Tumour of the thigh")
    run.review([lesion.number for lesion in run.lesions])
    logic.export_table(run, tmp_path)
    logic.export_seg(run, tmp_path)
    run.redraw(threshold=least)
    assert np.array_equal(run._drawing.numbers, before)


def under(transform, *nodes) -> None:
    for node in nodes:
        node.SetAndObserveTransformNodeID(transform.GetID() if transform is not None else None)


def test_under_a_transform_the_crosshair_and_the_rows_mean_what_is_seen(panel):
    """As for a comparison with an earlier study: CT, PET and result lie 30 mm higher, tilted."""
    import slicer

    ui, chosen, node = panel.ui, panel.chosen, panel.run.node
    matrix = np.eye(4)
    matrix[1:3, 1:3], matrix[2, 3] = [[0.8, -0.6], [0.6, 0.8]], 30.0
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    under(transform, chosen.ct, chosen.pet, node)
    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    x, y, z = at(panel.run.segmentation.probability, ONLY_PET)
    seen = (matrix @ [-x, -y, z, 1.0])[:3]
    crosshair.SetCrosshairRAS(*seen)
    click(ui.addButton)
    assert lesion_at(panel.run, ONLY_PET).number == 4, ui.messageLabel.text
    crosshair.SetCrosshairRAS(*node.GetSegmentCenterRAS(segments.ids(node)[2]))
    click(ui.cutButton)
    assert "Lesion 2 was split" in ui.messageLabel.text
    assert np.allclose(logic.centre_ras(panel.run, 3), node.GetSegmentCenterRAS(segments.ids(node)[3]), atol=3)
    under(None, chosen.pet)  # now the PET shows elsewhere what the CT shows here
    for button in (ui.addButton, ui.cutButton):
        click(button)
        assert "transform" in ui.messageLabel.text and len(panel.run.lesions) == 5
        panel._say("")


def test_without_its_node_a_row_tells_that_the_result_is_gone(panel):
    import slicer

    slicer.mrmlScene.RemoveNode(panel.run.node)
    panel.ui.lesionTable.cellClicked.emit(0, 1)
    assert "no longer in the scene" in panel.ui.messageLabel.text


def test_more_lesions_than_segments_are_told(panel, tmp_path, monkeypatch):
    import pydicom

    from PEMMASegmentLib.results import seg

    monkeypatch.setattr(seg, "MOST_SEGMENTS", 2)
    panel.ui.exportPathEdit.currentPath = str(tmp_path)
    click(panel.ui.exportButton)
    assert "in one segment" in panel.ui.messageLabel.text and "in one segment" in panel.ui.exportLabel.text
    assert len(pydicom.dcmread(tmp_path / "PEMMASegment.dcm").SegmentSequence) == 1


def test_choosing_a_result_again_changes_nothing_of_it_also_later(run, case):
    run.node.GetSegmentation().RemoveSegment(segments.ids(run.node)[3])
    run.take_edits()
    run.review([1])
    at_half = state_of(run)
    run.redraw(threshold=0.3)  # what grows around the deleted one gives way: no component is as it was
    again = runs.restore(run.node, case.study)
    assert state_of(again) == state_of(run) and not again.take_edits()
    again.redraw(threshold=0.5)
    assert state_of(again) == at_half and [lesion.algorithm_type for lesion in again.lesions] == ["AUTOMATIC"] * 2
    paint(again, BLADDER)
    segment_id = segments.ids(again.node)[1]
    array = voxels(again.node, segment_id, again.reference)
    array[: TUMOUR[0]] = False
    import slicer

    slicer.util.updateSegmentBinaryLabelmapFromArray(array.astype(np.uint8), again.node, segment_id, again.reference)
    edited = runs.restore(again.node, case.study)  # while it was not shown
    assert [lesion.algorithm_type for lesion in edited.lesions] == ["SEMIAUTOMATIC"] * 2 and edited.reviewed == set()

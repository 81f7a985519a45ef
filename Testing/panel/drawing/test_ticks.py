"""What the user unticked stays so whatever is drawn anew."""

import importlib
import json

import numpy as np
import pytest
import SimpleITK as sitk

from ..conftest import at
from .places import BLADDER, METASTASIS, TUMOUR, lesion_at

pytest.importorskip("slicer", reason="needs the package slicer-core", exc_type=ImportError)
pytest.importorskip("PyQt5.QtWidgets", reason="needs the package PyQt5", exc_type=ImportError)
drawing = importlib.import_module("PEMMASegmentLib.panel.drawing")
runs = importlib.import_module("PEMMASegmentLib.panel.runs")
segments = importlib.import_module("PEMMASegmentLib.panel.segments")


def test_what_was_unticked_stays_so_wherever_the_sliders_passed(run, case):
    run.keep(2, False)
    for one in (run, runs.restore(run.node, case.study)):  # the second as from a saved scene
        for threshold, least in ((0.8, 0.5), (0.5, 0.5), (0.6, 30.0), (0.3, 0.5), (0.9, 0.5), (0.5, 0.5)):
            one.redraw(threshold=threshold)
            one.redraw(min_volume_ml=least)
            found = [lesion_at(one, index) for index in (TUMOUR, BLADDER, METASTASIS)]
            assert [lesion.kept for lesion in found if lesion is not None] == [i != 1 for i in range(3) if found[i] is not None]
        assert [lesion.kept for lesion in one.lesions] == [True, False, True]
    run.redraw(threshold=0.6)
    run.keep(2, True)
    for threshold in (0.8, 0.5):
        run.redraw(threshold=threshold)
    assert all(lesion.kept for lesion in run.lesions)


def test_lesions_that_run_into_one_are_kept_by_most_of_what_was_ticked_and_part_again_as_they_were():
    values = np.zeros((3, 3, 40), np.float32)
    values[:, :, 2:38] = 0.2
    values[:, :, 2:14], values[:, :, 20:28] = 0.6, 0.7
    values[:, :, 4:8] = 0.95
    image = sitk.GetImageFromArray(values)
    start = drawing.at_threshold(None, image, 0.5, 1)  # lesion 1 reaches from 2 to 13, lesion 2 from 20 to 27
    expected = {2: {0.1: set(), 0.65: {1}, 0.8: set(), 0.5: {2}}, 1: {0.1: {1}, 0.65: {2}, 0.8: {1}, 0.5: {1}}}
    for number, dropped in expected.items():
        now = drawing.decided(start, number, False)
        for threshold in (*dropped, *reversed(dropped)):
            now = drawing.at_threshold(now, image, threshold, 1)
            assert now.dropped == dropped[threshold], (number, threshold)


@pytest.mark.parametrize(("wide", "core"), [(True, False), (False, True)])
def test_the_last_tick_counts_also_when_it_was_set_on_the_smaller_outline(wide, core):
    values = np.zeros((3, 3, 60), np.float32)
    values[:, :, 2:22], values[:, :, 8:10], values[:, :, 14:18] = 0.6, 0.95, 0.95  # at 0.9 two small cores
    values[:, :, 30:40], values[:, :, 45:50] = 0.97, 0.7  # the other is gone at 0.9
    image = sitk.GetImageFromArray(values)
    tumour, first, second, other, faint = ((1, 1, x) for x in (12, 8, 16, 35, 47))

    def kept(now, *places) -> list[bool]:
        return [now.numbers[place] not in now.dropped for place in places]

    now = drawing.at_threshold(None, image, 0.5, 1)
    for place in (tumour, other, faint):  # of these only the first is decided on again
        now = drawing.decided(now, now.numbers[place], wide if place is tumour else False)
    now = drawing.at_threshold(now, image, 0.9, 1)
    now = drawing.decided(now, now.numbers[second], core)
    assert kept(now, first, second, other) == [wide, core, False]
    for threshold in (0.8, 0.5, 0.4):
        now = drawing.at_threshold(now, image, threshold, 1)
    assert kept(now, tumour, other, faint) == [core, False, False]


def test_a_lesion_merged_with_an_unticked_one_is_kept_wherever_the_slider_passes(run):
    run.keep(1, False)  # most of the voxels
    run.merge([1, 2])
    for threshold in (0.8, 0.5):
        run.redraw(threshold=threshold)
        assert [lesion.kept for lesion in run.lesions] == [True, True]


def test_a_scene_that_tells_of_dropped_lesions_alone_keeps_them_dropped(run, case):
    """As versions saved it that had no voxels of ticks yet."""
    run.keep(2, False)
    record = json.loads(run.node.GetAttribute(runs.RECORD))
    for name in ("ticked", "unticked", "gone_looks"):
        del record[name]
    run.node.SetAttribute(runs.RECORD, json.dumps(record))
    again = runs.restore(run.node, case.study)
    for threshold in (0.8, 0.5):
        again.redraw(threshold=threshold)
    assert [lesion.kept for lesion in again.lesions] == [True, False, True]


def test_a_part_of_an_unticked_lesion_is_unticked(run):
    run.keep(1, False)
    _, new = run.cut(at(run.segmentation.probability, TUMOUR))
    assert [lesion.kept for lesion in run.lesions] == [False, True, True, False] and run.lesions[-1].number == new


def test_a_tick_right_after_a_deletion_acts_on_what_is_left(run):
    run.node.GetSegmentation().RemoveSegment(segments.ids(run.node)[3])
    run.keep(2, False)
    assert [lesion.kept for lesion in run.lesions] == [True, False] and run.last_act == "keep"
    run.node.GetSegmentation().RemoveSegment(segments.ids(run.node)[2])
    run.keep(2, False)
    run.review([1, 2])
    assert [lesion.number for lesion in run.lesions] == [1] and run.last_act == "edit" and run.reviewed == {1}


def test_a_ticked_lesion_that_holds_an_unticked_one_is_told_under_the_table(panel):
    from PyQt5 import QtCore

    ui, least = panel.ui, float(sitk.GetArrayFromImage(panel.run.segmentation.probability).min())
    ui.lesionTable.item(1, 0).setCheckState(QtCore.Qt.Unchecked)
    assert "unticked" not in ui.totalsLabel.text
    panel.run.redraw(threshold=least)
    panel._lesions._refresh()
    assert [lesion.kept for lesion in panel.run.lesions] == [True] and "what you unticked in it: lesion 1" in ui.totalsLabel.text
    ui.lesionTable.item(0, 0).setCheckState(QtCore.Qt.Unchecked)
    assert "what you unticked" not in ui.totalsLabel.text

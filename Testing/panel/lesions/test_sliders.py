"""What the threshold and the smallest lesion redraw, and what of the user's own work stays."""

import importlib

import numpy as np
import pytest
import SimpleITK as sitk

from ..conftest import at, click, lesions_in
from .acts import IN_TUMOUR, SEEN, millilitres, new_run, numbers_of

pytest.importorskip("slicer", reason="needs the package slicer-core", exc_type=ImportError)
pytest.importorskip("PyQt5.QtWidgets", reason="needs the package PyQt5", exc_type=ImportError)
drawing = importlib.import_module("PEMMASegmentLib.panel.drawing")
runs = importlib.import_module("PEMMASegmentLib.panel.runs")
segments = importlib.import_module("PEMMASegmentLib.panel.segments")


def test_unedited_it_is_the_command_lines_to_the_last_uid(case, command_line):
    run = new_run(case.study, command_line, case.ct, case.pet)
    [mine], [other] = run.lesions, command_line.lesions
    assert (mine.number, mine.tracking_uid, mine.volume_ml) == (other.number, other.tracking_uid, other.volume_ml)
    for name in ("suv_max", "suv_mean", "suv_peak", "mtv_ml", "tlg"):
        assert getattr(mine, name) == pytest.approx(getattr(other, name))
    assert run.drawn.numbers is None and sitk.Hash(run.drawn.label) == sitk.Hash(command_line.found.label)


def test_a_slider_that_moves_on_is_one_act(run):
    for threshold in (0.7, 0.6, 0.5):
        run.redraw(threshold=threshold)
    run.undo()
    assert run.threshold == 0.8 and run.last_act == ""


def test_touched_lesions_stay_when_the_threshold_moves_and_the_networks_do_not_vanish(run):
    grid = run.segmentation.probability
    run.add(at(grid, SEEN))
    added = numbers_of(run) == 2
    run.redraw(threshold=0.3)
    assert np.array_equal(numbers_of(run) == 2, added)
    assert run.lesions[0].volume_ml == pytest.approx(millilitres(run, 0.3))  # the network's own follows
    run.redraw(threshold=0.1)  # here the network's component reaches the added lesion: that one is the user's
    assert np.array_equal(numbers_of(run) == 2, added)
    run.redraw(threshold=0.8)
    run.cut(at(grid, IN_TUMOUR))
    cut = numbers_of(run)
    run.redraw(threshold=0.5)
    assert np.array_equal(numbers_of(run), cut)  # both parts are the user's


def test_a_component_that_runs_into_a_touched_lesion_keeps_what_is_nearer_to_the_networks():
    probability = np.zeros((3, 3, 30), np.float32)
    probability[:, :, 2:28] = 0.4
    probability[:, :, 2:8] = probability[:, :, 22:28] = 0.9
    image = sitk.GetImageFromArray(probability)
    before = drawing.at_threshold(None, image, 0.5, 1)
    numbers = before.numbers.copy()
    numbers[0, 0, 28] = 2
    mine = drawing.drawn(before, lesions_in(numbers), {2: "2.25.1"}, frozenset())
    for threshold in (0.3, 0.95, 0.3):
        after = drawing.at_threshold(mine, image, threshold, 1)
    assert np.array_equal(after.numbers == 2, numbers == 2)
    assert (after.numbers == 1)[1, 1].nonzero()[0].tolist() == list(range(2, 15))


def test_an_erased_lesion_stays_away_at_every_threshold_until_the_edit_is_undone(run, case):
    run.redraw(threshold=0.2, min_volume_ml=0.1)
    assert numbers_of(run)[SEEN] == 2
    run.node.GetSegmentation().RemoveSegment(segments.ids(run.node)[2])
    run.take_edits()
    again = runs.restore(run.node, case.study)  # as from a saved scene
    for one in (run, again):
        for threshold in (0.1, 0.25, 0.8, 0.2):
            one.redraw(threshold=threshold)
            assert numbers_of(one)[SEEN] == 0 and numbers_of(one)[IN_TUMOUR] == 1
    run.add(at(run.segmentation.probability, SEEN))  # what is drawn again is not erased any more
    run.redraw(threshold=0.8)
    assert numbers_of(run)[SEEN] and len(run._drawing.erased) == 0
    assert [run.undo() for _ in range(4)] == ["threshold", "add", "threshold", "edit"] and numbers_of(run)[SEEN] == 2


def test_what_was_trimmed_off_a_lesion_is_no_lesion_of_its_own_at_a_higher_threshold():
    probability = np.zeros((3, 3, 30), np.float32)
    probability[:, :, 2:28] = 0.6
    probability[:, :, 2:8] = probability[:, :, 22:28] = 0.9
    image = sitk.GetImageFromArray(probability)
    before = drawing.at_threshold(None, image, 0.5, 1)
    numbers = before.numbers.copy()
    numbers[:, :, 15:] = 0
    mine = drawing.drawn(before, lesions_in(numbers), {}, frozenset())
    assert len(mine.erased) and np.array_equal(drawing.unpacked(drawing.packed(mine.erased)), mine.erased)
    assert np.array_equal(drawing.at_threshold(mine, image, 0.8, 1).numbers, numbers)


def test_the_smallest_lesion_acts_at_once_and_is_undone(panel):
    ui = panel.ui
    ui.minVolumeSpinBox.value = 0.1
    ui.thresholdSlider.value = 0.2
    [tumour, spot] = panel.run.lesions
    ui.minVolumeSpinBox.value = round(spot.volume_ml + 0.2, 2)
    ui.minVolumeSpinBox.value = round(spot.volume_ml + 0.3, 2)
    assert [lesion.volume_ml for lesion in panel.run.lesions] == [tumour.volume_ml]
    assert ui.undoButton.text == "Undo: smallest lesion" and ui.lesionTable.rowCount == 1
    click(ui.undoButton)
    assert len(panel.run.lesions) == 2 and ui.minVolumeSpinBox.value == panel.chosen.minVolumeMl == 0.1
    assert ui.undoButton.text == "Undo: threshold"
    panel.run.usual_min_volume_ml = spot.volume_ml + 1  # an adapter's own, which the box leaves to it
    ui.minVolumeSpinBox.value = 0.5
    assert len(panel.run.lesions) == 1 and panel.run.min_volume_ml == panel.run.usual_min_volume_ml


def test_the_box_tells_the_smallest_lesion_that_acts_also_when_it_was_changed_during_the_run(panel):
    run = panel.run
    panel._lesions.show(None)
    panel.ui.minVolumeSpinBox.value = 3.0
    panel._lesions.show(run)
    assert panel.ui.minVolumeSpinBox.value == panel.chosen.minVolumeMl == run.min_volume_ml == 0.5 and not run.last_act


def test_the_slider_and_the_rule_redraw_at_once(app, panel):
    import time

    ui = panel.ui
    started = time.process_time()
    ui.thresholdSlider.value = 0.3
    assert time.process_time() - started < 0.5  # a busy machine; alone it takes a fifth of it
    assert panel.run.threshold == pytest.approx(0.3) and ui.lesionTable.item(0, 1).text() == f"{millilitres(panel.run, 0.3):.2f}"
    ui.mtvRuleComboBox.currentText = "suv4"
    assert "SUV >= 4" in ui.lesionTable.horizontalHeaderItem(2).text()
    click(ui.undoButton)
    assert ui.thresholdSlider.value == pytest.approx(0.8)
    assert ui.lesionTable.item(0, 1).text() == f"{millilitres(panel.run, 0.8):.2f}"
    assert panel.run.mtv_rule == "suv4"

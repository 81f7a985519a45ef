"""What stays with a lesion whatever is drawn anew: the user's tick, its name, its tracking UID; and what is one act."""

import importlib
import json

import numpy as np
import pytest
import SimpleITK as sitk

from .conftest import FIELDS, at, click, voxels

pytest.importorskip("slicer", reason="needs the package slicer-core", exc_type=ImportError)
pytest.importorskip("PyQt5.QtWidgets", reason="needs the package PyQt5", exc_type=ImportError)
drawing = importlib.import_module("PEMMASegmentLib.panel.drawing")
looks = importlib.import_module("PEMMASegmentLib.panel.looks")
logic = importlib.import_module("PEMMASegmentLib.panel.logic")
runs = importlib.import_module("PEMMASegmentLib.panel.runs")
segments = importlib.import_module("PEMMASegmentLib.panel.segments")

ONLY_PET = (23, 61, 0)  # z, y, x in the CT of STS_008: SUV 3.6, the answer gives nothing
TUMOUR, BLADDER, METASTASIS = (24, 68, 61), (8, 20, 20), (40, 20, 100)


@pytest.fixture(scope="session")
def three(expert) -> sitk.Image:
    """A probability of three lesions, from the largest down: the tumour, the bladder at 0.7, a metastasis at 0.95."""
    values = sitk.GetArrayFromImage(expert[1]) * np.float32(0.99)
    grid, step = np.indices(values.shape), expert[1].GetSpacing()[::-1]
    for centre, radius, value in ((BLADDER, 12, 0.7), (METASTASIS, 10, 0.95)):
        away = sum(((axis - c) * mm) ** 2 for axis, c, mm in zip(grid, centre, step, strict=True))
        values[away < radius**2] = value
    image = sitk.GetImageFromArray(values)
    image.CopyInformation(expert[1])
    return image


@pytest.fixture
def run(case, three):
    """That answer as a run in the scene."""
    return runs.create(case.study, FIELDS, three, case.ct, case.pet)


@pytest.fixture
def panel(module, three):
    """The panel with that answer in it."""
    chosen = module.panel.chosen
    assert module.panel._results.add(runs.create(module.panel._study(), FIELDS, three, chosen.ct, chosen.pet))
    return module.panel


def lesion_at(run, index):
    """The lesion of a voxel (z, y, x), None outside all."""
    return next((lesion for lesion in run.lesions if lesion.number == run._drawing.numbers[index]), None)


def shown(run) -> np.ndarray:
    """How many segments each voxel (z, y, x) has."""
    return sum(voxels(run.node, segment_id, run.reference).astype(int) for segment_id in segments.ids(run.node).values())


def paint(run, index) -> None:
    """A stroke of the Segment Editor beside a lesion: two planes at a corner of the volume."""
    import slicer

    segment_id = segments.ids(run.node)[lesion_at(run, index).number]
    array = slicer.util.arrayFromSegmentBinaryLabelmap(run.node, segment_id, run.reference)
    array[:2, :5, :5] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, run.node, segment_id, run.reference)
    run.take_edits()


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


def test_tracking_uids_stay_with_the_users_lesions_and_are_no_others(run):
    grid = run.segmentation.probability
    added = run.add(at(grid, ONLY_PET))[0]
    uid = {index: lesion_at(run, index).tracking_uid for index in (ONLY_PET, BLADDER)}
    run.redraw(threshold=0.8)  # the bladder is gone, the metastasis keeps its number after an edit
    assert lesion_at(run, METASTASIS).number == 3 and lesion_at(run, ONLY_PET).tracking_uid == uid[ONLY_PET]
    uid[METASTASIS] = lesion_at(run, METASTASIS).tracking_uid
    paint(run, METASTASIS)
    run.redraw(threshold=0.55)
    assert [lesion_at(run, index).tracking_uid for index in (METASTASIS, ONLY_PET)] == [uid[METASTASIS], uid[ONLY_PET]]
    every = [lesion.tracking_uid for lesion in run.lesions]
    assert len(set(every)) == len(every) == 4 and added == lesion_at(run, ONLY_PET).number


def test_number_and_uid_of_an_erased_lesion_are_not_given_again(run):
    uid = lesion_at(run, METASTASIS).tracking_uid
    run.node.GetSegmentation().RemoveSegment(segments.ids(run.node)[3])
    run.take_edits()
    for threshold in (0.55, 0.5):
        run.redraw(threshold=threshold)
    number, _ = run.add(at(run.segmentation.probability, ONLY_PET))
    assert number == 4 and uid not in [lesion.tracking_uid for lesion in run.lesions]


def test_names_and_colours_of_the_users_go_with_the_lesion_and_ours_with_the_number(run):
    segmentation = run.node.GetSegmentation()

    def name_of(index) -> str:
        return segmentation.GetSegment(segments.ids(run.node)[lesion_at(run, index).number]).GetName()

    for number, name in ((2, "Bladder"), (3, "Liver metastasis")):
        segmentation.GetSegment(segments.ids(run.node)[number]).SetName(name)
    segmentation.GetSegment(segments.ids(run.node)[3]).SetColor(1.0, 0.0, 0.0)
    run.redraw(threshold=0.8)
    assert (name_of(TUMOUR), name_of(METASTASIS)) == ("Tumour 1", "Liver metastasis")
    assert segments.colours(run.node)[2] == (1.0, 0.0, 0.0)
    run.redraw(threshold=0.5)
    assert name_of(METASTASIS) == "Liver metastasis" and segments.colours(run.node)[2] == segments.COLOURS[1]
    run.cut(at(run.segmentation.probability, METASTASIS))
    names = [segmentation.GetSegment(segments.ids(run.node)[n]).GetName() for n in (3, 4)]
    assert names == ["Liver metastasis", "Tumour 4"]
    run.undo()
    assert name_of(METASTASIS) == "Liver metastasis"


def test_a_lesion_that_was_gone_has_its_name_and_colour_again(run, case):
    def look_of(index) -> tuple:
        segment = run.node.GetSegmentation().GetSegment(segments.ids(run.node)[lesion_at(run, index).number])
        return segment.GetName(), segment.GetColor()

    bladder = run.node.GetSegmentation().GetSegment(segments.ids(run.node)[2])
    bladder.SetName("Bladder")
    bladder.SetColor(0.0, 1.0, 0.0)
    given, ours = look_of(BLADDER), look_of(TUMOUR)
    for away in ({"threshold": 0.8}, {"min_volume_ml": 30.0}):
        before = {"threshold": run.threshold, "min_volume_ml": run.min_volume_ml}
        for back in (run.undo, lambda before=before: run.redraw(**before)):
            run.redraw(**away)
            assert lesion_at(run, BLADDER) is None
            back()
            assert look_of(BLADDER) == given and look_of(TUMOUR) == ours
    run.redraw(threshold=0.8)
    run = runs.restore(run.node, case.study)  # as from a saved scene
    number, _ = run.add(at(run.segmentation.probability, BLADDER))
    assert look_of(BLADDER) == given
    run.merge([1, number])
    assert look_of(BLADDER) == ours
    run.undo()
    assert look_of(BLADDER) == given and look_of(TUMOUR) == ours


def test_a_look_goes_to_the_lesion_at_its_place_that_has_none_of_several_that_of_the_largest():
    bladder, colon, own = (looks.Look(name) for name in ("Bladder", "Colon", "mine"))
    gone = looks.Place(bladder, np.arange(2, 5)), looks.Place(colon, np.arange(8, 14))
    numbers = np.zeros((1, 1, 40), np.uint16)
    numbers[:, :, 1:15], numbers[:, :, 20:30] = 1, 2
    after = drawing.Drawing(numbers, 0.5)
    found = looks.placed(gone, after)
    assert looks.looks_of(gone, found) == {1: colon}
    named = looks.seen(gone, found, after, {1: colon})
    assert [place.look.name for place in named if any(place.look)] == ["Colon", "Bladder"]
    drawn = looks.seen(gone, {}, after, {1: own})  # the user drew it and named it at once
    assert [place.look.name for place in drawn if any(place.look)] == ["mine", "Bladder", "Colon"]


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


def test_a_part_of_an_unticked_lesion_is_unticked(run):
    run.keep(1, False)
    _, new = run.cut(at(run.segmentation.probability, TUMOUR))
    assert [lesion.kept for lesion in run.lesions] == [False, True, True, False] and run.lesions[-1].number == new


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


def test_a_tick_right_after_a_deletion_acts_on_what_is_left(run):
    run.node.GetSegmentation().RemoveSegment(segments.ids(run.node)[3])
    run.keep(2, False)
    assert [lesion.kept for lesion in run.lesions] == [True, False] and run.last_act == "keep"
    run.node.GetSegmentation().RemoveSegment(segments.ids(run.node)[2])
    run.keep(2, False)
    run.review([1, 2])
    assert [lesion.number for lesion in run.lesions] == [1] and run.last_act == "edit" and run.reviewed == {1}


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


def state_of(run) -> list[tuple]:
    return [
        (lesion.number, lesion.volume_ml, lesion.kept, lesion.tracking_uid, lesion.algorithm_type, lesion.number in run.reviewed)
        for lesion in run.lesions
    ]


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


def test_a_part_cut_off_again_has_a_tracking_uid_of_its_own(run):
    run.merge([1, 2])
    run.cut(at(run.segmentation.probability, TUMOUR))  # the piece that was lesion 1, whose UID the other has
    uids = [lesion.tracking_uid for lesion in run.lesions]
    assert len(set(uids)) == len(uids) == 3


def test_after_an_edit_numbers_and_reviews_stay_wherever_the_sliders_pass(run):
    run.node.GetSegmentation().RemoveSegment(segments.ids(run.node)[2])
    run.review([1, 3])
    before = state_of(run)
    for away in ({"threshold": 0.97}, {"min_volume_ml": 30.0}, {"threshold": 0.3}):
        back = {"threshold": run.threshold, "min_volume_ml": run.min_volume_ml}
        run.redraw(**away)
        run.redraw(**back)
        assert state_of(run) == before and [row[0] for row in before] == [1, 3]
    assert run.reviewed == {1, 3}


def test_a_name_stays_where_it_is_when_the_slider_passed_where_nothing_is(run):
    values = sitk.GetArrayFromImage(run.segmentation.probability)
    run.node.GetSegmentation().GetSegment(segments.ids(run.node)[2]).SetName("Bladder")
    run.take_edits()
    run.redraw(threshold=1.1)
    run.review([])
    run.redraw(threshold=float(values.min()))  # all is one
    assert [look for look in segments.looks(run.node).values() if look.name] == []
    run.undo()
    run.redraw(threshold=0.5)
    name = {n: run.node.GetSegmentation().GetSegment(i).GetName() for n, i in segments.ids(run.node).items()}
    assert name == {1: "Tumour 1", 2: "Bladder", 3: "Tumour 3"}


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

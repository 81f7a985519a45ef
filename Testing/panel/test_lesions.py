"""Lesions under the user's hands: added, cut, merged, edited, dropped, undone, exported, saved.

The patient, its PET and the expert's contour are real; the answer is made of that contour, so that another
model changes nothing here.
"""

import csv
import importlib
import itertools
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk

from PEMMASegmentLib.core import PemmaError

from .conftest import FIELDS, at, click, picture, put_crosshair, voxels, wait

pytest.importorskip("slicer", reason="needs the package slicer-core", exc_type=ImportError)
pytest.importorskip("PyQt5.QtWidgets", reason="needs the package PyQt5", exc_type=ImportError)
drawing = importlib.import_module("PEMMASegmentLib.panel.drawing")
edits = importlib.import_module("PEMMASegmentLib.panel.lesion_edits")
runs = importlib.import_module("PEMMASegmentLib.panel.runs")
segments = importlib.import_module("PEMMASegmentLib.panel.segments")

SEEN = (33, 50, 21)  # z, y, x in the CT of STS_008: the answer gives 0.27, under its threshold
ONLY_PET = (23, 61, 0)  # SUV 3.6, the answer gives nothing
IN_TUMOUR = (24, 68, 61)  # the smaller of the two foci of the one lesion


@pytest.fixture(scope="session")
def generous(command_line, expert):
    """The command line's answer with another probability: the expert's contour with a rim, and a faint spot beside it."""
    found = command_line.found
    outside = sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(expert[0] != 0, squaredDistance=False, useImageSpacing=True))
    grid = np.indices(outside.shape) - np.reshape(SEEN, (3, 1, 1, 1))
    away = sum((step * mm) ** 2 for step, mm in zip(grid, found.probability.GetSpacing()[::-1], strict=True))
    values = np.maximum(1 / (1 + np.exp((outside - 8) / 2)), 0.27 * np.exp(-away / 72)).astype(np.float32)
    values[values < 0.01] = 0
    probability = sitk.GetImageFromArray(values)
    probability.CopyInformation(found.probability)
    label = sitk.BinaryThreshold(probability, 0.8, 2.0, 1, 0)
    return SimpleNamespace(found=replace(found, probability=probability, label=label, threshold=0.8))


@pytest.fixture
def run(case, generous):
    """That answer as a run in the scene."""
    return new_run(case.study, generous, case.ct, case.pet)


def millilitres(run, threshold: float) -> float:
    """What a threshold alone marks of the tumour."""
    probability = run.segmentation.probability
    numbers = sitk.ConnectedComponent(sitk.BinaryThreshold(probability, threshold, 2.0, 1, 0), True)
    tumour = sitk.GetArrayViewFromImage(numbers) == numbers[[int(i) for i in IN_TUMOUR[::-1]]]
    return float(tumour.sum() * np.prod(probability.GetSpacing()) / 1000)


def new_run(study, command_line, ct, pet):
    found = command_line.found
    fields = {name: getattr(found, name) for name in ("inputs", "device", "precision", "threshold", "roi_mm")}
    fields |= {"model": asdict(found.model), "adapter": None, "steps": []}
    return runs.create(study, fields, found.probability, ct, pet)


def numbers_of(run) -> np.ndarray:
    return run._drawing.numbers


def shown(run) -> np.ndarray:
    """Lesion numbers as the segments hold them, read by Slicer's own function."""
    out = np.zeros(numbers_of(run).shape, np.uint16)
    for number, segment_id in segments.ids(run.node).items():
        out[voxels(run.node, segment_id, run.reference)] = number
    return out


def test_unedited_it_is_the_command_lines_to_the_last_uid(case, command_line):
    run = new_run(case.study, command_line, case.ct, case.pet)
    [mine], [other] = run.lesions, command_line.lesions
    assert (mine.number, mine.tracking_uid, mine.volume_ml) == (other.number, other.tracking_uid, other.volume_ml)
    for name in ("suv_max", "suv_mean", "suv_peak", "mtv_ml", "tlg"):
        assert getattr(mine, name) == pytest.approx(getattr(other, name))
    assert run.drawn.numbers is None and sitk.Hash(run.drawn.label) == sitk.Hash(command_line.found.label)


def test_what_the_model_saw_under_the_threshold_is_added_as_it_saw_it(run):
    probability = sitk.GetArrayFromImage(run.segmentation.probability)
    assert probability[SEEN] < run.threshold
    number, grown = run.add(at(run.segmentation.probability, SEEN))
    added = numbers_of(run) == number
    assert number == 2 and grown.source == "probability" and not grown.cut
    assert added[SEEN] and probability[added].min() >= grown.level == pytest.approx(probability[added].max() / 2)
    assert np.array_equal(shown(run), numbers_of(run))
    assert [lesion.algorithm_type for lesion in run.lesions] == ["AUTOMATIC", "SEMIAUTOMATIC"]
    with pytest.raises(PemmaError, match="lesion-there"):
        run.add(at(run.segmentation.probability, SEEN))


def test_what_it_did_not_see_is_added_from_the_pet_and_stays_bounded(run):
    grid = run.segmentation.probability
    number, grown = run.add(at(grid, ONLY_PET))
    suv = sitk.GetArrayFromImage(sitk.Resample(run.study.pet, grid))[numbers_of(run) == number]
    assert grown.source == "pet" and suv.min() >= grown.level == pytest.approx(edits.PET_FRACTION * suv.max(), rel=1e-3)
    for index, code in (((25, 70, 120), "nothing-there"), (IN_TUMOUR, "lesion-there")):
        with pytest.raises(PemmaError, match=code):
            run.add(at(grid, index))
    with pytest.raises(PemmaError, match="crosshair-outside"):
        run.add((1e4, 0.0, 0.0))
    for index in itertools.product((2, 25, 33), (12, 60, 100), (0, 20, 70)):
        before = run.last_act, numbers_of(run)
        try:
            number, grown = run.add(at(grid, index))
        except PemmaError:
            assert (run.last_act, numbers_of(run)) == before or numbers_of(run) is before[1]
            continue
        place = np.argwhere(numbers_of(run) == number) * grid.GetSpacing()[::-1]
        assert np.ptp(place, axis=0).max() <= 2 * edits.BOUND_MM + 4
        assert np.array_equal(numbers_of(run) * (numbers_of(run) != number), before[1])  # nothing taken from others


def test_a_lesion_added_where_the_ct_ends_and_the_pet_goes_on_is_told_under_the_table(panel):
    from PyQt5 import QtCore

    study = panel.run.study
    assert ONLY_PET[2] == 0 and "Warning" not in panel.ui.totalsLabel.text
    panel.run.study = replace(study, pet=sitk.MirrorPad(study.pet, (20, 0, 0), (0, 0, 0)))
    put_crosshair(panel, ONLY_PET)
    click(panel.ui.addButton)
    assert "Warning: lesion 2 reaches the edge of the CT" in panel.ui.totalsLabel.text
    panel.ui.lesionTable.item(1, 0).setCheckState(QtCore.Qt.Unchecked)
    assert "Warning" not in panel.ui.totalsLabel.text
    click(panel.ui.undoButton)
    assert "Warning" in panel.ui.totalsLabel.text
    click(panel.ui.undoButton)
    assert "Warning" not in panel.ui.totalsLabel.text


def test_without_a_pet_only_what_the_model_saw_can_be_added(generous):
    probability = generous.found.probability
    numbers = np.zeros(probability.GetSize()[::-1], np.uint16)
    assert edits.grow(numbers, probability, None, 0.8, at(probability, SEEN)).source == "probability"
    with pytest.raises(PemmaError, match="nothing-there"):
        edits.grow(numbers, probability, None, 0.8, at(probability, ONLY_PET))


def test_a_cut_follows_the_valley_of_the_uptake_and_a_merge_takes_it_back(run):
    before, uid = numbers_of(run), run.lesions[0].tracking_uid
    number, new = run.cut(at(run.segmentation.probability, IN_TUMOUR))
    assert (number, new) == (1, 2) and numbers_of(run)[IN_TUMOUR] == 2
    parts = [lesion.volume_ml for lesion in run.lesions]
    assert sum(parts) == pytest.approx(millilitres(run, 0.8)) and min(parts) > 10
    assert run.lesions[0].tracking_uid == uid != run.lesions[1].tracking_uid
    suv = sitk.GetArrayFromImage(sitk.Resample(run.study.pet, run.segmentation.probability))
    border = (numbers_of(run) == 2) & (sitk.GetArrayFromImage(sitk.BinaryDilate(
        sitk.GetImageFromArray((numbers_of(run) == 1).astype(np.uint8)), (1, 1, 1))) == 1)  # fmt: skip
    assert suv[border].max() < min(suv[numbers_of(run) == n].max() for n in (1, 2))
    assert run.merge([2, 1]) == 1
    assert np.array_equal(numbers_of(run), before) and run.lesions[0].tracking_uid == uid
    assert run.cut(at(run.segmentation.probability, IN_TUMOUR))[1] == 3  # a number is not given twice
    with pytest.raises(PemmaError, match="merge-one"):
        run.merge([3])
    with pytest.raises(PemmaError, match="no-lesion-there"):
        run.cut(at(run.segmentation.probability, SEEN))


def test_a_merged_lesion_of_two_pieces_is_cut_into_them(run):
    run.add(at(run.segmentation.probability, SEEN))
    before = numbers_of(run)
    run.merge([1, 2])
    assert [lesion.number for lesion in run.lesions] == [1]
    run.cut(at(run.segmentation.probability, SEEN))
    assert np.array_equal(numbers_of(run) == 3, before == 2)


def test_every_act_is_undone_by_one_undo_the_last_first(run):
    grid = run.segmentation.probability
    acts = [
        lambda: run.add(at(grid, SEEN)), lambda: run.keep(2, False), lambda: run.cut(at(grid, IN_TUMOUR)),
        lambda: run.redraw(threshold=0.6), lambda: run.merge([1, 3]), lambda: run.add(at(grid, ONLY_PET)),
        lambda: paint(run, 1), lambda: run.keep(1, False),
    ]  # fmt: skip
    seen = []
    for act in acts:
        seen.append((shown(run), [asdict(lesion) for lesion in run.lesions], run.threshold))
        act()
        run.take_edits()
    names = ["keep", "edit", "add", "merge", "threshold", "cut", "keep", "add"]
    for name, (numbers, lesions, threshold) in zip(names, reversed(seen), strict=True):
        assert run.last_act == name and run.undo() == name
        assert np.array_equal(shown(run), numbers) and run.threshold == threshold
        assert [asdict(lesion) for lesion in run.lesions] == lesions
    assert run.last_act == "" and run.undo() == "" and run.drawn.numbers is None


def test_an_undo_leaves_the_review_of_lesions_that_it_does_not_change(run):
    run.add(at(run.segmentation.probability, SEEN))
    run.cut(at(run.segmentation.probability, IN_TUMOUR))
    run.keep(2, False)
    run.review([1, 2])
    assert run.undo() == "keep" and run.reviewed == {1, 2}
    assert run.undo() == "cut" and run.reviewed == {2}  # the first is another than was looked at
    assert run.undo() == "add" and run.reviewed == set()


def paint(run, number: int) -> None:
    """A stroke as the Segment Editor leaves it: a block at the corner of the volume added to a segment."""
    import slicer

    segment_id = segments.ids(run.node)[number]
    array = slicer.util.arrayFromSegmentBinaryLabelmap(run.node, segment_id, run.reference)
    array[:3, :10, :10] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, run.node, segment_id, run.reference)


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
    mine = drawing.drawn(before, numbers, {2: "2.25.1"}, frozenset())
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
    mine = drawing.drawn(before, numbers, {}, frozenset())
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


def test_strokes_of_the_segment_editor_change_figures_type_and_review_state(run):
    import slicer

    run.review([1])
    uid, volume = run.lesions[0].tracking_uid, run.lesions[0].volume_ml
    assert run.reviewed == {1} and not run.take_edits()
    paint(run, 1)
    assert run.take_edits() and not run.take_edits()
    [lesion] = run.lesions
    assert lesion.volume_ml == pytest.approx(volume + 300 * 3.11851e-3, rel=1e-4)
    assert lesion.algorithm_type == "SEMIAUTOMATIC" and lesion.tracking_uid == uid and run.reviewed == set()
    tag = segments.tags(run.node, segments.ALGORITHM_TYPE)
    state, segment = slicer.vtkSlicerSegmentationsModuleLogic, run.node.GetSegmentation().GetSegment("Lesion_1")
    assert tag == {1: "SEMIAUTOMATIC"} and state.GetSegmentStatus(segment) == state.Flagged
    own = run.node.GetSegmentation().AddEmptySegment("", "mine")
    assert not run.take_edits()  # nothing was drawn yet
    array = np.zeros(numbers_of(run).shape, np.uint8)
    array[40:, 100:, 100:] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, run.node, own, run.reference)
    state.SetSegmentStatus(segment, state.Completed)
    assert run.take_edits() and [lesion.number for lesion in run.lesions] == [1, 2] and run.reviewed == {1}
    assert np.array_equal(numbers_of(run) == 2, array > 0)
    run.node.GetSegmentation().RemoveSegment("Lesion_1")
    run.take_edits()
    assert [lesion.number for lesion in run.lesions] == [2]
    run.undo()
    assert [lesion.number for lesion in run.lesions] == [1, 2] and run.reviewed == {1}
    assert run.node.GetSegmentation().GetSegment(segments.ids(run.node)[2]).GetName() == "mine"


def test_a_segment_that_was_copied_from_another_result_is_a_lesion_of_its_own(run, case, generous):
    other = new_run(case.study, generous, case.ct, case.pet)
    other.add(at(other.segmentation.probability, SEEN))
    other.keep(2, False)
    run.add(at(run.segmentation.probability, ONLY_PET))
    before, uids = numbers_of(run), [lesion.tracking_uid for lesion in run.lesions]
    run.node.GetSegmentation().CopySegmentFromSegmentation(other.node.GetSegmentation(), segments.ids(other.node)[2])
    assert run.take_edits() and not run.take_edits()
    assert [lesion.number for lesion in run.lesions] == [1, 2, 3] and run.lesions[2].kept
    assert np.array_equal(numbers_of(run) == 3, numbers_of(other) == 2)
    assert np.array_equal(np.where(numbers_of(run) == 3, 0, numbers_of(run)), before)
    assert [lesion.tracking_uid for lesion in run.lesions][:2] == uids


def test_a_segment_of_another_geometry_is_read_where_it_lies(run):
    """As after "Specify geometry" with twice the resolution in the Segment Editor."""
    import slicer
    from vtk.util.numpy_support import numpy_to_vtk

    from PEMMASegmentLib.panel import volumes

    fine = np.kron((numbers_of(run) == 1)[:, :, :70], np.ones((2, 2, 2), np.uint8)).astype(np.uint8)  # its left half
    matrix = volumes.ijk_to_ras(run.reference)
    matrix[:3, 3] -= matrix[:3, :3] @ [0.25, 0.25, 0.25]
    matrix[:3, :3] /= 2
    labelmap = slicer.vtkOrientedImageData()
    labelmap.SetDimensions(*fine.shape[::-1])
    labelmap.GetPointData().SetScalars(numpy_to_vtk(fine.ravel(), deep=True))
    labelmap.SetGeometryFromImageToWorldMatrix(slicer.util.vtkMatrixFromArray(matrix))
    expected = (numbers_of(run) == 1) & (np.arange(numbers_of(run).shape[2]) < 70)
    run.node.GetSegmentation().GetSegment(segments.ids(run.node)[1]).AddRepresentation(segments.LABELMAP, labelmap)
    assert run.take_edits() and np.array_equal(numbers_of(run) == 1, expected)


def test_the_seg_of_an_edited_run_holds_what_is_kept_and_who_drew_it(run, case, tmp_path):
    import pydicom

    from PEMMASegmentLib.panel import logic
    from PEMMASegmentLib.study import annotation

    run.add(at(run.segmentation.probability, SEEN))
    run.add(at(run.segmentation.probability, ONLY_PET))
    run.keep(3, False)
    path, _ = logic.export_seg(run, tmp_path)
    seg = pydicom.dcmread(path)
    assert [item.SegmentLabel for item in seg.SegmentSequence] == ["Tumour 1", "Tumour 2"]
    assert [item.SegmentAlgorithmType for item in seg.SegmentSequence] == ["AUTOMATIC", "SEMIAUTOMATIC"]
    label, _ = annotation.read(path, case.study)
    assert np.array_equal(sitk.GetArrayFromImage(label) != 0, np.isin(numbers_of(run), [1, 2]))
    rows = list(csv.DictReader(logic.export_table(run, tmp_path).open(encoding="utf-8")))
    assert [row["number"] for row in rows] == ["1", "2"]
    (tmp_path / "database").mkdir()
    import slicer

    slicer.app = type("App", (), {"temporaryPath": str(tmp_path / "database")})
    path, _ = logic.export_seg(run, None, into_database=True)
    assert slicer.dicomDatabase.inserted == [str(path)] and not list((tmp_path / "database").iterdir())


def test_surfaces_are_made_for_what_changed_and_not_while_a_slider_moves(run):
    segmentation = run.node.GetSegmentation()
    first = segments.surfaces(run.node)[1]
    run.add(at(run.segmentation.probability, SEEN))
    assert segments.surfaces(run.node)[1] is first and segments.surfaces(run.node)[2].GetNumberOfPoints() > 0
    run.redraw(threshold=0.5)
    assert segments.surfaces(run.node) == {}
    run.make_surfaces()
    assert set(segments.surfaces(run.node)) == {1, 2} and segments.surfaces(run.node)[1] is not first
    run.redraw(threshold=1.1)  # nothing is left of the network's
    run.redraw(threshold=0.8)
    run.make_surfaces()
    assert set(segments.surfaces(run.node)) == {1, 2}
    segmentation.RemoveRepresentation(segments.SURFACE)  # "Show 3D" switched off
    run.keep(2, False)
    run.cut(at(run.segmentation.probability, IN_TUMOUR))
    assert segments.surfaces(run.node) == {}


@pytest.fixture
def panel(module, generous):
    """The panel with that answer in it."""
    chosen = module.panel.chosen
    run = new_run(module.panel._study(), generous, chosen.ct, chosen.pet)
    assert module.panel._results.add(run)
    return module.panel


def select(table, *rows: int) -> None:
    from PyQt5 import QtCore

    model = table.selectionModel()
    model.clearSelection()
    for row in rows:
        model.select(table.model().index(row, 0), QtCore.QItemSelectionModel.Select | QtCore.QItemSelectionModel.Rows)


def cells(table, column: int) -> list[str]:
    return [table.item(row, column).text() for row in range(table.rowCount)]


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


def finished(panel, folder, **fields):
    """A segmentation that was asked for and is answered, by the probability of the result that is shown, and these fields."""
    import time

    from PEMMASegmentLib.panel.remaining import Remaining
    from PEMMASegmentLib.panel.widget import _Asked
    from PEMMASegmentLib.worker.events import Result

    chosen, study = panel.chosen, panel._study()
    sitk.WriteImage(panel.run.segmentation.probability, str(folder / "probability.nrrd"))
    ids = chosen.ct.GetID(), chosen.pet.GetID()
    asked = _Asked(7, study, *ids, time.monotonic(), Remaining(time.monotonic), {"adapter": None}, {})
    answer = Result(7, "segment", FIELDS | {"probability": "probability.nrrd"} | fields, folder)
    return lambda: panel._guarded(panel._finish, asked, answer)


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

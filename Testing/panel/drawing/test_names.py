"""Names, colours, numbers and tracking UIDs stay with a lesion whatever is drawn anew."""

import importlib

import numpy as np
import pytest
import SimpleITK as sitk

from ..conftest import at, lesions_in
from .places import BLADDER, METASTASIS, ONLY_PET, TUMOUR, lesion_at, paint, state_of

pytest.importorskip("slicer", reason="needs the package slicer-core", exc_type=ImportError)
pytest.importorskip("PyQt5.QtWidgets", reason="needs the package PyQt5", exc_type=ImportError)
drawing = importlib.import_module("PEMMASegmentLib.panel.drawing")
looks = importlib.import_module("PEMMASegmentLib.panel.looks")
runs = importlib.import_module("PEMMASegmentLib.panel.runs")
segments = importlib.import_module("PEMMASegmentLib.panel.segments")


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
    after = drawing.Drawing(lesions_in(numbers), 0.5)
    found = looks.placed(gone, after)
    assert looks.looks_of(gone, found) == {1: colon}
    named = looks.seen(gone, found, after, {1: colon})
    assert [place.look.name for place in named if any(place.look)] == ["Colon", "Bladder"]
    drawn = looks.seen(gone, {}, after, {1: own})  # the user drew it and named it at once
    assert [place.look.name for place in drawn if any(place.look)] == ["mine", "Bladder", "Colon"]


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

"""Lesions under the user's hands: added, cut, merged, and undone."""

import importlib
import itertools
from dataclasses import asdict, replace

import numpy as np
import pytest
import SimpleITK as sitk

from PEMMASegmentLib.core import PemmaError

from ..conftest import at, click, put_crosshair
from .acts import IN_TUMOUR, ONLY_PET, SEEN, millilitres, numbers_of, paint, shown

pytest.importorskip("slicer", reason="needs the package slicer-core", exc_type=ImportError)
pytest.importorskip("PyQt5.QtWidgets", reason="needs the package PyQt5", exc_type=ImportError)
edits = importlib.import_module("PEMMASegmentLib.panel.lesion_edits")


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
        before = run.last_act, run._drawing
        try:
            number, grown = run.add(at(grid, index))
        except PemmaError:
            assert run.last_act == before[0] and run._drawing is before[1]
            continue
        place = np.argwhere(numbers_of(run) == number) * grid.GetSpacing()[::-1]
        assert np.ptp(place, axis=0).max() <= 2 * edits.BOUND_MM + 4
        assert np.array_equal(numbers_of(run) * (numbers_of(run) != number), before[1].numbers)  # nothing taken from others


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

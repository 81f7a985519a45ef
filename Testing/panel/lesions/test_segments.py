"""Segments edited, copied and exported: what the Segment Editor leaves, surfaces, the SEG."""

import csv
import importlib
import tracemalloc

import numpy as np
import pytest
import SimpleITK as sitk

from ..conftest import at
from .acts import IN_TUMOUR, ONLY_PET, SEEN, new_run, numbers_of, paint

pytest.importorskip("slicer", reason="needs the package slicer-core", exc_type=ImportError)
pytest.importorskip("PyQt5.QtWidgets", reason="needs the package PyQt5", exc_type=ImportError)
segments = importlib.import_module("PEMMASegmentLib.panel.segments")


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


def test_a_segment_all_over_the_body_is_looked_at_without_copies(run):
    import slicer

    grid, array = run.segmentation.probability, np.ones(numbers_of(run).shape, np.uint8)
    own = run.node.GetSegmentation().AddEmptySegment("", "mine")
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, run.node, own, run.reference)
    run.node.GetSegmentation().RemoveSegment(segments.ids(run.node)[1])
    assert run.take_edits() and numbers_of(run).all()
    tracemalloc.start()
    found, overlap = segments.read(run.node, grid, 9, run._drawing.voxels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(found.at, np.arange(array.size)) and set(found.of) == {2} and not overlap
    assert peak < 16 * array.size  # bytes: an index of 64 bits, value and lesion


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

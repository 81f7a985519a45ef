"""A result in Slicer's scene: segments, codes, table, threshold, dropped lesions, saved scene, undo, export."""

import importlib
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk

from PEMMASegmentLib.core import PemmaError

from .conftest import runs_in_scene, voxels

pytest.importorskip("slicer", reason="needs the package slicer-core", exc_type=ImportError)
logic = importlib.import_module("PEMMASegmentLib.panel.logic")
runs = importlib.import_module("PEMMASegmentLib.panel.runs")
segments = importlib.import_module("PEMMASegmentLib.panel.segments")
view = importlib.import_module("PEMMASegmentLib.panel.view")


@pytest.fixture
def run(case, answer):
    return logic.show_result(case.study, answer, case.ct, case.pet, {})


def add_second_lesion(case) -> sitk.Image:
    """The probability with a ball of 8 mm beside the tumour, of 0.7."""
    array = sitk.GetArrayFromImage(case.probability)
    z, y, x = np.indices(array.shape)
    step = np.array(case.probability.GetSpacing())[::-1]
    away = np.sqrt(((z - 10) * step[0]) ** 2 + ((y - 20) * step[1]) ** 2 + ((x - 20) * step[2]) ** 2)
    array[away < 8] = 0.7
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(case.probability)
    return image


def test_segments_are_the_label_voxel_for_voxel_and_carry_their_codes(case, run):
    import slicer
    import vtk

    node = run.node
    label = sitk.GetArrayFromImage(run.segmentation.label) != 0
    assert np.array_equal(voxels(node, segments.ids(node)[1], case.ct), label)
    segment = node.GetSegmentation().GetSegment(segments.ids(node)[1])
    status = slicer.vtkSlicerSegmentationsModuleLogic
    assert status.GetSegmentStatus(segment) == status.Flagged
    entry = vtk.reference("")
    segment.GetTag("TerminologyEntry", entry)
    assert "SCT^49755003" in str(entry) and "SCT^108369006" in str(entry)
    assert node.GetSegmentation().ContainsRepresentation("Closed surface")
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == case.item
    centre = logic.centre_ras(run, 1)
    assert np.allclose(centre, node.GetSegmentCenterRAS(segments.ids(node)[1]), atol=10)


def test_table_holds_the_figures_of_results(case, run):
    from PEMMASegmentLib import results

    table = run.node.GetNodeReference(runs.TABLE).GetTable()
    [lesion] = results.measure(run.segmentation.label, case.study.pet)
    found = {table.GetColumnName(n): table.GetColumn(n).GetValue(0) for n in range(table.GetNumberOfColumns())}
    assert found["SUVmax"] == pytest.approx(lesion.suv_max) and found["Kept"] == 1
    assert found["MTV (ml), 41% of SUVmax"] == pytest.approx(lesion.mtv_ml)
    run.redraw(mtv_rule="suv4")
    names = [table.GetColumnName(n) for table in [run.node.GetNodeReference(runs.TABLE).GetTable()] for n in range(3)]
    assert "MTV (ml), SUV >= 4" in names


def test_threshold_redraws_and_leaves_the_users_segments(run, case):
    own = run.node.GetSegmentation().AddEmptySegment("", "mine")
    volume = run.lesions[0].volume_ml
    run.redraw(threshold=0.2)
    run.redraw(threshold=0.8)
    assert run.lesions[0].volume_ml < volume
    assert run.node.GetSegmentation().GetSegment(own) is not None
    label = sitk.GetArrayFromImage(run.segmentation.probability) >= 0.8
    assert np.array_equal(voxels(run.node, segments.ids(run.node)[1], case.ct), label)
    run.redraw(threshold=1.1)
    assert run.lesions == [] and segments.ids(run.node) == {}


def test_a_dropped_lesion_stays_dropped_through_thresholds_and_saving(case, answer, tmp_path):
    import slicer

    sitk.WriteImage(add_second_lesion(case), str(answer.folder / "probability.nrrd"))
    run = logic.show_result(case.study, answer, case.ct, case.pet, {})
    assert [lesion.number for lesion in run.lesions] == [1, 2]
    run.keep(2, False)
    run.redraw(threshold=0.6)
    run.make_surfaces()
    assert [lesion.kept for lesion in run.lesions] == [True, False]
    assert run.node.GetDisplayNode().GetSegmentVisibility(segments.ids(run.node)[2]) is False
    assert run.node.GetSegmentation().GetNumberOfLayers() == 1
    figures = [lesion.tracking_uid for lesion in run.lesions]
    for node in slicer.util.getNodesByClass("vtkMRMLStorableNode"):
        node.AddDefaultStorageNode()
    slicer.mrmlScene.SetRootDirectory(str(tmp_path))
    assert slicer.mrmlScene.WriteToMRB(str(tmp_path / "scene.mrb"))
    again = reopened(tmp_path / "scene.mrb", tmp_path / "unpacked")
    back = runs.restore(again, case.study)
    assert [lesion.kept for lesion in back.lesions] == [True, False]
    assert [lesion.tracking_uid for lesion in back.lesions] == figures and back.threshold == 0.6
    assert set(segments.surfaces(again)) == {1, 2}
    assert not back.take_edits() and back.drawn.numbers is None  # nothing of it passes for an edit


def reopened(mrb, folder):
    import zipfile

    import slicer

    with zipfile.ZipFile(mrb) as archive:
        archive.extractall(folder)
    slicer.mrmlScene.Clear(0)
    slicer.mrmlScene.SetURL(str(next(folder.rglob("*.mrml"))))
    slicer.mrmlScene.Import()
    return runs_in_scene()[-1]


def test_removing_a_run_is_its_undo(case, run):
    import slicer

    counted = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
    run.remove()
    assert runs_in_scene() == [] and slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 0
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == counted - 1
    with pytest.raises(PemmaError, match="result-gone"):
        run.redraw(threshold=0.3)


def test_seg_holds_the_kept_lesions_and_references_the_ct(case, run, tmp_path):
    import pydicom
    import slicer

    from PEMMASegmentLib.study import annotation

    path, notes = logic.export_seg(run, tmp_path, into_database=True)
    assert slicer.dicomDatabase.inserted == [str(path)]
    label, _ = annotation.read(path, case.study)
    assert np.array_equal(sitk.GetArrayFromImage(label), sitk.GetArrayFromImage(run.segmentation.label))
    seg = pydicom.dcmread(path)
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == case.study.ct_headers[0].SeriesInstanceUID
    assert logic.export_seg(run, tmp_path)[0] != path and notes == []
    assert logic.why_not_export(run) == ""
    run.keep(1, False)
    assert "no lesion" in logic.why_not_export(run)


def test_the_record_names_nobody(case, run):
    record = run.node.GetAttribute(runs.RECORD)
    assert "starter" in record and str(case.folder) not in record
    assert str(case.study.ct_headers[0].PatientID) not in record


def test_request_writes_what_the_process_reads(case, tmp_path):
    from PEMMASegmentLib.study import nifti

    fields = logic.request_fields(case.study, tmp_path, {"inputs": "ct+pet", "device": "cpu"})
    read = nifti.from_files(tmp_path / fields["volumes"]["ct"], tmp_path / fields["volumes"]["pet"])
    assert sitk.Hash(read.ct) == sitk.Hash(case.study.ct) and sitk.Hash(read.pet) == sitk.Hash(case.study.pet)


def test_a_disk_that_is_full_leaves_no_volume_of_the_patient(case, tmp_path):
    folder = tmp_path / "private"
    (folder / logic.PET_FILE).mkdir(parents=True)  # in the way of the second volume
    with pytest.raises(PemmaError, match="cannot-write"):
        logic.request_fields(case.study, folder, {})
    assert not folder.exists()


def test_the_probability_is_no_volume_of_a_study_and_must_be_there(case, run):
    """Hidden, it would be left out by Slicer's Save dialog."""
    import slicer

    from PEMMASegmentLib.panel import candidates, own_nodes

    kept = run.node.GetNodeReference(runs.PROBABILITY)
    assert not kept.GetHideFromEditors() and kept.GetSaveWithScene()
    every = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    assert kept in every and [node for node in every if own_nodes.is_of_user(node)] == [case.ct, case.pet]
    assert {one.node for one in candidates.candidates(every)} == {case.ct, case.pet}
    kept.SetAndObserveImageData(None)
    with pytest.raises(PemmaError, match="result-incomplete"):
        runs.restore(run.node, case.study)


def test_slice_and_3d_views_show_the_lesion(scene, case, run, tmp_path):
    """Pictures of Slicer's own views; to look at them give a folder in PEMMA_PICTURES."""
    import slicer

    folder = Path(os.environ.get("PEMMA_PICTURES", tmp_path))
    slicer.app = SimpleNamespace(layoutManager=lambda: None)
    view.fuse(case.ct, case.pet, colour="colour", window=(0, 10 * view.per_suv(case.pet, case.study.pet)), opacity=0.5)
    centre = logic.centre_ras(run, 1)
    kept = [
        scene.slice_picture(folder / f"{name}.png", scene.application, case.ct, case.pet, name, centre)
        for name in ("Axial", "Coronal", "Sagittal")
    ]
    kept.append(scene.picture_3d(folder / "3D.png", scene.application))
    for name in ("Axial", "Coronal", "Sagittal", "3D"):
        picture = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f"{name}.png")))[..., :3].astype(int)
        orange = (picture[..., 0] - picture[..., 2] > 60) & (picture[..., 0] > 100)
        assert 200 < orange.sum() < 0.6 * orange.size, name


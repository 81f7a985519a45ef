"""Our DICOM-SEG as Slicer would show it: dcmqi, which Slicer reads SEG with, and a segmentation node of what it gives."""

import importlib
import subprocess
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from .conftest import voxels

pytest.importorskip("slicer", reason="needs the package slicer-core", exc_type=ImportError)
dcmqi = pytest.importorskip("dcmqi", reason="needs the package dcmqi")
PROGRAM = str(Path(dcmqi.__file__).parent / "bin" / "segimage2itkimage")
logic = importlib.import_module("PEMMASegmentLib.panel.logic")


@pytest.fixture
def read_back(case, answer, tmp_path):
    """The run, and the label maps that dcmqi makes of its SEG."""
    run = logic.show_result(case.study, answer, case.ct, case.pet, {})
    seg, _ = logic.export_seg(run, tmp_path)
    out = tmp_path / "dcmqi"
    out.mkdir()
    command = [PROGRAM, "--inputDICOM", str(seg), "--outputDirectory", str(out), "--outputType", "nrrd"]
    subprocess.run(command, check=True, capture_output=True)
    return run, sorted(out.glob("*.nrrd"))


def test_a_segmentation_node_of_our_seg_is_the_lesion_voxel_for_voxel_and_in_place(case, read_back):
    import slicer

    run, files = read_back
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "read back")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(case.ct)
    for file in files:
        add(node, file)
    segment_ids = node.GetSegmentation().GetSegmentIDs()
    assert len(segment_ids) == len(run.lesions)
    found = np.any([voxels(node, segment_id, case.ct) for segment_id in segment_ids], axis=0)
    assert found.any() and np.array_equal(found, sitk.GetArrayFromImage(run.segmentation.label) != 0)
    centre = node.GetSegmentCenterRAS(segment_ids[0])
    assert np.allclose(centre, logic.centre_ras(run, 1), atol=10)


def add(node, file) -> None:
    """As Slicer's import does it: a label map volume becomes a segment, at the place that the file states."""
    import slicer

    labels = slicer.modules.volumes.logic().AddArchetypeVolume(str(file), file.stem, 1)
    assert labels.IsA("vtkMRMLLabelMapVolumeNode")
    assert slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(labels, node)

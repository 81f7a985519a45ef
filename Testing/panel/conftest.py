"""Slicer's real scene (package slicer-core) with the real case STS_008; the expert's mask stands in for the network."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk

os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
HARNESS = str(Path(__file__).resolve().parents[1] / "harness")
if HARNESS not in sys.path:
    sys.path.insert(0, HARNESS)

#: of a result of the background process
FIELDS = {
    "model": {"name": "starter", "version": "1", "sha256": "ab" * 32}, "adapter": None, "inputs": "ct+pet",
    "device": "CPU, 1 thread", "precision": "float32", "threshold": 0.5, "roi_mm": None,
    "steps": [{"name": "windows", "seconds": 1.0}],
}  # fmt: skip


@pytest.fixture
def scene():
    """slicer_scene with a new, empty scene."""
    pytest.importorskip("slicer", reason="needs the package slicer-core", exc_type=ImportError)
    import slicer_scene

    slicer_scene.application = slicer_scene.start()
    yield slicer_scene
    import slicer

    slicer.mrmlScene.Clear(1)


@pytest.fixture(scope="session")
def sts_008(unpack) -> Path:
    return unpack("sts/dicom/STS_008.zip") / "STS_008"


@pytest.fixture(scope="session")
def expert(sts_008) -> tuple[sitk.Image, sitk.Image]:
    """The expert's mask, and a probability made of it."""
    from PEMMASegmentLib.study import annotation, load

    mask, _ = annotation.read(annotation.find(sts_008), load(sts_008))
    return mask, sitk.SmoothingRecursiveGaussian(sitk.Cast(mask, sitk.sitkFloat32), 2.0)


@pytest.fixture(scope="session")
def once() -> dict:
    """What takes long to read, for all tests."""
    return {}


@pytest.fixture
def database(scene, sts_008, once):
    """The DICOM files of the case as the DICOM database."""
    import slicer

    if "database" not in once:
        once["database"] = scene.FolderDatabase(sts_008)
    once["database"].inserted.clear()
    slicer.dicomDatabase = once["database"]
    return slicer.dicomDatabase


@pytest.fixture
def case(scene, sts_008, expert, database, once):
    """CT and PET nodes as Slicer's reader gives them, the study behind them, and a probability from the expert's mask."""
    import slicer

    from PEMMASegmentLib.panel import studies

    ct, pet = (scene.load_series(sts_008 / kind, kind) for kind in ("CT", "PET"))
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    item = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "Study")
    for node in (ct, pet):
        hierarchy.CreateItem(item, node)
    if "study" not in once:
        once["study"] = studies.read_study(ct, pet)
    study = once["study"]
    mask, probability = expert
    return SimpleNamespace(ct=ct, pet=pet, study=study, mask=mask, probability=probability, folder=sts_008, item=item)


@pytest.fixture
def answer(case, tmp_path):
    """What the background process says: this probability, and the fields of result.json."""
    from PEMMASegmentLib.worker.events import Result

    sitk.WriteImage(case.probability, str(tmp_path / "probability.nrrd"))
    return Result(1, "segment", FIELDS | {"probability": "probability.nrrd", "label": "label.nrrd"}, tmp_path)


def voxels(node, segment_id: str, reference) -> np.ndarray:
    import slicer

    return slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, reference) != 0

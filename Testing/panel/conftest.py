"""Slicer's real scene (package slicer-core) with the real case STS_008; the expert's mask stands in for the network."""

import os
import shutil
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
MODULE = Path(__file__).resolve().parents[2] / "PEMMASegment" / "PEMMASegment.py"
HARNESS = str(Path(__file__).resolve().parents[1] / "harness")
if HARNESS not in sys.path:
    sys.path.insert(0, HARNESS)

#: of a result of the background process
FIELDS = {
    "model": {"name": "starter", "version": "1", "sha256": "ab" * 32}, "adapter": None, "inputs": "ct+pet",
    "device": "CPU, 1 thread", "precision": "float32", "threshold": 0.5, "roi_mm": None, "min_volume_ml": 0.5,
    "steps": [{"name": "windows", "seconds": 1.0}],
}  # fmt: skip


def lesions_in(numbers: np.ndarray):
    """The lesions of an array of their numbers (z, y, x), 0 outside all."""
    from PEMMASegmentLib.core.voxels import Voxels

    return Voxels(numbers.shape, np.flatnonzero(numbers), numbers[numbers > 0])


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


@pytest.fixture(scope="session")
def command_line(sts_008, tmp_path_factory) -> SimpleNamespace:
    """What `pemma-segment segment` makes of the DICOM folder with the starter model: `out`, and `found` in memory."""
    from PEMMASegmentLib.cli import main
    from PEMMASegmentLib.jobs import segmenting

    out, kept = tmp_path_factory.mktemp("command-line") / "out", []
    segment = segmenting.segment
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segmenting, "segment", lambda *given: kept.append(segment(*given)) or kept[-1])
        assert main(["segment", str(sts_008), "--out", str(out), "--device", "cpu", "--quiet"]) == 0
    return SimpleNamespace(out=out, found=kept[0].segmentation, lesions=kept[0].lesions)


@pytest.fixture
def answer(case, tmp_path):
    """What the background process says: this probability, and the fields of result.json."""
    from PEMMASegmentLib.worker.events import Result

    sitk.WriteImage(case.probability, str(tmp_path / "probability.nrrd"))
    return Result(1, "segment", FIELDS | {"probability": "probability.nrrd"}, tmp_path)


def voxels(node, segment_id: str, reference) -> np.ndarray:
    import slicer

    return slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, reference) != 0


@pytest.fixture
def app(tmp_path, sts_008, once):
    """The application with the files of STS_008 as its DICOM database; no slot may have raised."""
    import pythonqt
    import slicer
    import slicer_app

    pythonqt.raised.clear()
    application = slicer_app.start(tmp_path)
    scene = slicer_app.slicer_scene
    if "database" not in once:
        once["database"] = scene.FolderDatabase(sts_008)
    once["database"].inserted.clear()
    slicer.dicomDatabase = once["database"]
    yield application
    slicer.mrmlScene.Clear(1)
    assert pythonqt.raised == []


@pytest.fixture
def module(app, sts_008):
    """The module: opened, then CT and PET are loaded elsewhere, and then it is shown again."""
    import slicer_app

    opened = slicer_app.open_module(MODULE)
    opened.exit()
    for kind in ("CT", "PET"):
        slicer_app.slicer_scene.load_series(sts_008 / kind, kind)
    opened.enter()
    yield opened
    opened.cleanup()
    opened.parent.hide()


@pytest.fixture
def weightless(module, sts_008, tmp_path):
    """The PET without a weight in its headers."""
    import slicer
    import slicer_app

    folder, series = shutil.copytree(sts_008 / "PET", tmp_path / "PET"), pydicom.uid.generate_uid()
    for file in folder.glob("*.dcm"):
        header = pydicom.dcmread(file)
        header.PatientWeight, header.Units = None, "BQML"
        header.RescaleSlope = float(header.RescaleSlope) * 4000
        header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
        header.SeriesInstanceUID = series
        header.save_as(file)
    slicer.dicomDatabase.add(folder)
    return slicer_app.slicer_scene.load_series(folder, "Without weight")


def at(image: sitk.Image, index) -> tuple[float, float, float]:
    """LPS mm of a voxel (z, y, x)."""
    return image.TransformIndexToPhysicalPoint([int(i) for i in index[::-1]])


def put_crosshair(panel, index) -> None:
    """Onto a voxel (z, y, x) of the shown result."""
    import slicer

    x, y, z = at(panel.run.segmentation.probability, index)
    slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode").SetCrosshairRAS(-x, -y, z)


def click(button) -> None:
    """As a user would: a disabled button does nothing."""
    from PyQt5 import QtCore, QtTest

    assert button.enabled, button.text
    QtTest.QTest.mouseClick(button, QtCore.Qt.LeftButton)


def choosing(path: Path, *, new: bool = False) -> None:
    """Answers the next file dialog, which must be one for new files, or else for files or folders that are there."""
    import pythonqt
    from PyQt5 import QtCore, QtWidgets

    def answer():
        dialog, box, line = QtWidgets.QApplication.activeModalWidget(), QtWidgets.QDialogButtonBox, QtWidgets.QLineEdit
        wanted = QtWidgets.QFileDialog.AcceptSave if new else QtWidgets.QFileDialog.AcceptOpen
        if QtWidgets.QFileDialog.acceptMode(dialog) != wanted:
            pythonqt.raised.append(AssertionError(f"not the dialog for {path}"))
            return dialog.reject()
        QtCore.QObject.findChild(dialog, line, "fileNameEdit").setText(str(path))
        buttons = QtCore.QObject.findChild(dialog, box)
        [accept] = [one for one in buttons.buttons() if buttons.buttonRole(one) == box.AcceptRole]
        accept.click()

    QtCore.QTimer.singleShot(0, pythonqt.kept(answer))


def wait(app, done, seconds=120.0) -> None:
    stop = time.monotonic() + seconds
    while not done():
        app.processEvents()
        assert time.monotonic() < stop, "waited too long"
        time.sleep(0.01)


def picture(module, name: str) -> None:
    """For those who want to look: give a folder in PEMMA_PICTURES."""
    import pythonqt

    if "PEMMA_PICTURES" in os.environ:
        pythonqt.picture(module.parent, Path(os.environ["PEMMA_PICTURES"]) / name)


def left_behind(module) -> list[Path]:
    """Private folders with volumes of the patient."""
    import slicer

    module.panel.poll()
    return list(Path(slicer.app.temporaryPath).glob("pemma-worker-*"))


def runs_in_scene() -> list:
    """Segmentation nodes of runs, the newest last."""
    import slicer

    from PEMMASegmentLib.panel import runs

    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    return [node for node in nodes if node.GetAttribute(runs.RECORD)]

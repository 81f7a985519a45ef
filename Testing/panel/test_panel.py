"""The panel with real clicks, on stand-ins for Slicer's widgets: the real background process, a small random network."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk

from .conftest import FIELDS, HARNESS, MODULE, click, left_behind, picture, put_crosshair, runs_in_scene, wait

pytest.importorskip("slicer", reason="needs the package slicer-core", exc_type=ImportError)
pytest.importorskip("PyQt5.QtWidgets", reason="needs the package PyQt5", exc_type=ImportError)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A network that says 0.5 everywhere but where a window's border fades; big windows, so that it takes a second."""
    return even_model(tmp_path_factory.mktemp("models") / "even")


def even_model(folder: Path) -> Path:
    from PEMMASegmentLib.network.architecture import Architecture, Preprocessing
    from PEMMASegmentLib.network.files import Label, ModelCard, Region, save_model
    from PEMMASegmentLib.network.pemma import Pemma

    shape = Architecture(
        window=(32, 32, 32), patch=8, hidden=16, depth=2, heads=2, mlp=16, feature=8, taps=(0, 1), modalities=("pet",)
    )
    import torch

    torch.manual_seed(1)
    card = ModelCard(
        "random", "1", shape, Preprocessing(spacing_mm=(4.0, 4.0, 4.0)), (Label(1, "lesion", "49755003", "108369006"),),
        Region("anything", 2000.0), dict.fromkeys(("ct+pet", "ct", "pet"), 0.5),
    )  # fmt: skip
    save_model(folder, Pemma(shape), card, "# random\n")
    return folder


def test_opening_guesses_the_pair_and_starts_nothing(app, module):
    ui = module.panel.ui
    assert (ui.ctSelector.currentNode().GetName(), ui.petSelector.currentNode().GetName()) == ("CT", "PET")
    assert not module.panel.worker.running and not ui.exportButton.enabled
    click(ui.studyButton)
    assert "CT 141 x 137 x 51" in ui.studyLabel.text
    for button in (ui.segmentButton, ui.viewButton, ui.undoButton):  # whose texts change
        assert f"({button.shortcut.toString()})" in button.toolTip != "()"


def test_volumes_are_chosen_whenever_they_are_loaded(app, module, sts_008):
    """One that is missing is filled in on the way back, what the user chose or took out stays."""
    import slicer
    import slicer_app

    panel, ui = module.panel, module.panel.ui
    click(ui.studyButton)
    told = ui.studyLabel.text
    ui.petSelector.setCurrentNode(None)
    module.exit()
    module.enter()
    assert panel.chosen.pet is None and panel.chosen.ct.GetName() == "CT"
    ui.petSelector.setCurrentNode(slicer.util.getNode("PET"))
    click(ui.studyButton)
    module.enter()
    assert ui.studyLabel.text == told
    slicer.mrmlScene.RemoveNode(panel.chosen.pet)
    module.exit()
    pet = slicer_app.slicer_scene.load_series(sts_008 / "PET", "Once more")
    module.enter()
    assert panel.chosen.pet is pet and panel.chosen.ct.GetName() == "CT"
    again = slicer_app.open_module(MODULE)  # another panel, where both are there before it is opened
    assert again.panel.ui.ctSelector.currentNode().GetName() == "CT" and again.panel.ui.petSelector.currentNode() is pet
    again.cleanup()


def test_sample_data_is_registered_and_brings_ct_and_pet(app, module, monkeypatch):
    """On a stand-in of SampleData that notes what it is asked for."""
    import slicer
    import slicer_app

    told, slicer.dicomDatabase = {}, slicer_app.slicer_scene.FolderDatabase()
    slicer.dicomDatabase.isOpen = True
    register = SimpleNamespace(registerCustomSampleDataSource=lambda **source: told.update(source))
    monkeypatch.setitem(sys.modules, "SampleData", SimpleNamespace(SampleDataLogic=register))
    file = sys.modules["PEMMASegment"]
    file.PEMMASegment(SimpleNamespace(path=file.__file__))
    slicer.app.started[-1]()
    assert told["uris"].startswith("file:") and told["category"] == "PEMMASegment"
    assert [node.GetName() for node in told["customDownloader"]()] == ["CT_1", "PET_1"]


def test_opening_is_quick_and_imports_no_torch(tmp_path):
    """In a process of its own: others in this one have imported torch."""
    code = f"""
import sys, time
from pathlib import Path
sys.path.insert(0, {HARNESS!r})
import slicer_app
slicer_app.start(Path({str(tmp_path)!r}))
import SimpleITK, pydicom, scipy.ndimage  # Slicer's own
started = time.process_time()
slicer_app.open_module(Path({str(MODULE)!r}))
print("seconds", time.process_time() - started)
sys.exit(" ".join(name for name in ("torch", "monai", "highdicom", "matplotlib") if name in sys.modules) or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split("seconds")[1]) < 1.0  # with the harness's own time, on a busy machine


def environment() -> dict:
    library = str(MODULE.parent)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([library, os.environ.get("PYTHONPATH", "")])}


def test_from_volumes_to_a_seg_by_clicks(app, module, command_line, tmp_path):
    """The starter model on the real case: voxel for voxel and UID for UID what the command line writes for the files."""
    import pydicom
    import slicer

    ui = module.panel.ui
    ui.deviceComboBox.currentText = "cpu"
    click(ui.segmentButton)
    assert ui.segmentButton.text == "Cancel"
    wait(app, lambda: ui.segmentButton.text == "Segment")
    picture(module, "panel-1.png")
    assert module.panel.run is not None, ui.messageLabel.text
    click(ui.exportButton)
    assert "o place for" in ui.messageLabel.text
    folder = tmp_path / "out"
    folder.mkdir()
    ui.exportPathEdit.currentPath = str(folder)
    click(ui.exportButton)
    mine, other = (pydicom.dcmread(f) for f in (folder / "PEMMASegment.dcm", command_line.out / "segmentation.dcm"))
    assert mine.PixelData == other.PixelData and mine.SOPInstanceUID == other.SOPInstanceUID
    assert [s.TrackingUID for s in mine.SegmentSequence] == [s.TrackingUID for s in other.SegmentSequence]
    put_crosshair(module.panel, (23, 61, 0))  # hot at the border of the study, and no tumour
    click(ui.addButton)
    assert ui.lesionTable.rowCount == len(module.panel.run.lesions) == 2
    drop(ui.lesionTable, 1)
    assert not module.panel.run.lesions[1].kept and "Kept: 1" in ui.totalsLabel.text
    click(ui.exportButton)
    assert [s.SegmentLabel for s in pydicom.dcmread(folder / "PEMMASegment-2.dcm").SegmentSequence] == ["Tumour 1"]
    drop(ui.lesionTable, 0)
    assert not ui.exportButton.enabled and "no lesion is kept" in ui.exportLabel.text
    click(ui.removeButton)
    assert runs_in_scene() == [] and ui.lesionTable.rowCount == 0 and not ui.exportButton.enabled
    assert len(slicer.modules.markups.logic().jumps) == 1  # to the largest lesion when it was found
    click(ui.segmentButton)
    wait(app, lambda: ui.progressBar.value > 0)
    slicer.mrmlScene.Clear(0)  # in mid-run
    assert ui.segmentButton.text == "Segment" and module.panel.run is None
    wait(app, lambda: not module.panel.worker.busy)
    assert runs_in_scene() == [] and left_behind(module) == []


def test_with_an_adapter_it_tells_its_parts_and_writes_what_the_command_line_writes(app, module, sts_008, model, tmp_path):
    import pydicom

    from PEMMASegmentLib.adapters import AdapterCard, save
    from PEMMASegmentLib.cli import main
    from PEMMASegmentLib.network.files import load_model
    from PEMMASegmentLib.panel import runs

    card = AdapterCard("site-a", "1", None, "", (), load_model(model).identity, "ct+pet", threshold=0.45, min_volume_ml=1.5,
                       intensity={"pet": [[0.0, 1.0, 1000.0], [0.0, 2.0, 2000.0]]}, verdict="accepted")  # fmt: skip
    save(tmp_path / "made", {}, card)
    options = ["--model", str(model), "--adapter", str(tmp_path / "made"), "--device", "cpu", "--quiet"]
    assert main(["segment", str(sts_008), "--out", str(tmp_path / "out"), *options]) == 0
    ui, chosen = module.panel.ui, module.panel.chosen
    chosen.model, chosen.adapter, chosen.device = str(model), str(tmp_path / "made"), "cpu"
    click(ui.segmentButton)
    wait(app, lambda: ui.segmentButton.text == "Segment")
    run = module.panel.run
    assert "site-a acted: intensity map of the PET, threshold 0.45, smallest volume 1.5 ml." in ui.messageLabel.text
    assert (run.min_volume_ml, run.usual_min_volume_ml, ui.minVolumeSpinBox.value) == (1.5, 1.5, 0.5)
    run.write_seg(tmp_path / "mine.dcm")
    mine, other = (pydicom.dcmread(f) for f in (tmp_path / "mine.dcm", tmp_path / "out" / "segmentation.dcm"))
    assert mine.PixelData == other.PixelData and mine.SOPInstanceUID == other.SOPInstanceUID
    assert runs.restore(run.node, run.study).segmentation.adapter_parts == run.segmentation.adapter_parts != ()


def test_a_fault_in_one_event_swallows_no_other():
    from PEMMASegmentLib.panel.polling import take_in

    taken = []
    with pytest.raises(ZeroDivisionError):
        take_in(SimpleNamespace(poll=lambda: [1, 0, 2], running=True), lambda event: taken.append(1 / event), None)
    assert taken == [1, 0.5]
    with pytest.raises(ExceptionGroup):
        take_in(SimpleNamespace(poll=lambda: [0, 0], running=True), lambda event: taken.append(1 / event), None)


@pytest.mark.skipif(os.name == "nt", reason="a shell script as launcher")
def test_the_process_runs_in_the_python_that_slicer_names_when_it_starts(app, module, tmp_path, monkeypatch):
    """The panel of Slicer's startup module is there before Slicer puts its PythonSlicer into sys.executable."""
    launcher, seen = tmp_path / "PythonSlicer", tmp_path / "seen"
    launcher.write_text(f'#!/bin/sh\ntouch "{seen}"\nexec "{sys.executable}" "$@"\n')
    launcher.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(launcher))
    click(module.panel.ui.segmentButton)
    wait(app, seen.is_file)


def drop(table, row: int) -> None:
    from PyQt5 import QtCore

    table.item(row, 0).setCheckState(QtCore.Qt.Unchecked)


@pytest.mark.skipif(os.name == "nt", reason="holds the writing process at a pipe")
def test_killed_at_any_moment_it_says_so_and_works_at_the_next_press(app, module, model):
    """Before the handshake, in preprocessing, in inference, while it writes; then cancelled; then left alone."""
    ui, panel = module.panel.ui, module.panel
    panel.chosen.model = str(model)
    kill(app, module, lambda: panel.worker.running, "ended before it was ready")
    kill(app, module, lambda: ui.progressLabel.text.startswith("preparing"), "was killed")
    kill(app, module, lambda: ui.progressLabel.text.startswith("window"), "was killed")
    kill(app, module, held_while_writing(app, module), "was killed")
    click(ui.segmentButton)
    wait(app, lambda: ui.progressBar.value > 0)
    click(ui.segmentButton)
    wait(app, lambda: ui.segmentButton.text == "Segment")
    assert "ancelled" in ui.messageLabel.text and panel.run is None and left_behind(module) == []
    click(ui.segmentButton)
    wait(app, lambda: ui.segmentButton.text == "Segment")
    assert panel.run is not None, ui.messageLabel.text
    assert left_behind(module) == []


def kill(app, module, moment, words: str) -> None:
    """Presses Segment, kills the process at the moment, and looks at what is left: one sentence, no process, no file."""
    ui, panel = module.panel.ui, module.panel
    before = set(Path(panel.worker._temporary).iterdir())
    click(ui.segmentButton)
    stop = time.monotonic() + 120
    while not moment():
        panel.poll()
        time.sleep(0.001)
        assert time.monotonic() < stop and ui.segmentButton.text == "Cancel", ui.messageLabel.text
    group = panel.worker._child._process.pid
    os.kill(group, signal.SIGKILL)
    wait(app, lambda: ui.segmentButton.text == "Segment")
    assert words in ui.messageLabel.text and ui.segmentButton.enabled and panel.run is None
    assert left_behind(module) == [] and set(Path(panel.worker._temporary).iterdir()) == before
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)


def held_while_writing(app, module):
    """A moment: the process has opened its first file to write, which is a pipe that nobody reads."""

    def moment() -> bool:
        for folder in Path(module.panel.worker._temporary).glob("pemma-worker-*"):
            if not (folder / "probability.nrrd").exists():
                os.mkfifo(folder / "probability.nrrd")
        return module.panel.ui.progressLabel.text.startswith("writing the result") and not time.sleep(0.3)

    return moment


def test_a_saved_scene_is_picked_up(app, module, tmp_path):
    import slicer

    from PEMMASegmentLib.panel import runs

    panel = module.panel
    study = panel._study()
    pet = sitk.Resample(study.pet, study.ct)
    probability = sitk.Cast(sitk.Clamp(pet / 8.0, sitk.sitkFloat32, 0.0, 1.0), sitk.sitkFloat32)
    run = runs.create(study, FIELDS, probability, panel.chosen.ct, panel.chosen.pet)
    run.keep(1, False)
    panel.chosen.result = run.node
    for node in slicer.util.getNodesByClass("vtkMRMLStorableNode"):
        node.AddDefaultStorageNode()
    slicer.mrmlScene.SetRootDirectory(str(tmp_path))
    assert slicer.mrmlScene.WriteToMRB(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    assert panel.run is None and panel.ui.lesionTable.rowCount == 0
    reopened(tmp_path / "scene.mrb", tmp_path / "unpacked")
    assert panel.ui.lesionTable.rowCount == len(run.lesions) > 0, panel.ui.messageLabel.text
    assert [lesion.kept for lesion in panel.run.lesions] == [lesion.kept for lesion in run.lesions]
    panel.ui.lesionTable.cellClicked.emit(0, 2)
    [jump] = slicer.modules.markups.logic().jumps
    assert np.allclose(jump[:3], [-1, -1, 1] * np.array(run.lesions[0].centroid_mm)) and jump[3] is True


def reopened(mrb, folder) -> None:
    import zipfile

    import slicer

    with zipfile.ZipFile(mrb) as archive:
        archive.extractall(folder)
    slicer.mrmlScene.SetURL(str(next(folder.rglob("*.mrml"))))
    slicer.mrmlScene.Import()


def test_what_can_not_work_is_said_in_one_line(app, module, tmp_path):
    import slicer

    ui = module.panel.ui
    ui.petSelector.setCurrentNode(ui.ctSelector.currentNode())
    click(ui.segmentButton)
    assert "same volume" in ui.messageLabel.text and ui.segmentButton.text == "Segment"
    slicer.mrmlScene.Clear(0)
    click(ui.segmentButton)
    assert "either a CT nor a PET" in ui.messageLabel.text

"""A picture of the panel with the bundled patient and model: Slicer's own views and scene, stand-ins for its widgets.

python Testing/harness/screenshots.py [FOLDER]        # default: Resources/Screenshots; less than a minute on two cores
"""

import os
import sys
import tempfile
import time
import zipfile
from pathlib import Path

os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "PEMMASegment"), str(Path(__file__).parent)]

import pythonqt  # noqa: E402
import slicer  # noqa: E402
import slicer_app  # noqa: E402
from PyQt5 import QtCore, QtGui, QtWidgets  # noqa: E402

SAMPLE = ROOT / "PEMMASegment" / "Resources" / "SampleData" / "STS_008.zip"
WIDTH, VIEW, GAP = 520, 560, 6  # pixels: the panel, a view, between views
VIEWS = (("Axial", "#c8453c"), ("3D", "#6f7fc4"), ("Coronal", "#5a9e54"), ("Sagittal", "#c9a83a"))
WAIT_S = 300.0


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        app = application(Path(temporary))
        module = slicer_app.open_module(ROOT / "PEMMASegment" / "PEMMASegment.py")
        try:
            segment(app, module)
            views = pictures(module, Path(temporary))
            fold(module, study=False, setup=True)
            whole(panel_image(module), views).save(str(folder / "panel.png"))
            if pythonqt.raised:
                raise pythonqt.raised[0]
        finally:
            module.cleanup()


def application(temporary: Path):
    """The application with the bundled patient loaded."""
    with zipfile.ZipFile(SAMPLE) as archive:
        archive.extractall(temporary)
    app = slicer_app.start(temporary)
    pythonqt.slicer_look(app)
    scene, study = slicer_app.slicer_scene, temporary / "STS_008"
    slicer.dicomDatabase = scene.FolderDatabase(study)
    for kind, name in (("CT", "STS_008 CT"), ("PET", "STS_008 PET")):
        scene.load_series(study / kind, name)
    return app


def segment(app, module) -> None:
    """Presses the buttons that a radiologist presses, in that order."""
    ui = module.panel.ui
    ui.petWindowComboBox.currentText = "SUV 0 to 5"
    ui.viewButton.click()
    wait(app, lambda: not module.panel.worker.busy)  # the model is loaded while the radiologist looks
    ui.segmentButton.click()
    wait(app, lambda: ui.segmentButton.text == "Segment")
    assert module.panel.run is not None, ui.messageLabel.text


def wait(app, done) -> None:
    stop = time.monotonic() + WAIT_S
    while not done():
        app.processEvents()
        assert time.monotonic() < stop, "waited too long"
        time.sleep(0.02)


def pictures(module, folder: Path) -> dict[str, QtGui.QImage]:
    """The four views through the largest lesion."""
    from PEMMASegmentLib.panel import logic

    chosen, scene, message = module.panel.chosen, slicer_app.slicer_scene, module.panel.ui.messageLabel
    said = message.text
    centre, size, kept = logic.centre_ras(module.panel.run, 1), (VIEW, VIEW), []
    for name in ("Axial", "Coronal", "Sagittal"):
        kept += scene.slice_picture(
            folder / f"{name}.png", scene.application, chosen.ct, chosen.pet, name, centre, chosen.petOpacity, size
        )
    kept += scene.picture_3d(folder / "3D.png", scene.application, size, before=module.panel.ui.viewButton.click)
    message.text = said
    return {name: QtGui.QImage(str(folder / f"{name}.png")) for name, _ in VIEWS}


def fold(module, *, study: bool, setup: bool) -> None:
    """Folds the sections above and below."""
    ui = module.panel.ui
    for section in (ui.studySection, ui.viewSection, ui.segmentSection, ui.lesionsSection, ui.exportSection):
        section.collapsed = study
    ui.setupSection.collapsed = setup


def panel_image(module, height: int | None = None) -> QtGui.QImage:
    parent = module.parent
    parent.resize(WIDTH, height or parent.sizeHint.height())
    for _ in range(3):
        QtWidgets.QApplication.processEvents()
    parent.resize(WIDTH, height or max(parent.sizeHint.height(), 2 * VIEW + 3 * GAP + 2 * BAR))
    return pythonqt.image(parent)


BAR = 20  # pixels: the coloured bar above a view


def whole(panel: QtGui.QImage, views: dict[str, QtGui.QImage]) -> QtGui.QImage:
    """The panel on the left, the four views on the right, laid out as Slicer does it."""
    height = panel.height()
    side = (height - 3 * GAP - 2 * BAR) // 2
    width = panel.width()
    image = QtGui.QImage(width + 2 * side + 3 * GAP, height, QtGui.QImage.Format_RGB32)
    image.fill(QtGui.QColor("#d5d5d5"))
    painter = QtGui.QPainter(image)
    painter.drawImage(0, 0, panel)
    for n, (name, colour) in enumerate(VIEWS):
        x, y = width + GAP + (n % 2) * (side + GAP), GAP + (n // 2) * (side + BAR + GAP)
        painter.fillRect(x, y, side, BAR, QtGui.QColor(colour))
        painter.setPen(QtCore.Qt.white)
        painter.drawText(x + 8, y + 15, name)
        painter.drawImage(QtCore.QRect(x, y + BAR, side, side), views[name])
    painter.end()
    return image


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "Resources" / "Screenshots")

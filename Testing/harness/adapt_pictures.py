"""Pictures of Adapt locally: the site's five patients of the folder `shared` and the starter model, by clicks.

python Testing/harness/adapt_pictures.py [FOLDER] [EFFORT]     # default: Resources/Screenshots, quick; minutes

Prints what the panel promised, and when the adapter and its proof were there.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import screenshots
import slicer
import slicer_app
from PyQt5 import QtCore, QtGui, QtTest

SITE = ("STS_001", "STS_016", "STS_025", "STS_034", "STS_042")
SHARED = screenshots.ROOT.parent / "shared" / "data" / "sts"
PANEL, VIEW = (480, 2250), (560, 560)


def main(folder: Path, effort: str) -> None:
    screenshots.WAIT_S = 3600.0
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["PEMMA_SEGMENT_HOME"] = f"{temporary}/home"
        app = screenshots.application(Path(temporary))
        module = slicer_app.open_module(screenshots.ROOT / "PEMMASegment" / "PEMMASegment.py")
        try:
            module.panel.ui.adaptSection.collapsed = False
            adapt(app, module.panel._adapt_section.inside, Path(temporary), effort)
            screenshots.fold(module, study=True, setup=True)
            panel = screenshots.panel_image(module, PANEL[1])
            panel.save(str(folder / "adapt.png"))
            kept = compared(app, module.panel._adapt_section.inside, folder / "adapt-case.png")
            beside(panel, module.panel._adapt_section.inside.ui, folder)
            print(module.panel._adapt_section.inside.ui.verdictText.toPlainText(), len(kept))
        finally:
            module.cleanup()


def adapt(app, inside, folder: Path, effort: str) -> None:
    """Adds the cases, trains, waits for the proof."""
    ui = inside.ui
    ui.caseLibraryPathEdit.currentPath = str(folder / "Cases")
    for n, name in enumerate(SITE):
        ui.caseStudyPathEdit.currentPath = str(SHARED / name)
        ui.addFolderButton.click()
        screenshots.wait(app, lambda n=n: ui.caseList.count == n + 1)
    ui.effortComboBox.currentText = effort
    screenshots.wait(app, lambda: "on this computer" in ui.estimateLabel.text)
    print(ui.estimateLabel.text, flush=True)
    began = time.monotonic()
    ui.adaptButton.click()
    screenshots.wait(app, lambda: inside.training.out is None or inside.training._asked.there)
    print(f"adapter after {time.monotonic() - began:.0f} s", flush=True)
    screenshots.wait(app, lambda: inside.training.out is None)
    print(f"proof after {time.monotonic() - began:.0f} s", flush=True)


def beside(panel: QtGui.QImage, ui, folder: Path) -> None:
    """proof.png: the panel from the training to the verdict, and the held-out case beside it."""
    parent = ui.adaptButton.window()
    top = ui.adaptButton.mapTo(parent, QtCore.QPoint(0, 0)).y()
    low = ui.keepAdapterButton.mapTo(parent, QtCore.QPoint(0, ui.keepAdapterButton.height)).y()
    part, case = panel.copy(0, top - 8, panel.width(), low - top + 16), QtGui.QImage(str(folder / "adapt-case.png"))
    case = case.scaledToHeight(part.height(), QtCore.Qt.SmoothTransformation)
    image = QtGui.QImage(part.width() + case.width(), part.height(), QtGui.QImage.Format_RGB32)
    painter = QtGui.QPainter(image)
    painter.drawImage(0, 0, part)
    painter.drawImage(part.width(), 0, case)
    painter.end()
    image.save(str(folder / "proof.png"))


def compared(app, inside, file: Path) -> list:
    """The first held-out case in Slicer's axial view. Keep what it returns while the scene lives."""
    from PEMMASegmentLib.panel import own_nodes

    table, scene = inside.ui.proofTable, slicer_app.slicer_scene
    at = table.visualItemRect(table.item(0, 0)).center()
    QtTest.QTest.mouseClick(table.viewport(), QtCore.Qt.LeftButton, pos=at)
    screenshots.wait(app, lambda: "in orange" in inside.ui.comparisonLabel.text)
    ct, pet = own_nodes.marked("vtkMRMLScalarVolumeNode", "comparison")
    point = slicer.modules.markups.logic().jumps[-1][:3]
    return scene.slice_picture(file, scene.application, ct, pet, "Axial", point, 0.5, VIEW)


if __name__ == "__main__":
    given = sys.argv[1:]
    main(Path(given[0]) if given else screenshots.ROOT / "Resources" / "Screenshots", given[1] if given[1:] else "quick")

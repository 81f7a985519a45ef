"""The Slicer module: for now it says what is there; the library under it works from the command line."""

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)


class PEMMASegment(ScriptedLoadableModule):
    """Title, category, help and dependencies, as Slicer shows them."""

    def __init__(self, parent):
        super().__init__(parent)
        parent.title = _("PEMMASegment")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = []
        parent.contributors = ["PEMMASegment contributors"]
        parent.helpText = _("Segments tumours on PET/CT. For research only, not a medical device.")
        parent.acknowledgementText = ""


class PEMMASegmentWidget(ScriptedLoadableModuleWidget):
    """One sentence on where to go."""

    def setup(self):
        super().setup()
        import qt

        words = _("The panel is not built yet. The command line works: pemma-segment segment STUDY --out FOLDER")
        label = qt.QLabel(words)
        label.wordWrap = True
        self.layout.addWidget(label)
        self.layout.addStretch(1)


class PEMMASegmentTest(ScriptedLoadableModuleTest):
    """Run by Slicer's own test driver."""

    def runTest(self):
        self.setUp()
        self.delayDisplay("The module is loaded")
        assert slicer.app.moduleManager().module("PEMMASegment") is not None

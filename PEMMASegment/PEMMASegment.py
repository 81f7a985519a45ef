"""The Slicer module: module, widget, logic and test, all thin; the panel's code is in PEMMASegmentLib.panel."""

import re
import sys
import time
import zipfile
from pathlib import Path

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

OLDEST = (5, 12)
SAMPLE = Path(__file__).parent / "Resources" / "SampleData" / "STS_008.zip"
HOMEPAGE = "https://example.org/SlicerPEMMASegment"  # as in CMakeLists.txt: a placeholder until the repository is public


def new_enough() -> bool:
    """Whether this Slicer has what the panel needs."""
    return tuple(int(number) for number in re.findall(r"\d+", slicer.app.applicationVersion)[:2]) >= OLDEST


class PEMMASegment(ScriptedLoadableModule):
    """Title, category, help and dependencies, as Slicer shows them."""

    def __init__(self, parent):
        super().__init__(parent)
        parent.title = _("PEMMASegment")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = []
        parent.contributors = ["PEMMASegment contributors"]
        parent.helpText = _(
            "Choose CT and PET, press Segment, look at the tumours on fused PET/CT, correct them, write a DICOM-SEG. "
            "For research only, not a medical device. Tutorial: <a href='{url}'>{url}</a>"
        ).format(url=HOMEPAGE)
        parent.acknowledgementText = _(
            "Sample patient and training images: Vallières et al., The Cancer Imaging Archive, "
            "doi:10.7937/K9/TCIA.2015.7GO2GSKS, as processed by IBSI; CC BY 3.0."
        )
        slicer.app.connect("startupCompleted()", register_sample_data)


def register_sample_data() -> None:
    """The bundled patient among Slicer's sample data; nothing is downloaded."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="PEMMASegment",
        sampleName="PET/CT of a soft-tissue sarcoma (STS_008)",
        uris=SAMPLE.as_uri(),
        fileNames=SAMPLE.name,
        nodeNames="STS_008",
        thumbnailFileName=str(SAMPLE.with_suffix(".png")),
        customDownloader=load_sample,
    )


def load_sample(source=None) -> list:
    """Takes the bundled patient into the DICOM database and loads its CT and PET; returns the two nodes.

    None of them where it can't be; the user has been told why.
    """
    from DICOMLib import DICOMUtils

    if not _database_is_open():
        slicer.util.errorDisplay(_(
            "The sample patient goes into Slicer's DICOM database, which is not open. Open the module DICOM, "
            "let it create or update its database, and load the sample again."
        ))  # fmt: skip
        return []
    folder = Path(slicer.util.tempDirectory(key="PEMMASegment"))
    with zipfile.ZipFile(SAMPLE) as archive:
        archive.extractall(folder)
    taken = DICOMUtils.importDicom(str(folder), copyFiles=True)  # the folder is temporary, the database is not
    series = (_series_uid(folder / "STS_008" / kind) for kind in ("CT", "PET"))
    loaded = [DICOMUtils.loadSeriesByUID([uid]) for uid in series] if taken else []
    if not loaded or not all(loaded):
        slicer.util.errorDisplay(_(
            "The sample patient could not be taken into Slicer's DICOM database. "
            "Look whether its disk is full and the module DICOM shows it, and load the sample again."
        ))  # fmt: skip
        return []
    return [slicer.mrmlScene.GetNodeByID(ids[0]) for ids in loaded]


def _database_is_open() -> bool:
    """Whether there is a DICOM database. A Slicer that never had one gets it after a yes, where Slicer itself would make it."""
    if slicer.dicomDatabase.isOpen:
        return True
    import qt
    from DICOMLib import DICOMUtils

    place = qt.QSettings().value(slicer.dicomDatabaseDirectorySettingsKey)
    if not place or (Path(place) / "ctkDICOM.sql").exists():  # one that was not opened is of another Slicer, or broken
        return False
    question = _("Slicer has no DICOM database yet. Create it in the folder {folder}?").format(folder=place)
    if not slicer.util.confirmOkCancelDisplay(question, "PEMMASegment"):
        return False
    try:
        Path(place).mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return DICOMUtils.openDatabase(place)


def _series_uid(folder: Path) -> str:
    import pydicom

    return str(pydicom.dcmread(next(folder.glob("*.dcm")), specific_tags=["SeriesInstanceUID"]).SeriesInstanceUID)


class PEMMASegmentWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Loads the .ui file and hands it to the panel; follows the scene's closing and opening."""

    panel = None
    _entered, _stale = False, False

    def __init__(self, parent=None):
        VTKObservationMixin.__init__(self)  # first: the other one sets up at once when it is given no parent
        ScriptedLoadableModuleWidget.__init__(self, parent)

    def setup(self):
        super().setup()
        if not new_enough():
            self._say_too_old()
            return
        from PEMMASegmentLib.panel.widget import Panel

        widget = slicer.util.loadUI(self.resourcePath("UI/PEMMASegment.ui"))
        self.layout.addWidget(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        self.logic = PEMMASegmentLogic()
        self.panel = Panel(slicer.util.childWidgetVariables(widget), widget, self.resourcePath)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self._on_scene_closes)
        self.addObserver(scene, scene.EndCloseEvent, self._on_scene_closed)
        self.addObserver(scene, scene.EndImportEvent, self._on_scene_closed)
        self.enter()  # a module that is reloaded is not entered anew

    def enter(self):
        """Shows the choices kept in the scene, and volumes loaded since; installs and starts nothing."""
        self._entered = True
        if self.panel is None:
            return
        if self.panel.chosen is None or self._stale:
            self._stale = False
            self.panel.use(self.logic.getParameterNode())
        else:
            self.panel.look_for_volumes()

    def exit(self):
        """Another module is shown: a scene that is opened meanwhile is looked at on the way back."""
        self._entered = False

    def cleanup(self):
        """The module is reloaded or the application ends: the background process ends too."""
        self.removeObservers()
        if self.panel is not None:
            self.panel.close()

    def onReload(self):
        """Developer mode: the library is read anew too."""
        for name in [name for name in sys.modules if name.partition(".")[0] == "PEMMASegmentLib"]:
            del sys.modules[name]
        super().onReload()

    def _on_scene_closes(self, caller, event):
        self.panel.close_scene()

    def _on_scene_closed(self, caller, event):
        self._stale = True
        if self._entered:
            self.enter()

    def _say_too_old(self):
        import qt

        label = qt.QLabel(_("PEMMASegment needs Slicer 5.12 or newer. Please update Slicer."))
        label.wordWrap = True
        self.layout.addWidget(label)
        self.layout.addStretch(1)


class PEMMASegmentLogic(ScriptedLoadableModuleLogic):
    """The same without widgets, for scripts."""

    def getParameterNode(self):
        """The choices kept in the scene, typed."""
        from PEMMASegmentLib.panel import parameters

        return parameters.of(super().getParameterNode())

    def segment(self, ct, pet, **options):
        """Segments and waits; returns the run (`PEMMASegmentLib.panel.runs.Run`). Raises PemmaError.

        ct, pet: volume nodes, either may be None. options: the command line's by name (`model`, `device`, `roi` ...), also
        what the PET's headers lack (`weight_kg`, `dose_bq` ..., see `PEMMASegmentLib.study.types.Typed`).
        """
        from PEMMASegmentLib.core import PemmaError
        from PEMMASegmentLib.panel import logic, parameters, studies
        from PEMMASegmentLib.study.types import Typed
        from PEMMASegmentLib.worker.client import Worker
        from PEMMASegmentLib.worker.events import Error, Result

        typed = Typed(**{name: options.pop(name) for name in Typed.__dataclass_fields__ if name in options})
        study = studies.read_study(ct, pet, typed=typed)
        worker = Worker(temporary=Path(slicer.app.temporaryPath))
        try:
            id = worker.request("segment", **logic.request_fields(study, worker.private_folder(), options))
            while True:
                for event in worker.poll():
                    if isinstance(event, Result) and event.id == id:
                        return logic.show_result(study, event, ct, pet, options, parameters.given_by(typed))
                    if isinstance(event, Error):
                        raise PemmaError(event.code, event.sentence, event.way_out, event.place)
                time.sleep(0.05)
        finally:
            worker.stop()


class PEMMASegmentTest(ScriptedLoadableModuleTest):
    """Run by Slicer's own test driver: from the bundled patient to a DICOM-SEG."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        from DICOMLib import DICOMUtils

        self.setUp()
        with DICOMUtils.TemporaryDICOMDatabase():
            self._from_patient_to_seg()
        self.delayDisplay("From the bundled patient to a DICOM-SEG")

    def _from_patient_to_seg(self):
        ct, pet = load_sample()
        run = PEMMASegmentLogic().segment(ct, pet)
        assert run.lesions, "no lesion found in the bundled patient"
        from PEMMASegmentLib.panel import logic

        path, _ = logic.export_seg(run, Path(slicer.util.tempDirectory()))
        assert path.is_file()

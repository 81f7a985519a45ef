"""Slicer's Python modules as the module file sees them, around slicer-core: our own stand-ins of documented API.

`start(folder)` gives an application; `open_module(file)` a module with its panel, entered. On Slicer's own files
ScriptedLoadableModule.py, parameterNodeWrapper, i18n.py and util.py: SLICER_BASE_PYTHON=<Slicer>/bin/Python pytest
Testing/panel.
"""

import contextlib
import importlib.util
import sys
import unittest
from pathlib import Path
from types import SimpleNamespace

import parameter_nodes
import pythonqt
import slicer
import slicer.util
import slicer_scene
import widgets
from PyQt5 import QtCore


class Application:
    """slicer.app."""

    applicationVersion = "5.12.4-2026-07-01"
    applicationName = "Slicer"

    def __init__(self, temporary: Path, qt_application):
        self.temporaryPath, self._qt = str(temporary), qt_application
        self.started: list = []
        self._modules = ModuleManager()

    def moduleManager(self):
        return self._modules

    def translate(self, context, text):
        return text

    def connect(self, signal, slot):
        if signal not in ("startupCompleted()", "aboutToQuit()"):
            raise AttributeError(f"slicer.app has no signal {signal}")
        self.started.append(slot)

    def processEvents(self):
        self._qt.processEvents()

    def layoutManager(self):
        return None  # as without a main window

    def testingEnabled(self):
        return True


class ScriptedLoadableModule:
    def __init__(self, parent):
        self.parent, self.moduleName = parent, type(self).__name__
        if not Path(parent.path).is_file():
            raise FileNotFoundError(parent.path)
        parent.title, parent.categories, parent.dependencies, parent.contributors = "", [], [], []
        slicer.selfTests = {**getattr(slicer, "selfTests", {}), self.moduleName: self.runTest}

    def runTest(self, msec=100, **options):
        getattr(sys.modules[type(self).__module__], f"{self.moduleName}Test")().runTest(**options)


class ScriptedLoadableModuleWidget:
    def __init__(self, parent=None):
        super().__init__()
        self.moduleName, self.developerMode = type(self).__name__.removesuffix("Widget"), False
        self.parent = parent if parent is not None else _window()
        self.layout = self.parent.layout()
        if parent is None:
            self.setup()
            self.parent.show()
        slicer.app.moduleManager().connect("moduleAboutToBeUnloaded(QString)", lambda name: None)

    def resourcePath(self, name):
        return str(Path(slicer.util.modulePath(self.moduleName)).parent / "Resources" / name)

    def setup(self):
        pass

    def cleanup(self):
        pass

    def onReload(self):
        slicer.util.reloadScriptedModule(self.moduleName)


class ScriptedLoadableModuleLogic:
    def __init__(self, parent=None):
        super().__init__()
        self.moduleName, self.isSingletonParameterNode = type(self).__name__.removesuffix("Logic"), True

    def getParameterNode(self):
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
            node.UnRegister(None)
            node.SetSingletonTag(self.moduleName)
            node.SetAttribute("ModuleName", self.moduleName)
            node = slicer.mrmlScene.AddNode(node)
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    def delayDisplay(self, message, requestedDelay=None, msec=100):
        slicer.util.delayDisplay(message, msec)


class ModuleManager:
    def connect(self, signal, slot):
        if signal != "moduleAboutToBeUnloaded(QString)":
            raise AttributeError(f"the module manager has no signal {signal}")

    disconnect = connect


def start(temporary: Path):
    """A new scene, `slicer.app`, and the modules that a module file imports. Returns the Qt application.

    The user's settings are a file in `temporary`, with the place where Slicer would make a DICOM database.
    """
    application = pythonqt.install({}, widgets.CTK, widgets.MRML)
    QtCore.QCoreApplication.setOrganizationName("PEMMASegment")
    QtCore.QSettings.setPath(QtCore.QSettings.NativeFormat, QtCore.QSettings.UserScope, str(temporary / "settings"))
    slicer.dicomDatabaseDirectorySettingsKey = "DatabaseDirectory_0.8.1"
    QtCore.QSettings().setValue(slicer.dicomDatabaseDirectorySettingsKey, str(temporary / "SlicerDICOMDatabase"))
    slicer_scene.application = slicer_scene.start()
    slicer.app = Application(temporary, application)
    slicer.app.selected = []  # modules that the user was brought to
    slicer.util.selectModule = slicer.app.selected.append
    markups = SimpleNamespace(jumps=[])
    markups.JumpSlicesToLocation = lambda *where: markups.jumps.append(where)
    slicer.modules.markups = SimpleNamespace(logic=lambda: markups)
    for name, widget in widgets.MRML.items():
        setattr(slicer, name, widget)
    # only named by Slicer's own files, used by none of ours
    sys.modules["qSlicerSubjectHierarchyModuleWidgetsPythonQt"] = SimpleNamespace(qMRMLSubjectHierarchyTreeView=None)
    sys.modules["ctk"].ctkDirectoryButton = None
    base = (
        ScriptedLoadableModule, ScriptedLoadableModuleWidget, ScriptedLoadableModuleLogic, ScriptedLoadableModuleTest,
    )  # fmt: skip
    slicer_scene.put("ScriptedLoadableModule", {one.__name__: one for one in base})
    members = ("parameterNodeWrapper", "Choice", "Default", "WithinRange")
    slicer_scene.put("parameterNodeWrapper", {name: getattr(parameter_nodes, name) for name in members})
    sys.modules["DICOMLib"] = SimpleNamespace(DICOMUtils=DICOMUtils)
    slicer_scene.put("packaging", {"load_pyproject_dependencies": lambda path: [], "pip_check": lambda wanted: True},
                     never_own=True)  # fmt: skip
    return application


class DICOMUtils:
    """Of DICOMLib: the database is slicer_scene's, a series is a folder."""

    @staticmethod
    def openDatabase(folder):
        slicer.dicomDatabase.openDatabase(f"{folder}/ctkDICOM.sql")
        return slicer.dicomDatabase.isOpen

    @staticmethod
    @contextlib.contextmanager
    def TemporaryDICOMDatabase():
        before, slicer.dicomDatabase = slicer.dicomDatabase, slicer_scene.FolderDatabase()
        slicer.dicomDatabase.isOpen = True
        try:
            yield slicer.dicomDatabase
        finally:
            slicer.dicomDatabase = before

    @staticmethod
    def importDicom(folder, dicomDatabase=None, copyFiles=False):
        assert copyFiles, "files of a temporary folder would be missing in the database"
        if slicer.dicomDatabase.isOpen:
            slicer.dicomDatabase.add(Path(folder))
        return True  # False only for an exception

    @staticmethod
    def loadSeriesByUID(uids):
        if not slicer.dicomDatabase.isOpen:
            raise OSError("DICOM module or database cannot be accessed")
        folders = filter(None, map(slicer.dicomDatabase.folder_of, uids))
        return [slicer_scene.load_series(folder, folder.name).GetID() for folder in folders]


def load_file(file: Path):
    """The module file, as Slicer loads it."""
    spec = importlib.util.spec_from_file_location("PEMMASegment", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules["PEMMASegment"] = module
    slicer.modules.pemmasegment = SimpleNamespace(path=str(file))
    spec.loader.exec_module(module)
    return module


def open_module(file: Path):
    """The module, and its widget, set up and entered, in a window as wide as Slicer's module panel."""
    module = load_file(file)
    module.PEMMASegment(slicer.modules.pemmasegment)
    parent = _window()
    opened = slicer.modules.PEMMASegmentWidget = module.PEMMASegmentWidget(parent)
    parent.__dict__["reload"] = lambda: _reload(parent)
    slicer.modules.pemmasegment.widgetRepresentation = lambda: parent
    opened.setup()
    opened.enter()
    parent.resize(430, 1440)
    parent.show()
    return opened


def _window():
    parent = slicer.qMRMLWidget()
    parent.setLayout(widgets.QVBoxLayout())
    parent.setMRMLScene(slicer.mrmlScene)
    return parent


def _reload(parent) -> None:
    """What the C++ side does: another widget in the same window, set up; it is not entered anew."""
    slicer.modules.PEMMASegmentWidget = sys.modules["PEMMASegment"].PEMMASegmentWidget(parent)
    slicer.modules.PEMMASegmentWidget.setup()

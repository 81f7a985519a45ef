"""Slicer's Python modules as the module file sees them, around slicer-core: our own stand-ins of documented API.

`start(folder)` gives an application; `open_module(file)` a module with its panel, entered.
"""

import enum
import importlib.util
import sys
import typing
from pathlib import Path
from types import SimpleNamespace

import pythonqt
import slicer
import slicer.util
import slicer_scene
import widgets


class Application:
    """slicer.app."""

    applicationVersion = "5.12.4-2026-07-01"
    applicationName = "Slicer"

    def __init__(self, temporary: Path, qt_application):
        self.temporaryPath, self._qt = str(temporary), qt_application
        self.started: list = []

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
        self.parent = parent


class ScriptedLoadableModuleWidget:
    def __init__(self, parent=None):
        self.parent, self.layout = parent, parent.layout()

    def resourcePath(self, name):
        return str(Path(sys.modules[type(self).__module__].__file__).parent / "Resources" / name)

    def setup(self):
        pass


class ScriptedLoadableModuleLogic:
    def getParameterNode(self):
        node = slicer.mrmlScene.GetSingletonNode("PEMMASegment", "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
            node.UnRegister(None)
            node.SetSingletonTag("PEMMASegment")
            node.SetModuleName("PEMMASegment")
            node = slicer.mrmlScene.AddNode(node)
        return node


class ScriptedLoadableModuleTest:
    def delayDisplay(self, message):
        pass


class Choice:
    def __init__(self, choices):
        self.choices = choices


class Default:
    def __init__(self, value):
        self.value = value


class WithinRange:
    def __init__(self, low, high):
        self.low, self.high = low, high


def parameterNodeWrapper(cls):
    """Typed members over vtkMRMLScriptedModuleNode: values as text, nodes as node references."""
    for name, kind in typing.get_type_hints(cls, include_extras=True).items():
        setattr(cls, name, _Member(name, kind, getattr(cls, name, None)))
    cls.__init__ = lambda self, node: self.__dict__.update(parameterNode=node)
    cls.connectGui, cls.disconnectGui = _connect_gui, _disconnect_gui
    cls.__setattr__ = _only_members
    return cls


def _only_members(self, name, value):
    if not isinstance(getattr(type(self), name, None), _Member):
        raise AttributeError(f"no parameter {name}")
    object.__setattr__(self, name, value)


class _Member:
    def __init__(self, name, kind, default):
        told = typing.get_args(kind)[1:] if typing.get_origin(kind) is typing.Annotated else ()
        self.name, self.kind = name, typing.get_args(kind)[0] if told else kind
        self.choices = next((one.choices for one in told if isinstance(one, Choice)), None)
        self.range = next((one for one in told if isinstance(one, WithinRange)), None)
        self.default = next((one.value for one in told if isinstance(one, Default)), default)
        if self.default is None and not self.is_node:
            self.default = self.kind()

    @property
    def is_node(self):
        return issubclass(self.kind, slicer.vtkMRMLNode)

    def __get__(self, owner, kind=None):
        if owner is None:
            return self
        node = owner.__dict__["parameterNode"]
        if self.is_node:
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        if not node.GetParameterNames() or self.name not in node.GetParameterNames():
            return self.default
        return text == "True" if self.kind is bool else self.kind(text)

    def __set__(self, owner, value):
        node = owner.__dict__["parameterNode"]
        if self.is_node:
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
            node.Modified()
            return
        if self.choices and value not in self.choices or self.range and not self.range.low <= value <= self.range.high:
            raise ValueError(f"{self.name} can't be {value!r}")
        node.SetParameter(self.name, str(value.name if isinstance(value, enum.Enum) else value))


#: widget -> (signal, its value, how to set it)
_CONNECTORS = {
    "qMRMLNodeComboBox": ("currentNodeChanged(vtkMRMLNode*)", lambda w: w.currentNode(), lambda w, v: w.setCurrentNode(v)),
    "QCheckBox": ("toggled(bool)", lambda w: w.checked, lambda w, v: setattr(w, "checked", v)),
    "ctkSliderWidget": ("valueChanged(double)", lambda w: w.value, lambda w, v: setattr(w, "value", v)),
    "QDoubleSpinBox": ("valueChanged(double)", lambda w: w.value, lambda w, v: setattr(w, "value", v)),
    "QComboBox": ("currentTextChanged(QString)", lambda w: w.currentText, lambda w, v: setattr(w, "currentText", v)),
    "QLineEdit": ("textChanged(QString)", lambda w: w.text, lambda w, v: setattr(w, "text", v)),
}  # fmt: skip


def _connect_gui(self, ui):
    """Binds each widget that has the property SlicerParameterName, both ways."""
    bound = []
    for widget in vars(ui).values():
        name = getattr(widget, "SlicerParameterName", None)
        if name:
            bound.append(_bind(self, getattr(type(self), name), widget))
    node = self.__dict__["parameterNode"]
    tag = node.AddObserver("ModifiedEvent", lambda *_: [update() for _w, _s, _f, update in bound])
    return node, tag, bound


def _bind(self, member, widget):
    signal, value, put = _CONNECTORS[widget.className()]
    if member.choices:
        for choice in member.choices:
            if widget.findText(choice) < 0:
                widget.addItem(choice)

    def to_node(*_):
        setattr(self, member.name, value(widget))

    def to_widget():
        if value(widget) != getattr(self, member.name):
            put(widget, getattr(self, member.name))

    to_widget()
    widget.connect(signal, to_node)
    return widget, signal, to_node, to_widget


def _disconnect_gui(self, binding):
    node, tag, bound = binding
    node.RemoveObserver(tag)
    for widget, signal, to_node, _update in bound:
        widget.disconnect(signal, to_node)


def start(temporary: Path):
    """A new scene, `slicer.app`, and the modules that a module file imports. Returns the Qt application."""
    application = pythonqt.install({}, widgets.CTK, widgets.MRML)
    slicer_scene.application = slicer_scene.start()
    slicer.app = Application(temporary, application)
    slicer.app.selected = []  # modules that the user was brought to
    slicer.util.selectModule = slicer.app.selected.append
    markups = SimpleNamespace(jumps=[])
    markups.JumpSlicesToLocation = lambda *where: markups.jumps.append(where)
    slicer.modules.markups = SimpleNamespace(logic=lambda: markups)
    module = {
        "ScriptedLoadableModule": [
            ScriptedLoadableModule, ScriptedLoadableModuleWidget, ScriptedLoadableModuleLogic, ScriptedLoadableModuleTest,
        ],
        "parameterNodeWrapper": [parameterNodeWrapper, Choice, Default, WithinRange],
    }  # fmt: skip
    for name, members in module.items():
        slicer_scene.put(name, {one.__name__: one for one in members})
    sys.modules["DICOMLib"] = SimpleNamespace(DICOMUtils=DICOMUtils)
    slicer_scene.put("packaging", {"load_pyproject_dependencies": lambda path: [], "pip_check": lambda wanted: True})
    return application


class DICOMUtils:
    """Of DICOMLib: the database is slicer_scene's, a series is a folder."""

    @staticmethod
    def importDicom(folder):
        slicer.dicomDatabase.add(Path(folder))

    @staticmethod
    def loadSeriesByUID(uids):
        folders = [slicer.dicomDatabase.folder_of(uid) for uid in uids]
        return [slicer_scene.load_series(folder, folder.name).GetID() for folder in folders]


def load_file(file: Path):
    """The module file, as Slicer loads it."""
    spec = importlib.util.spec_from_file_location("PEMMASegment", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules["PEMMASegment"] = module
    spec.loader.exec_module(module)
    return module


def open_module(file: Path):
    """The module's widget, set up and entered, in a window as wide as Slicer's module panel."""
    import qt

    module = load_file(file)
    parent = qt.QWidget()
    parent.__dict__["isEntered"] = True
    widgets.QVBoxLayout(parent)
    opened = module.PEMMASegmentWidget(parent)
    opened.setup()
    opened.enter()
    parent.resize(430, 1440)
    parent.show()
    return opened

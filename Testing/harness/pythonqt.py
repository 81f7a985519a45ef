"""PyQt5 that behaves like Slicer's PythonQt, and stricter: properties are attributes, unknown signals raise at once.

`install()` puts the modules `qt` and `ctk` into sys.modules. An exception in a slot is kept in `raised`.
"""

import functools
import io
import re
import sys
import types
import xml.etree.ElementTree as ET
from pathlib import Path

import designer_plugins
from PyQt5 import QtCore, QtGui, QtWidgets, uic
from PyQt5.uic.Loader.qobjectcreator import LoaderCreatorPolicy

RAW = [False]  # while a .ui file is built: plain PyQt
raised: list[BaseException] = []


class PythonQt:
    """What is put before a PyQt class."""

    def __getattribute__(self, name):
        if not name.startswith("_") and not RAW[0]:
            name = "objectName" if name == "name" else name
            if name in properties(type(self)):
                return QtCore.QObject.property(self, name)
        return object.__getattribute__(self, name)

    def __setattr__(self, name, value):
        name = "objectName" if name == "name" else name
        value = list(value) if isinstance(value, tuple) else value
        if name not in properties(type(self)):
            if not RAW[0]:
                raise AttributeError(f"{type(self).__name__} has no property {name}")
            object.__setattr__(self, name, value)
        elif not QtCore.QObject.setProperty(self, name, value):
            raise TypeError(f"{type(self).__name__}.{name} can't be {value!r}")

    def __getattr__(self, name):
        if name.startswith("set") and name[3:4] and (lower := name[3].lower() + name[4:]) in properties(type(self)):
            return functools.partial(PythonQt.__setattr__, self, lower)
        if name.encode() in [bytes(known) for known in QtCore.QObject.dynamicPropertyNames(self)]:
            return QtCore.QObject.property(self, name)
        raise AttributeError(f"{type(self).__name__} has no {name}")

    def __bool__(self):
        return True  # PyQt's lists and boxes are false while they are empty

    def className(self):
        return type(self).__name__

    def connect(self, signature, slot):
        self._signal(signature).connect(kept(slot))
        return True

    def disconnect(self, signature, slot=None):
        self._signal(signature).disconnect(*([kept(slot)] if slot else []))
        return True

    def _signal(self, signature):
        """Raises for a signal that does not exist: PythonQt would only write a line into the log."""
        meta = QtCore.QObject.metaObject(self)
        normal = bytes(QtCore.QMetaObject.normalizedSignature(signature)).decode()
        known = [bytes(meta.method(n).methodSignature()).decode() for n in range(meta.methodCount())]
        name, _, arguments = normal.rstrip(")").partition("(")
        stand_in = getattr(type(self), "CXX_SIGNALS", {}).get(name)
        if normal not in known and stand_in != normal:
            raise AttributeError(f"{type(self).__name__} has no signal {signature}")
        signal = object.__getattribute__(self, name)
        return signal if stand_in or not arguments else signal[tuple(arguments.split(","))]


class _Meta(type(QtCore.QObject)):
    def __instancecheck__(cls, one):
        base = cls.__dict__.get("_base")
        return isinstance(one, base) if base else type.__instancecheck__(cls, one)


@functools.cache
def adapt(base):
    """The class of PyQt5 as PythonQt shows it."""
    return _Meta(base.__name__, (PythonQt, base), {"_base": base})


@functools.cache
def properties(kind):
    meta = kind.staticMetaObject
    return {meta.property(n).name() for n in range(meta.propertyCount())}


_slots: dict = {}


def kept(slot):
    """The slot with its exceptions collected; one wrapper for each, so that it can be disconnected."""

    def called(*arguments):
        try:
            return slot(*arguments)
        except Exception as error:  # Qt would print it and go on; the test must see it
            raised.append(error)

    return _slots.setdefault(slot, called)


def _look_up(name):
    for module in (QtWidgets, QtGui, QtCore):
        found = getattr(module, name, None)
        if found is not None:
            return adapt(found) if isinstance(found, type) and issubclass(found, QtCore.QObject) else found
    raise AttributeError(f"qt has no {name}")


class QUiLoader:
    """Builds a .ui file; custom widgets come from `custom`, one that Slicer's own loader does not know is an error."""

    custom: dict = {}

    def load(self, file):
        tree = ET.parse(str(file.fileName()))
        connections = [
            {part.tag: part.text for part in connection} for connection in tree.getroot().iter("connection")
        ]
        for parent in list(tree.getroot().iter("ui")):
            for part in parent.findall("connections"):
                parent.remove(part)
        for widget in tree.getroot().iter("customwidget"):
            name = widget.find("class").text
            if name not in self.custom:
                raise KeyError(f"the .ui file wants {name}, which Qt's form builder can't make in Slicer, or the harness lacks")
            widget.find("header").text = "pythonqt_custom"
        widget = _built(tree, self.custom)
        _connect(widget, connections)
        return widget


def _built(tree, custom):
    sys.modules["pythonqt_custom"] = types.SimpleNamespace(**custom)
    text = io.StringIO(re.sub(r"<\?xml.*?\?>", "", ET.tostring(tree.getroot(), encoding="unicode")))
    creator = LoaderCreatorPolicy
    before = creator.createQtGuiWidgetsWrappers
    creator.createQtGuiWidgetsWrappers = lambda self: [_Widgets()]
    RAW[0] = True
    try:
        return uic.loadUi(text)
    finally:
        RAW[0] = False
        creator.createQtGuiWidgetsWrappers = before


class _Widgets:
    def search(self, name):
        found = getattr(QtWidgets, name, None) or getattr(QtGui, name, None)
        return adapt(found) if isinstance(found, type) and issubclass(found, QtCore.QObject) else found


def _connect(widget, connections):
    every = {QtCore.QObject.objectName(w): w for w in [widget, *QtCore.QObject.findChildren(widget, QtCore.QObject)]}
    for told in connections:
        slot = getattr(every[told["receiver"]], told["slot"].partition("(")[0])
        every[told["sender"]].connect(told["signal"], slot)


def install(custom_qt: dict, custom_ctk: dict, slicer_widgets: dict):
    """The application, and the modules qt and ctk. One application for the whole process."""
    application = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["harness"])
    qt, ctk = types.ModuleType("qt"), types.ModuleType("ctk")
    qt.__getattr__ = _look_up
    qt.QUiLoader = QUiLoader
    for name, value in custom_qt.items():
        setattr(qt, name, value)
    for name, value in custom_ctk.items():
        setattr(ctk, name, value)
    known = designer_plugins.CTK | designer_plugins.MRML
    QUiLoader.custom = {name: kind for name, kind in {**custom_ctk, **slicer_widgets}.items() if name in known}
    sys.modules["qt"], sys.modules["ctk"] = qt, ctk
    return application


def slicer_look(application) -> None:
    """Fusion in Slicer's light colours, a font as large as on a screen."""
    application.setStyle("Fusion")
    font = QtWidgets.QApplication.font()
    font.setPointSize(10)
    application.setFont(font)
    palette = QtGui.QPalette()
    for role, colour in (
        ("Window", "#f2f2f4"), ("Button", "#e3e6ee"), ("Base", "#ffffff"), ("Highlight", "#3b6ea8"),
        ("AlternateBase", "#f2f2f4"),
    ):  # fmt: skip
        palette.setColor(getattr(QtGui.QPalette, role), QtGui.QColor(colour))
    application.setPalette(palette)


def image(widget) -> QtGui.QImage:
    """What the widget looks like, laid out anew."""
    QtWidgets.QApplication.processEvents()
    RAW[0] = True
    try:
        return widget.grab().toImage()
    finally:
        RAW[0] = False


def picture(widget, path: Path) -> None:
    """`image` as a file."""
    image(widget).save(str(path))

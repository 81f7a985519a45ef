"""Stand-ins for the widgets of CTK and MRML that the panel uses: their properties, methods and signals, no more."""

from plot_view import PlotView
from PyQt5 import QtCore, QtWidgets
from pythonqt import PythonQt, _Meta, adapt

Property, Signal = QtCore.pyqtProperty, QtCore.pyqtSignal


def stand_in(name, base):
    """Makes a class derived from a PyQt5 widget behave like PythonQt's."""
    return _Meta(name, (PythonQt, base), {"_base": base})


def _stored(kind, name, default):
    """A property without an effect."""
    return Property(kind, lambda self: self.__dict__.get(name, default), lambda self, v: self.__dict__.__setitem__(name, v))


class _Collapsible(QtWidgets.QWidget):
    """A title, and below it what is in it; a click on the title folds it."""

    HEIGHT = 26
    contentsCollapsed = Signal(bool)

    def __init__(self, parent=None):
        super().__init__(parent)
        self.__dict__["title"], self.__dict__["folded"] = "", False
        self.setContentsMargins(4, self.HEIGHT + 4, 4, 6)

    def paintEvent(self, event):
        from PyQt5 import QtGui

        painter, folded = QtGui.QPainter(self), self.__dict__["folded"]
        colours = QtWidgets.QWidget.palette(self)
        painter.fillRect(0, 0, QtWidgets.QWidget.width(self), self.HEIGHT, colours.color(QtGui.QPalette.Button))
        bold = QtGui.QFont(painter.font())
        bold.setBold(True)
        painter.setFont(bold)
        painter.setPen(colours.color(QtGui.QPalette.ButtonText))
        painter.drawText(26, 18, self.__dict__["title"])
        painter.setRenderHint(QtGui.QPainter.Antialiasing)
        corners = ((9, 8), (9, 18), (16, 13)) if folded else ((7, 10), (17, 10), (12, 17))
        painter.setBrush(colours.color(QtGui.QPalette.ButtonText))
        painter.drawPolygon(QtGui.QPolygonF([QtCore.QPointF(*corner) for corner in corners]))

    def showEvent(self, event):
        if self.__dict__["folded"] and "away" not in self.__dict__:  # folded in the .ui file, before it held anything
            self._hide()

    def mousePressEvent(self, event):
        if event.y() <= self.HEIGHT:
            self._set_collapsed(not self.__dict__["folded"])

    def _get_text(self):
        return self.__dict__["title"]

    def _set_text(self, text):
        self.__dict__["title"] = text

    def _get_collapsed(self):
        return self.__dict__["folded"]

    def _set_collapsed(self, folded):
        changed, self.__dict__["folded"] = folded != self.__dict__["folded"], folded
        self.setMaximumHeight(self.HEIGHT if folded else 16777215)
        self._hide() if folded else self._show()
        QtWidgets.QWidget.update(self)
        if changed:
            self.contentsCollapsed.emit(folded)

    def _hide(self):
        """What is folded away can't be reached with the keyboard either; what is hidden already stays so."""
        widgets = [child for child in self.children() if isinstance(child, QtWidgets.QWidget)]
        self.__dict__["away"] = [child for child in widgets if not QtWidgets.QWidget.isHidden(child)]
        for child in self.__dict__["away"]:
            QtWidgets.QWidget.hide(child)

    def _show(self):
        for child in self.__dict__.pop("away", ()):
            QtWidgets.QWidget.show(child)

    text = Property(str, _get_text, _set_text)
    collapsed = Property(bool, _get_collapsed, _set_collapsed)


class _GroupBox(QtWidgets.QGroupBox):
    """Ticked when it is open."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self.setCheckable(True)
        self.setChecked(True)
        self.toggled.connect(lambda open: self.setMaximumHeight(16777215 if open else 24))

    def _get_collapsed(self):
        return not QtWidgets.QGroupBox.isChecked(self)

    def _set_collapsed(self, folded):
        QtWidgets.QGroupBox.setChecked(self, not folded)

    collapsed = Property(bool, _get_collapsed, _set_collapsed)


class _Slider(QtWidgets.QWidget):
    """A slider with its number; valueChanged only for a new value."""

    valueChanged = Signal(float)
    CXX_SIGNALS = {"valueChanged": "valueChanged(double)"}

    def __init__(self, parent=None):
        super().__init__(parent)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self.__dict__["slider"] = slider = QtWidgets.QSlider(QtCore.Qt.Horizontal)
        self.__dict__["box"] = box = QtWidgets.QDoubleSpinBox()
        slider.setRange(0, 1000)
        row.addWidget(slider)
        row.addWidget(box)
        slider.valueChanged.connect(self._slid)
        box.valueChanged.connect(self._typed)

    def _slid(self, at):
        box = self.__dict__["box"]
        box.setValue(box.minimum() + at / 1000 * (box.maximum() - box.minimum()))

    def _typed(self, value):
        box, slider = self.__dict__["box"], self.__dict__["slider"]
        slider.blockSignals(True)
        slider.setValue(round(1000 * (value - box.minimum()) / (box.maximum() - box.minimum())))
        slider.blockSignals(False)
        self.valueChanged.emit(value)

    def _of(name, kind=float):
        setter = "set" + name[0].upper() + name[1:]
        return Property(
            kind,
            lambda self: getattr(self.__dict__["box"], name)(),
            lambda self, value: getattr(self.__dict__["box"], setter)(value),
        )

    value, minimum, maximum, singleStep = _of("value"), _of("minimum"), _of("maximum"), _of("singleStep")
    decimals = _of("decimals", int)


class _PathLineEdit(QtWidgets.QWidget):
    """A line and its button "...", which opens what the filters ask for; without filters that is an existing file."""

    Dirs, Files, Drives, Readable, Writable, Executable, NoDot, NoDotDot = 1, 2, 4, 16, 32, 64, 0x2000, 0x4000
    AllEntries = Dirs | Files | Drives
    currentPathChanged = Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        self.__dict__["line"] = line = QtWidgets.QLineEdit()
        button = QtWidgets.QToolButton()
        button.setText("...")
        row.addWidget(line)
        row.addWidget(button)
        self.setFocusProxy(line)
        line.textChanged.connect(self.currentPathChanged)
        button.clicked.connect(lambda: self.browse())

    def browse(self):
        ask, now = QtWidgets.QFileDialog, self.__dict__["line"].text()
        if not self.filters & self.Files:
            path = ask.getExistingDirectory(self, "", now)
        else:
            path, _ = (ask.getSaveFileName if self.filters & self.Writable else ask.getOpenFileName)(self, "", now)
        if path:
            self.__dict__["line"].setText(path)

    currentPath = Property(str, lambda self: self.__dict__["line"].text(), lambda self, v: self.__dict__["line"].setText(v))
    filters = _stored(int, "kinds", AllEntries | Readable | Executable)


class _MRMLWidget(QtWidgets.QWidget):
    mrmlSceneChanged = Signal(object)
    CXX_SIGNALS = {"mrmlSceneChanged": "mrmlSceneChanged(vtkMRMLScene*)"}

    def setMRMLScene(self, scene):
        self.__dict__["scene"] = scene
        self.mrmlSceneChanged.emit(scene)

    def mrmlScene(self):
        return self.__dict__.get("scene")


class _NodeComboBox(QtWidgets.QWidget):
    """Nodes of `nodeTypes` in the scene, looked up by ID each time, so that a closed scene leaves nothing behind."""

    currentNodeChanged, nodeActivated = Signal(object), Signal(object)
    CXX_SIGNALS = {name: f"{name}(vtkMRMLNode*)" for name in ("currentNodeChanged", "nodeActivated")}

    def __init__(self, parent=None):
        super().__init__(parent)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self.__dict__.update(box=QtWidgets.QComboBox(), types=[], scene=None, attribute="")
        row.addWidget(self.__dict__["box"])
        self.__dict__["box"].currentIndexChanged.connect(lambda _: self.currentNodeChanged.emit(self.currentNode()))
        self.__dict__["box"].activated.connect(lambda _: self.nodeActivated.emit(self.currentNode()))  # by the user

    nodeTypes = Property(
        "QStringList", lambda self: self.__dict__["types"], lambda self, v: self.__dict__.__setitem__("types", list(v))
    )
    noneEnabled, addEnabled = _stored(bool, "none", False), _stored(bool, "add", True)
    removeEnabled = _stored(bool, "remove", True)

    def setMRMLScene(self, scene):
        self.__dict__["scene"] = scene
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndCloseEvent):
            scene.AddObserver(event, lambda *_: self._refill())
        self._refill()

    def addAttribute(self, kind, name):
        """Only nodes with it are listed: those that have it when they come into the scene."""
        self.__dict__["attribute"] = name

    def currentNode(self):
        node_id = self.__dict__["box"].currentData()
        return self.__dict__["scene"].GetNodeByID(node_id) if node_id and self.__dict__["scene"] else None

    def setCurrentNode(self, node):
        self._refill(node.GetID() if node is not None else "")

    def _refill(self, chosen=None):
        box, scene = self.__dict__["box"], self.__dict__["scene"]
        before = box.currentData()
        wanted = before if chosen is None else chosen
        box.blockSignals(True)
        box.clear()
        box.addItem("None", "")
        nodes = [n for kind in self.__dict__["types"] for n in _nodes(scene, kind) if not n.GetHideFromEditors()]
        for node in nodes:
            if not self.__dict__["attribute"] or node.GetAttribute(self.__dict__["attribute"]) is not None:
                box.addItem(node.GetName(), node.GetID())
        box.setCurrentIndex(max(box.findData(wanted), 0))
        box.blockSignals(False)
        if box.currentData() != before:
            self.currentNodeChanged.emit(self.currentNode())


def _nodes(scene, kind):
    found = scene.GetNodesByClass(kind) if scene is not None else None
    return [found.GetItemAsObject(n) for n in range(found.GetNumberOfItems())] if found is not None else []


CTK = {
    name: stand_in(name, base)
    for name, base in (
        ("ctkCollapsibleButton", _Collapsible), ("ctkCollapsibleGroupBox", _GroupBox), ("ctkSliderWidget", _Slider),
        ("ctkPathLineEdit", _PathLineEdit),
    )
}  # fmt: skip
MRML = {
    name: stand_in(name, base)
    for name, base in (("qMRMLWidget", _MRMLWidget), ("qMRMLNodeComboBox", _NodeComboBox), ("qMRMLPlotView", PlotView))
}
QVBoxLayout = adapt(QtWidgets.QVBoxLayout)

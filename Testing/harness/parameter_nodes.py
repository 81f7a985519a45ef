"""Stand-ins for slicer.parameterNodeWrapper: typed members over vtkMRMLScriptedModuleNode, no less strict than Slicer's."""

import enum
import typing

import slicer
import slicer.util


class Choice:
    def __init__(self, choices):
        self.choices = choices

    def check(self, value):
        if value not in self.choices:
            raise ValueError(f"{value!r} is none of {self.choices}")


class WithinRange:
    def __init__(self, minimum, maximum):
        self.minimum, self.maximum = minimum, maximum

    def check(self, value):
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value!r} is not within {self.minimum} to {self.maximum}")


class Default:
    def __init__(self, value):
        self.value = value


def parameterNodeWrapper(cls):
    """Values are kept as text, nodes as node references; every member is in the node once it is wrapped."""
    hints = typing.get_type_hints(cls, include_extras=True)
    cls.allParameters = {name: _Member(name, kind, getattr(cls, name, None)) for name, kind in hints.items()}
    for name, member in cls.allParameters.items():
        setattr(cls, name, member)
    cls.__init__, cls.__setattr__ = _wrap, _only_members
    cls.connectGui, cls.connectParametersToGui, cls.disconnectGui = _connect_gui, _connect, _disconnect
    return cls


def _wrap(self, node):
    self.__dict__.update(parameterNode=node, bound={}, updating=False)
    for name, member in self.allParameters.items():
        if not node.HasParameter(name):
            setattr(self, name, member.default)


def _only_members(self, name, value):
    """Slicer's own would keep a misspelt name to itself."""
    if name not in self.allParameters:
        raise AttributeError(f"no parameter {name}")
    object.__setattr__(self, name, value)


class _Member:
    def __init__(self, name, kind, default):
        told = typing.get_args(kind)[1:] if typing.get_origin(kind) is typing.Annotated else ()
        self.name, self.kind = name, typing.get_args(kind)[0] if told else kind
        self.is_node = issubclass(self.kind, slicer.vtkMRMLNode)
        if not self.is_node and self.kind not in (bool, int, float, str) and not issubclass(self.kind, enum.Enum):
            raise TypeError(f"{name} is of {self.kind}, which can't be kept")
        self.checks = [one for one in told if hasattr(one, "check")]
        self.default = next((one.value for one in told if isinstance(one, Default)), default)
        if self.default is None and not self.is_node:
            self.default = next(iter(self.kind)) if issubclass(self.kind, enum.Enum) else self.kind()

    def __get__(self, owner, kind=None):
        if owner is None:
            return self
        node = owner.__dict__["parameterNode"]
        if self.is_node:
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        if issubclass(self.kind, enum.Enum):
            return self.kind[text]
        return text == "True" if self.kind is bool else self.kind(text)

    def __set__(self, owner, value):
        self._check(value)
        node = owner.__dict__["parameterNode"]
        with slicer.util.NodeModify(node):
            if self.is_node:
                node.SetParameter(self.name, "")
                node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
            else:
                node.SetParameter(self.name, str(value.name if isinstance(value, enum.Enum) else value))

    def _check(self, value):
        wanted = (int, float) if self.kind is float else self.kind
        if not (self.is_node and value is None) and not isinstance(value, wanted):
            raise TypeError(f"{self.name} can't be {value!r}")
        for one in self.checks:
            one.check(value)


#: class of the widget, exactly -> (signal, kind of value, its value, how to set it)
_CONNECTORS = {
    "qMRMLNodeComboBox": ("currentNodeChanged", None, lambda w: w.currentNode(), lambda w, v: w.setCurrentNode(v)),
    "QCheckBox": ("stateChanged", bool, lambda w: w.checked, lambda w, v: setattr(w, "checked", v)),
    "ctkSliderWidget": ("valueChanged", float, lambda w: w.value, lambda w, v: setattr(w, "value", v)),
    "QDoubleSpinBox": ("valueChanged", float, lambda w: w.value, lambda w, v: setattr(w, "value", v)),
    "QComboBox": ("currentIndexChanged", str, lambda w: w.currentText, lambda w, v: setattr(w, "currentText", v)),
    "QLineEdit": ("textChanged", str, lambda w: w.text, lambda w, v: setattr(w, "text", v)),
}  # fmt: skip


def _connect_gui(self, ui):
    """Binds each widget with the property SlicerParameterName. Returns None, as Slicer's does: it can't be undone."""
    every = ((widget.property("SlicerParameterName"), widget) for widget in vars(ui).values())
    _connect(self, {name: widget for name, widget in every if name})


def _connect(self, widgets):
    """Binds widgets to the members that they are given for, both ways; returns what `disconnectGui` takes."""
    bound = [_bind(self, self.allParameters[name], widget) for name, widget in widgets.items()]
    tag = len(self.__dict__["bound"])
    self.__dict__["bound"][tag] = bound
    self.__dict__["parameterNode"].AddObserver("ModifiedEvent", lambda *_: _update(self))  # which stays for ever
    return tag


def _bind(self, member, widget):
    signal, kind, value, put = _CONNECTORS[type(widget).__name__]
    if member.is_node != (kind is None) or kind is not None and kind is not member.kind:
        raise RuntimeError(f"no connector from {member.kind} to {type(widget)}")
    choices, limits = (next((one for one in member.checks if isinstance(one, k)), None) for k in (Choice, WithinRange))
    if kind is str and type(widget).__name__ == "QComboBox":
        widget.clear()
        for choice in choices.choices:
            widget.addItem(choice)
    elif kind is float:
        widget.minimum, widget.maximum = limits.minimum, limits.maximum
    elif kind is None:
        widget.nodeTypes = (member.kind().GetClassName(),)
    put(widget, getattr(self, member.name))

    def to_node():
        if not self.__dict__["updating"]:
            setattr(self, member.name, value(widget))

    getattr(widget, signal).connect(to_node)
    return getattr(widget, signal), to_node, lambda: put(widget, getattr(self, member.name))


def _update(self):
    if not self.__dict__["updating"]:
        self.__dict__["updating"] = True
        try:
            for bound in self.__dict__["bound"].values():
                for _signal, _to_node, to_widget in bound:
                    to_widget()
        finally:
            self.__dict__["updating"] = False


def _disconnect(self, tag):
    for signal, to_node, _to_widget in self.__dict__["bound"].pop(tag, ()):
        signal.disconnect(to_node)

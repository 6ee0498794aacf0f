"""Slicer's Python layer over Qt, put over PySide6: widgets with properties as attributes, signals by their text.

Widgets of Slicer and CTK are small stand-ins with the properties and signals that the extension uses.
"""

from __future__ import annotations

import pathlib
import types
from enum import Enum

import slicer
from PySide6 import QtCore, QtUiTools, QtWidgets
from PySide6.QtCore import Property, Signal


class qMRMLWidget(QtWidgets.QWidget):
    pass


class qMRMLNodeComboBox(QtWidgets.QComboBox):
    currentNodeChanged = Signal(object)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._types, self._flags, self._scene, self._ids = [], {}, None, [None]
        self._chosen = None
        self.currentIndexChanged.connect(self._index_changed)

    def _flag(name):
        return Property(
            bool, lambda self: self._flags.get(name, True), lambda self, v: self._flags.__setitem__(name, v)
        )

    showChildNodeTypes, noneEnabled = _flag("child"), _flag("none")
    addEnabled, removeEnabled, renameEnabled = _flag("add"), _flag("remove"), _flag("rename")
    nodeTypes = Property("QStringList", lambda self: self._types, lambda self, v: setattr(self, "_types", v))

    def setMRMLScene(self, scene):
        self._scene = scene
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent):
            scene.AddObserver(event, lambda *_: self.fill())
        self.fill()

    def fill(self):
        if self._scene is not slicer.mrmlScene:
            return
        found = {}
        for kind in self._types:
            for node in slicer.util.getNodesByClass(kind):
                exact = node.GetClassName() == kind
                if (exact or self.showChildNodeTypes) and not node.GetHideFromEditors():
                    found[node.GetID()] = node.GetName()
        self.blockSignals(True)
        self.clear()
        self._ids = [None, *found]
        self.addItems(["None", *found.values()])
        self.setCurrentIndex(self._ids.index(self._chosen) if self._chosen in self._ids else 0)
        self.blockSignals(False)

    def currentNode(self):
        return self._scene.GetNodeByID(self._chosen) if self._chosen else None

    def setCurrentNode(self, node):
        wanted = None if node is None else node.GetID()
        if wanted not in self._ids:
            self.fill()
        self.setCurrentIndex(self._ids.index(wanted) if wanted in self._ids else 0)

    def _index_changed(self, index):
        self._chosen = self._ids[index] if 0 <= index < len(self._ids) else None
        self.currentNodeChanged.emit(self.currentNode())


class ctkCollapsibleButton(QtWidgets.QGroupBox):
    def __init__(self, parent=None):
        super().__init__(parent)
        self._collapsed = False
        self.setFlat(True)

    def _collapse(self, value):
        self._collapsed = value
        self.setTitle(f"{'▸' if value else '▾'} {self.title().lstrip('▸▾ ')}")
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                child.setVisible(not value)
        self.setMaximumHeight(24 if value else 16777215)

    def _set_text(self, text):
        self.setTitle(text)
        self._collapse(self._collapsed)

    def showEvent(self, event):
        self._collapse(self._collapsed)
        super().showEvent(event)

    text = Property(str, lambda self: self.title().lstrip("▸▾ "), _set_text)
    collapsed = Property(bool, lambda self: self._collapsed, _collapse)


class ctkSliderWidget(QtWidgets.QWidget):
    valueChanged = Signal(float)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._slider, self._box = QtWidgets.QSlider(QtCore.Qt.Horizontal), QtWidgets.QDoubleSpinBox()
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._slider)
        row.addWidget(self._box)
        self._box.valueChanged.connect(lambda v: (self._slider.setValue(round(100 * v)), self.valueChanged.emit(v)))
        self._slider.valueChanged.connect(lambda v: self._box.setValue(v / 100))

    def _set_minimum(self, value):
        self._box.setMinimum(value)
        self._slider.setMinimum(round(100 * value))

    def _set_maximum(self, value):
        self._box.setMaximum(value)
        self._slider.setMaximum(round(100 * value))

    minimum = Property(float, lambda self: self._box.minimum(), _set_minimum)
    maximum = Property(float, lambda self: self._box.maximum(), _set_maximum)
    value = Property(float, lambda self: self._box.value(), lambda self, v: self._box.setValue(v))
    singleStep = Property(float, lambda self: self._box.singleStep(), lambda self, v: self._box.setSingleStep(v))
    decimals = Property(int, lambda self: self._box.decimals(), lambda self, v: self._box.setDecimals(v))


class ctkPathLineEdit(QtWidgets.QWidget):
    """As CTK's it tells no empty path, only that there is no valid one any more."""

    currentPathChanged, validInputChanged = Signal(str), Signal(bool)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._edit = QtWidgets.QLineEdit()
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._edit)
        row.addWidget(QtWidgets.QToolButton(text="…"))
        self._was_valid = False
        self._edit.textChanged.connect(self._changed)

    def _changed(self, text):
        if text:
            self.currentPathChanged.emit(text)
        if bool(text) != self._was_valid:
            self._was_valid = bool(text)
            self.validInputChanged.emit(self._was_valid)

    currentPath = Property(str, lambda self: self._edit.text(), lambda self, text: self._edit.setText(text))


_OWN = (qMRMLWidget, qMRMLNodeComboBox, ctkCollapsibleButton, ctkSliderWidget, ctkPathLineEdit)


class Facade:
    """A widget as Slicer's Python sees it."""

    def __init__(self, widget: QtWidgets.QWidget) -> None:
        object.__setattr__(self, "widget", widget)

    def __getattr__(self, name):
        if self.widget.metaObject().indexOfProperty(name) >= 0:
            return self.widget.property(name)
        return getattr(self.widget, name)

    def __setattr__(self, name, value):
        if self.widget.metaObject().indexOfProperty(name) < 0:
            raise AttributeError(f"{type(self.widget).__name__} has no property {name}")
        assert self.widget.setProperty(name, value), f"{name} = {value!r}"

    def connect(self, signature, call):
        name, _, arguments = signature.partition("(")
        count = 0 if arguments == ")" else arguments.count(",") + 1
        assert self.widget.metaObject().indexOfSignal(_normal(self.widget, name, signature)) >= 0, signature
        getattr(self.widget, name).connect(lambda *given: call(*given[:count]))

    def setMRMLScene(self, scene):
        if isinstance(self.widget, qMRMLNodeComboBox):
            self.widget.setMRMLScene(scene)
            return
        for child in self.widget.findChildren(qMRMLNodeComboBox):  # as the connections in the .ui do
            child.setMRMLScene(scene)

    @property
    def children_by_name(self):
        return {w.objectName(): Facade(w) for w in self.widget.findChildren(QtWidgets.QWidget) if w.objectName()}


def _normal(widget, name, signature):
    """The signature with its default arguments: ``clicked()`` is ``clicked(bool)``."""
    meta = widget.metaObject()
    for index in range(meta.methodCount()):
        method = meta.method(index)
        if method.methodType() == QtCore.QMetaMethod.Signal and bytes(method.name()).decode() == name:
            return bytes(method.methodSignature()).decode()
    return signature


def load_ui(path: str) -> Facade:
    loader = QtUiTools.QUiLoader()
    for kind in _OWN:
        loader.registerCustomWidget(kind)
    return Facade(loader.load(path))


def child_widget_variables(panel: Facade):
    return types.SimpleNamespace(**panel.children_by_name)


class Link:
    """One widget bound to one field."""

    def __init__(self, widget, read, write, signal) -> None:
        self.read, self.write, self._signal = read, write, signal

    def on_changed(self, call):
        self._signal.connect(lambda *_: call())


def connector(facade: Facade, field) -> Link:
    """The link of a pair of widget and type that Slicer knows; an error for any other."""
    w, kind = facade.widget, field.kind
    exact = type(w)
    if exact is QtWidgets.QCheckBox and kind is bool:
        return Link(w, w.isChecked, w.setChecked, w.toggled)
    if exact is QtWidgets.QLineEdit and kind is str:
        return Link(w, w.text, lambda v: w.text() == v or w.setText(v), w.textChanged)
    if exact is QtWidgets.QDoubleSpinBox and kind is float:
        w.setRange(field.range.low, field.range.high)
        return Link(w, w.value, w.setValue, w.valueChanged)
    if exact is ctkSliderWidget and kind is float:
        w.minimum, w.maximum = field.range.low, field.range.high
        return Link(w, lambda: w.value, lambda v: setattr(w, "value", v), w.valueChanged)
    if exact is QtWidgets.QComboBox and isinstance(kind, type) and issubclass(kind, Enum):
        members = list(kind)
        if not w.count():
            w.addItems([member.label() for member in members])
        return Link(
            w, lambda: members[w.currentIndex()], lambda v: w.setCurrentIndex(members.index(v)), w.currentIndexChanged
        )
    if exact is ctkPathLineEdit and issubclass(kind, pathlib.PurePath):
        return Link(w, lambda: kind(w.currentPath), lambda v: setattr(w, "currentPath", str(v)), w.currentPathChanged)
    if exact is qMRMLNodeComboBox and field.is_node:
        w.nodeTypes = [field.kind.__name__]  # Slicer's connector replaces those of the .ui
        w.fill()
        return Link(w, w.currentNode, w.setCurrentNode, w.currentNodeChanged)
    raise TypeError(f"Slicer has no connector of {exact.__name__} to {kind}")

"""Slicer's ``@parameterNodeWrapper`` for the types that the extension uses.

Values are stored in a real vtkMRMLScriptedModuleNode as Slicer stores them (enums by name, nodes as references), so
that a saved scene can be tested; the widget connectors accept the pairs of widget and type that Slicer's accept.
"""

from __future__ import annotations

import pathlib
import typing
from enum import Enum

import slicer


class WithinRange:
    """Bounds of a number."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high


class _Field:
    def __init__(self, name: str, annotation: object, default: object) -> None:
        self.name = name
        self.range = None
        if typing.get_origin(annotation) is typing.Annotated:
            self.kind, *notes = typing.get_args(annotation)
            self.range = next((note for note in notes if isinstance(note, WithinRange)), None)
        else:
            self.kind = annotation
        self.is_node = isinstance(self.kind, type) and issubclass(self.kind, slicer.vtkMRMLNode)
        assert self.is_node or issubclass(self.kind, (bool, int, float, str, Enum, pathlib.PurePath)), annotation
        self.default = default

    def write(self, node, value) -> None:
        if self.is_node:
            assert value is None or isinstance(value, self.kind), f"{self.name} = {value}"
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
            return
        if self.kind is float and isinstance(value, int):
            value = float(value)
        assert isinstance(value, self.kind), f"{self.name} = {value!r}"
        if self.range is not None and not self.range.low <= value <= self.range.high:
            raise ValueError(f"{self.name} = {value} is not within {self.range.low} to {self.range.high}")
        node.SetParameter(self.name, value.name if isinstance(value, Enum) else str(value))

    def read(self, node):
        if self.is_node:
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        if issubclass(self.kind, Enum):
            return self.kind[text]
        if self.kind is bool:
            return text == "True"
        return self.kind(text)

    def is_in(self, node) -> bool:
        return self.is_node or node.GetParameter(self.name) not in (None, "") or self.name in node.GetParameterNames()


def parameterNodeWrapper(cls):
    """Make a class of annotated fields a view of a parameter node."""
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = {name: _Field(name, kind, getattr(cls, name, None)) for name, kind in hints.items()}

    def initialise(self, node) -> None:
        self.parameterNode = node
        self._guis = {}
        for field in fields.values():
            if not field.is_node and not field.is_in(node):
                field.write(node, field.default)

    cls.__init__ = initialise
    cls.allParameters = fields
    for name, field in fields.items():
        read = lambda self, f=field: f.read(self.parameterNode)  # noqa: E731
        write = lambda self, value, f=field: f.write(self.parameterNode, value)  # noqa: E731
        setattr(cls, name, property(read, write))
    cls.connectGui = _connect_gui
    cls.connectParametersToGui = _connect_parameters
    cls.disconnectGui = _disconnect_gui
    cls.AddObserver = lambda self, event, call, priority=0.0: self.parameterNode.AddObserver(event, call, priority)
    cls.RemoveObserver = lambda self, tag: self.parameterNode.RemoveObserver(tag)
    return cls


def _connect_gui(self, ui) -> None:
    """Binds by the property of the widgets; like Slicer's, it does not say by what the binding is ended."""
    names = {widget.property("SlicerParameterName"): widget for widget in vars(ui).values()}
    _connect_parameters(self, {name: widget for name, widget in names.items() if name})


def _connect_parameters(self, widgets):
    from tests.slicer.standin.widget_facade import connector

    is_writing = [False]
    bound = [(self.allParameters[name], connector(w, self.allParameters[name])) for name, w in widgets.items()]

    def to_gui(*_):
        if is_writing[0]:
            return
        is_writing[0] = True
        try:
            for field, link in bound:
                link.write(field.read(self.parameterNode))
        finally:
            is_writing[0] = False

    def changed(field, link):
        def call():
            if not is_writing[0] and tag in self._guis:
                field.write(self.parameterNode, link.read())

        return call

    tag = len(self._guis) + 1
    to_gui()
    for field, link in bound:
        link.on_changed(changed(field, link))
    self._guis[tag] = self.parameterNode.AddObserver("ModifiedEvent", to_gui)
    return tag


def _disconnect_gui(self, tag) -> None:
    if tag in self._guis:
        self.parameterNode.RemoveObserver(self._guis.pop(tag))

"""The names of the application that the extension uses, put over slicer-core."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
import types
import urllib.request
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import slicer

from tests.slicer.standin import parameter_node
from tests.slicer.standin.event_loop import QTimer

EXTENSION = Path(__file__).resolve().parents[3] / "slicer_extension"
MODULE = EXTENSION / "UPFusion"


class Settings:
    """QSettings in memory."""

    values: dict[str, object] = {}  # noqa: RUF012 (shared on purpose, as Qt's)

    def value(self, name):
        return self.values.get(name)

    def setValue(self, name, value):
        self.values[name] = value

    def contains(self, name):
        return name in self.values

    def remove(self, name):
        self.values.pop(name, None)


class LayoutManager:
    """Slice views without a window: a slice logic for each view of the layout."""

    def __init__(self, scene) -> None:
        self._scene = scene
        self._application = slicer.vtkMRMLApplicationLogic()
        self._application.SetMRMLScene(scene)
        self.node = scene.AddNewNodeByClass("vtkMRMLLayoutNode")
        self.layout = None
        self.slices: dict[str, object] = {}
        for name, plane in (("Red", "Axial"), ("Green", "Coronal"), ("Yellow", "Sagittal")):
            self._add(name, plane)

    def layoutLogic(self):
        return types.SimpleNamespace(GetLayoutNode=lambda: self.node)

    def setLayout(self, number):
        self.layout = number
        if number == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView:
            return
        for view in ElementTree.fromstring(self.node.GetLayoutDescription(number)).iter("view"):
            self._add(view.get("singletontag"), view.find("property[@name='orientation']").text)

    def resetSliceViews(self):
        for logic in self.slices.values():
            logic.FitSliceToAll()

    def mrmlSliceLogics(self):
        return types.SimpleNamespace(GetNumberOfItems=lambda: 0)

    def _add(self, name: str, plane: str) -> None:
        if name in self.slices:
            return
        logic = slicer.vtkMRMLSliceLogic()
        logic.SetMRMLApplicationLogic(self._application)
        logic.SetMRMLScene(self._scene)
        logic.AddSliceNode(name)
        logic.GetSliceNode().SetDimensions(300, 300, 1)
        logic.GetSliceNode().SetOrientation(plane)
        self.slices[name] = logic


class Clipboard:
    text = ""

    def setText(self, text):
        self.text = text


class Application:
    """``slicer.app``."""

    def __init__(self, temporary_path: Path) -> None:
        self.temporaryPath = str(temporary_path)
        self.manager = LayoutManager(slicer.mrmlScene)
        self._clipboard = Clipboard()
        self.started = []

    def layoutManager(self):
        return self.manager

    def clipboard(self):
        return self._clipboard

    def connect(self, _signal, call):
        self.started.append(call)


class DicomDatabase:
    """``slicer.dicomDatabase``: files by the UID of their instance."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.isOpen = folder, True
        self.files: dict[str, str] = {}
        folder.mkdir(exist_ok=True)

    def add(self, file: Path) -> str:
        import pydicom

        uid = str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID)
        self.files[uid] = str(file)
        return uid

    def fileForInstance(self, uid):
        return self.files.get(uid, "")

    def instanceValue(self, uid, tag):
        import pydicom

        if uid not in self.files:
            return ""
        group, element = tag.split(",")
        found = pydicom.dcmread(self.files[uid], stop_before_pixels=True).get((int(group, 16), int(element, 16)))
        if found is None or found.value is None:
            return ""
        return "\\".join(map(str, found.value)) if found.VM > 1 else str(found.value)


class Dialogs:
    """What the extension asked or told the user; ``answer`` is what the user says."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.told: list[str] = []
        self.answer = False


DIALOGS = Dialogs()


def _module(name: str, **members) -> types.ModuleType:
    module = types.ModuleType(name)
    vars(module).update(members)
    sys.modules[name] = module
    return module


class _ModuleBase:
    def __init__(self, parent):
        self.parent = parent


class _WidgetBase:
    def __init__(self, parent=None):
        self.parent, self.layout = (
            parent,
            types.SimpleNamespace(addWidget=lambda widget: setattr(self, "panel", widget)),
        )

    def setup(self):
        pass

    def resourcePath(self, name):
        return str(MODULE / "Resources" / name)


class _LogicBase:
    def __init__(self, parent=None):
        self.moduleName = type(self).__name__.removesuffix("Logic")

    def getParameterNode(self):
        tag = self.moduleName
        node = slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.vtkMRMLScriptedModuleNode()
            node.SetSingletonTag(tag)
            node.SetModuleName(tag)
            node.SetName(tag)
            node = slicer.mrmlScene.AddNode(node)
        return node


class _SampleDataLogic:
    """Registers samples, downloads and checks them as Slicer does."""

    samples: dict[str, dict] = {}  # noqa: RUF012

    @staticmethod
    def registerCustomSampleDataSource(
        category="Custom", sampleName=None, uris=None, fileNames=None, nodeNames=None, customDownloader=None,
        thumbnailFileName=None, loadFileType="VolumeFile", loadFiles=None, loadFileProperties={}, checksums=None,
    ):  # fmt: skip
        _SampleDataLogic.samples[sampleName] = {
            "uris": uris, "fileNames": fileNames, "nodeNames": nodeNames, "checksums": checksums,
            "thumbnailFileName": thumbnailFileName,
        }  # fmt: skip

    def downloadSamples(self, name):
        facts, nodes = self.samples[name], []
        for uri, file, node, checksum in zip(
            facts["uris"], facts["fileNames"], facts["nodeNames"], facts["checksums"], strict=True
        ):
            place = Path(slicer.app.temporaryPath) / file
            with urllib.request.urlopen(uri) as source:
                place.write_bytes(source.read())
            if hashlib.sha256(place.read_bytes()).hexdigest() != checksum.removeprefix("SHA256:"):
                return None
            nodes.append(load_volume(place, node))
        return nodes


def load_volume(path: Path, name: str, kind: str = "vtkMRMLScalarVolumeNode"):
    node = slicer.mrmlScene.AddNewNodeByClass(kind, name)
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(os.fspath(path))
    assert storage.ReadData(node)
    node.CreateDefaultDisplayNodes()
    return node


def _import_dicom(folder, database=None, copyFiles=False):
    database = database or slicer.dicomDatabase
    for file in sorted(Path(folder).rglob("*.dcm")):
        database.add(Path(shutil.copy(file, database.folder)) if copyFiles else file)
    return True


@contextlib.contextmanager
def _try_with_error_display(message=None, **_):
    try:
        yield
    except Exception as error:
        DIALOGS.told.append(f"{message} {error}")


def _ask(text, **_):
    DIALOGS.asked.append(text)
    return DIALOGS.answer


def install() -> None:
    """Put the stand-ins where the extension imports them from."""
    slicer.i18n = _module("slicer.i18n", tr=lambda text: text, translate=lambda _context, text: text)
    _module(
        "slicer.ScriptedLoadableModule",
        ScriptedLoadableModule=_ModuleBase,
        ScriptedLoadableModuleWidget=_WidgetBase,
        ScriptedLoadableModuleLogic=_LogicBase,
        ScriptedLoadableModuleTest=object,
    )
    _module(
        "slicer.parameterNodeWrapper",
        parameterNodeWrapper=parameter_node.parameterNodeWrapper,
        WithinRange=parameter_node.WithinRange,
    )
    _module("SampleData", SampleDataLogic=_SampleDataLogic)
    _module("DICOMLib", DICOMUtils=types.SimpleNamespace(importDicom=_import_dicom))
    widgets = {}
    try:
        from PySide6 import QtGui, QtWidgets

        widgets = {"QTableWidgetItem": QtWidgets.QTableWidgetItem, "QBrush": QtGui.QBrush, "QColor": QtGui.QColor}
    except ImportError:
        pass  # tests of widgets are skipped then
    _module("qt", QTimer=QTimer, QSettings=Settings, **widgets)
    slicer.util.startupEnvironment = lambda: {k: v for k, v in os.environ.items() if k != "SLICER_HOME"}
    slicer.util.confirmOkCancelDisplay = _ask
    slicer.util.errorDisplay = lambda text, **_: DIALOGS.told.append(text)
    slicer.util.tryWithErrorDisplay = _try_with_error_display
    if str(MODULE) not in sys.path:
        sys.path.insert(0, str(MODULE))


def new_scene(temporary_path: Path):
    """A fresh scene with an application around it."""
    scene = slicer.vtkMRMLScene()
    slicer.mrmlScene = scene
    slicer.app = None
    colours = slicer.vtkMRMLColorLogic()
    colours.SetMRMLScene(scene)
    colours.AddDefaultColorNodes()
    scene.colours = colours  # keeps it alive as long as the scene
    scene.AddNode(slicer.vtkMRMLCrosshairNode())
    slicer.app = Application(temporary_path)
    slicer.dicomDatabase = DicomDatabase(temporary_path / "database")
    Settings.values.clear()
    DIALOGS.__init__()
    return scene

"""The panel under PySide6, offscreen: the .ui loads, every binding works both ways, the states show rightly."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path

import numpy as np
import pytest

from tests.slicer.conftest import NEEDS_CORE, NEEDS_WIDGETS
from tests.slicer.panel_steps import choose_study, knows, wait_until

slicer = pytest.importorskip("slicer", reason=NEEDS_CORE)
QtWidgets = pytest.importorskip("PySide6.QtWidgets", reason=NEEDS_WIDGETS, exc_type=ImportError)
pytestmark = pytest.mark.slicer


def test_every_field_has_one_widget_and_every_widget_a_field(panel):
    from UPFusionLib.parameters import UPFusionParameterNode

    names = [w.property("SlicerParameterName") for w in vars(panel.ui).values()]
    bound = [name for name in names if name]
    assert sorted([*bound, "window_units"]) == sorted(UPFusionParameterNode.allParameters)  # noted by the panel


def test_every_binding_works_from_the_node_to_the_widget_and_back(panel):
    from tests.slicer.phantom import add_volume, affine
    from tests.slicer.standin import widget_facade as facade

    node = panel.logic.getParameterNode()
    volumes = [add_volume(np.ones((2, 2, 2), np.int16), affine((1, 1, 1)), name) for name in ("a", "b")]
    colours = add_volume(np.ones((2, 2, 2, 3), np.uint8), affine((1, 1, 1)), "c", "vtkMRMLVectorVolumeNode")
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "t")
    seen = 0
    for widget in vars(panel.ui).values():
        name = widget.property("SlicerParameterName")
        if not name:
            continue
        field = node.allParameters[name]
        link = facade.connector(widget, field)
        if field.is_node:
            kind = field.kind.__name__
            values = [
                {"vtkMRMLVectorVolumeNode": colours, "vtkMRMLTransformNode": transform}.get(kind, volumes[0]),
                None,
            ]
        elif issubclass(field.kind, Enum):
            values = [*list(field.kind)[1:], next(iter(field.kind))]
        elif field.kind is bool:
            values = [not getattr(node, name), getattr(node, name)]
        elif field.kind is float:
            values = [0.25, 1.75]
        else:
            values = [field.kind("some"), field.kind("other")]
        for value in values:
            setattr(node, name, value)
            assert link.read() == value, f"{name}: widget does not follow the node"
        for value in values:
            link.write(value)
            assert getattr(node, name) == value, f"{name}: node does not follow the widget"
        seen += 1
    assert seen == len(node.allParameters) - 1  # no widget sets the window's unit


def test_a_parameter_node_that_is_let_go_no_longer_follows_the_widgets(panel):
    node = choose_study(panel)
    bound = panel._node
    panel.observe(None)
    panel.ui.promptEdit.text = "of the next scene"
    assert node.prompt == bound.prompt == ""
    panel.observe(node)
    assert panel.ui.promptEdit.text == ""


def test_apply_is_enabled_exactly_when_there_is_something_to_fuse(panel):
    from UPFusionLib.parameters import Alignment

    ui, node = panel.ui, panel.logic.getParameterNode()
    assert not ui.applyButton.enabled
    assert ui.statusLabel.text == "Choose an MRI and a functional volume."
    mri, functional = (choose_study(panel).mri, node.functional)
    assert ui.applyButton.enabled
    assert ui.statusLabel.text == ""
    node.functional = mri
    assert not ui.applyButton.enabled
    assert "the same" in ui.applyButton.toolTip
    node.functional = functional
    node.alignment = Alignment.TRANSFORM
    assert ui.transformSelector.enabled
    assert not ui.applyButton.enabled
    node.transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    assert ui.applyButton.enabled
    node.window_automatic, node.window_low, node.window_high = False, 5.0, 4.0
    assert not ui.applyButton.enabled
    node.window_automatic = True
    node.luminance = mri
    assert not ui.applyButton.enabled
    assert "would replace an input" in ui.applyButton.toolTip
    slicer.mrmlScene.RemoveNode(mri)
    assert not ui.applyButton.enabled


def test_the_window_can_be_typed_only_when_it_is_not_automatic(panel):
    node = choose_study(panel)
    assert not panel.ui.windowLowBox.enabled
    node.window_automatic = False
    assert panel.ui.windowLowBox.enabled
    assert panel.ui.windowHighBox.enabled


def test_a_narrow_window_is_kept_as_it_is(panel):
    """Rates of uptake and normalised values need more than hundredths."""
    node = choose_study(panel)
    node.window_automatic, node.window_low, node.window_high = False, 0.0015, 0.0375
    assert (panel.ui.windowLowBox.value, panel.ui.windowHighBox.value) == (0.0015, 0.0375)
    assert (node.window_low, node.window_high) == (0.0015, 0.0375)


def test_the_kind_of_image_and_its_unit_are_said(panel):
    node = choose_study(panel)
    assert panel.ui.kindLabel.text == "PET: guessed from its name. The unit of its values is unknown."
    unit = slicer.vtkCodedEntry()
    unit.SetValueSchemeMeaning("{SUVbw}g/ml", "UCUM", "Standardized Uptake Value body weight")
    node.functional.SetVoxelValueUnits(unit)
    node.functional = node.functional
    node.functional.SetName("image")
    panel._update()
    assert panel.ui.kindLabel.text == "PET: its values are SUV. Values in SUVbw."
    assert panel.ui.windowUnitsLabel.text == "SUVbw"
    node.mri, node.functional = node.functional, node.mri
    assert "exchange the two" in panel.ui.kindLabel.text


def test_a_preset_sets_its_values_and_a_change_by_hand_ends_it(panel):
    from UPFusionLib.parameters import FunctionalModality, Palette, Preset

    node = choose_study(panel)
    node.preset = Preset.AMYLOID
    assert (node.palette, node.modality) == (Palette.HOT_METAL_BLUE, FunctionalModality.PET)
    assert node.window_automatic  # nothing says that the values are SUV
    node.functional.SetAttribute("UPFusion.Units", "SUVbw")
    node.preset = Preset.BODY_FDG
    assert (node.window_automatic, node.window_low, node.window_high, node.fade_in) == (False, 0.0, 8.0, True)
    panel.ui.windowHighBox.setValue(6.5)
    assert node.preset is Preset.OWN
    assert panel.ui.presetBox.currentText == "Own settings"


def pet_in(units):
    """Another PET, whose values are in a unit."""
    from tests.slicer.phantom import add_study

    pet = add_study()[1]
    pet.SetAttribute("UPFusion.Units", units)
    return pet


@pytest.mark.parametrize("by_preset", [True, False])
def test_a_window_is_not_kept_for_values_in_another_unit(panel, by_preset):
    from UPFusionLib.parameters import Preset

    node, ui = choose_study(panel), panel.ui
    node.functional = pet_in("SUVbw")
    if by_preset:
        node.preset = Preset.BRAIN_FDG
    else:
        ui.windowAutomaticBox.checked = False
        ui.windowHighBox.setValue(12.0)
    assert (node.window_automatic, node.window_high, ui.windowUnitsLabel.text) == (False, 12.0, "SUVbw")
    node.functional = pet_in("SUVbw")
    assert not node.window_automatic
    assert not ui.warningsLabel.visible
    node.functional = None
    node.functional = pet_in("Bq/mL")
    assert node.window_automatic
    assert ui.windowUnitsLabel.text == "Bq/mL"
    assert "set for values in SUVbw; now they are in Bq/mL" in ui.warningsLabel.text
    assert node.preset is (Preset.BRAIN_FDG if by_preset else Preset.OWN)
    node.functional = pet_in("SUVbw")
    assert node.window_automatic is not by_preset


def test_a_preset_that_was_chosen_first_sets_its_window_when_the_volume_is_suv(panel):
    from UPFusionLib.parameters import Preset

    node = panel.logic.getParameterNode()
    node.preset = Preset.BRAIN_FDG
    assert node.window_automatic
    choose_study(panel)
    assert node.window_automatic
    node.functional = pet_in("SUVbw")
    assert (node.preset, node.window_automatic, node.window_high) == (Preset.BRAIN_FDG, False, 12.0)


def test_a_saved_window_comes_back_beside_other_volumes(panel, tmp_path):
    node = choose_study(panel)
    node.functional.SetAttribute("UPFusion.Units", "SUVbw")
    panel._update()
    node.window_automatic, node.window_high = False, 8.0
    slicer.mrmlScene.SetRootDirectory(str(tmp_path))
    slicer.mrmlScene.SetURL(str(tmp_path / "scene.mrml"))
    assert slicer.mrmlScene.Commit()
    slicer.mrmlScene.Clear()
    node = choose_study(panel)
    node.functional = pet_in("Bq/mL")
    slicer.mrmlScene.SetURL(str(tmp_path / "scene.mrml"))
    assert slicer.mrmlScene.Import()
    node = panel.logic.getParameterNode()
    assert (node.window_units, node.window_automatic, node.window_high) == ("SUVbw", False, 8.0)


def test_an_external_environment_is_remembered_and_checked(panel):
    from UPFusionLib.interpreter import chosen_interpreter, external_path
    from UPFusionLib.parameters import Device

    ui = panel.ui
    panel.logic.getParameterNode().device = Device.CPU  # no need to load PyTorch to see the graphics card
    assert chosen_interpreter().is_slicers
    assert ui.installButton.enabled
    ui.externalPythonButton.checked = True
    ui.externalPythonEdit.currentPath = str(Path(sys.prefix))
    assert external_path() == str(Path(sys.prefix))
    assert not chosen_interpreter().is_slicers
    assert not ui.installButton.enabled
    ui.checkButton.click()
    wait_until(lambda: ui.checkTable.rowCount > 0)
    names = [ui.checkTable.item(row, 0).text() for row in range(ui.checkTable.rowCount)]
    assert names == ["Python", "upfusion-med", "PyTorch", "Disk", "Memory", "Graphics card"]
    assert ui.checkLabel.text == "Ready."
    ui.externalPythonEdit.currentPath = "/nowhere"
    assert "no Python in /nowhere" in ui.checkLabel.text
    ui.ownPythonButton.checked = True
    assert chosen_interpreter().is_slicers


def test_another_environment_without_a_path_does_not_run_slicers_own_python(panel):
    from UPFusionLib.interpreter import NoInterpreterError, chosen_interpreter
    from UPFusionLib.widget import State

    choose_study(panel)
    panel.ui.externalPythonButton.checked = True
    for path in ("", " ", sys.prefix, ""):
        panel.ui.externalPythonEdit.currentPath = path
        if path == sys.prefix:
            assert chosen_interpreter().executable.startswith(path)
            continue
        with pytest.raises(NoInterpreterError, match="Choose the Python program"):
            chosen_interpreter()
        assert "Choose the Python program" in panel.ui.checkLabel.text
    panel.apply()
    assert panel.state is State.FAILED
    assert "Choose the Python program" in panel.ui.statusLabel.text
    panel.ui.externalPythonEdit.currentPath = ""
    after_a_restart = type(panel)()
    after_a_restart.setup()
    assert after_a_restart.ui.externalPythonButton.checked
    after_a_restart.cleanup()
    panel.ui.ownPythonButton.checked = True
    assert chosen_interpreter().is_slicers


def test_keys_and_tab_order_are_set(panel):
    assert panel.ui.applyButton.widget.shortcut().toString() == "Ctrl+Return"
    assert panel.ui.cancelButton.widget.shortcut().toString() == "Ctrl+."
    for widget in panel.panel.widget.findChildren(QtWidgets.QLabel):
        if widget.buddy() is not None:
            assert "&" in widget.text()
    for index in range(panel.ui.tabs.count):
        page = panel.ui.tabs.widget.widget(index)
        labels = [w for w in page.findChildren(QtWidgets.QLabel) if w.buddy() is not None]
        buttons = page.findChildren(QtWidgets.QAbstractButton)
        keys = [w.text()[w.text().index("&") + 1].lower() for w in (*labels, *buttons) if "&" in w.text()]
        assert sorted(set(keys)) == sorted(keys), f"two widgets of a tab share a key: {keys}"


def test_the_cursor_tells_the_original_values(panel, alpha, monkeypatch):
    from UPFusionLib.grid import ijk_to_ras
    from UPFusionLib.widget import State

    knows(panel, monkeypatch)
    node = choose_study(panel)
    node.functional.SetAttribute("UPFusion.Units", "SUVbw")
    panel.apply()
    wait_until(lambda: panel.state in (State.DONE, State.FAILED))
    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    k, j, i = 8, 9, 7
    place = (ijk_to_ras(node.functional) @ [i, j, k, 1.0])[:3]
    crosshair.SetCursorPositionRAS(list(place))
    index = np.rint(np.linalg.solve(ijk_to_ras(node.mri), [*place, 1.0])[:3]).astype(int)
    mri = slicer.util.arrayFromVolume(node.mri)[tuple(index[::-1])]
    suv = slicer.util.arrayFromVolume(node.functional)[k, j, i]
    assert panel.ui.readoutLabel.text == f"MRI {mri}   functional {suv:g} SUVbw"
    crosshair.SetCursorPositionRAS([1000.0, 0.0, 0.0])
    assert panel.ui.readoutLabel.text == "MRI outside   functional outside"
    crosshair.SetCursorPositionInvalid()
    assert panel.ui.readoutLabel.text == "Move the mouse over a slice view."


def test_nothing_is_cut_off_in_a_panel_of_usual_width(panel, application, tmp_path):
    choose_study(panel)
    widget = panel.panel.widget
    widget.resize(480, 720)
    widget.show()
    for index in range(panel.ui.tabs.count):
        panel.ui.tabs.currentIndex = index
        for _ in range(3):
            application.processEvents()
        assert widget.grab().save(str(tmp_path / f"{index}.png"))
        page = panel.ui.tabs.widget.widget(index)
        for child in (*page.findChildren(QtWidgets.QLabel), *page.findChildren(QtWidgets.QAbstractButton)):
            if child.isVisible() and not (isinstance(child, QtWidgets.QLabel) and child.wordWrap()):
                assert child.width() >= child.minimumSizeHint().width(), child.objectName()
    assert widget.width() <= 560

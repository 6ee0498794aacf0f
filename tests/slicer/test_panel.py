"""The panel under PySide6, offscreen: the .ui loads, every binding works both ways, the states show rightly."""

from __future__ import annotations

import os
import sys
from enum import Enum
from pathlib import Path

import numpy as np
import pytest

from tests.slicer.conftest import NEEDS_CORE

slicer = pytest.importorskip("slicer", reason=NEEDS_CORE)
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
QtWidgets = pytest.importorskip(
    "PySide6.QtWidgets",
    reason="PySide6 is not installed: pip install 'upfusion-med[slicer-test]'",
    exc_type=ImportError,
)
pytestmark = pytest.mark.slicer


@pytest.fixture(scope="session")
def application():
    return QtWidgets.QApplication.instance() or QtWidgets.QApplication([])


@pytest.fixture
def panel(application, scene, python_slicer):
    from UPFusionLib.widget import UPFusionWidget

    from tests.slicer.standin.widget_facade import child_widget_variables, load_ui

    slicer.util.loadUI = load_ui
    slicer.util.childWidgetVariables = child_widget_variables
    widget = UPFusionWidget()
    widget.setup()
    yield widget
    widget.cleanup()


def choose_study(panel):
    from tests.slicer.phantom import add_study

    node = panel.logic.getParameterNode()
    node.mri, node.functional = add_study()
    return node


def wait_until(condition, seconds=60.0):
    from tests.slicer.standin.event_loop import LOOP

    LOOP.run_until(condition, seconds)


def facts(**changes):
    """What a good Python says."""
    packages = dict.fromkeys(
        ("torch", "torchvision", "timm", "safetensors", "onnxruntime", "numpy", "SimpleITK"), "9.0"
    )
    good = {"executable": "python", "python": "3.12.10", "upfusion_med": "0.1.0", "packages": packages}
    return good | {"memory_mib": 16000, "graphics": None} | changes


def knows(panel, monkeypatch, **changes):
    """Let every Python answer at once."""
    monkeypatch.setattr("UPFusionLib.preflight.Probe.poll", lambda self: facts(**changes))


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


def test_a_run_goes_from_apply_to_the_views(panel, monkeypatch):
    from UPFusionLib.command import FuseOptions
    from UPFusionLib.parameters import Device
    from UPFusionLib.widget import State

    arguments = FuseOptions.arguments
    monkeypatch.setattr(FuseOptions, "arguments", lambda self, *a, **k: [*arguments(self, *a, **k), "--blend", "alpha"])
    node = choose_study(panel)
    node.device = Device.CPU  # no need to load PyTorch to see the graphics card
    panel.apply()
    assert panel.state is State.CHECKING
    assert not panel.ui.applyButton.enabled
    wait_until(lambda: panel.state is not State.CHECKING)
    assert panel.state is State.RUNNING, panel.ui.statusLabel.text
    assert panel.ui.cancelButton.enabled
    assert panel.ui.progressBar.widget.isVisibleTo(panel.panel.widget)
    wait_until(lambda: panel.state is not State.RUNNING)
    assert panel.state is State.DONE, panel.ui.statusLabel.text
    assert panel.ui.statusLabel.text == "Done: T1 + FDG PET fused."
    assert panel.ui.applyButton.enabled
    assert not panel.ui.cancelButton.enabled
    for name in ("Red", "Green", "Yellow"):
        view = slicer.app.manager.slices[name].GetSliceCompositeNode()
        assert view.GetBackgroundVolumeID() == node.fused.GetID()
        assert view.GetLinkedControl()
    assert "Kind: PET (stated by the caller)" in panel.ui.reportLabel.text


def test_a_failure_is_shown_with_reason_advice_and_the_last_lines(panel, monkeypatch, tmp_path):
    from UPFusionLib.widget import State

    from tests.slicer.runs import program

    knows(panel, monkeypatch)
    choose_study(panel)
    refusing = program(tmp_path, "echo one line; echo 'Error: no model upfusion-huge.' >&2; exit 2")
    monkeypatch.setattr("UPFusionLib.logic.chosen_interpreter", lambda: refusing)
    panel.apply()
    wait_until(lambda: panel.state in (State.FAILED, State.DONE))
    assert panel.state is State.FAILED
    assert "upfusion-huge" in panel.ui.statusLabel.text
    assert "Change the settings" in panel.ui.statusLabel.text
    assert not panel.ui.logSection.collapsed
    assert "Error: " in panel.ui.logView.plainText
    assert panel.ui.applyButton.enabled
    panel.ui.copyLogButton.click()
    assert slicer.app.clipboard().text == panel.ui.logView.plainText


def test_a_missing_package_stops_before_anything_is_written(panel, monkeypatch):
    from UPFusionLib.widget import State

    knows(panel, monkeypatch, upfusion_med=None)
    choose_study(panel)
    panel.apply()
    wait_until(lambda: panel.state is State.FAILED)
    assert panel.ui.statusLabel.text.startswith("upfusion-med: Not installed here. Press Install")
    assert [f.name for f in Path(slicer.app.temporaryPath).iterdir()] == ["database"]


def test_cancel_brings_the_panel_back(panel, monkeypatch, tmp_path):
    from UPFusionLib.widget import State

    from tests.slicer.runs import program

    knows(panel, monkeypatch)
    choose_study(panel)
    sleeper = program(tmp_path, "exec sleep 300")
    monkeypatch.setattr("UPFusionLib.logic.chosen_interpreter", lambda: sleeper)
    panel.apply()
    wait_until(lambda: panel.state is State.RUNNING)
    panel.ui.cancelButton.click()
    wait_until(lambda: panel.state is not State.RUNNING)
    assert panel.state is State.IDLE
    assert panel.ui.statusLabel.text == "Cancelled. Nothing was changed."
    assert panel.ui.applyButton.enabled


def test_a_python_that_does_not_answer_can_be_cancelled(panel, monkeypatch, tmp_path):
    from UPFusionLib.widget import State

    from tests.slicer.runs import program

    pids = tmp_path / "pids"
    sleeper = program(tmp_path, f"echo $$ > {pids}; exec sleep 300")
    monkeypatch.setattr("UPFusionLib.environment_panel.chosen_interpreter", lambda: sleeper)
    choose_study(panel)
    panel.apply()
    assert panel.ui.cancelButton.enabled
    wait_until(lambda: pids.is_file() and pids.read_text().strip())
    panel.ui.cancelButton.click()
    assert panel.state is State.IDLE
    assert panel.ui.statusLabel.text == "Cancelled. Nothing was changed."
    assert panel.ui.applyButton.enabled
    with pytest.raises(ProcessLookupError):
        os.kill(int(pids.read_text()), 0)
    knows(panel, monkeypatch)
    monkeypatch.setattr("UPFusionLib.logic.chosen_interpreter", lambda: sleeper)
    panel.apply()
    wait_until(lambda: panel.state is State.RUNNING)


def test_a_python_that_does_not_answer_in_time_is_given_up(panel, monkeypatch, tmp_path):
    from UPFusionLib.widget import State

    from tests.slicer.runs import program

    sleeper = program(tmp_path, "exec sleep 300")
    monkeypatch.setattr("UPFusionLib.preflight.ANSWER_S", 0.3)
    monkeypatch.setattr("UPFusionLib.environment_panel.chosen_interpreter", lambda: sleeper)
    choose_study(panel)
    panel.apply()
    wait_until(lambda: panel.state is State.FAILED)
    assert f"{sleeper.executable}: It did not answer within" in panel.ui.statusLabel.text
    assert panel.ui.applyButton.enabled


def test_choices_that_change_while_the_environment_is_checked_are_looked_at_again(panel, monkeypatch):
    from UPFusionLib.widget import State

    knows(panel, monkeypatch)
    node = choose_study(panel)
    functional = node.functional
    panel.apply()
    node.functional = None
    wait_until(lambda: panel.state is not State.CHECKING)
    assert panel.state is State.FAILED
    assert panel.ui.statusLabel.text == "Choose an MRI and a functional volume."
    node.functional = functional
    assert panel.ui.applyButton.enabled


def test_a_start_that_fails_unexpectedly_does_not_lock_the_panel(panel, monkeypatch):
    from UPFusionLib.widget import State

    def fail(*_arguments):
        raise ArithmeticError("Singular matrix")

    knows(panel, monkeypatch)
    choose_study(panel)
    monkeypatch.setattr(panel.logic, "fuse", fail)
    panel.apply()
    wait_until(lambda: panel.state is not State.CHECKING)
    assert panel.state is State.FAILED
    assert "could not be started: Singular matrix" in panel.ui.statusLabel.text
    assert panel.ui.applyButton.enabled


def test_closing_the_scene_ends_the_run_and_empties_the_panel(panel, monkeypatch, tmp_path):
    from UPFusionLib.widget import State

    from tests.slicer.runs import program

    knows(panel, monkeypatch)
    choose_study(panel)
    sleeper = program(tmp_path, "exec sleep 300")
    monkeypatch.setattr("UPFusionLib.logic.chosen_interpreter", lambda: sleeper)
    panel.apply()
    wait_until(lambda: panel.state is State.RUNNING)
    slicer.mrmlScene.Clear()
    assert not panel.logic.is_running
    assert panel.state is State.IDLE
    assert not panel.ui.applyButton.enabled
    choose_study(panel)
    assert panel.ui.applyButton.enabled


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


def test_the_cursor_tells_the_original_values(panel, monkeypatch):
    from UPFusionLib.command import FuseOptions
    from UPFusionLib.grid import ijk_to_ras
    from UPFusionLib.widget import State

    arguments = FuseOptions.arguments
    monkeypatch.setattr(FuseOptions, "arguments", lambda self, *a, **k: [*arguments(self, *a, **k), "--blend", "alpha"])
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


def test_a_batch_goes_from_finding_to_the_end(panel, monkeypatch, tmp_path):
    from UPFusionLib.parameters import Alignment, BatchSource

    from tests.slicer.runs import program

    knows(panel, monkeypatch)
    node, ui = panel.logic.getParameterNode(), panel.ui
    assert not ui.batchStartButton.enabled
    node.batch_source = BatchSource.FOLDER
    ui.batchFindButton.click()
    assert ui.batchLabel.text == "Choose the folder of the studies."
    for name in ("anna", "bert"):
        (tmp_path / "studies" / name).mkdir(parents=True)
    for file in ("T1.nii.gz", "PET.nii.gz"):
        (tmp_path / "studies" / "anna" / file).write_bytes(b"x")
    node.batch_input = tmp_path / "studies"
    ui.batchFindButton.click()
    assert ui.batchLabel.text == "1 of 2 can be fused."
    assert ui.batchStartButton.enabled
    ui.batchStartButton.click()
    assert ui.batchLabel.text == "Choose the folder for the results."
    node.batch_output, node.alignment = tmp_path / "out", Alignment.TRANSFORM
    ui.batchStartButton.click()
    assert "One transform does not fit" in ui.batchLabel.text
    node.alignment = Alignment.NONE
    refusing = program(tmp_path, "sleep 0.3; echo 'Error: damaged.' >&2; exit 3")
    monkeypatch.setattr("UPFusionLib.batch_panel.chosen_interpreter", lambda: refusing)
    ui.batchStartButton.click()
    assert ui.batchLabel.text == "Checking the environment …"
    ui.batchStartButton.click()  # impatient
    wait_until(lambda: panel.batch.is_running)
    assert ui.batchCancelButton.enabled
    assert not ui.batchStartButton.enabled
    assert not ui.applyButton.enabled
    wait_until(lambda: not panel.batch.is_running)
    assert ui.batchLabel.text == "0 done, 1 skipped, 1 failed, 0 cancelled."
    cells = [[ui.batchTable.item(row, column).text() for column in range(3)] for row in range(2)]
    assert cells == [["anna", "failed", "damaged."], ["bert", "skipped", "The folder is empty."]]


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

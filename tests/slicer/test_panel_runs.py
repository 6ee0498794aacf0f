"""Runs from the panel: started, failed, cancelled, given up, in a batch."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.slicer.conftest import NEEDS_CORE
from tests.slicer.panel_steps import (
    apply_to_a_program,
    choose_study,
    knows,
    start_a_run_without_end,
    wait_until,
)

slicer = pytest.importorskip("slicer", reason=NEEDS_CORE)
pytestmark = pytest.mark.slicer


def test_a_run_goes_from_apply_to_the_views(panel, alpha):
    from UPFusionLib.parameters import Device
    from UPFusionLib.widget import State

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

    apply_to_a_program(panel, monkeypatch, tmp_path, "echo one line; echo 'Error: no model upfusion-huge.' >&2; exit 2")
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


def test_what_was_missing_is_asked_for_again_when_apply_is_pressed_again(panel, monkeypatch):
    from UPFusionLib.widget import State

    choose_study(panel)
    for name, missing in (("torch", "Missing: torch"), ("timm", "Missing: timm")):
        packages = dict.fromkeys(("torch", "torchvision", "timm", "safetensors", "onnxruntime"), "9.0") | {name: None}
        knows(panel, monkeypatch, packages=packages)
        panel.apply()
        wait_until(lambda: panel.state is State.FAILED)
        assert missing in panel.ui.statusLabel.text


def test_cancel_brings_the_panel_back(panel, monkeypatch, tmp_path):
    from UPFusionLib.widget import State

    start_a_run_without_end(panel, monkeypatch, tmp_path)
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

    start_a_run_without_end(panel, monkeypatch, tmp_path)
    slicer.mrmlScene.Clear()
    assert not panel.logic.is_running
    assert panel.state is State.IDLE
    assert not panel.ui.applyButton.enabled
    choose_study(panel)
    assert panel.ui.applyButton.enabled


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
    ui.batchOutputEdit.currentPath = ""
    ui.batchStartButton.click()
    assert ui.batchLabel.text == "Choose the folder for the results."
    ui.batchInputEdit.currentPath = ""
    ui.batchFindButton.click()
    assert ui.batchLabel.text == "Choose the folder of the studies."


def test_what_was_said_of_one_scene_does_not_stand_beside_the_next(panel, monkeypatch, tmp_path):
    start_a_run_without_end(panel, monkeypatch, tmp_path)
    ui = panel.ui
    panel._show_warnings(["the registration moved the image by 40 mm"])
    panel._show_log(["one line"])
    ui.batchLabel.text, ui.exportLabel.text = "Running.", "Writing the DICOM series …"
    slicer.mrmlScene.Clear(0)
    choose_study(panel)
    assert not ui.warningsLabel.widget.isVisibleTo(panel.panel.widget)
    said = (ui.warningsLabel.text, ui.logView.plainText, ui.statusLabel.text, ui.batchLabel.text, ui.exportLabel.text)
    assert said == ("", "", "", "", "")

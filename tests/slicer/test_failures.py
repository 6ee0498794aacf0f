"""What happens when a run does not end well: nothing is left behind, and the user is told why and what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.slicer.conftest import NEEDS_CORE

slicer = pytest.importorskip("slicer", reason=NEEDS_CORE)
pytestmark = [
    pytest.mark.slicer,
    pytest.mark.skipif(os.name == "nt", reason="the stand-ins for interpreters are shell scripts"),
]


@pytest.fixture
def study(scene):
    from UPFusionLib.logic import UPFusionLogic

    from tests.slicer.phantom import add_study

    logic = UPFusionLogic()
    node = logic.getParameterNode()
    node.mri, node.functional = add_study()
    return logic, node


def failed(logic, node, interpreter, timeout_s=60.0):
    from tests.slicer.runs import run_to_end

    names = [n.GetName() for n in slicer.util.getNodesByClass("vtkMRMLVolumeNode")]
    outcome, nodes = run_to_end(logic, node, interpreter, timeout_s)
    assert nodes is None
    assert not logic.is_running
    assert [n.GetName() for n in slicer.util.getNodesByClass("vtkMRMLVolumeNode")] == names
    assert [f.name for f in Path(slicer.app.temporaryPath).iterdir()] == ["database"]
    return outcome.failure


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_for(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_cancel_ends_the_launcher_its_child_and_the_childs_child(study, tmp_path):
    from tests.slicer.runs import program
    from tests.slicer.standin.event_loop import LOOP

    logic, node = study
    pids = tmp_path / "pids"
    stubborn = f"trap '' TERM; echo $$ >> {pids}; sleep 300 & echo $! >> {pids}; wait; wait; sleep 300"
    interpreter = program(tmp_path, f'sh -c "{stubborn.replace("$", chr(92) + "$")}" &\necho $$ >> {pids}\nwait')
    ended = []
    logic.fuse(node, lambda job: None, lambda *result: ended.append(result), interpreter)
    wait_for(lambda: pids.is_file() and len(pids.read_text().split()) == 3)
    numbers = [int(n) for n in pids.read_text().split()]
    assert all(alive(n) for n in numbers)
    logic.cancel()
    LOOP.run_until(lambda: bool(ended), 20)
    outcome, nodes = ended[0]
    assert nodes is None
    assert outcome.failure.was_cancelled
    assert outcome.failure.reason == "Cancelled. Nothing was changed."
    logic.stop()
    if sys.platform == "linux":
        wait_for(lambda: not any(alive(n) for n in numbers))


def test_closing_the_module_ends_a_run_at_once(study, tmp_path):
    from tests.slicer.runs import program

    logic, node = study
    pids = tmp_path / "pids"
    logic.fuse(node, lambda job: None, lambda *_: None, program(tmp_path, f"echo $$ > {pids}; exec sleep 300"))
    wait_for(lambda: pids.is_file() and pids.read_text().strip())
    logic.stop()
    assert not alive(int(pids.read_text()))
    assert [f.name for f in Path(slicer.app.temporaryPath).iterdir()] == ["database"]


def test_a_process_that_the_system_killed_is_taken_for_want_of_memory(study, tmp_path):
    from tests.slicer.runs import program

    logic, node = study
    failure = failed(logic, node, program(tmp_path, "echo working; kill -9 $$"))
    assert "memory ran out" in failure.reason
    assert "crop or resample" in failure.advice
    assert failure.lines == ("working",)


@pytest.mark.parametrize(
    ("device", "reason", "advice"), [("cuda:0", "graphics card", "device CPU"), ("cpu", "memory ran out", "crop")]
)
def test_want_of_memory_is_told_apart_by_device(device, reason, advice):
    from UPFusionLib.failure import explain

    said = f"Error: Out of memory on {device} with 16 slices of (512, 512) at once; use a smaller --batch-size."
    failure = explain(1, ["fusing", said])
    assert reason in failure.reason
    assert advice in failure.advice
    assert failure.lines[-1] == said


def test_a_crash_leaves_slicer_alone_and_is_named(study, tmp_path):
    from tests.slicer.runs import program

    logic, node = study
    failure = failed(logic, node, program(tmp_path, "kill -SEGV $$"))
    assert "SIGSEGV" in failure.reason


def test_a_missing_package_is_named(study, tmp_path):
    from tests.slicer.runs import program

    logic, node = study
    failure = failed(logic, node, program(tmp_path, f'exec "{sys.executable}" -I -S "$@"'))
    assert "'upfusion_med' is missing" in failure.reason
    assert "tab Environment" in failure.advice
    assert "No module named" in failure.lines[-1]


@pytest.mark.parametrize("said", ["No module named 'triton'", "tried the CPU after: CUDA out of memory"])
def test_the_warning_of_a_library_is_not_taken_for_the_reason_that_the_command_states(scene, said):
    from UPFusionLib.failure import explain

    failure = explain(3, [f"W1128 flop_counter.py:29] {said}", "Error: The MRI cannot be used. It is constant."])
    assert failure.reason == "The MRI cannot be used. It is constant."
    assert "other volumes" in failure.advice


def test_the_commands_own_words_are_the_reason_and_a_retry_succeeds(study, tmp_path, request):
    from UPFusionLib.interpreter import Interpreter

    from tests.slicer.runs import run_to_end

    logic, node = study
    interpreter = Interpreter(sys.executable, is_slicers=False)
    import numpy as np

    empty = np.zeros((14, 26, 24), np.float32)
    kept = slicer.util.arrayFromVolume(node.functional).copy()
    slicer.util.updateVolumeFromArray(node.functional, empty)
    assert "constant" in failed(logic, node, interpreter).reason
    slicer.util.updateVolumeFromArray(node.functional, kept)
    request.getfixturevalue("alpha")
    outcome, nodes = run_to_end(logic, node, interpreter)
    assert outcome.failure is None
    assert nodes.fused.GetName() == "T1 + FDG PET fused"


def test_a_program_that_cannot_be_started_is_named(study, tmp_path):
    from UPFusionLib.interpreter import Interpreter
    from UPFusionLib.job import JobError

    logic, node = study
    missing = Interpreter(str(tmp_path / "no-python"), is_slicers=False)
    with pytest.raises(JobError) as caught:
        logic.fuse(node, lambda job: None, lambda *_: None, missing)
    assert "cannot be started" in caught.value.failure.reason
    assert not logic.is_running
    assert [f.name for f in Path(slicer.app.temporaryPath).iterdir()] == ["database"]


def test_a_temporary_folder_that_cannot_be_made_is_said(study, tmp_path, monkeypatch):
    import errno

    from UPFusionLib.job import JobError

    from tests.slicer.runs import program

    def full(**_options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    logic, node = study
    monkeypatch.setattr("UPFusionLib.job.tempfile.mkdtemp", full)
    with pytest.raises(JobError, match="disk is full"):
        logic.fuse(node, lambda job: None, lambda *_: None, program(tmp_path, "exit 0"))
    assert not logic.is_running


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 200 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = shutil.which("mount")
    done = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=200k", "tmpfs", place], capture_output=True, text=True, check=False
    )
    if not done or done.returncode:
        pytest.skip("a small file system can be mounted by the administrator only")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_is_noticed_when_the_volumes_are_written(study, small_disk):
    from UPFusionLib.interpreter import Interpreter
    from UPFusionLib.job import JobError

    logic, node = study  # MRI and PET take 54 + 35 KiB
    (small_disk / "filler").write_bytes(bytes(130 << 10))
    slicer.app.temporaryPath = str(small_disk)
    with pytest.raises(JobError) as caught:
        logic.fuse(node, lambda job: None, lambda *_: None, Interpreter(sys.executable, is_slicers=False))
    assert "disk is full" in caught.value.failure.reason
    assert "Free some space" in caught.value.failure.advice
    assert [f.name for f in small_disk.iterdir()] == ["filler"]


def test_a_full_disk_is_noticed_when_the_command_writes_the_result(study, small_disk, alpha):
    from UPFusionLib.interpreter import Interpreter

    from tests.slicer.runs import run_to_end

    logic, node = study
    (small_disk / "filler").write_bytes(bytes(90 << 10))  # leaves room for MRI and PET, and little more
    slicer.app.temporaryPath = str(small_disk)
    outcome, nodes = run_to_end(logic, node, Interpreter(sys.executable, is_slicers=False))
    assert nodes is None
    assert "disk is full" in outcome.failure.reason
    assert [f.name for f in small_disk.iterdir()] == ["filler"]


def test_volumes_that_were_removed_meanwhile_are_missed_without_harm(study, tmp_path):
    from tests.slicer.runs import program
    from tests.slicer.standin.event_loop import LOOP

    logic, node = study
    ended = []
    logic.fuse(node, lambda job: None, lambda *result: ended.append(result), program(tmp_path, "exit 0"))
    slicer.mrmlScene.RemoveNode(node.mri)
    LOOP.run_until(lambda: bool(ended))
    assert "removed from the scene" in ended[0][0].failure.reason


def test_a_result_for_which_slicer_has_no_memory_ends_the_run_too(study, tmp_path, monkeypatch):
    from tests.slicer.runs import program

    def fail(*_arguments):
        raise MemoryError("Unable to allocate 2.1 GiB")

    monkeypatch.setattr("UPFusionLib.logic.load_result", fail)
    logic, node = study
    failure = failed(logic, node, program(tmp_path, "exit 0"), timeout_s=10.0)
    assert "could not be brought into the scene: Unable to allocate 2.1 GiB" in failure.reason


def test_only_one_run_at_a_time(study, tmp_path):
    from UPFusionLib.job import JobError

    from tests.slicer.runs import program

    logic, node = study
    interpreter = program(tmp_path, "exec sleep 300")
    logic.fuse(node, lambda job: None, lambda *_: None, interpreter)
    with pytest.raises(JobError, match="Another computation runs"):
        logic.fuse(node, lambda job: None, lambda *_: None, interpreter)
    logic.stop()

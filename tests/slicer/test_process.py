"""The child process: its lines, its end, and who holds its pipes. Nothing of Slicer is needed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "slicer_extension" / "UPFusion"))

from UPFusionLib.process import BackgroundCommand, Line


def to_end(command: BackgroundCommand, seconds: float = 20.0):
    lines, end = [], time.monotonic() + seconds
    while True:
        new, code = command.poll()
        lines += new
        if code is not None:
            return lines, code
        assert time.monotonic() < end
        time.sleep(0.01)


def python(code: str, **options) -> BackgroundCommand:
    return BackgroundCommand([sys.executable, "-u", "-c", code], **options)


def test_lines_and_exit_code_come_through_with_their_stream():
    code = "import sys; print('a'); print('b', file=sys.stderr); print('ü', end=''); sys.exit(3)"
    lines, exit_code = to_end(python(code, environment={"PYTHONIOENCODING": "utf-8"}))
    assert exit_code == 3
    assert [line.text for line in lines if not line.is_error] == ["a", "ü"]
    assert Line("b", is_error=True) in lines


def test_bytes_that_are_no_text_and_many_lines_do_no_harm():
    code = r"import sys; sys.stdout.buffer.write(b'\xff\n'); [print('x' * 999) for _ in range(5000)]"
    lines, exit_code = to_end(python(code))
    assert (exit_code, len(lines), lines[0].text) == (0, 5001, "\ufffd")


def test_a_grandchild_that_keeps_the_pipes_open_does_not_keep_the_run_open():
    code = (
        "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(6)']); print('end')"
    )
    start = time.monotonic()
    lines, exit_code = to_end(python(code))
    assert (exit_code, [line.text for line in lines]) == (0, ["end"])
    assert time.monotonic() - start < 5.5


def test_who_does_not_leave_when_asked_is_killed(monkeypatch):
    monkeypatch.setattr("UPFusionLib.process.GRACE_S", 0.3)
    command = python("import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1); time.sleep(300)")
    while not command.poll()[0]:
        time.sleep(0.01)
    command.cancel()
    _, exit_code = to_end(command)
    assert exit_code != 0
    assert command.cancelled


@pytest.mark.skipif(os.name == "nt", reason="Windows has no groups of processes")
@pytest.mark.parametrize("end", ["cancel", "kill"])
def test_a_group_of_processes_that_have_ended_is_gone_though_macos_says_not_permitted(monkeypatch, end):
    killpg = os.killpg

    def as_on_macos(group, number):
        killpg(group, number)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("UPFusionLib.process.os.killpg", as_on_macos)
    command = python("import time; time.sleep(300)")
    getattr(command, end)()
    assert to_end(command)[1] < 0


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for taskkill is a shell script")
@pytest.mark.parametrize("end", ["cancel", "kill"])
def test_a_windows_that_speaks_no_english_is_no_hindrance_to_ending_a_run(tmp_path, monkeypatch, end):
    taskkill = tmp_path / "taskkill"
    taskkill.write_text("#!/bin/sh\nprintf 'Op\\202ration r\\202ussie\\n'\nkill -9 $4\n")  # code page 850
    taskkill.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("UPFusionLib.process.os", types.SimpleNamespace(name="nt"))
    for flag in ("CREATE_NEW_PROCESS_GROUP", "CREATE_NO_WINDOW"):
        monkeypatch.setattr(subprocess, flag, 0, raising=False)
    command = python("import time; time.sleep(300)")
    getattr(command, end)()
    assert command.cancelled
    assert to_end(command)[1] != 0


def test_a_program_that_does_not_exist_is_an_error_of_the_system():
    with pytest.raises(OSError, match="no-such-program"):
        BackgroundCommand(["/no-such-program"])

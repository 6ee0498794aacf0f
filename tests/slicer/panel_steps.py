"""What tests of the panel do again and again."""

from __future__ import annotations


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


def apply_to_a_program(panel, monkeypatch, tmp_path, script):
    """Choose a study and press Apply, with a shell script that stands in for Python."""
    from tests.slicer.runs import program

    knows(panel, monkeypatch)
    choose_study(panel)
    stand_in = program(tmp_path, script)
    monkeypatch.setattr("UPFusionLib.logic.chosen_interpreter", lambda: stand_in)
    panel.apply()


def start_a_run_without_end(panel, monkeypatch, tmp_path):
    """Apply, with a stand-in for Python that sleeps, until the panel says that it runs."""
    from UPFusionLib.widget import State

    apply_to_a_program(panel, monkeypatch, tmp_path, "exec sleep 300")
    wait_until(lambda: panel.state is State.RUNNING)

"""A scene of slicer-core with the extension on the path; tests that need more than it say so."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

NEEDS_CORE = "slicer-core is not installed: pip install 'upfusion-med[slicer-test]'"
NEEDS_WIDGETS = "PySide6 is not installed: pip install 'upfusion-med[slicer-test]'"


@pytest.fixture
def scene(tmp_path: Path):
    """A fresh scene, and Slicer's own Python on the path of programs."""
    pytest.importorskip("slicer", reason=NEEDS_CORE)
    from tests.slicer.standin import application
    from tests.slicer.standin.event_loop import LOOP

    application.install()
    LOOP.clear()
    work = tmp_path / "slicer-temporary"
    work.mkdir()
    return application.new_scene(work)


@pytest.fixture
def alpha(scene, monkeypatch: pytest.MonkeyPatch):
    """The command with classic alpha blending: as real, and without loading a network."""
    from UPFusionLib.command import FuseOptions

    arguments = FuseOptions.arguments
    monkeypatch.setattr(FuseOptions, "arguments", lambda self, *a, **k: [*arguments(self, *a, **k), "--blend", "alpha"])


@pytest.fixture
def python_slicer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A launcher called PythonSlicer that starts this Python as a child, as Slicer's does."""
    folder = tmp_path / "bin"
    folder.mkdir()
    launcher = folder / "PythonSlicer"
    launcher.write_text(f'#!/bin/sh\n"{sys.executable}" "$@"\nexit $?\n')
    launcher.chmod(launcher.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return launcher


@pytest.fixture(scope="session")
def application():
    """Qt's application, without a screen."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    widgets = pytest.importorskip("PySide6.QtWidgets", reason=NEEDS_WIDGETS, exc_type=ImportError)
    return widgets.QApplication.instance() or widgets.QApplication([])


@pytest.fixture
def panel(application, scene, python_slicer):
    """The module's panel, loaded from its .ui file."""
    import slicer
    from UPFusionLib.widget import UPFusionWidget

    from tests.slicer.standin.widget_facade import child_widget_variables, load_ui

    slicer.util.loadUI = load_ui
    slicer.util.childWidgetVariables = child_widget_variables
    widget = UPFusionWidget()
    widget.setup()
    yield widget
    widget.cleanup()

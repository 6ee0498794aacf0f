"""Which Python runs the command: Slicer's own, or that of an environment outside of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

#: Where the application remembers the environment; it belongs to the machine, not to the scene. Without the setting it
#: is Slicer's own Python.
SETTING = "UPFusion/ExternalPython"


class NoInterpreterError(RuntimeError):
    """There is no Python where one was expected; the message is for the user."""


@dataclass(frozen=True)
class Interpreter:
    """A Python.

    Attributes:
        executable: Its path.
        is_slicers: Whether it is the one that Slicer brings.
    """

    executable: str
    is_slicers: bool

    def environment(self) -> Mapping[str, str]:
        """Variables for a process of this Python.

        Slicer's own needs what the launcher set; any other must not see it, or it would load Slicer's libraries.
        """
        variables = dict(os.environ) if self.is_slicers else dict(slicer.util.startupEnvironment())
        return variables | {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", "PYTHONUTF8": "1"}


def chosen_interpreter() -> Interpreter:
    """What the settings say.

    Raises:
        NoInterpreterError: there is none.
    """
    path = external_path()
    return slicer_interpreter() if path is None else external_interpreter(path)


def external_path() -> str | None:
    """The chosen environment, empty as long as no path was given; None: Slicer's own Python."""
    settings = qt.QSettings()
    return str(settings.value(SETTING) or "") if settings.contains(SETTING) else None


def choose_external(path: str | None) -> None:
    """Remember the environment; None: Slicer's own Python."""
    if path is None:
        qt.QSettings().remove(SETTING)
    else:
        qt.QSettings().setValue(SETTING, path)


def slicer_interpreter() -> Interpreter:
    """The Python that Slicer brings.

    Raises:
        NoInterpreterError: it is not on the path of programs.
    """
    executable = shutil.which("PythonSlicer")
    if executable is None:
        raise NoInterpreterError(
            _("Slicer's Python (PythonSlicer) was not found. Repair the installation of Slicer, or choose a Python.")
        )
    return Interpreter(executable, is_slicers=True)


def external_interpreter(path: str) -> Interpreter:
    """The Python at a path: the program itself, or the folder of an environment (venv, conda).

    Raises:
        NoInterpreterError: there is none.
    """
    if not path.strip():
        raise NoInterpreterError(_("Choose the Python program of an environment, or its folder."))
    place = Path(path)
    candidates = [place] if place.is_file() else [place / name for name in _PLACES]
    for candidate in candidates:
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return Interpreter(str(candidate), is_slicers=False)
    raise NoInterpreterError(
        _("There is no Python in {path}. Choose the Python program of an environment, or its folder.").format(path=path)
    )


_PLACES = ("bin/python", "bin/python3", "Scripts/python.exe", "python.exe")

"""The tab Environment: which Python runs the command, whether it can, and the offer to install."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from .install import InstallError, offer_install
from .interpreter import (
    Interpreter,
    NoInterpreterError,
    choose_external,
    chosen_interpreter,
    external_interpreter,
    external_path,
)
from .poller import INTERVAL_MS
from .preflight import Check, Level, Plan, Probe, blocking, checks
from .table import fill_table, mark_level


class EnvironmentPanel:
    """Binds the tab's widgets.

    Args:
        ui: Widgets by name.
        requirements: File of requirements for the installation.
        plan: Gives what the work needs now.
    """

    def __init__(self, ui, requirements: Path, plan: Callable[[], Plan]) -> None:
        self._ui, self._requirements, self._plan = ui, requirements, plan
        self._probe: Probe | None = None
        self._facts: dict[tuple[Interpreter, bool], dict] = {}
        self._waiting: list[Callable[[list[Check]], None]] = []
        external = external_path()
        ui.externalPythonEdit.currentPath = external or ""
        ui.externalPythonButton.checked = external is not None
        ui.externalPythonEdit.enabled = external is not None
        ui.ownPythonButton.connect("toggled(bool)", self._chosen)
        ui.externalPythonEdit.connect("currentPathChanged(QString)", self._chosen)
        ui.externalPythonEdit.connect("validInputChanged(bool)", self._chosen)  # an empty path is told so alone
        ui.checkButton.connect("clicked()", self.check)
        ui.installButton.connect("clicked()", self._install)
        fill_table(ui.checkTable, (_("What"), "", _("Found")), [])
        self._show_choice()

    def ensure(self, then: Callable[[list[Check]], None]) -> None:
        """Check the chosen Python, which is asked once if nothing is missing, and go on with the answers."""
        self._waiting.append(then)
        if self._probe is not None:
            return
        try:
            interpreter = chosen_interpreter()
        except NoInterpreterError as error:
            self._answer([Check("Python", Level.BAD, str(error))])
            return
        key = (interpreter, self._plan().device != "cpu")
        if key in self._facts:
            found = checks(self._facts[key], self._plan(), slicer.app.temporaryPath, interpreter.is_slicers)
            if not blocking(found):  # what is missing may be installed meanwhile: ask again
                self._answer(found)
                return
        try:
            self._probe = Probe(interpreter, graphics=key[1])
        except OSError as error:
            self._answer([Check("Python", Level.BAD, f"{interpreter.executable}: {error.strerror}")])
            return
        self._ui.checkLabel.text = _("Asking {python} …").format(python=interpreter.executable)
        self._look_later(self._probe, key)

    def check(self) -> None:
        """Ask the Python again, and show the answers."""
        if self._probe is None:
            self._facts.clear()
            self.ensure(lambda _found: None)

    def close(self) -> None:
        """End what runs."""
        if self._probe is not None:
            self._probe.kill()
            self._probe = None
        self._waiting.clear()

    def cancel(self) -> None:
        """End the asking; nobody gets an answer."""
        self.close()
        self._show_choice()

    def _look_later(self, probe: Probe, key: tuple[Interpreter, bool]) -> None:
        qt.QTimer.singleShot(INTERVAL_MS, lambda: self._look(probe, key))

    def _look(self, probe: Probe, key: tuple[Interpreter, bool]) -> None:
        if probe is not self._probe:  # it was ended meanwhile
            return
        try:
            facts = probe.poll()
        except TimeoutError as error:
            self._probe = None
            self._answer([Check("Python", Level.BAD, f"{key[0].executable}: {error}")])
            return
        if facts is None:
            self._look_later(probe, key)
            return
        self._probe = None
        self._facts[key] = facts
        self._answer(checks(facts, self._plan(), slicer.app.temporaryPath, key[0].is_slicers))

    def _answer(self, found: list[Check]) -> None:
        fill_table(
            self._ui.checkTable,
            (_("What"), "", _("Found")),
            [(check.name, _label(check.level), check.text) for check in found],
        )
        for row, check in enumerate(found):
            mark_level(self._ui.checkTable, row, 1, check.level)
        problems = len(blocking(found))
        self._ui.checkLabel.text = (
            _("Ready.") if not problems else _("Not ready: {count} to mend, see above.").format(count=problems)
        )
        waiting, self._waiting = self._waiting, []
        for then in waiting:
            then(found)

    def _chosen(self, *_arguments) -> None:
        choose_external(None if self._ui.ownPythonButton.checked else self._ui.externalPythonEdit.currentPath)
        self._show_choice()

    def _show_choice(self) -> None:
        is_own = self._ui.ownPythonButton.checked
        self._ui.installButton.enabled = is_own
        self._ui.checkLabel.text = ""
        if not is_own:
            try:
                self._ui.checkLabel.text = external_interpreter(self._ui.externalPythonEdit.currentPath).executable
            except NoInterpreterError as error:
                self._ui.checkLabel.text = str(error)

    def _install(self) -> None:
        try:
            installed = offer_install(self._requirements)
        except InstallError as error:
            slicer.util.errorDisplay(str(error), windowTitle=_("UP-Fusion"))
            return
        if installed:
            self.check()


def _label(level: Level) -> str:
    return {Level.GOOD: _("good"), Level.WARNING: _("look"), Level.BAD: _("mend")}[level]

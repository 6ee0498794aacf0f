"""The module's panel: binds the widgets to the parameter node, starts runs, and shows where they are."""

from __future__ import annotations

import logging
from enum import Enum
from pathlib import Path

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

from .batch_panel import BatchPanel
from .environment_panel import EnvironmentPanel
from .failure import Failure
from .job import Job, JobError, Outcome
from .logic import UPFusionLogic
from .look_panel import LookPanel
from .modality import SUV, frames_differ, guess_modality, units_of
from .parameters import Alignment, FunctionalModality, Preset, UPFusionParameterNode
from .preflight import Check, Level, Plan, blocking
from .presets import apply_preset, holds
from .result import FusionNodes
from .sample_data import load_sample_data
from .window_units import follow_units, units_on_panel

_log = logging.getLogger(__name__)


class State(Enum):
    """Where the panel is."""

    IDLE = "idle"
    CHECKING = "checking"
    RUNNING = "running"
    FAILED = "failed"
    DONE = "done"


class UPFusionWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel; the names of its methods `setup`, `enter`, `exit`, `cleanup` are Slicer's."""

    def __init__(self, parent=None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: UPFusionLogic | None = None
        self.state = State.IDLE
        self._node: UPFusionParameterNode | None = None
        self._gui_tag = None
        self._preset = Preset.OWN
        self._is_updating = False

    def setup(self) -> None:
        """Build the panel, once."""
        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/UPFusion.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = UPFusionLogic()
        self.environment = EnvironmentPanel(self.ui, Path(self.resourcePath("requirements.txt")), self._plan)
        self.look = LookPanel(self.ui, self.logic, self._update)
        self.batch = BatchPanel(self.ui, self.logic, self.environment.ensure, self._update)
        self.ui.applyButton.connect("clicked()", self.apply)
        self.ui.cancelButton.connect("clicked()", self.cancel)
        self.ui.sampleButton.connect("clicked()", self._load_sample)
        self.ui.copyLogButton.connect("clicked()", self._copy_log)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self._scene_closes)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self._scene_is_open)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self._scene_is_open)
        self.observe(self.logic.getParameterNode())

    def enter(self) -> None:
        """The user opens the module."""
        if self._node is None:
            self.observe(self.logic.getParameterNode())

    def exit(self) -> None:
        """The user leaves the module: a run goes on, the panel stays bound."""

    def cleanup(self) -> None:
        """The application closes: nothing may be left running."""
        self.logic.stop()
        self.environment.close()
        self.look.close()
        self.observe(None)
        self.removeObservers()

    def observe(self, node: UPFusionParameterNode | None) -> None:
        """Bind the widgets to a parameter node, instead of the one before."""
        if self._node is not None:
            self._node.disconnectGui(self._gui_tag)
            self.removeObserver(self._node, vtk.vtkCommand.ModifiedEvent, self._update)
        self._node, self._gui_tag = node, None
        if node is not None:
            self._preset = node.preset
            self._gui_tag = node.connectParametersToGui(_bound_widgets(self.ui))  # connectGui returns no tag
            self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self._update)
        self._update()

    def apply(self) -> None:
        """Check the environment, then fuse."""
        self._show_log([])
        self.ui.warningsLabel.visible = False
        self._enter_state(State.CHECKING, _("Checking the environment …"))
        self.environment.ensure(self._start)

    def cancel(self) -> None:
        """End the check, or the run; the run's end is shown as usual."""
        if self.state is State.CHECKING:
            self.environment.cancel()
            self._enter_state(State.IDLE, _("Cancelled. Nothing was changed."))
            return
        if self.batch.is_running:
            self.batch.cancel()
        else:
            self.logic.cancel()
        self.ui.statusLabel.text = _("Cancelling …")

    def _start(self, found: list[Check]) -> None:
        problems = blocking(found)
        if problems:
            reason = " ".join(f"{check.name}: {check.text}" for check in problems)
            self._fail(Failure(reason, _("See the tab Environment.")))
            return
        problem = self.logic.can_fuse(self._node)  # the choices may have changed since Apply
        if problem:
            self._fail(Failure(problem, ""))
            return
        notes = [f"{check.name}: {check.text}" for check in found if check.level is Level.WARNING]
        try:
            self.logic.fuse(self._node, self._progressed, self._ended)
        except JobError as error:
            self._fail(error.failure)
            return
        except Exception as error:  # whatever it is, the panel must not stay where it is
            _log.exception("a run could not be started")
            reason = _("The computation could not be started: {reason}.").format(reason=error)
            self._fail(Failure(reason, _("Slicer's log (Help / Report a Bug) has the details; report it.")))
            return
        self._show_warnings(notes)
        self.ui.progressBar.value = 0
        self._enter_state(State.RUNNING, _("Starting …"))

    def _progressed(self, job: Job) -> None:
        self.ui.progressBar.value = round(1000 * job.progress.fraction)
        if job.progress.text and self.ui.statusLabel.text != _("Cancelling …"):
            self.ui.statusLabel.text = job.progress.text
        self._show_log(job.log)

    def _ended(self, outcome: Outcome, nodes: FusionNodes | None) -> None:
        self._show_warnings(outcome.warnings)
        if outcome.failure is not None:
            self._fail(outcome.failure)
            return
        self._enter_state(State.DONE, _("Done: {name}.").format(name=nodes.fused.GetName()))
        self._node.compare_position = 1.0
        self.look.follow(self._node)
        self.look.show_result()

    def _fail(self, failure: Failure) -> None:
        text = f"{failure.reason} {failure.advice}".strip()
        if failure.was_cancelled:
            self._enter_state(State.IDLE, text)
            return
        if failure.lines:
            self.ui.logSection.collapsed = False
            if not self.ui.logView.plainText:
                self._show_log(list(failure.lines))
        self._enter_state(State.FAILED, text)

    def _enter_state(self, state: State, text: str) -> None:
        self.state = state
        self.ui.statusLabel.text = text
        self.ui.progressBar.visible = state in (State.CHECKING, State.RUNNING)
        self._update()

    def _update(self, _caller=None, _event=None) -> None:
        """Bring what depends on the parameter node up to date."""
        if self._is_updating or slicer.mrmlScene.IsImporting():  # nodes come one by one: choices and volumes differ
            return
        self._is_updating = True
        try:
            node = self._node
            self._follow_units(node)
            self._follow_preset(node)
            problem = self.logic.can_fuse(node)
            is_busy = self.state in (State.CHECKING, State.RUNNING) or self.logic.is_running
            self.ui.applyButton.enabled = not problem and not is_busy
            self.ui.applyButton.toolTip = problem or _("Fuse (Ctrl+Return).")
            self.ui.cancelButton.enabled = self.state in (State.CHECKING, State.RUNNING)
            if self.state is State.IDLE and not self.ui.statusLabel.text.startswith(_("Cancelled")):
                self.ui.statusLabel.text = problem
            self.ui.transformSelector.enabled = node is not None and node.alignment is Alignment.TRANSFORM
            self._describe(node)
            self.look.follow(node)
            self.batch.follow(node)
        finally:
            self._is_updating = False

    def _follow_units(self, node: UPFusionParameterNode | None) -> None:
        """Values in another unit need another window: that of the preset, or one from the values."""
        if node is None or units_on_panel(node) == node.window_units:
            return
        lost = follow_units(node)
        apply_preset(node, node.preset, node.window_units == SUV)
        if lost:
            self._show_warnings([lost])

    def _follow_preset(self, node: UPFusionParameterNode | None) -> None:
        """A preset that was chosen sets its values; a value that was changed by hand ends the preset."""
        if node is None:
            return
        is_suv = node.window_units == SUV
        if node.preset is not self._preset:
            self._preset = node.preset
            apply_preset(node, node.preset, is_suv)
        elif not holds(node, node.preset, is_suv):
            self._preset = node.preset = Preset.OWN

    def _describe(self, node: UPFusionParameterNode | None) -> None:
        functional = node.functional if node is not None else None
        lines = []
        if functional is not None:
            units = units_of(functional)
            guess = guess_modality(functional)
            if node.modality is FunctionalModality.AUTO:
                kind = guess.modality or _("unknown kind")
                lines.append(_("{kind}: {how}.").format(kind=kind, how=guess.how))
            lines.append(
                _("Values in {units}.").format(units=units) if units else _("The unit of its values is unknown.")
            )
        if functional is not None and node.mri is not None:
            if guess_modality(node.mri).modality not in ("MR", ""):
                lines.append(_("The first image does not look like an MRI; exchange the two?"))
            if frames_differ(node.mri, functional) and node.alignment is Alignment.NONE:
                lines.append(_("Their frames of reference differ: positions may not belong together. Choose Register."))
        self.ui.kindLabel.text = " ".join(lines)
        self.ui.kindLabel.visible = bool(lines)
        self.ui.windowUnitsLabel.text = node.window_units if node is not None else ""

    def _show_warnings(self, warnings) -> None:
        self.ui.warningsLabel.text = "\n".join(_("Look: {text}").format(text=text) for text in warnings)
        self.ui.warningsLabel.visible = bool(warnings)

    def _show_log(self, log: list[str]) -> None:
        text = "\n".join(log)
        if self.ui.logView.plainText != text:
            self.ui.logView.plainText = text

    def _plan(self) -> Plan:
        node = self._node
        if node is None:
            return Plan()
        image = node.mri.GetImageData() if node.mri is not None else None
        return Plan(image.GetNumberOfPoints() if image is not None else 0, node.device.value, node.model)

    def _load_sample(self) -> None:
        with slicer.util.tryWithErrorDisplay(_("The sample data could not be loaded."), waitCursor=True):
            mri, functional = load_sample_data()
            self._node.mri, self._node.functional = mri, functional

    def _copy_log(self) -> None:
        slicer.app.clipboard().setText(self.ui.logView.plainText)

    def _scene_closes(self, _caller=None, _event=None) -> None:
        self.logic.stop()
        self.environment.close()
        self.batch.close()
        self.state = State.IDLE
        self.ui.progressBar.visible = False
        self._show_warnings([])
        self._show_log([])
        for label in (self.ui.statusLabel, self.ui.batchLabel, self.ui.exportLabel):
            label.text = ""
        self.observe(None)

    def _scene_is_open(self, _caller=None, _event=None) -> None:
        self.observe(self.logic.getParameterNode())


def _bound_widgets(ui) -> dict[str, object]:
    """The widgets that show a field of the parameter node, by its name."""
    named = {widget.property("SlicerParameterName"): widget for widget in vars(ui).values()}
    return {name: widget for name, widget in named.items() if name}

"""The logic of the module: one run at a time, without any widget."""

from __future__ import annotations

import logging
from collections.abc import Callable

import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from .command import options_of
from .failure import Failure
from .interpreter import Interpreter, NoInterpreterError, chosen_interpreter
from .job import FusionJob, Job, JobError, Outcome
from .modality import units_of
from .parameters import Alignment, UPFusionParameterNode
from .poller import Poller
from .result import FusionNodes, load_result

_log = logging.getLogger(__name__)


class UPFusionLogic(ScriptedLoadableModuleLogic):
    """Runs the command on volumes of the scene and brings the result back."""

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self._poller: Poller | None = None

    def getParameterNode(self) -> UPFusionParameterNode:
        """The parameter node of the scene (name by Slicer)."""
        return UPFusionParameterNode(super().getParameterNode())

    @property
    def is_running(self) -> bool:
        """Whether a job runs."""
        return self._poller is not None

    def can_fuse(self, node: UPFusionParameterNode | None) -> str:
        """Why the choices in a parameter node cannot be fused; empty where they can."""
        if node is None or node.mri is None or node.functional is None:
            return _("Choose an MRI and a functional volume.")
        if node.mri.GetID() == node.functional.GetID():
            return _("MRI and functional volume are the same; choose two.")
        if node.luminance is not None and node.luminance.GetID() in (node.mri.GetID(), node.functional.GetID()):
            return _("The luminance would replace an input; choose another volume for it, or none.")
        for volume in (node.mri, node.functional):
            if volume.IsA("vtkMRMLVectorVolumeNode") or volume.IsA("vtkMRMLLabelMapVolumeNode"):
                return _("'{name}' is no scalar image.").format(name=volume.GetName())
            if volume.GetImageData() is None or not volume.GetImageData().GetNumberOfPoints():
                return _("The volume '{name}' is empty.").format(name=volume.GetName())
        if node.alignment is Alignment.TRANSFORM and node.transform is None:
            return _("Choose the transform, or another kind of alignment.")
        if not node.window_automatic and not node.window_low < node.window_high:
            return _("The lower end of the window has to be below the upper one.")
        return options_of(node).window_problem(units_of(node.functional))

    def fuse(
        self,
        node: UPFusionParameterNode,
        on_progress: Callable[[Job], None],
        on_end: Callable[[Outcome, FusionNodes | None], None],
        interpreter: Interpreter | None = None,
    ) -> None:
        """Fuse what the parameter node chooses; the result goes into its nodes.

        Args:
            node: The choices; its ``fused`` and ``luminance`` are filled, or set to new nodes where they are empty or
                hold the result of other volumes.
            on_progress: Told while it runs.
            on_end: Told once, with the nodes where it went well.
            interpreter: Runs the command; None: that of the settings.

        Raises:
            JobError: it cannot start; nothing was changed.
        """
        job = self.job_for(node.mri, node.functional, node, interpreter)

        def finish(outcome: Outcome) -> None:
            outcome, nodes = self.bring_back(job, outcome, node.fused, node.luminance)
            if nodes is not None:
                node.fused, node.luminance = nodes.fused, nodes.luminance
            on_end(outcome, nodes)

        self.run(job, on_progress, finish)

    def job_for(
        self,
        mri: slicer.vtkMRMLScalarVolumeNode,
        functional: slicer.vtkMRMLScalarVolumeNode,
        node: UPFusionParameterNode,
        interpreter: Interpreter | None = None,
    ) -> FusionJob:
        """The job of two volumes under the choices of a parameter node.

        Raises:
            JobError: there is no Python to run it.
        """
        try:
            interpreter = interpreter or chosen_interpreter()
        except NoInterpreterError as error:
            raise JobError(Failure(str(error), _("Open the tab Environment."))) from error
        return FusionJob(mri, functional, options_of(node).of_volume(functional), interpreter, node.transform)

    def run(self, job: Job, on_progress: Callable[[Job], None], on_end: Callable[[Outcome], None]) -> None:
        """Start a job and follow it.

        Raises:
            JobError: it cannot start, or another one runs.
        """
        if self.is_running:
            raise JobError(Failure(_("Another computation runs."), _("Wait for it, or cancel it.")))
        job.start()

        def finish(outcome: Outcome) -> None:
            self._poller = None
            on_end(outcome)

        self._poller = Poller(job, on_progress, finish)

    def cancel(self) -> None:
        """Ask the running job to end; its end is told as usual."""
        if self._poller is not None:
            self._poller.job.cancel()

    def stop(self) -> None:
        """End the running job at once and tell nobody (the module or the scene is being closed)."""
        if self._poller is not None:
            poller, self._poller = self._poller, None
            poller.stop()
            poller.job.clean()

    def bring_back(
        self,
        job: FusionJob,
        outcome: Outcome,
        fused: slicer.vtkMRMLVectorVolumeNode | None = None,
        luminance: slicer.vtkMRMLScalarVolumeNode | None = None,
    ) -> tuple[Outcome, FusionNodes | None]:
        """The nodes of a job that has ended, and its files removed."""
        try:
            if outcome.failure is not None:
                return outcome, None
            volumes = [slicer.mrmlScene.GetNodeByID(name) for name in (job.mri_id, job.functional_id)]
            if None in volumes:
                failure = Failure(
                    _("The volumes were removed from the scene meanwhile."), _("Load them and try again.")
                )
                return Outcome(failure, outcome.warnings), None
            return outcome, load_result(job.output, *volumes, fused, luminance)
        except Exception as error:  # whatever it is, a run has to end
            _log.exception("a result could not be brought into the scene")
            failure = Failure(
                _("The result could not be brought into the scene: {reason}").format(reason=error),
                _("Copy the log and report it."),
                tuple(job.log[-12:]),
            )
            return Outcome(failure, outcome.warnings), None
        finally:
            job.clean()

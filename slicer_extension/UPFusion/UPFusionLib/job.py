"""One study on its way: from nodes to files, through the command, and what became of it."""

from __future__ import annotations

import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import slicer
from slicer.i18n import tr as _

from .command import FuseOptions, upfusion_command
from .failure import Failure, explain
from .grid import transform_to_world
from .interpreter import Interpreter
from .parameters import Alignment
from .process import BackgroundCommand
from .progress import ProgressReader
from .volume_file import FileWriteError, file_space, write_transform, write_volume

OUTPUT = "fused"
#: Lines of the log that are kept.
_LOG_LINES = 5000


class JobError(RuntimeError):
    """A job that could not start; holds the failure to show."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


@dataclass(frozen=True)
class Outcome:
    """What became of a run of the command.

    Attributes:
        failure: Why it failed, or None.
        warnings: Sentences that the user has to see.
    """

    failure: Failure | None
    warnings: tuple[str, ...] = ()


class Job:
    """A call of ``upfusion`` that runs beside Slicer: start it, poll it until there is an outcome.

    Attributes:
        log: Every line that is no event.
        progress: How far it is.
    """

    def __init__(self, interpreter: Interpreter, arguments: Sequence[str]) -> None:
        self._interpreter, self._arguments = interpreter, list(arguments)
        self._command: BackgroundCommand | None = None
        self.log: list[str] = []
        self.progress = ProgressReader()

    def start(self) -> None:
        """Start the command.

        Raises:
            JobError: it cannot be started.
        """
        try:
            self._command = BackgroundCommand(
                upfusion_command(self._interpreter, self._arguments), self._interpreter.environment()
            )
        except OSError as error:
            reason = _("{program} cannot be started: {reason}.").format(
                program=self._interpreter.executable, reason=error.strerror
            )
            raise JobError(Failure(reason, _("Choose another Python in the tab Environment."))) from error

    @property
    def pid(self) -> int | None:
        """Number of the process, or None before it started."""
        return None if self._command is None else self._command.pid

    def poll(self) -> Outcome | None:
        """Take what the command said; the outcome once it has ended."""
        lines, code = self._command.poll()
        for line in lines:
            if line.is_error or not self.progress.read(line.text):
                self.log.append(line.text)
        del self.log[:-_LOG_LINES]
        if code is None:
            return None
        warnings = tuple(self.progress.warnings)
        if code == 0 and not self._command.cancelled:
            return Outcome(None, warnings)
        return Outcome(explain(code, self.log, cancelled=self._command.cancelled), warnings)

    def cancel(self) -> None:
        """Ask the command to end, and everything it started."""
        if self._command is not None:
            self._command.cancel()

    def kill(self) -> None:
        """End the command and everything it started at once."""
        if self._command is not None:
            self._command.kill()

    def clean(self) -> None:
        """Remove what the job keeps on the disk for itself."""


class FolderJob(Job, ABC):
    """A call of ``upfusion`` on files that are written for it into a temporary folder.

    Attributes:
        folder: Where it works, from `start` to `clean`.
    """

    folder: Path | None = None

    def start(self) -> None:
        """Make the folder, write the files and start the command.

        Raises:
            JobError: the files cannot be written or used, or the command cannot be started; no folder is left.
        """
        try:
            self.folder = Path(tempfile.mkdtemp(prefix="upfusion-", dir=slicer.app.temporaryPath))
            self._arguments = self._write()
            super().start()
        except (FileWriteError, OSError) as error:
            self.clean()
            raise JobError(explain(4, [f"Error: {error}"])) from error
        except BaseException:
            self.clean()
            raise

    def clean(self) -> None:
        """Remove the folder, and the files of the patient in it."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    @abstractmethod
    def _write(self) -> list[str]:
        """Write the files into the folder; what stands after ``upfusion``."""


class FusionJob(FolderJob):
    """Two volumes of the scene, written to a folder of their own and fused there.

    Args:
        mri: Its grid is that of the result.
        functional: The other volume.
        options: The user's choices.
        interpreter: Runs the command.
        transform: With `Alignment.TRANSFORM`: moves the functional volume onto the MRI when it is put on it.

    Attributes:
        mri_id: ID of the MRI's node.
        functional_id: ID of the functional volume's node.
    """

    def __init__(
        self,
        mri: slicer.vtkMRMLScalarVolumeNode,
        functional: slicer.vtkMRMLScalarVolumeNode,
        options: FuseOptions,
        interpreter: Interpreter,
        transform: slicer.vtkMRMLTransformNode | None = None,
    ) -> None:
        self.mri_id, self.functional_id = mri.GetID(), functional.GetID()
        self.options = options
        self._mri, self._functional, self._transform = mri, functional, transform
        super().__init__(interpreter, [])

    @property
    def output(self) -> Path:
        """Folder of the result."""
        return self.folder / OUTPUT

    def _write(self) -> list[str]:
        from_world = file_space(self._mri)
        mri, functional = self.folder / "mri.nrrd", self.folder / "functional.nrrd"
        write_volume(self._mri, mri, from_world)
        write_volume(self._functional, functional, from_world)
        moved = self._moved()
        transform = None
        if moved is not None:
            transform = self.folder / "mri_to_functional.tfm"
            write_transform(from_world @ np.linalg.inv(moved) @ np.linalg.inv(from_world), transform)
        return self.options.arguments(mri, functional, self.output, transform)

    def _moved(self) -> np.ndarray | None:
        """(4, 4), world, that moves the functional volume onto the MRI; None: it lies there already."""
        chosen = self._transform
        if self.options.alignment is not Alignment.TRANSFORM or chosen is None:
            return None
        if is_on(self._functional, chosen):
            return None  # it is in the volume's place already
        matrix = transform_to_world(chosen)
        if matrix is None:
            raise JobError(
                Failure(
                    _("The transform '{name}' is not linear.").format(name=chosen.GetName()),
                    _("Put it on the functional volume instead (Transforms module), and choose no registration."),
                )
            )
        return matrix


def is_on(volume: slicer.vtkMRMLTransformableNode, transform: slicer.vtkMRMLTransformNode) -> bool:
    """Whether a transform is one of the parents of a volume."""
    parent = volume.GetParentTransformNode()
    while parent is not None:
        if parent is transform:
            return True
        parent = parent.GetParentTransformNode()
    return False

"""Many studies, one after the other; one that fails does not stop the others."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from .command import FuseOptions, options_of
from .failure import Failure
from .interpreter import Interpreter
from .job import FusionJob, Job, JobError, Outcome
from .logic import UPFusionLogic
from .modality import SUV, units_of
from .parameters import UPFusionParameterNode
from .result_folder import fingerprint, has_result, is_result_of, note_inputs, result_folders
from .studies import PairStudy
from .window_units import units_of_files

_log = logging.getLogger(__name__)


class Status(Enum):
    """Where a study stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    CANCELLED = "cancelled"

    def label(self) -> str:
        """In words."""
        return {
            Status.WAITING: _("waiting"),
            Status.RUNNING: _("running"),
            Status.DONE: _("done"),
            Status.SKIPPED: _("skipped"),
            Status.FAILED: _("failed"),
            Status.CANCELLED: _("cancelled"),
        }[self]


@dataclass
class Row:
    """A study and where it stands; ``text`` says why, or where the result is.

    ``folder`` is that of the result, or None: it goes into the scene.
    """

    study: PairStudy
    folder: Path | None = None
    status: Status = Status.WAITING
    text: str = ""


class Batch:
    """Runs studies through the logic.

    Args:
        logic: Runs one job at a time.
        node: The user's choices as they are now, the same for all studies.
        studies: What to fuse.
        interpreter: Runs the command.
        output: Folder for results of studies that are files; None: the studies are nodes of the scene.
        on_change: Called after every change of a row.
        on_end: Called once at the end.
    """

    def __init__(
        self,
        logic: UPFusionLogic,
        node: UPFusionParameterNode,
        studies: list[PairStudy],
        interpreter: Interpreter,
        output: Path | None,
        on_change: Callable[[], None],
        on_end: Callable[[], None],
    ) -> None:
        folders = [None] * len(studies) if output is None else result_folders(studies, output)
        self.rows = [Row(study, folder) for study, folder in zip(studies, folders, strict=True)]
        self._logic, self._interpreter = logic, interpreter
        self._options, self._transform = options_of(node), node.transform
        self._on_change, self._on_end = on_change, on_end
        self._is_cancelled = False
        self._next = 0

    @property
    def fraction(self) -> float:
        """How much of the batch is done, 0..1."""
        settled = sum(row.status not in (Status.WAITING, Status.RUNNING) for row in self.rows)
        return settled / len(self.rows) if self.rows else 1.0

    def start(self) -> None:
        """Run the first study; the others follow by themselves."""
        self._advance()

    def cancel(self) -> None:
        """End the running study and leave the others."""
        self._is_cancelled = True
        self._logic.cancel()

    def _advance(self) -> None:
        while self._next < len(self.rows):
            row = self.rows[self._next]
            self._next += 1
            if self._is_cancelled:
                row.status = Status.CANCELLED
            elif row.study.problem:
                row.status, row.text = Status.SKIPPED, row.study.problem
            elif self._began(row):
                return
            self._on_change()
        self._on_end()

    def _began(self, row: Row) -> bool:
        """Start the study of a row; False where it is done already, or failed at once."""
        try:
            if self._is_done(row):
                row.status, row.text = Status.SKIPPED, _("A result is there already.")
                return False
            job = self._job(row)
            self._logic.run(job, lambda _job: self._on_change(), lambda outcome: self._ended(row, job, outcome))
        except JobError as error:
            row.status, row.text = Status.FAILED, f"{error.failure.reason} {error.failure.advice}".strip()
            return False
        except OSError as error:
            row.status, row.text = Status.FAILED, f"{error.filename}: {error.strerror}."
            return False
        except Exception as error:  # whatever it is, the other studies go on
            _log.exception("a study of a batch could not be started")
            text = _("The computation could not be started: {reason}.").format(reason=error)
            row.status, row.text = Status.FAILED, text
            return False
        row.status = Status.RUNNING
        self._on_change()
        return True

    def _ended(self, row: Row, job: Job, outcome: Outcome) -> None:
        if isinstance(job, FusionJob):
            outcome, nodes = self._logic.bring_back(job, outcome)
            row.text = nodes.fused.GetName() if nodes is not None else ""
        else:
            outcome = job.noted(outcome)
            row.text = str(row.folder)
        row.status = Status.DONE
        if outcome.failure is not None:
            row.status = Status.CANCELLED if outcome.failure.was_cancelled else Status.FAILED
            row.text = outcome.failure.reason
        elif outcome.warnings:
            row.text += ". " + " ".join(outcome.warnings)
        self._on_change()
        self._advance()

    def _is_done(self, row: Row) -> bool:
        """Whether the folder of a row holds the result of its files.

        Raises:
            JobError: it holds the result of others.
            OSError: a file cannot be looked at.
        """
        if row.folder is None or not has_result(row.folder):
            return False
        if is_result_of(row.folder, fingerprint(row.study)):
            return True
        text = _("{folder} holds the result of other files, or of these before they were changed.")
        advice = _("Remove it, or choose another folder for the results.")
        raise JobError(Failure(text.format(folder=row.folder), advice))

    def _job(self, row: Row) -> Job:
        """The job of a row.

        Raises:
            JobError: its volumes are gone, or the window is in another unit.
            OSError: a file cannot be looked at.
        """
        study = row.study
        if row.folder is None:
            mri, functional = (slicer.mrmlScene.GetNodeByID(name) for name in (study.mri, study.functional))
            if mri is None or functional is None:
                raise JobError(Failure(_("The volumes were removed from the scene."), ""))
            options, units = self._options.of_volume(functional), units_of(functional)
        else:
            options, units = self._options, units_of_files(study, self._options.modality)
        problem = options.window_problem(units)
        if problem:
            raise JobError(Failure(problem, _("Choose a window from the values.")))
        if row.folder is None:
            return FusionJob(mri, functional, options, self._interpreter, self._transform)
        return FileJob(study, options, self._interpreter, row.folder)


class FileJob(Job):
    """Fuses two files, or a DICOM folder, into a folder.

    Raises:
        OSError: a file cannot be looked at.
    """

    def __init__(self, study: PairStudy, options: FuseOptions, interpreter: Interpreter, output: Path) -> None:
        self._output, self._inputs = output, fingerprint(study)
        if study.is_folder and options.window is not None and options.window_units == SUV:
            options = replace(options, is_suv=True)  # the command then refuses a series that is no PET
        arguments = options.arguments(Path(study.mri), Path(study.functional), output, is_scene=False)
        super().__init__(interpreter, arguments)

    def noted(self, outcome: Outcome) -> Outcome:
        """The outcome, once a result has its inputs noted beside it, by which a later batch knows it."""
        if outcome.failure is not None:
            return outcome
        try:
            note_inputs(self._output, self._inputs)
        except OSError as error:
            text = _("A later batch will not know this result: {reason}.").format(reason=error.strerror)
            return replace(outcome, warnings=(*outcome.warnings, text))
        return outcome

"""Looks at a job from Qt's timer until it has ended; Slicer stays alive meanwhile."""

from __future__ import annotations

from collections.abc import Callable

import qt

from .job import Job, Outcome

INTERVAL_MS = 100


class Poller:
    """Polls one job.

    Args:
        job: Started.
        on_progress: Called after every look that brought something.
        on_end: Called once, with the outcome.
    """

    def __init__(self, job: Job, on_progress: Callable[[Job], None], on_end: Callable[[Outcome], None]) -> None:
        self.job = job
        self._on_progress, self._on_end = on_progress, on_end
        self._stopped = False
        qt.QTimer.singleShot(INTERVAL_MS, self._look)

    def stop(self) -> None:
        """End the job at once; nobody is called any more."""
        self._stopped = True
        self.job.kill()

    def _look(self) -> None:
        if self._stopped:
            return
        outcome = self.job.poll()
        self._on_progress(self.job)
        if outcome is None:
            qt.QTimer.singleShot(INTERVAL_MS, self._look)
        else:
            self._stopped = True
            self._on_end(outcome)

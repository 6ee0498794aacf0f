"""Ctrl-C and a job scheduler's signal end a run after the step it is in, not in the middle of it."""

from __future__ import annotations

import signal
import threading
from types import FrameType


class StopRequest:
    """Context in which the first SIGINT or SIGTERM only asks to stop; a second one has its usual effect.

    Args:
        repeated: A second one only asks too: torchrun passes on the signal that its processes heard already, and ends
            those that do not follow within half a minute.

    Attributes:
        asked: Whether a signal has come.
    """

    def __init__(self, *, repeated: bool = False) -> None:
        self.asked, self._repeated = False, repeated
        self._before: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        if not self._repeated:
            self._restore()

    def _restore(self) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]
        self._before = {}

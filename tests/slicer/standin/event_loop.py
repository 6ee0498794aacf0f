"""A timer queue in place of Qt's: tests turn it by hand."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable


class EventLoop:
    """Holds calls for later; `run_until` makes them, in real time."""

    def __init__(self) -> None:
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()

    def single_shot(self, milliseconds: int, call: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (time.monotonic() + milliseconds / 1000, next(self._number), call))

    def clear(self) -> None:
        self._queue.clear()

    def run_until(self, condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, "what was waited for did not happen"
            if self._queue and self._queue[0][0] <= time.monotonic():
                heapq.heappop(self._queue)[2]()
            else:
                time.sleep(0.01)


LOOP = EventLoop()


class QTimer:
    """The one function of Qt's timer that the extension uses."""

    singleShot = staticmethod(LOOP.single_shot)

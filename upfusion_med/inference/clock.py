"""How long each part of a fusion took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Seconds spent in each named part.

    Example:
        >>> clock = Clock()
        >>> with clock("read"):
        ...     pass
        >>> list(clock.seconds)
        ['read']
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Time a part."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] = round(time.perf_counter() - begin, 3)

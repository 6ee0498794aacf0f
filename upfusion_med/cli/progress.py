"""Progress of long work as a bar on the terminal's error stream; silent where nobody looks."""

from __future__ import annotations

import json
import sys
from enum import Enum
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import TaskID


class ProgressOption(str, Enum):
    """How progress is told."""

    AUTO = "auto"
    JSON = "json"
    NONE = "none"


class JsonProgress:
    """Tells progress as JSON lines on the output stream, for programs that run the command; one object a line.

    Events: ``{"event": "stage", "name": ..., "total": ...}``, ``{"event": "progress", "done": ..., "total": ...}``,
    ``{"event": "warning", "text": ...}``, ``{"event": "result", "files": [...], "notice": ...}``.
    """

    def __init__(self) -> None:
        self._done, self._total = 0, 0

    def __enter__(self) -> JsonProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def stage(self, name: str, total: int) -> None:
        """See ``core.Progress``."""
        self._done, self._total = 0, total
        self.tell("stage", name=name, total=total)

    def advance(self, steps: int = 1) -> None:
        """See ``core.Progress``."""
        self._done += steps
        self.tell("progress", done=self._done, total=self._total)

    def tell(self, event: str, **facts: Any) -> None:
        """Write one line, at once."""
        sys.stdout.write(json.dumps({"event": event, **facts}) + "\n")
        sys.stdout.flush()


class TerminalProgress:
    """Draws one bar per stage; ``quiet`` draws nothing. Use as a context manager."""

    def __init__(self, quiet: bool = False) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description:<16}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> TerminalProgress:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def stage(self, name: str, total: int) -> None:
        """See ``core.Progress``."""
        self._task = self._bars.add_task(name, total=total)

    def advance(self, steps: int = 1) -> None:
        """See ``core.Progress``."""
        if self._task is not None:
            self._bars.advance(self._task, steps)

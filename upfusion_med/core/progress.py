"""How long work tells its caller where it is, without knowing about terminals."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the stages of long work; ``upfusion_med.cli`` draws it, other callers may ignore it."""

    def stage(self, name: str, total: int) -> None:
        """A new stage begins: ``name`` in plain words, ``total`` steps."""

    def advance(self, steps: int = 1) -> None:
        """``steps`` more steps of the current stage are done."""


class SilentProgress:
    """The progress of callers that do not want to hear about it."""

    def stage(self, name: str, total: int) -> None:
        """Ignore the stage."""

    def advance(self, steps: int = 1) -> None:
        """Ignore the steps."""

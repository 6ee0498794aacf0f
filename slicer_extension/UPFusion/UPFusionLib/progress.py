"""What the command says about its work: JSON lines, and how far they put the progress bar."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from slicer.i18n import tr as _

#: Part of the bar that each stage of ``upfusion fuse`` fills. Most of the time goes into the slices.
_SPANS = {
    "reading": (0.0, 0.05),
    "registering": (0.05, 0.25),
    "bias field": (0.25, 0.35),
    "fusing slices": (0.35, 0.95),
    "writing": (0.95, 1.0),
}


def stage_label(name: str) -> str:
    """The stage in words for the user."""
    known = {
        "reading": _("Reading the images"),
        "registering": _("Registering"),
        "bias field": _("Correcting the brightness of the MRI"),
        "fusing slices": _("Fusing slices"),
        "writing": _("Writing the result"),
    }
    return known.get(name, name)


@dataclass
class ProgressReader:
    """Follows the JSON lines of one run; never goes back.

    Attributes:
        fraction: How much is done, 0..1.
        text: The current stage in words, with counts.
        warnings: Sentences that the user has to see.
        files: What was written, once it is.
    """

    fraction: float = 0.0
    text: str = ""
    warnings: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    _stage: str = ""

    def read(self, line: str) -> bool:
        """Take one line; False where it is no event, and belongs into the log."""
        try:
            event = json.loads(line) if line.startswith("{") else None
        except json.JSONDecodeError:
            return False
        if not isinstance(event, dict) or "event" not in event:
            return False
        kind = event["event"]
        if kind == "stage":
            self._stage = str(event.get("name", ""))
            self._move(0, 1)
            self.text = stage_label(self._stage)
        elif kind == "progress":
            done, total = int(event.get("done", 0)), int(event.get("total", 0))
            self._move(done, total)
            self.text = _("{stage}: {done} of {total}").format(stage=stage_label(self._stage), done=done, total=total)
        elif kind == "warning":
            self.warnings.append(str(event.get("text", "")))
        elif kind == "result":
            self.files = [str(name) for name in event.get("files", [])]
            self.fraction = 1.0
        return True

    def _move(self, done: int, total: int) -> None:
        start, end = _SPANS.get(self._stage, (self.fraction, self.fraction))
        reached = start + (end - start) * (done / total if total else 0.0)
        self.fraction = max(self.fraction, min(1.0, reached))

"""The log of a run: one JSON object a line, and event files for TensorBoard where wanted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import MissingPackageError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

NAME = "log.jsonl"


class RunLog:
    """Appends to ``log.jsonl``; lines of steps that will be done again, and an unfinished one, are taken out first.

    Args:
        output: Folder of the run.
        step: Step from which the run goes on.
        tensorboard: Also write event files, into ``tensorboard/``.

    Raises:
        MissingPackageError: TensorBoard is wanted and not installed.
    """

    def __init__(self, output: Path, step: int, *, tensorboard: bool = False) -> None:
        output.mkdir(parents=True, exist_ok=True)
        self.path = output / NAME
        self._events = _open_events(output / "tensorboard", step) if tensorboard else None
        kept = "".join(json.dumps(row) + "\n" for row in read_log(output) if row["step"] <= step)
        if self.path.is_file() and self.path.read_text() != kept:
            beside = self.path.with_suffix(".partial")
            beside.write_text(kept)
            beside.replace(self.path)

    def note(self, row: Mapping[str, Any]) -> None:
        """Write one line; it has a ``step``, and numbers or groups of numbers."""
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        if self._events is None:
            return
        for name, value in row.items():
            group = value if isinstance(value, Mapping) else {"training": value}
            for key, number in group.items():
                if name != "step" and isinstance(number, (int, float)):
                    tag = f"{name}/{key}" if isinstance(value, Mapping) else f"training/{name}"
                    self._events.add_scalar(tag, number, row["step"])

    def picture(self, name: str, picture: NDArray[np.uint8], step: int) -> None:
        """Show an (H, W) picture in TensorBoard."""
        if self._events is not None:
            self._events.add_image(name, picture, step, dataformats="HW")

    def close(self) -> None:
        """Write what is still held back."""
        if self._events is not None:
            self._events.close()


def read_log(output: Path) -> list[dict[str, Any]]:
    """Lines of a run's log, oldest first; an unfinished last line is left out."""
    path = output / NAME
    rows = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue  # the line that was being written when the machine went down
    return rows


def _open_events(folder: Path, step: int) -> SummaryWriter:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingPackageError("tensorboard", "train", "write event files for TensorBoard") from error
    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)

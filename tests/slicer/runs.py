"""Runs of the logic to their end, turned by hand."""

from __future__ import annotations

import stat
from pathlib import Path

from tests.slicer.standin.event_loop import LOOP


def run_to_end(logic, node, interpreter=None, timeout_s: float = 120.0):
    """(outcome, nodes) of fusing what the node chooses; progress must never go back."""
    ended, seen = [], []
    logic.fuse(node, lambda job: seen.append(job.progress.fraction), lambda *result: ended.append(result), interpreter)
    LOOP.run_until(lambda: bool(ended), timeout_s)
    assert seen == sorted(seen)
    return ended[0]


def program(folder: Path, text: str, name: str = "python"):
    """An interpreter that is a shell script."""
    from UPFusionLib.interpreter import Interpreter

    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return Interpreter(str(path), is_slicers=False)

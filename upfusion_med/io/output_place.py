"""Where a run will write, looked at before it begins."""

from __future__ import annotations

import os
from pathlib import Path

from upfusion_med.core import UsageError


def check_output_folder(path: str | os.PathLike[str]) -> None:
    """Refuse a place where no folder can be: a file, or below one. The folder need not exist.

    Raises:
        UsageError: a file stands there.
    """
    place = Path(path)
    there = next((p for p in (place, *place.parents) if p.exists()), None)
    if there is not None and not there.is_dir():
        raise UsageError(f"The output {path} cannot be a folder: {there} is a file. Choose another place.")

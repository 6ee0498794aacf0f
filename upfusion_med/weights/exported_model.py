"""What an exported network consists of: a folder that is written with PyTorch and read without it."""

from __future__ import annotations

from pathlib import Path

DECIDE, FUSE, CARD = "decide.onnx", "fuse.onnx", "model.json"
#: All that is written, and all that is replaced.
FILES = frozenset({DECIDE, FUSE, CARD})
#: Rises when graphs of one version cannot be run as those of another.
FORMAT_VERSION = 2


def is_exported_model(path: Path) -> bool:
    """Whether a path is a folder that ``upfusion weights export`` wrote."""
    return path.is_dir() and all((path / name).is_file() for name in FILES)

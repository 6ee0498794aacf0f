"""The weights that ship with the package, and how a model is named on the command line."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from upfusion_med.core import UsageError
from upfusion_med.networks.registry import ALIASES
from upfusion_med.weights.checkpoint import Checkpoint, read_checkpoint

#: Model names that have weights in the package.
SHIPPED = ("upfusion-tiny",)


def load_checkpoint(model: str | Path) -> Checkpoint:
    """The checkpoint of a shipped model name, or of a path to a weights file.

    Raises:
        UsageError: neither a shipped name nor an existing file.
        InputError: the file cannot be used.
    """
    name = ALIASES.get(str(model), str(model))
    if name in SHIPPED:
        with as_file(files("upfusion_med.weights") / "shipped" / f"{name}.safetensors") as path:
            return read_checkpoint(path)
    path = Path(model)
    if path.suffix == "" and not path.exists():
        raise UsageError(
            f"There is no model '{model}' with shipped weights; expected one of {', '.join((*ALIASES, *SHIPPED))}, or "
            "the path of a .safetensors file."
        )
    return read_checkpoint(path)

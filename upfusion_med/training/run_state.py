"""The state of a run on disk: everything that is needed to go on as if it had never stopped."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from upfusion_med.core import InputError, UsageError
from upfusion_med.training.configuration import TrainingConfig


def write_state(path: Path, config: TrainingConfig, state: Mapping[str, Any]) -> None:
    """Write a state with its configuration; the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".partial")
    torch.save({"config": json.loads(json.dumps(asdict(config))), **state}, beside)
    beside.replace(path)


def read_state(path: Path, config: TrainingConfig, device: torch.device) -> dict[str, Any] | None:
    """The state of an earlier run of the same configuration, or None where there is none.

    Raises:
        InputError: the file is damaged.
        UsageError: it is no state of a run, or belongs to another configuration; the fields that differ are named.
    """
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, OSError) as error:
        raise InputError(
            f"{path} cannot be read ({str(error).splitlines()[0] if str(error) else 'empty'}); it is damaged. "
            "Remove it to start anew."
        ) from error
    if not isinstance(state, dict) or not {"config", "network", "optimizer", "average", "step"} <= state.keys():
        raise UsageError(f"{path} is no state of a training run of this package; choose another output folder.")
    now = json.loads(json.dumps(asdict(config)))
    before = {k: v for k, v in state["config"].items() if k not in config.places}
    changed = sorted(k for k, v in before.items() if now.get(k) != v)
    if changed:
        raise UsageError(
            f"{path} belongs to another configuration (differs in {', '.join(changed)}); "
            "choose another output folder or restore the configuration."
        )
    return state

"""The mean of several runs' weights: between the ends of runs from one start it often does better than either."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from upfusion_med.core import InputError, UsageError
from upfusion_med.weights.checkpoint import read_checkpoint, write_checkpoint
from upfusion_med.weights.conversion import check_destination
from upfusion_med.weights.prompts import PromptTable


def average_weights(
    sources: Sequence[Path], destination: Path, shares: Sequence[float] = (), *, force: bool = False
) -> str:
    """Write the weighted mean of weights files of one network ("model soup", Wortsman et al., ICML 2022).

    Args:
        sources: Two weights files or more, of the same network and named prompts.
        destination: File to write (.safetensors), matrices in float16.
        shares: What each counts, in the order of the sources; their sum does not matter. None: all count alike.
        force: Replace an existing file.

    Returns:
        Hexadecimal SHA-256 of the file written.

    Raises:
        UsageError: fewer than two sources; shares that do not fit; or the destination exists.
        InputError: a file cannot be read, or the files are not of one network.
    """
    if len(sources) < 2:
        raise UsageError(f"{len(sources)} weights file was given; expected two or more to take the mean of.")
    shares = tuple(shares) or (1.0,) * len(sources)
    if len(shares) != len(sources) or not all(0 <= x < math.inf for x in shares) or sum(shares) <= 0:
        raise UsageError(f"The shares are {list(shares)} for {len(sources)} files; expected one of 0 or more for each.")
    check_destination(sources, destination, force)
    checkpoints = [read_checkpoint(path) for path in sources]
    first = checkpoints[0]
    for other in checkpoints[1:]:
        shapes = [{k: v.shape for k, v in c.state.items()} for c in (first, other)]
        if (first.model, first.overrides) != (other.model, other.overrides) or shapes[0] != shapes[1]:
            raise InputError(f"{other.path.name} and {first.path.name} are weights of different networks.")
        if not same_codes(first.prompts, other.prompts):
            raise InputError(f"{other.path.name} and {first.path.name} were trained with different text codes.")
    parts = [share / sum(shares) for share in shares]
    state = dict(first.state)
    for key, value in first.state.items():
        if value.is_floating_point():
            state[key] = value * parts[0]
            for part, checkpoint in zip(parts[1:], checkpoints[1:], strict=True):
                state[key] = state[key] + part * checkpoint.state[key]
    mean_of = [
        {"sha256": c.sha256, "share": round(part, 6), "card": dict(c.card)}
        for part, c in zip(parts, checkpoints, strict=True)
    ]
    return write_checkpoint(
        destination,
        model=first.model,
        state=state,
        prompts=first.prompts,
        card={"mean_of": mean_of},
        overrides=first.overrides,
    )


def same_codes(one: PromptTable, other: PromptTable) -> bool:
    """Whether two files' named prompts have the same codes; a mean of weights that hear others means nothing."""
    return (
        one.encoder == other.encoder
        and one.codes.keys() == other.codes.keys()
        and all(
            code.shape == other.codes[name].shape and np.allclose(code, other.codes[name], atol=1e-5)
            for name, code in one.codes.items()
        )
    )

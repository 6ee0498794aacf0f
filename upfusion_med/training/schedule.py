"""How long a run is, and the learning rate of each of its steps."""

from __future__ import annotations

import math

from upfusion_med.training.configuration import TrainingConfig


def steps_per_epoch(config: TrainingConfig, pairs: int) -> int:
    """Steps in which as many crops are seen as there are training pairs; at least 1."""
    return max(pairs // (config.batch * config.microbatches), 1)


def length(config: TrainingConfig, pairs: int) -> int:
    """Steps of the whole run."""
    return config.steps if config.epochs is None else config.epochs * steps_per_epoch(config, pairs)


def rate(config: TrainingConfig, step: int, pairs: int) -> float:
    """Learning rate of a step: linear warm-up, then the schedule.

    Args:
        config: Its fields ``learning_rate``, ``schedule``, ``final_share``, ``decay`` and ``warmup``.
        step: From 0.
        pairs: Number of training pairs, which decides the length of an epoch.
    """
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    if config.schedule == "decay":
        share = config.decay ** (step // steps_per_epoch(config, pairs))
        return config.learning_rate * max(share, config.final_share)
    phase = (step - config.warmup) / max(length(config, pairs) - config.warmup, 1)
    share = 0.5 * (1 + math.cos(math.pi * min(phase, 1.0)))
    return config.learning_rate * (config.final_share + (1 - config.final_share) * share)

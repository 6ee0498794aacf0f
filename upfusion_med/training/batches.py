"""Batches of a run, each drawn from its number alone, in the training process or ahead of it in others."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from upfusion_med.core import UsageError
from upfusion_med.training.configuration import TrainingConfig
from upfusion_med.training.pairs import PicturePair
from upfusion_med.training.published_crops import PROMPT, draw_plain_batch

Key = tuple[int, ...]


class Batch(NamedTuple):
    """What a step sees.

    Attributes:
        first: (B, 1, H, W) first pictures in 0..1.
        second: (B, 1, H, W) second pictures.
        codes: (B, 512) text codes.
        emphasis: (B,) share of the first picture in the similarity terms.
        factors: (B, components) factors on the weights of the loss, in their order.
    """

    first: Tensor
    second: Tensor
    codes: Tensor
    emphasis: Tensor
    factors: Tensor


class Batches(Dataset[Batch]):
    """Batches by key; the same key always gives the same batch.

    Args:
        config: Its fields on crops, prompts and losses.
        pairs: What crops are taken from.
        codes: Code of each named prompt.

    Raises:
        UsageError: the configuration asks something of a prompt that has no code.
    """

    def __init__(self, config: TrainingConfig, pairs: Sequence[PicturePair], codes: Mapping[str, Tensor]) -> None:
        self.config, self.pairs, self.codes = config, pairs, codes
        for field in ("prompt_factors", "emphasis"):
            if strange := sorted(set(getattr(config, field)) - set(codes)):
                known = ", ".join(codes)
                raise UsageError(f"'{field}' names the prompt {', '.join(strange)}; expected some of {known}.")

    def __getitem__(self, key: Key) -> Batch:
        """The batch of a key.

        Raises:
            UsageError: a prompt has no code.
        """
        c = self.config
        rng = np.random.default_rng(key)
        if c.augmentation == "modalities":
            from upfusion_med.training.augmentation import PROMPT_EMPHASIS, draw_batch

            shares = {**PROMPT_EMPHASIS, **c.emphasis}
            first, second, prompts = draw_batch(self.pairs, c.batch, c.side, rng, c.twins, c.other_looks)
        else:
            shares = {PROMPT: 0.5, **c.emphasis}
            first, second, prompts = draw_plain_batch(self.pairs, c.batch, c.side, rng, flips=c.augmentation == "flips")
        if missing := sorted(set(prompts) - set(self.codes)):
            raise UsageError(f"There is no text code for the prompt {', '.join(missing)}; add it to the text codes.")
        codes = torch.stack([self.codes[p] for p in prompts])
        emphasis = torch.tensor([shares[p] for p in prompts])
        own = [c.prompt_factors.get(p, {}) for p in prompts]
        factors = torch.tensor([[factor.get(name, 1.0) for name in c.loss] for factor in own])
        return Batch(torch.from_numpy(first), torch.from_numpy(second), codes, emphasis, factors)


def training_key(config: TrainingConfig, step: int, microbatch: int) -> Key:
    """Key of a training batch; with one batch a step it is that of the step."""
    key = (config.seed, 0, step)
    return key if config.microbatches == 1 else (*key, microbatch)


def validation_key(config: TrainingConfig, index: int) -> Key:
    """Key of a batch of held-out crops."""
    return config.seed, 1, index


def stream(batches: Batches, keys: Iterable[Key], workers: int, *, pinned: bool = False) -> Iterator[Batch]:
    """Batches in the order of their keys.

    Args:
        batches: Where they come from.
        keys: Which ones.
        workers: Processes that draw ahead; 0: each batch is drawn when it is asked for.
        pinned: Put them into page-locked memory, from which copies to a GPU are fast.
    """
    loader = DataLoader(
        batches,
        batch_size=None,
        sampler=keys,  # type: ignore[arg-type]
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        pin_memory=pinned,
        worker_init_fn=_ignore_signals,
    )
    return iter(loader)


@contextmanager
def ended(batches: Iterator[Batch]) -> Iterator[None]:
    """Context that ends the workers of a `stream`: they ignore the signal by which Python would end them."""
    try:
        yield
    finally:
        if (shut_down := getattr(batches, "_shutdown_workers", None)) is not None:
            shut_down()


def _ignore_signals(_worker: int) -> None:
    """A terminal and a job scheduler signal every process: the first one decides, these end when it lets them go."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)

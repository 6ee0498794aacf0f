"""Crops as published networks are trained on them: the same random square of both pictures, mirrored or not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from upfusion_med.training.pairs import PicturePair

FloatImage = NDArray[np.float32]
PROMPT = "universal"


def plain_crop(pair: PicturePair, side: int, rng: np.random.Generator, *, flips: bool) -> tuple[FloatImage, FloatImage]:
    """The same random square of both pictures in 0..1; zeros at the right and bottom where they are too small.

    Args:
        pair: Infrared-visible pair.
        side: Side of the square in pixels.
        rng: Source of all randomness.
        flips: Mirror horizontally and vertically, each with probability 0.5 (released code, facts A.8).
    """
    a, b = pair.visible, pair.infrared
    lack = [(0, max(side - n, 0)) for n in a.shape]
    a, b = np.pad(a, lack), np.pad(b, lack)
    y, x = (int(rng.integers(0, n - side + 1)) for n in a.shape)
    mirrors = [slice(None, None, -1) if flips and rng.random() < 0.5 else slice(None) for _ in range(2)]
    first, second = (
        np.ascontiguousarray(image[y : y + side, x : x + side][mirrors[0], mirrors[1]]).astype(np.float32) / 255.0
        for image in (a, b)
    )
    return first, second


def draw_plain_batch(
    pairs: Sequence[PicturePair], batch: int, side: int, rng: np.random.Generator, *, flips: bool
) -> tuple[FloatImage, FloatImage, list[str]]:
    """A batch of crops: two (batch, 1, side, side) arrays and the prompt of each, always the universal one."""
    crops = [plain_crop(pairs[int(i)], side, rng, flips=flips) for i in rng.integers(0, len(pairs), batch)]
    first = np.stack([a for a, _ in crops])[:, None]
    second = np.stack([b for _, b in crops])[:, None]
    return first, second, [PROMPT] * batch

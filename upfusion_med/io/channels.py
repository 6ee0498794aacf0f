"""What the channels of a colour image mean: grey, RGB, or RGB with an alpha channel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import GREY_LEVELS, RGB_LEVELS


def settle_channels(levels: NDArray[Any]) -> tuple[NDArray[np.float32], str, tuple[str, ...]]:
    """Grey or RGB values of a colour image with 1 to 4 channels of 8 bits.

    An alpha channel is dropped where every voxel is opaque; otherwise the colours are put on black, which is said in
    the warnings. Three equal channels are one grey channel.

    Args:
        levels: (X, Y, Z, C) in 0..255; C is 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha).

    Returns:
        The values, (X, Y, Z) or (X, Y, Z, 3) in 0..255; their unit; warnings.
    """
    channels = levels.shape[3]
    warnings: tuple[str, ...] = ()
    colour = levels[..., : 1 if channels < 3 else 3].astype(np.float32)
    if channels in (2, 4):
        alpha = levels[..., -1]
        if (alpha < 255).any():
            colour *= (alpha.astype(np.float32) / 255.0)[..., None]
            warnings = (
                f"The alpha channel is not opaque in {np.count_nonzero(alpha < 255)} of {alpha.size} pixels; "
                "they were put on black.",
            )
    if colour.shape[3] == 3:
        first = colour[..., 0]
        if not (np.array_equal(first, colour[..., 1]) and np.array_equal(first, colour[..., 2])):
            return np.ascontiguousarray(colour), RGB_LEVELS, warnings
    return np.ascontiguousarray(colour[..., 0]), GREY_LEVELS, warnings

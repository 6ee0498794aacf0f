"""Pictures as the 8-bit levels that are fused and measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import InputError
from upfusion_med.io.picture import SUFFIXES, read_picture

Levels = NDArray[np.uint8]
PICTURE_SUFFIXES = SUFFIXES
#: Modes of Pillow that hold more than 8 bits a sample.
_DEEP_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N")


def read_levels(path: Path) -> Levels:
    """A picture as it is, in 8 bits.

    Sixteen-bit grey is scaled from its full range (v · 255 / 65535, rounded), not stretched to the values that occur.

    Returns:
        (H, W) or (H, W, 3) uint8.

    Raises:
        InputError: not readable, truncated, or values that are not 8- or 16-bit levels, such as fractions in 0..1.
    """
    array = read_picture(path).array
    levels = np.swapaxes(array[:, :, 0], 0, 1)
    top = 65535 if levels.ndim == 2 and _is_deep(path) else 255
    low, high = float(levels.min()), float(levels.max())
    if not (low >= 0 and high <= top and np.isfinite(levels).all()):
        raise InputError(
            f"The picture {path} holds values from {low:g} to {high:g}; expected grey levels of 8 or 16 bits. "
            "Window it to 0..255 and save it as PNG."
        )
    if 0 < high <= 1 and (levels != np.rint(levels)).any():
        raise InputError(
            f"The largest value of the picture {path} is {high:g}: it seems to be on the scale 0..1. Expected grey "
            "levels of 8 or 16 bits; multiply by 255 and save it as PNG."
        )
    if top == 65535:
        levels = levels.astype(np.float64) * (255.0 / 65535.0)
    return np.ascontiguousarray(np.rint(levels).astype(np.uint8))


def grey(levels: Levels) -> Levels:
    """BT.601 luma rounded to 8 bits (halves upwards, in whole numbers, so that no float decides); grey stays.

    Args:
        levels: (H, W) or (H, W, 3) uint8.

    Returns:
        (H, W) uint8.
    """
    if levels.ndim == 2:
        return levels
    red, green, blue = (levels[..., c].astype(np.uint32) for c in range(3))
    return ((299 * red + 587 * green + 114 * blue + 500) // 1000).astype(np.uint8)


def to_levels(image: NDArray[np.floating]) -> Levels:
    """Values in 0..255 rounded to 8 bits, halves to the even level, clipped."""
    return np.rint(np.clip(image, 0, 255)).astype(np.uint8)


def _is_deep(path: Path) -> bool:
    from PIL import Image

    with Image.open(path) as picture:
        return picture.mode in _DEEP_MODES

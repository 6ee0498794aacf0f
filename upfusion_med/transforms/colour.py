"""Luminance and chroma: how a fused luminance gets the colour of the uptake back.

A colour is split into BT.601 luma Y and chroma C = RGB − Y (three numbers of luma zero). The network fuses
luminances only; `compose` puts the chroma of the functional image on the fused luminance. Where a colour of that
luminance does not exist, it is made paler at constant luminance and hue, never clipped, so that hue keeps its meaning.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import LUMA_WEIGHTS, InputError, UsageError, Volume
from upfusion_med.transforms.luts import Lut

#: Unit of the luma of a colour volume.
RELATIVE_LUMA = "luma, 0 to 1"
#: Voxels that `compose` works on at a time, so that its temporaries stay in the cache.
_CHUNK_VOXELS = 1 << 16


def luma(rgb: NDArray[np.number[Any]]) -> NDArray[np.float32]:
    """BT.601 luma 0.299 R + 0.587 G + 0.114 B on display values, in the unit of the input.

    Args:
        rgb: (..., 3).

    Source: ITU-R BT.601-7, section 2.5.1.
    """
    red, green, blue = (np.float32(w) for w in LUMA_WEIGHTS)
    result = np.multiply(rgb[..., 1], green, dtype=np.float32)
    result += rgb[..., 0] * red
    result += rgb[..., 2] * blue
    return result


def rgb_chroma(rgb: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """RGB minus luma, (..., 3), in the unit of the input; its own luma is zero."""
    return np.subtract(rgb, luma(rgb)[..., None], dtype=np.float32)


def lut_luminance(uptake: NDArray[np.floating[Any]], lut: Lut) -> NDArray[np.float32]:
    """Luminance t(u) in [0, 1] at which uptake in [0, 1] is shown; hotter is never darker, 0 stays exactly 0."""
    return lut.sample(lut.display_luminance, uptake)


def lut_chroma(uptake: NDArray[np.floating[Any]], lut: Lut) -> NDArray[np.float32]:
    """Chroma of uptake in [0, 1], any shape S: (S, 3), RGB minus luma."""
    return lut.sample(lut.chroma, uptake)


def split_rgb(volume: Volume) -> tuple[Volume, NDArray[np.float32]]:
    """Luma and chroma of an image that already has colours.

    The luma is not uptake: many palettes grow darker again at their hot end. The colours' own meaning is unknown.

    Args:
        volume: (I, J, K, 3) in 0..255.

    Returns:
        A scalar volume of luma in [0, 1] on the same grid, and the chroma (I, J, K, 3) for colours in [0, 1].

    Raises:
        InputError: the volume has no colours, or values outside 0..255.
    """
    if not volume.is_rgb:
        raise InputError(
            f"The image has shape {volume.array.shape} ({volume.units}): it has no colours; expected RGB. "
            "Show a scalar image through a colour table instead."
        )
    low, high = float(volume.array.min()), float(volume.array.max())
    if not (low >= 0 and high <= 255):
        raise InputError(f"The colour image holds values from {low:g} to {high:g}; expected 0 to 255.")
    colours = np.multiply(volume.array, np.float32(1 / 255), dtype=np.float32)
    brightness = luma(colours)
    colours -= brightness[..., None]
    np.clip(brightness, 0.0, 1.0, out=brightness)
    return volume.with_array(brightness, units=RELATIVE_LUMA), colours


def compose(luminance: NDArray[np.floating[Any]], chroma: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """The colour of given luminance and chroma, as RGB in 0..255.

    Each voxel becomes Y + k·C with the largest k in [0, 1] for which all three channels lie in [0, 1]:
    k = min(1, (1 − Y) / max C, Y / −min C). Luminance and hue are kept; only saturation gives way.
    Luminance 0 gives exactly (0, 0, 0). The luma of the result differs from Y by rounding only (half a level).

    Args:
        luminance: Shape S, [0, 1]; values outside are clipped.
        chroma: (S, 3), RGB minus luma for colours in [0, 1].

    Returns:
        (S, 3) uint8.

    Raises:
        UsageError: the shapes do not belong together.
    """
    luminance, chroma = np.asarray(luminance), np.asarray(chroma)
    if chroma.shape != (*luminance.shape, 3):
        raise UsageError(
            f"The chroma has shape {chroma.shape}; expected {(*luminance.shape, 3)}, three values for each of the "
            "luminances."
        )
    result = np.empty(chroma.shape, dtype=np.uint8)
    if luminance.ndim == 0:
        return _compose_block(luminance[None], chroma[None])[0]
    per_row = max(1, int(np.prod(luminance.shape[1:])))
    rows = max(1, _CHUNK_VOXELS // per_row)
    for start in range(0, luminance.shape[0], rows):
        block = slice(start, start + rows)
        result[block] = _compose_block(luminance[block], chroma[block])
    return result


def legend_colours(lut: Lut, count: int = 256) -> NDArray[np.uint8]:
    """Colours of evenly spaced uptake from 0 to 1 as they are shown where the MRI is black.

    Returns:
        (count, 3) uint8, the colour of no uptake first.
    """
    uptake = np.linspace(0.0, 1.0, count, dtype=np.float32)
    return compose(lut_luminance(uptake, lut), lut_chroma(uptake, lut))


def _compose_block(luminance: NDArray[np.floating[Any]], chroma: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    y = np.clip(luminance, 0, 1).astype(np.float32, copy=False)
    red, green, blue = (np.ascontiguousarray(chroma[..., c], dtype=np.float32) for c in range(3))
    largest = np.maximum(np.maximum(red, green), blue)
    smallest = np.minimum(np.minimum(red, green), blue)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # 0/0 (white or black without chroma) gives NaN, which fmin passes over in favour of 1.
        k = np.fmin(np.float32(1), (np.float32(1) - y) / largest)
        k = np.fmin(k, y / -smallest)
    np.clip(k, 0, 1, out=k)  # a chroma of one sign only is not of luma zero; it cannot raise k above 1 or below 0
    k *= 255
    y = y * np.float32(255)
    result = np.empty(chroma.shape, dtype=np.uint8)
    for c, channel in enumerate((red, green, blue)):
        level = np.multiply(channel, k, out=channel)
        level += y
        np.rint(level, out=level)
        np.clip(level, 0, 255, out=level)
        result[..., c] = level
    return result

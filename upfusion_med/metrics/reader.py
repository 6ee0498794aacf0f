"""What a reader of a fused medical image sees and no fusion metric measures: background, levels, edges, flicker.

Metrics of the literature can be won by a picture that no reader wants (baseline, section 11). These functions have
plain names and plain definitions; colour and uptake are in `uptake_reading` and `colour_fidelity`. Images are grey
arrays (H, W) or volumes (I, J, K) in 0..255; colour pictures go in as luminance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import InputError

Array = NDArray[Any]

#: Both sources at most at this level: background (baseline, section 6).
BACKGROUND_LEVEL = 4.0
#: MRI above this level: tissue.
TISSUE_LEVEL = 30.0
#: Share of the pixels that counts as bright.
BRIGHT_SHARE = 0.05
#: Part of its strength with which an edge still counts as kept.
EDGE_KEPT = 0.5


def _checked(*images: Array) -> list[NDArray[np.float64]]:
    """The images as float64 of one shape, finite.

    Raises:
        InputError: shapes differ or values are not finite.
    """
    arrays = [np.asarray(image, dtype=np.float64) for image in images]
    for array in arrays:
        if array.shape != arrays[0].shape:
            raise InputError(f"The images have shapes {[x.shape for x in arrays]}; expected one shape.")
        if not np.isfinite(array).all():
            raise InputError("An image holds values that are not finite; expected grey levels in 0..255.")
    return arrays


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else float("nan")


def background_level(fused: Array, a: Array, b: Array) -> float:
    """Mean fused level where both sources are at most `BACKGROUND_LEVEL`.

    Args:
        fused: Grey levels in 0..255.
        a: As ``fused``.
        b: As ``fused``.

    Returns:
        0 is right for air; NaN where the sources share no background.
    """
    fused, a, b = _checked(fused, a, b)
    return _mean(fused[(a <= BACKGROUND_LEVEL) & (b <= BACKGROUND_LEVEL)])


def zero_background_touched(fused: Array, a: Array, b: Array) -> float:
    """Share in % of the pixels that are exactly 0 in both sources and are not exactly 0 in the fused image.

    Returns:
        0 is right; NaN where no pixel is 0 in both sources.
    """
    fused, a, b = _checked(fused, a, b)
    return 100.0 * _mean((fused[(a == 0) & (b == 0)] != 0).astype(np.float64))


def bright_kept(fused: Array, source: Array) -> float:
    """Fused level over source level in the brightest `BRIGHT_SHARE` of the source, such as bone in CT.

    Pixels as dark as the darkest of them count too.

    Args:
        fused: Grey levels in 0..255.
        source: As ``fused``.

    Returns:
        1 kept, below 1 darkened; NaN for a black source.
    """
    fused, source = _checked(fused, source)
    bright = (source >= np.quantile(source, 1.0 - BRIGHT_SHARE)) & (source > 0)
    return float(fused[bright].mean() / source[bright].mean()) if bright.any() else float("nan")


def tissue_level(fused: Array, mri: Array) -> float:
    """Mean fused level over mean MRI level where the MRI exceeds `TISSUE_LEVEL`.

    Returns:
        1 means tissue is as bright as in the MRI, above 1 washed out, below 1 dimmed; NaN where there is no tissue.
    """
    fused, mri = _checked(fused, mri)
    tissue = mri > TISSUE_LEVEL
    return float(fused[tissue].mean() / mri[tissue].mean()) if tissue.any() else float("nan")


def mri_edges_kept(fused: Array, mri: Array) -> float:
    """Share of the MRI's edges that the fused image still shows.

    An edge pixel has a Sobel strength above twice its root mean square and is a maximum along rows or columns. It is
    kept where, there or in one of its eight neighbours, the fused image rises in the MRI's direction by at least
    `EDGE_KEPT` of the MRI's strength. An edge of inverted contrast is not kept.

    Args:
        fused: (H, W) grey levels in 0..255.
        mri: As ``fused``.

    Returns:
        0..1; NaN where the MRI has no edge.
    """
    from scipy.ndimage import maximum_filter, sobel

    fused, mri = _checked(fused, mri)
    if fused.ndim != 2:
        raise InputError(f"The images have shape {fused.shape}; expected single slices (H, W).")
    along = [sobel(mri, axis=axis, mode="nearest") for axis in (0, 1)]
    strength = np.hypot(*along)
    edges = strength > 2.0 * np.sqrt((strength**2).mean())
    edges &= (strength >= maximum_filter(strength, (1, 3))) | (strength >= maximum_filter(strength, (3, 1)))
    if not edges.any():
        return float("nan")
    rise = [sobel(fused, axis=axis, mode="nearest") for axis in (0, 1)]
    rows, columns = (np.pad(part, 1, mode="edge") for part in rise)
    y, x = np.nonzero(edges)
    level = strength[y, x]
    kept = np.zeros(len(y), dtype=bool)
    for dy in range(3):
        for dx in range(3):
            projected = (rows[y + dy, x + dx] * along[0][y, x] + columns[y + dy, x + dx] * along[1][y, x]) / level
            kept |= projected >= EDGE_KEPT * level
    return float(kept.mean())


def flicker_steps(fused: Array, a: Array, b: Array, axis: int = -1) -> NDArray[np.float64]:
    """What each voxel changes to the next slice beyond the larger change of the sources, in grey levels.

    |ΔF| − max(|ΔA|, |ΔB|), nothing below 0. Any rule that works pixel by pixel without amplifying, such as the maximum
    or the average, gives exactly 0.

    Args:
        fused: (I, J, K) grey levels in 0..255.
        a: As ``fused``.
        b: As ``fused``.
        axis: The axis slices follow along.

    Returns:
        As ``fused``, one shorter along ``axis``.
    """
    fused, a, b = _checked(fused, a, b)
    own, first, second = (np.abs(np.diff(x, axis=axis)) for x in (fused, a, b))
    return np.maximum(own - np.maximum(first, second), 0.0)


def slice_flicker(fused: Array, a: Array, b: Array, axis: int = -1) -> float:
    """Change from slice to slice beyond what the sources change, in grey levels: the mean of `flicker_steps`.

    Args:
        fused: (I, J, K) grey levels in 0..255.
        a: As ``fused``.
        b: As ``fused``.
        axis: The axis slices follow along.

    Returns:
        0 is right; NaN for a single slice.
    """
    return _mean(flicker_steps(fused, a, b, axis))

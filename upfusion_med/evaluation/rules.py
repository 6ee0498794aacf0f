"""Classical fusion rules, the opponents that every table needs, and the two copies that unmask a metric."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import UsageError
from upfusion_med.evaluation.picture_levels import Levels, to_levels

Image = NDArray[np.float64]

#: Levels of the Laplacian pyramid, and its filter (Burt and Adelson 1983, a = 3/8: binomial).
PYRAMID_LEVELS = 4
_BINOMIAL = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16.0


def maximum(a: Image, b: Image) -> Image:
    """The brighter pixel of both."""
    return np.maximum(a, b)


def average(a: Image, b: Image) -> Image:
    """The mean of both."""
    return (a + b) / 2.0


def laplacian_pyramid(a: Image, b: Image) -> Image:
    """Laplacian pyramid: of the two bands the larger magnitude, of the two bases the average.

    Four levels, 5×5 binomial filter, borders mirrored without repeating the edge pixel; any size, odd ones too.

    Source: Burt and Adelson, IEEE Trans. Commun. 31(4), 1983; choose-max as in Burt and Kolczynski, ICCV 1993.
    """
    bands_a, base_a = _decompose(a)
    bands_b, base_b = _decompose(b)
    image = (base_a + base_b) / 2.0
    for band_a, band_b in zip(bands_a[::-1], bands_b[::-1], strict=True):
        image = _expand(image, band_a.shape) + np.where(np.abs(band_a) >= np.abs(band_b), band_a, band_b)
    return image


RULES: dict[str, Callable[[Image, Image], Image]] = {
    "max": maximum,
    "average": average,
    "laplacian": laplacian_pyramid,
    # What a method scores that throws one source away.
    "copy-a": lambda a, _b: a,
    "copy-b": lambda _a, b: b,
}
#: Rules that are no fusion; they never count as the best.
COPIES = ("copy-a", "copy-b")
#: The rule that sets the bound for one-sided methods.
BOUND = "average"


def apply_rule(name: str, a: Levels, b: Levels) -> Levels:
    """Fuse two grey images by a rule.

    Args:
        name: One of `RULES`.
        a: (H, W) uint8.
        b: (H, W) uint8.

    Returns:
        (H, W) uint8, halves rounded to the even level.
    """
    if name not in RULES:
        raise UsageError(f"There is no rule '{name}'; expected one of {', '.join(RULES)}.")
    return to_levels(RULES[name](a.astype(np.float64), b.astype(np.float64)))


def _blur(image: Image, gain: float = 1.0) -> Image:
    from scipy.ndimage import convolve1d

    rows = convolve1d(image, gain * _BINOMIAL, axis=0, mode="mirror")
    return convolve1d(rows, gain * _BINOMIAL, axis=1, mode="mirror")


def _expand(image: Image, shape: tuple[int, ...]) -> Image:
    """Twice the size: every second pixel is set, the filter fills the rest."""
    sparse = np.zeros(shape)
    sparse[::2, ::2] = image
    return _blur(sparse, gain=2.0)


def _decompose(image: Image) -> tuple[list[Image], Image]:
    """Bands from fine to coarse, and the base."""
    bands = []
    for _ in range(PYRAMID_LEVELS):
        smaller = _blur(image)[::2, ::2]
        bands.append(image - _expand(smaller, image.shape))
        image = smaller
    return bands, image

"""Colour ramps with evenly growing lightness, built by formula in CIE LCh.

A ramp is a hue path over lightness: lightness L* grows in equal steps, the hue follows control points, and the chroma
is as large as the sRGB gamut allows, smoothed so that no kink of the gamut's border shows as a false edge.

Source: CIE 15:2004 (L*a*b*, D65, 2 degrees) and IEC 61966-2-1 (sRGB).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Linear sRGB from CIE XYZ with D65 white, IEC 61966-2-1.
_RGB_FROM_XYZ = np.array(
    [[3.2404542, -1.5371385, -0.4985314], [-0.9692660, 1.8760108, 0.0415560], [0.0556434, -0.2040259, 1.0572252]]
)
_XYZ_FROM_RGB = np.linalg.inv(_RGB_FROM_XYZ)
#: XYZ of sRGB white, so that grey has exactly a* = b* = 0.
_WHITE = _XYZ_FROM_RGB @ np.ones(3)
#: CIE 15: the linear part of the lightness function.
_DELTA = 6.0 / 29.0
_LEVELS = 256


@dataclass(frozen=True)
class PerceptualRamp:
    """A hue path over lightness.

    Attributes:
        lightness: L* of the control points, growing, each 0..100.
        hue_deg: CIE LCh hue at the control points in degrees; values beyond 360 continue a turn.
        chroma_cap: Largest C*ab at the control points.
        rise: Share of the table over which it comes up from black to a ramp that starts brighter.
    """

    lightness: tuple[float, ...]
    hue_deg: tuple[float, ...]
    chroma_cap: tuple[float, ...]
    rise: float = 0.0

    def table(self) -> NDArray[np.float64]:
        """(256, 3) sRGB in [0, 1]; L* grows linearly from the first to the last control point, beyond the rise."""
        lightness = np.linspace(self.lightness[0], self.lightness[-1], _LEVELS)
        hue = np.radians(_smooth(np.interp(lightness, self.lightness, self.hue_deg), half_width=16))
        cap = np.interp(lightness, self.lightness, self.chroma_cap)
        if self.rise:
            share = np.minimum(np.linspace(0, 1, _LEVELS) / self.rise, 1)
            lightness, cap = lightness * share * (2 - share), cap * np.sign(share)
        widest = np.minimum(_largest_chroma(lightness, hue), cap)
        chroma = _smooth(_eroded(widest, half_width=12), half_width=12)
        # The first and last colours are pinned to the border itself: smoothing may have lifted them above it.
        chroma = np.minimum(chroma, widest)
        return np.clip(srgb_from_lab(_lab(lightness, chroma, hue)), 0.0, 1.0)


def srgb_from_lab(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """Colours in sRGB of CIE L*a*b* (D65), last axis 3; values outside [0, 1] are colours outside the gamut."""
    fy = (lab[..., 0] + 16.0) / 116.0
    f = np.stack([fy + lab[..., 1] / 500.0, fy, fy - lab[..., 2] / 200.0], axis=-1)
    xyz = np.where(f > _DELTA, f**3, 3 * _DELTA**2 * (f - 4.0 / 29.0)) * _WHITE
    linear = xyz @ _RGB_FROM_XYZ.T
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.abs(linear) ** (1 / 2.4) - 0.055)


def lab_from_srgb(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIE L*a*b* (D65) of sRGB in [0, 1], last axis 3."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((np.asarray(rgb) + 0.055) / 1.055) ** 2.4)
    ratio = (linear @ _XYZ_FROM_RGB.T) / _WHITE
    f = np.where(ratio > _DELTA**3, np.cbrt(ratio), ratio / (3 * _DELTA**2) + 4.0 / 29.0)
    return np.stack(
        [116.0 * f[..., 1] - 16.0, 500.0 * (f[..., 0] - f[..., 1]), 200.0 * (f[..., 1] - f[..., 2])], axis=-1
    )


def _lab(lightness: NDArray, chroma: NDArray, hue: NDArray) -> NDArray[np.float64]:
    return np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=-1)


def _largest_chroma(lightness: NDArray, hue: NDArray) -> NDArray[np.float64]:
    """Largest C*ab inside sRGB for each (L*, hue), by bisection."""
    low, high = np.zeros_like(lightness), np.full_like(lightness, 150.0)
    for _ in range(40):
        middle = (low + high) / 2
        rgb = srgb_from_lab(_lab(lightness, middle, hue))
        inside = ((rgb >= -1e-9) & (rgb <= 1 + 1e-9)).all(axis=-1)
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return low


def _windows(values: NDArray, half_width: int) -> NDArray[np.float64]:
    padded = np.pad(values, half_width, mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * half_width + 1)


def _eroded(values: NDArray, half_width: int) -> NDArray[np.float64]:
    return _windows(values, half_width).min(axis=-1)


def _smooth(values: NDArray, half_width: int) -> NDArray[np.float64]:
    weights = np.hanning(2 * half_width + 3)[1:-1]
    return _windows(values, half_width) @ (weights / weights.sum())

"""Between which luminances, and how pale, a colour of a table is still read as the uptake that it stands for.

A colour is read as the uptake of the nearest entry of its table. Of all colours of an entry's hue at a luminance, the
one that counts is read back best and is no paler than the entry; the limits are where even that is misread or pale.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import LUMA_WEIGHTS

#: Error of the uptake read back, in parts of the table, up to which a luminance above the entry's own is within the
#: limits, and one below it. Uptake that is read back 0.10 too low counts as lost; the darker side stays clear of that.
READING_ERROR = 0.14
READING_ERROR_BELOW = 0.09
#: The error above of cold uptake, of which 0.14 would be nearly all, and the uptakes between which it grows to that.
READING_ERROR_COLD = 0.12
_COLD_TO_WARM = (0.15, 0.25)
#: The error above in a table whose luminance never falls: there brightness tells the uptake as much as hue, and in a
#: part of one hue, such as the red of hot iron, alone. Brighter or paler than its own, cold tissue would veil a lesion.
READING_ERROR_BY_LIGHT = 0.06
#: Saturation (HSV) that the colour must keep, in parts of the entry's own.
SATURATION_KEPT = 0.95
#: The same above the entry's own luminance in a table whose luminance falls somewhere: a dark pure colour, such as the
#: purple of the atlas's SPECT, cannot be brighter without turning paler.
SATURATION_KEPT_ABOVE = 0.85
#: Farthest that a luminance may lie above the entry's own, so that cold tissue does not outshine warm, and below it.
REACH = 100.0 / 255.0
REACH_BELOW = 80.0 / 255.0
#: The same below the hottest entry's own: hot uptake stays bright (a lesion on dark tissue must not turn dull).
REACH_BELOW_HOT = 15.0 / 255.0
#: What every entry has on both sides, however soon it is misread: without any, no structure would show in its uptake.
ROOM = 6.0 / 255.0
#: Uptake from which on the reach shrinks.
HOT_FROM = 0.6
#: Uptake up to which there is little to read, so that darkness is hardly an error.
COLD = 0.10
#: Share of its own luminance that an entry keeps on black there, rising from none at no uptake: so much that its hue is
#: still seen and colder stays darker, so little that air stays black.
COLD_FLOOR = 0.5

#: Levels of luminance that are tried.
LEVELS = 256
_GAINS = 41
#: Entries whose gains are worked out; those between are interpolated.
_PROBES = 80
#: Entries that stand for one of the table when uptake lies between two.
_FINE = 4
#: Colours that are read at a time, so that their distances to a table of 256 entries stay in the cache.
_CACHED_COLOURS = 1 << 10
#: A fall of luminance that is none.
_EVEN = 1e-3


def legible_limits(table: NDArray[np.float64], stepped: bool) -> tuple[NDArray[np.float64], ...]:
    """Where each entry of a colour table is read as itself.

    Args:
        table: (N, 3) in 0..1, from no uptake to the most, two entries at least.
        stepped: Whether uptake between two entries takes the nearest instead of a blend.

    Returns:
        What `LegibleColours` holds, of F entries (N or, where colours blend, more): luminance (F,), chroma (F, 3),
        darkest (F,), brightest (F,), gain (F, LEVELS).
    """
    fine = table if stepped else _between(table, np.linspace(0, len(table) - 1, _FINE * (len(table) - 1) + 1))
    luma = fine @ np.array(LUMA_WEIGHTS)
    chroma = fine - luma[:, None]
    probes = np.unique(np.linspace(0, len(fine) - 1, min(_PROBES, len(fine))).round().astype(int))
    by_light = bool((np.diff(luma) > -_EVEN).all())
    error, kept = (READING_ERROR_BY_LIGHT, SATURATION_KEPT) if by_light else (READING_ERROR, SATURATION_KEPT_ABOVE)
    found = np.stack([_best_gain(table, fine[p], p / (len(fine) - 1), kept) for p in probes])
    place = np.arange(len(fine))
    gain = np.stack([np.interp(place, probes, found[:, y]) for y in range(LEVELS)], axis=1)
    gain = np.minimum(_soften(gain, 2.0), _largest_gain(chroma[:, None], np.linspace(0, 1, LEVELS)))
    darkest, brightest = _in_order(luma, *_limits(table, fine, gain, error, kept), 1.0 if by_light else COLD)
    return luma, chroma, darkest, brightest, gain


def _limits(
    table: NDArray[np.float64], fine: NDArray[np.float64], gain: NDArray[np.float64], error: float, kept: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Darkest and brightest luminance (F,) between which colours (F, 3), with their gains (F, 256), can be read."""
    from scipy.ndimage import minimum_filter1d

    luma = fine @ np.array(LUMA_WEIGHTS)
    uptake = np.linspace(0, 1, len(fine))
    errors = np.minimum(error, np.interp(uptake, _COLD_TO_WARM, (READING_ERROR_COLD, READING_ERROR)))
    every = zip(fine, uptake, gain, errors, strict=True)
    levels = np.array([_legible_levels(table, *one, kept) for one in every])
    hot = np.clip((uptake - HOT_FROM) / (1 - HOT_FROM), 0, 1)
    below = REACH_BELOW + (REACH_BELOW_HOT - REACH_BELOW) * hot
    room = [np.minimum(luma - levels[:, 0], below), np.minimum(levels[:, 1] - luma, REACH)]
    # Neighbours along the table share the narrowest limits of a few entries, without steps.
    width = len(fine) / _PROBES
    room = [np.maximum(_soften(minimum_filter1d(x, 2 * round(width) + 1), width / 2), ROOM) for x in room]
    return np.clip(luma - room[0], 0, luma), np.clip(luma + room[1], luma, 1)


def _in_order(
    luma: NDArray[np.float64], darkest: NDArray[np.float64], brightest: NDArray[np.float64], rising: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The limits, rising with uptake: the darker one up to `COLD`, the brighter one up to ``rising``.

    An error of `READING_ERROR_COLD` is little of warm uptake and all of the coldest: with it, what has hardly any
    uptake could be shown brighter than what has some.
    """
    uptake = np.linspace(0, 1, len(luma))
    cold = int(np.searchsorted(uptake, COLD))
    x = uptake[:cold] / COLD
    low, high = darkest.copy(), brightest.copy()
    low[:cold] = np.maximum.accumulate(COLD_FLOOR * x * x * (3 - 2 * x) * luma[:cold])
    low[cold:] = np.maximum(low[cold:], low[cold - 1])
    last = int(np.searchsorted(uptake, rising))
    high[: last + 1] = np.minimum.accumulate(high[last::-1])[::-1]
    return np.minimum(low, luma), np.maximum(high, luma)


def _between(table: NDArray[np.float64], place: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.interp(place, np.arange(len(table)), table[:, c]) for c in range(3)], axis=1)


def _soften(values: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    from scipy.ndimage import gaussian_filter1d

    return np.asarray(gaussian_filter1d(values, sigma, axis=0, mode="nearest"))


def _largest_gain(chroma: NDArray[np.float64], luminance: NDArray[np.float64]) -> NDArray[np.float64]:
    """The factor on a chroma (…, 3) at which a channel leaves 0..1, by luminance."""
    top, bottom = np.maximum(chroma.max(-1), 1e-9), np.minimum(chroma.min(-1), -1e-9)
    return np.asarray(np.minimum((1 - luminance) / top, luminance / -bottom))


def _best_gain(
    table: NDArray[np.float64], colour: NDArray[np.float64], uptake: float, kept: float
) -> NDArray[np.float64]:
    """The gain on a colour's chroma with which it is best read as its uptake, at every level."""
    luma = float(colour @ np.array(LUMA_WEIGHTS))
    chroma = colour - luma
    levels = np.linspace(0, 1, LEVELS)
    gains = np.linspace(0, 1, _GAINS)[:, None] * np.minimum(_largest_gain(chroma, levels), 8.0)
    shown = levels[None, :, None] + gains[..., None] * chroma  # (gains, levels, 3)
    error = np.abs(_read(table, shown) - uptake)
    saturation = _saturation(shown) / max(float(_saturation(colour)), 1e-6)
    paler, stronger = np.maximum(1 - saturation, 0), np.maximum(saturation - 1.05, 0)
    too_pale = np.maximum(np.where(levels < luma, SATURATION_KEPT, kept) - saturation, 0)
    best = (error + 0.2 * paler + 0.02 * stronger + 10 * too_pale).argmin(0)
    return np.asarray(gains[best, np.arange(LEVELS)])


def _legible_levels(
    table: NDArray[np.float64],
    colour: NDArray[np.float64],
    uptake: float,
    gain: NDArray[np.float64],
    allowed: float,
    kept: float,
) -> tuple[float, float]:
    """Darkest and brightest luminance at which a colour is read as its uptake and is hardly paler."""
    own = float(colour @ np.array(LUMA_WEIGHTS))
    levels = np.linspace(0, 1, LEVELS)
    shown = levels[:, None] + gain[:, None] * (colour - own)
    error = np.abs(_read(table, shown) - uptake)
    at_home = round(own * (LEVELS - 1))
    darker = np.arange(LEVELS) < at_home
    legible = error <= error[at_home] + np.where(darker, min(allowed, READING_ERROR_BELOW), allowed)
    if np.ptp(colour):
        legible &= _saturation(shown) >= np.where(darker, SATURATION_KEPT, kept) * _saturation(colour)
    low, high = at_home, at_home
    while low > 0 and legible[low - 1]:
        low -= 1
    while high < LEVELS - 1 and legible[high + 1]:
        high += 1
    return min(float(levels[low]), own), max(float(levels[high]), own)


def _read(table: NDArray[np.float64], colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Position (…) in the table, in 0..1, of the entry nearest to each colour (…, 3)."""
    flat, squared = colours.reshape(-1, 3), (table * table).sum(1)
    nearest = np.empty(len(flat), np.intp)
    for start in range(0, len(flat), _CACHED_COLOURS):
        part = slice(start, start + _CACHED_COLOURS)
        distance = flat[part] @ table.T
        distance *= -2.0
        distance += squared
        distance.argmin(1, out=nearest[part])
    return np.asarray(nearest.reshape(colours.shape[:-1]) / (len(table) - 1))


def _saturation(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """HSV saturation (…) of colours (…, 3)."""
    return np.asarray(np.ptp(colours, axis=-1) / np.maximum(colours.max(-1), 1e-6))

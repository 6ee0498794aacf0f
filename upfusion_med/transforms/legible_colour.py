"""Colours that still tell the uptake when the luminance of another image is put under them.

A colour table says "this colour is that uptake" at one luminance per entry. A fused luminance takes an entry away from
there, and soon a cold entry made bright by the MRI looks like a hot one. Two things keep the table legible:

* of all colours of the entry's hue at the luminance wanted, the one is shown that is read back best: nearest, among the
  colours of the table, to the entry itself, and no paler than it;
* the luminance stays within the limits between which that works. What the fused image adds to the entry's own luminance
  is split into a smooth part, which is compressed into the limits, and the detail, which keeps its size: the folds of
  the cortex stay to be seen where their grey level cannot be kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import UsageError
from upfusion_med.transforms.luts import LUMA_WEIGHTS

FloatArray = NDArray[np.float32]

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
#: Uptake (parts of the table) at which colours have fully set in; below, the fused luminance shows more and more. In a
#: picture the cold end of the palette is drawn on purpose (the first step of those of the atlas is 0.008 and 0.006); a
#: measured study has some uptake in all tissue, and there the MRI must not be dimmed.
ONSET_OF_PICTURES = 0.008
ONSET_OF_STUDIES = 0.12
#: Standard deviation of the Gaussian that splits smooth part and detail, millimetres: a folded cortex is detail.
SMOOTH_MM = 3.0
#: Share of the limits that the smooth part may take; the rest is left to the detail.
SMOOTH_SHARE = 0.95

_LEVELS = 256
#: Voxels that are worked on at a time.
_SLAB_VOXELS = 1 << 17
_GAINS = 41
#: Entries whose gains are worked out; those between are interpolated.
_PROBES = 80
#: Entries that stand for one of the table when uptake lies between two.
_FINE = 4
#: A fall of luminance that is none.
_EVEN = 1e-3


@dataclass(frozen=True, eq=False)
class LegibleColours:
    """A colour table with the luminances and saturations at which it can be read.

    Attributes:
        luminance: (N,) luma of the entries, 0..1, from no uptake to the most.
        chroma: (N, 3) RGB minus luma.
        darkest: (N,) lowest luminance at which an entry is still read as itself, at most its own.
        brightest: (N,) highest such luminance.
        gain: (N, 256) factor on the chroma, by luminance level; luminance + gain · chroma is inside the gamut.
    """

    luminance: FloatArray
    chroma: FloatArray
    darkest: FloatArray
    brightest: FloatArray
    gain: FloatArray

    @classmethod
    def of(cls, colours: NDArray[Any], *, stepped: bool = False) -> LegibleColours:
        """Work them out for a table, or take them from an earlier call.

        Args:
            colours: (N, 3) in 0..1, from no uptake to the most, two entries at least.
            stepped: Whether uptake between two entries takes the nearest instead of a blend.

        Raises:
            UsageError: another shape or range.
        """
        table = np.ascontiguousarray(colours, dtype=np.float64)
        if table.ndim != 2 or table.shape[1] != 3 or len(table) < 2 or table.min() < 0 or table.max() > 1:
            raise UsageError(f"The colours have shape {table.shape}; expected (N, 3) in 0..1, two entries at least.")
        return _of(table.tobytes(), stepped)

    def entry(self, uptake: NDArray[np.floating[Any]]) -> NDArray[np.unsignedinteger[Any]]:
        """Index of the entry of uptake in 0..1, of the smallest type that holds the table's last."""
        last = len(self.luminance) - 1
        return np.rint(np.clip(uptake, 0, 1) * np.float32(last)).astype(np.min_scalar_type(last))

    def show(
        self,
        luminance: FloatArray,
        uptake: FloatArray,
        spacing_mm: tuple[float, float, float],
        onset: float = ONSET_OF_PICTURES,
    ) -> tuple[FloatArray, FloatArray]:
        """Luminance and chroma under which the uptake can be read.

        Args:
            luminance: (I, J, K) fused luminance in 0..1.
            uptake: (I, J, K) position in the table in 0..1.
            spacing_mm: Of the grid; 1 for pictures.
            onset: Uptake at which colours have fully set in, above 0.

        Returns:
            Luminance (I, J, K) in 0..1 and chroma (I, J, K, 3) for `colour.compose`, both inside the gamut. Where there
            is no uptake, the luminance as given and no chroma.
        """
        active = uptake > 0
        if not active.any():
            return luminance.astype(np.float32, copy=True), np.zeros((*luminance.shape, 3), np.float32)
        box = _box(active, [4 * SMOOTH_MM / s for s in spacing_mm])
        inside, given, uptake = active[box], luminance[box], uptake[box]
        slabs = _slabs(given.shape)
        smooth = np.empty(given.shape, np.result_type(given, np.float32))
        for slab in slabs:
            np.subtract(given[slab], self.luminance[self.entry(uptake[slab])], out=smooth[slab])
        _smooth(smooth, inside | (given > 0), [SMOOTH_MM / s for s in spacing_mm])
        shown = luminance.astype(np.float32, copy=True)
        chroma = np.zeros((*luminance.shape, 3), np.float32)
        for slab in slabs:
            where = inside[slab]
            shown[box][slab][where], chroma[box][slab][where] = self._shown(
                given[slab][where], uptake[slab][where], smooth[slab][where], onset
            )
        return shown, chroma

    def _shown(
        self, given: FloatArray, uptake: FloatArray, smooth: FloatArray, onset: float
    ) -> tuple[FloatArray, FloatArray]:
        """Luminance (M,) and chroma (M, 3) of voxels with uptake, given the smooth part of what is added to them."""
        entry, smooth = self.entry(uptake), smooth.astype(np.float32, copy=False)
        own = self.luminance[entry]
        room = self.brightest[entry] - own, own - self.darkest[entry]
        wanted = _compress(smooth, room, (1 - own, own)) + (given - own - smooth)
        legible = own + _bound(wanted, room)
        x = np.clip(uptake / np.float32(onset), 0, 1)
        share = x * x * (3 - 2 * x)
        legible = np.clip(given + share * (legible - given), 0, 1)
        level = np.rint(legible * np.float32(_LEVELS - 1)).astype(np.uint8)
        return legible, (share * self.gain[entry, level])[:, None] * self.chroma[entry]


def _slabs(shape: tuple[int, ...]) -> list[slice]:
    """Parts along the first axis, so that what is worked out voxel by voxel needs little memory at a time."""
    thickness = max(1, _SLAB_VOXELS * shape[0] // max(int(np.prod(shape)), 1))
    return [slice(start, start + thickness) for start in range(0, shape[0], thickness)]


def _box(active: NDArray[np.bool_], margin: list[float]) -> tuple[slice, ...]:
    """The part of the grid that holds what is active, with a margin in voxels."""
    box = []
    for axis, extra in enumerate(margin):
        along = np.flatnonzero(active.any(axis=tuple(k for k in range(active.ndim) if k != axis)))
        box.append(slice(max(int(along[0] - extra), 0), int(along[-1] + extra) + 2))
    return tuple(box)


def _smooth(values: NDArray[np.floating[Any]], where: NDArray[np.bool_], sigma: list[float]) -> None:
    """Put the Gaussian mean of the values over the voxels that count in their place."""
    from scipy.ndimage import gaussian_filter

    weight = where.astype(np.float32)
    values *= weight
    for array in (values, weight):
        gaussian_filter(array, sigma, output=array, truncate=3.0)
    values /= np.maximum(weight, np.float32(1e-6), out=weight)


def _compress(
    value: FloatArray, room: tuple[FloatArray, FloatArray], reach: tuple[FloatArray, FloatArray]
) -> FloatArray:
    """Map 0..reach into a share of 0..room on each side: slope 1 at 0, rising throughout, never above ``value``."""
    size = np.abs(value)
    limit = np.where(value > 0, room[0], room[1]) * np.float32(SMOOTH_SHARE)
    most = np.where(value > 0, reach[0], reach[1])
    # x·r / (r + x·(1 − r/R)) is x for small x and r at x = R.
    rest = np.maximum(1 - limit / np.maximum(most, np.float32(1e-6)), 0)
    bent = size * limit / np.maximum(limit + size * rest, np.float32(1e-6))
    return np.asarray(np.sign(value) * np.minimum(bent, size), dtype=np.float32)


def _bound(value: FloatArray, room: tuple[FloatArray, FloatArray]) -> FloatArray:
    """Keep within the room on each side, without an edge: r · tanh(x / r)."""
    limit = np.maximum(np.where(value > 0, room[0], room[1]), np.float32(1e-6))
    return np.asarray(limit * np.tanh(value / limit), dtype=np.float32)


@lru_cache(maxsize=16)
def _of(content: bytes, stepped: bool) -> LegibleColours:
    table = np.frombuffer(content, dtype=np.float64).reshape(-1, 3)
    fine = table if stepped else _between(table, np.linspace(0, len(table) - 1, _FINE * (len(table) - 1) + 1))
    luma = fine @ np.array(LUMA_WEIGHTS)
    chroma = fine - luma[:, None]
    probes = np.unique(np.linspace(0, len(fine) - 1, min(_PROBES, len(fine))).round().astype(int))
    by_light = bool((np.diff(luma) > -_EVEN).all())
    error, kept = (READING_ERROR_BY_LIGHT, SATURATION_KEPT) if by_light else (READING_ERROR, SATURATION_KEPT_ABOVE)
    found = np.stack([_best_gain(table, fine[p], p / (len(fine) - 1), kept) for p in probes])
    place = np.arange(len(fine))
    gain = np.stack([np.interp(place, probes, found[:, y]) for y in range(_LEVELS)], axis=1)
    gain = np.minimum(_soften(gain, 2.0), _largest_gain(chroma[:, None], np.linspace(0, 1, _LEVELS)))
    darkest, brightest = _in_order(luma, *_limits(table, fine, gain, error, kept), 1.0 if by_light else COLD)
    as_float = [np.asarray(x, dtype=np.float32) for x in (luma, chroma, darkest, brightest, gain)]
    return LegibleColours(*as_float)


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
    levels = np.linspace(0, 1, _LEVELS)
    gains = np.linspace(0, 1, _GAINS)[:, None] * np.minimum(_largest_gain(chroma, levels), 8.0)
    shown = levels[None, :, None] + gains[..., None] * chroma  # (gains, levels, 3)
    error = np.abs(_read(table, shown) - uptake)
    saturation = _saturation(shown) / max(float(_saturation(colour)), 1e-6)
    paler, stronger = np.maximum(1 - saturation, 0), np.maximum(saturation - 1.05, 0)
    too_pale = np.maximum(np.where(levels < luma, SATURATION_KEPT, kept) - saturation, 0)
    best = (error + 0.2 * paler + 0.02 * stronger + 10 * too_pale).argmin(0)
    return np.asarray(gains[best, np.arange(_LEVELS)])


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
    levels = np.linspace(0, 1, _LEVELS)
    shown = levels[:, None] + gain[:, None] * (colour - own)
    error = np.abs(_read(table, shown) - uptake)
    at_home = round(own * (_LEVELS - 1))
    darker = np.arange(_LEVELS) < at_home
    legible = error <= error[at_home] + np.where(darker, min(allowed, READING_ERROR_BELOW), allowed)
    if np.ptp(colour):
        legible &= _saturation(shown) >= np.where(darker, SATURATION_KEPT, kept) * _saturation(colour)
    low, high = at_home, at_home
    while low > 0 and legible[low - 1]:
        low -= 1
    while high < _LEVELS - 1 and legible[high + 1]:
        high += 1
    return min(float(levels[low]), own), max(float(levels[high]), own)


def _read(table: NDArray[np.float64], colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Position (…) in the table, in 0..1, of the entry nearest to each colour (…, 3)."""
    distance = (table * table).sum(1) - 2.0 * (colours.reshape(-1, 3) @ table.T)
    return np.asarray(distance.argmin(1).reshape(colours.shape[:-1]) / (len(table) - 1))


def _saturation(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """HSV saturation (…) of colours (…, 3)."""
    return np.asarray(np.ptp(colours, axis=-1) / np.maximum(colours.max(-1), 1e-6))

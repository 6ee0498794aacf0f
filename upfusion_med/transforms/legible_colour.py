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
from upfusion_med.transforms.legible_limits import LEVELS, legible_limits
from upfusion_med.transforms.onset import ONSET_OF_PICTURES

FloatArray = NDArray[np.float32]

#: Standard deviation of the Gaussian that splits smooth part and detail, millimetres: a folded cortex is detail.
SMOOTH_MM = 3.0
#: Share of the limits that the smooth part may take; the rest is left to the detail.
SMOOTH_SHARE = 0.95

#: Standard deviation in voxels that `SMOOTH_MM` may be on the smallest grid.
_WIDEST = 64
#: Voxels that are worked on at a time.
_SLAB_VOXELS = 1 << 17


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
        onset: float | FloatArray = ONSET_OF_PICTURES,
    ) -> tuple[FloatArray, FloatArray]:
        """Luminance and chroma under which the uptake can be read.

        Args:
            luminance: (I, J, K) fused luminance in 0..1.
            uptake: (I, J, K) position in the table in 0..1.
            spacing_mm: Of the grid; 1 for pictures.
            onset: Uptake at which colours have fully set in, above 0; of all voxels, or (I, J, K).

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
        # Wider than the grid it is the mean of all; lengths given in metres would take many minutes otherwise.
        widest = [max(size, _WIDEST) for size in given.shape]
        sigma = [min(SMOOTH_MM / s, most) for s, most in zip(spacing_mm, widest, strict=True)]
        _smooth(smooth, inside | (given > 0), sigma)
        onset = np.broadcast_to(np.asarray(onset, np.float32), luminance.shape)[box]
        shown = luminance.astype(np.float32, copy=True)
        chroma = np.zeros((*luminance.shape, 3), np.float32)
        for slab in slabs:
            where = inside[slab]
            shown[box][slab][where], chroma[box][slab][where] = self._shown(
                given[slab][where], uptake[slab][where], smooth[slab][where], onset[slab][where]
            )
        return shown, chroma

    def _shown(
        self, given: FloatArray, uptake: FloatArray, smooth: FloatArray, onset: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Luminance (M,) and chroma (M, 3) of voxels with uptake, given the smooth part of what is added to them."""
        entry, smooth = self.entry(uptake), smooth.astype(np.float32, copy=False)
        own = self.luminance[entry]
        room = self.brightest[entry] - own, own - self.darkest[entry]
        wanted = _compress(smooth, room, (1 - own, own)) + (given - own - smooth)
        legible = own + _bound(wanted, room)
        x = np.clip(uptake / onset, 0, 1)
        share = x * x * (3 - 2 * x)
        legible = np.clip(given + share * (legible - given), 0, 1)
        level = np.rint(legible * np.float32(LEVELS - 1)).astype(np.uint8)
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
    return LegibleColours(*(x.astype(np.float32) for x in legible_limits(table, stepped)))

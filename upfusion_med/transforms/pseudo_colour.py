"""Pseudo-colours turned back into what they were drawn from: uptake as a position on the palette.

A picture of a PET or SPECT study often comes already coloured. Its luminance is not its uptake: in a rainbow the
hottest red is darker than the yellow of half the uptake. Where the palette is known, uptake is read back exactly.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import UsageError
from upfusion_med.transforms.luts import get_lut, lut_names

#: Mean distance in RGB levels up to which a picture counts as drawn with a palette; JPEG noise stays below it.
PALETTE_DISTANCE = 12.0
#: Fewer coloured voxels than this do not tell a palette.
ENOUGH_COLOURED = 50
#: Distinct colours that are compared with every palette, at most.
_SAMPLE = 4000
UPTAKE_UNITS = "position on the colour scale"


@dataclass(frozen=True, eq=False)
class Palette:
    """A colour scale.

    Attributes:
        name: The word by which it is asked for.
        colours: (N, 3) levels in 0..255 from no uptake to the most.
        stepped: Whether its entries are steps that must not be blended.
        exact: ``colours`` before they were rounded to levels, where that is known.
    """

    name: str
    colours: NDArray[np.float64]
    stepped: bool = False
    exact: NDArray[np.float64] | None = None

    @property
    def table(self) -> NDArray[np.float64]:
        """(N, 3) colours in 0..1, as exact as they are known."""
        return (self.colours if self.exact is None else self.exact) / 255.0

    def distance(self, colours: NDArray[Any]) -> float:
        """Mean distance of (M, 3) colours to the nearest of the scale, in RGB levels."""
        return float(self._nearest(colours)[0].mean())

    def uptake(self, picture: NDArray[Any]) -> NDArray[np.float32]:
        """Position on the scale, 0..1, of the colour nearest to each voxel.

        Args:
            picture: (..., 3) in 0..255. Black is no uptake, whatever the scale begins with.
        """
        levels = np.rint(picture).astype(np.uint32).reshape(-1, 3)
        packed = levels[:, 0] << 16 | levels[:, 1] << 8 | levels[:, 2]
        distinct, where = np.unique(packed, return_inverse=True)
        colours = np.stack([distinct >> 16, distinct >> 8 & 255, distinct & 255], axis=1)
        position = self._nearest(colours)[1] / (len(self.colours) - 1.0)
        position[distinct == 0] = 0.0
        return position[where].reshape(picture.shape[:-1]).astype(np.float32)

    def _nearest(self, colours: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        from scipy.spatial import cKDTree

        distance, index = cKDTree(self.colours).query(np.asarray(colours, dtype=np.float64))
        return distance, index


@cache
def _published() -> dict[str, Palette]:
    """The palettes of the Whole Brain Atlas pictures, found by walking through their colours from black."""
    rows: dict[str, list[tuple[int, int, int, int]]] = {}
    with files("upfusion_med.transforms").joinpath("pseudo_colours.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            rows.setdefault(row["map"], []).append((int(row["index"]), int(row["r"]), int(row["g"]), int(row["b"])))
    return {name: Palette(name, np.array([r[1:] for r in sorted(entries)], float)) for name, entries in rows.items()}


def palette_names() -> tuple[str, ...]:
    """All names that `get_palette` knows."""
    return (*_published(), *(name for name in lut_names() if name != "grey"))


@cache
def get_palette(name: str) -> Palette:
    """The palette of that name.

    Raises:
        UsageError: there is none; the message lists those there are.
    """
    key = name.strip().lower().replace("-", "_").replace(" ", "_")
    if key in _published():
        return _published()[key]
    if key not in palette_names():
        raise UsageError(
            f"There are no functional colours called '{name}'. Expected auto, keep, or one of: "
            f"{', '.join(palette_names())}."
        )
    lut = get_lut(key)
    return Palette(key, np.rint(lut.table * 255.0), lut.stepped, lut.table * 255.0)


def recognise(picture: NDArray[Any]) -> Palette | None:
    """The palette that a picture was drawn with.

    Args:
        picture: (..., 3) in 0..255.

    Returns:
        The palette nearest to its coloured voxels, or None where none is near (`PALETTE_DISTANCE`).
    """
    coloured = picture[np.ptp(picture, axis=-1) > 0].reshape(-1, 3)
    if len(coloured) < ENOUGH_COLOURED:
        return None
    distinct = np.unique(np.rint(coloured).astype(np.uint8), axis=0)
    sample = distinct[:: max(1, len(distinct) // _SAMPLE)]
    distances = {name: get_palette(name).distance(sample) for name in palette_names()}
    best = min(distances, key=distances.__getitem__)
    return get_palette(best) if distances[best] <= PALETTE_DISTANCE else None

"""Pseudo-colours turned back into what they were drawn from: uptake as a position on the palette.

A picture of a PET or SPECT study often comes already coloured. Its luminance is not its uptake: in a rainbow the
hottest red is darker than the yellow of half the uptake. Where the palette is known, uptake is read back exactly.

A picture may also be drawn upside down, black on white: then its air has the hottest colour. Which way up it is, its
frame tells; where that is not clear, nothing is read.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
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
#: What is added to the name of a palette that is drawn upside down.
INVERTED = "_inverted"
#: Part of a picture's frame that must have nearly one place on the scale to raise doubt about which way up it is, and
#: to decide that it is upside down.
_SOME_AIR, _MUCH_AIR = 0.25, 0.5
#: From this place on, the air of a picture is at the hot end of the scale.
_HOT_END = 0.9
#: Places on the scale that are told apart there.
_PLACES = 16
#: Levels up to which a frame is the black of a page and not of the picture.
_PAGE_BLACK = 16
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

    @property
    def inverted(self) -> Palette:
        """The same scale upside down."""
        name = self.name.removesuffix(INVERTED) if self.name.endswith(INVERTED) else self.name + INVERTED
        exact = None if self.exact is None else self.exact[::-1]
        return replace(self, name=name, colours=self.colours[::-1], exact=exact)

    def distance(self, colours: NDArray[Any]) -> float:
        """Mean distance of (M, 3) colours to the nearest of the scale, in RGB levels."""
        return float(self._nearest(colours)[0].mean())

    def uptake(self, picture: NDArray[Any]) -> NDArray[np.float32]:
        """Position on the scale, 0..1, of the colour nearest to each voxel.

        Args:
            picture: (..., 3) in 0..255. Black is no uptake, whatever the scale begins with, unless it ends with black.
        """
        levels = np.rint(picture).astype(np.uint32).reshape(-1, 3)
        packed = levels[:, 0] << 16 | levels[:, 1] << 8 | levels[:, 2]
        distinct, where = np.unique(packed, return_inverse=True)
        colours = np.stack([distinct >> 16, distinct >> 8 & 255, distinct & 255], axis=1)
        position = self._nearest(colours)[1] / (len(self.colours) - 1.0)
        if self.colours[-1].any():
            position[distinct == 0] = 0.0
        position[(colours == self.colours[0]).all(axis=1)] = 0.0  # a step has the colour several times
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
    """The palette of that name, upside down where the name ends with `INVERTED`.

    Raises:
        UsageError: there is none; the message lists those there are.
    """
    key = name.strip().lower().replace("-", "_").replace(" ", "_")
    if key.endswith(INVERTED):
        return get_palette(key.removesuffix(INVERTED)).inverted
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
    """The palette that a picture was drawn with, as it was drawn: upside down where its air is hot.

    Args:
        picture: (..., 3) in 0..255.

    Returns:
        The palette nearest to its coloured voxels, or None where none is near (`PALETTE_DISTANCE`) or where it is not
        clear which way up it is.
    """
    palette = nearest_palette(picture)
    if palette is None:
        return None
    inverted = is_inverted(picture, palette)
    if inverted is None:
        return None
    return palette.inverted if inverted else palette


def nearest_palette(picture: NDArray[Any]) -> Palette | None:
    """The palette nearest to the coloured voxels of (..., 3) in 0..255, whichever way up, or None: none is near."""
    coloured = picture[np.ptp(picture, axis=-1) > 0].reshape(-1, 3)
    if len(coloured) < ENOUGH_COLOURED:
        return None
    distinct = np.unique(np.rint(coloured).astype(np.uint8), axis=0)
    sample = distinct[:: max(1, len(distinct) // _SAMPLE)]
    distances = {name: get_palette(name).distance(sample) for name in palette_names()}
    best = min(distances, key=distances.__getitem__)
    return get_palette(best) if distances[best] <= PALETTE_DISTANCE else None


def is_inverted(picture: NDArray[Any], palette: Palette) -> bool | None:
    """Whether the air of a picture has the hottest colour of a palette; None where that is not clear.

    Air is what most of the picture's frame shows. A frame without a colour of its own is tissue that the picture cuts,
    and tells nothing: the picture counts as upright.

    Args:
        picture: (H, W, 3) or (I, J, K, 3) in 0..255.
        palette: What it was drawn with.
    """
    place, share = _air(_frame(picture), palette)
    if place > 0.5 and share >= _SOME_AIR:
        return True if place >= _HOT_END and share >= _MUCH_AIR else None
    # A picture with white air on a black page.
    shown = picture.max(axis=-1) > _PAGE_BLACK
    if shown.all() or not shown.any():
        return False
    sides = [tuple(k for k in range(shown.ndim) if k != axis) for axis in range(shown.ndim)]
    along = [np.flatnonzero(shown.any(axis=side)) for side in sides]
    place, share = _air(_frame(picture[tuple(slice(a[0], a[-1] + 1) for a in along)]), palette)
    return None if place >= _HOT_END and share >= _MUCH_AIR else False


def _frame(picture: NDArray[Any]) -> NDArray[Any]:
    """(M, 3) colours along the border of a picture, or along the edges of the box that a volume is."""
    shape = picture.shape[:-1]
    outermost = np.zeros(shape, np.uint8)
    for axis, size in enumerate(shape):
        ends: list[Any] = [slice(None)] * len(shape)
        ends[axis] = sorted({0, size - 1})
        outermost[tuple(ends)] += 1
    return np.asarray(picture[outermost >= len(shape) - 1])


def _air(frame: NDArray[Any], palette: Palette) -> tuple[float, float]:
    """The most frequent place on the scale, 0..1, and the part of the frame that has nearly this place."""
    place = palette.uptake(frame)
    counts = np.bincount(np.rint(place * (_PLACES - 1)).astype(int), minlength=_PLACES)
    most = int(counts.argmax())
    return most / (_PLACES - 1), float(counts[most] / len(place))

"""What a reader sees in a fused medical picture, pair by pair: levels, colour, uptake read back by the legend."""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import InputError, Modality
from upfusion_med.evaluation.pairs import PairList
from upfusion_med.evaluation.picture_levels import Levels, grey
from upfusion_med.inference.functional_colours import KEEP
from upfusion_med.transforms.legible_colour import LegibleColours
from upfusion_med.transforms.pseudo_colour import PALETTE_DISTANCE

_OF_COLOUR = frozenset({"saturation_kept", "hue_turned", "ciede2000_chroma"})
_UNEXPLAINED = ("unexplained_structure", "unexplained_patch")
_OF_SCALE = frozenset(
    {"hot_uptake_lost", "uptake_error", "uptake_error_hue", "uptake_order_kept", "hot_contrast", "darker_when_hotter"}
)
#: File with the palettes of a set's pictures, beside its folders: map, index, r, g, b.
SCALE_FILE = "colour_scale.csv"
#: Palettes of the Whole Brain Atlas, where there is no such file: a download has none.
ATLAS_PALETTES = ("rainbow", "warm")

#: (N, 3) colours from no uptake to the most.
ColourScale = NDArray[np.float64]


class Composition(str, Enum):
    """How the fused luminance gets its colour back."""

    LEGIBLE = "legible"
    GAMUT = "gamut"
    YCBCR = "ycbcr"

    @property
    def sentence(self) -> str:
        """For the protocol."""
        if self is Composition.LEGIBLE:
            return (
                "fused luminance as far as the colours of A's palette stay readable at it (the composition of this "
                "package); without a known palette as 'gamut'"
            )
        if self is Composition.GAMUT:
            return "fused luminance with the chroma of A, made paler where that colour does not exist"
        return "fused Y joined with Cb and Cr of A, clipped to 0..255 (the custom of fusion papers)"


def colour_picture(fused: Levels, a: Levels, how: Composition = Composition.LEGIBLE) -> Levels:
    """The fused luminance in the colours of A.

    Args:
        fused: (H, W) uint8.
        a: (H, W) or (H, W, 3) uint8; grey gives a grey picture.
        how: Rule for colours that do not exist, or cannot be read, at the new luminance.

    Returns:
        (H, W, 3) uint8, or (H, W) where A is grey.
    """
    return _coloured(fused, a, how, LegiblePalette.of(a) if how is Composition.LEGIBLE else None)


def _coloured(fused: Levels, a: Levels, how: Composition, palette: LegiblePalette | None) -> Levels:
    """As `colour_picture`, with the palette of A that ``LEGIBLE`` goes by."""
    from upfusion_med.transforms import colour

    if a.ndim == 2:
        return fused
    if palette is not None:
        return palette.show(fused)
    chroma = colour.rgb_chroma(a.astype(np.float32))
    if how is Composition.YCBCR:
        return np.rint(np.clip(fused[..., None] + chroma, 0, 255)).astype(np.uint8)
    return colour.compose(fused / np.float32(255), chroma / np.float32(255))


@dataclass(frozen=True, eq=False)
class LegiblePalette:
    """A known palette that a picture was drawn with, as far as it can be read at other luminances.

    Attributes:
        colours: The palette's colours at any luminance.
        uptake: (H, W) position of the picture on the palette in 0..1.
    """

    colours: LegibleColours
    uptake: NDArray[Any]

    @classmethod
    def of(cls, picture: Levels) -> LegiblePalette | None:
        """The palette of (H, W, 3) uint8; None where it is not known or the picture is grey, (H, W)."""
        from upfusion_med.transforms.pseudo_colour import recognise

        palette = recognise(picture) if picture.ndim == 3 else None
        if palette is None:
            return None
        return cls(LegibleColours.of(palette.table, stepped=palette.stepped), palette.uptake(picture))

    def show(self, fused: Levels) -> Levels:
        """The fused luminance (H, W) uint8 in the palette's colours, (H, W, 3) uint8."""
        from upfusion_med.transforms import colour

        luminance = fused / np.float32(255)
        shown = self.colours.show(luminance[..., None], self.uptake[..., None], (1.0, 1.0, 1.0))
        return colour.compose(shown[0][..., 0], shown[1][..., 0, :])


def read_colour_scales(root: Path) -> dict[str, ColourScale]:
    """Palettes of a set, by name; none where the set has no such file.

    Raises:
        InputError: the file lacks a column.
    """
    path = root / SCALE_FILE
    if not path.is_file():
        return {}
    colours: dict[str, list[tuple[int, float, float, float]]] = {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            for row in csv.DictReader(file):
                entry = (int(row["index"]), float(row["r"]), float(row["g"]), float(row["b"]))
                colours.setdefault(row["map"], []).append(entry)
        except (KeyError, ValueError, TypeError) as error:
            raise InputError(f"{path} cannot be used ({error}); expected the columns map, index, r, g, b.") from error
    return {name: np.array([c[1:] for c in sorted(entries)]) for name, entries in colours.items()}


def scales_of(pairs: PairList) -> dict[str, ColourScale]:
    """The palettes that pictures A may be drawn with: the set's, else those of the atlas; and that of A drawn anew.

    Raises:
        InputError: see `read_colour_scales`.
    """
    from upfusion_med.transforms.luts import PICTURE_LUT, get_lut
    from upfusion_med.transforms.pseudo_colour import get_palette

    scales = read_colour_scales(pairs.root) if pairs.root is not None else {}
    scales = scales or {name: get_palette(name).colours for name in ATLAS_PALETTES}
    return scales if pairs.colours == KEEP else {**scales, PICTURE_LUT: get_lut(PICTURE_LUT).table * 255.0}


def _nearest_scale(picture: Levels, scales: Mapping[str, ColourScale]) -> ColourScale | None:
    """The palette that the coloured pixels were drawn with, or None."""
    coloured = np.unique(picture[np.ptp(picture, axis=2) > 0].reshape(-1, 3), axis=0).astype(np.float64)
    if not coloured.size:
        return None
    some = coloured[:: max(1, len(coloured) // 2000)]
    distances = {n: np.sqrt(((some[:, None] - s) ** 2).sum(2)).min(1).mean() for n, s in scales.items()}
    best = min(distances, key=distances.__getitem__, default=None)
    return scales[best] if best is not None and distances[best] <= PALETTE_DISTANCE else None


@dataclass(frozen=True, eq=False)
class Sources:
    """What the reader's measures need of a pair, worked out once for all methods.

    Attributes:
        a: (H, W) or (H, W, 3) uint8, as drawn.
        b: (H, W) uint8, MRI.
        modality: Kind of A.
        scale: Palette of A, or None.
        uptake: (H, W) position of A on the palette in 0..1, or None.
    """

    a: Levels
    b: Levels
    modality: Modality
    scale: ColourScale | None = None
    uptake: NDArray[np.float64] | None = None

    @cached_property
    def palette(self) -> LegiblePalette | None:
        """Palette of A by which composed pictures are coloured."""
        return LegiblePalette.of(self.a)

    @classmethod
    def of(
        cls,
        a: Levels,
        b: Levels,
        modality: Modality,
        scales: Mapping[str, ColourScale],
    ) -> Sources:
        """Find the palette of A and read its uptake."""
        from upfusion_med.metrics.uptake_reading import read_back

        scale = _nearest_scale(a, scales) if a.ndim == 3 and modality.is_emission else None
        return cls(a, b, modality, scale, None if scale is None else read_back(a, scale))


def measure(fused: Levels, sources: Sources, wanted: Collection[str], how: Composition) -> dict[str, float]:
    """Reader's measures of one fused picture.

    Args:
        fused: (H, W) uint8.
        sources: The pair.
        wanted: Keys out of `columns.READER_KEYS`.
        how: Composition of the colour picture.

    Returns:
        The wanted keys; NaN where a measure does not apply: no CT, no colour, no palette, no medical pair; and for
        ``slice_flicker``, which needs more than one slice (`slice_stacks`).
    """
    values = dict.fromkeys(wanted, math.nan)
    if sources.modality not in (Modality.CT, Modality.PET, Modality.SPECT):
        return values
    if not set(_UNEXPLAINED).isdisjoint(wanted):
        values |= {k: v for k, v in _unexplained(fused, sources).items() if k in values}
    if set(wanted) <= set(_UNEXPLAINED):
        return values
    picture = _coloured(fused, sources.a, how, sources.palette if how is Composition.LEGIBLE else None)
    values |= {k: v for k, v in _levels(grey(picture), sources).items() if k in values}
    if sources.a.ndim == 3 and not (_OF_COLOUR | _OF_SCALE).isdisjoint(wanted):
        values |= {k: v for k, v in _colours(picture, sources, wanted).items() if k in values}
    return values


def _unexplained(fused: Levels, sources: Sources) -> dict[str, float]:
    """Structure of the fused luminance, before it is coloured, that neither source explains; NaN for tiny pictures."""
    from upfusion_med.metrics.unexplained import WINDOW_SIZE, unexplained_structure

    if min(fused.shape) < WINDOW_SIZE:
        return {}
    found = unexplained_structure(fused, grey(sources.a), sources.b)
    return dict(zip(_UNEXPLAINED, (found.share, float(found.largest_patch)), strict=True))


def _levels(fused: Levels, sources: Sources) -> dict[str, float]:
    """Measures of the luminance of the picture as it is shown."""
    from upfusion_med.metrics import reader

    luma_a = grey(sources.a)
    values = {
        "background_level": reader.background_level(fused, luma_a, sources.b),
        "zero_background_touched": reader.zero_background_touched(fused, luma_a, sources.b),
        "mri_edges_kept": reader.mri_edges_kept(fused, sources.b),
    }
    if sources.modality is Modality.CT:
        values["bright_kept"] = reader.bright_kept(fused, luma_a)
    else:
        values["tissue_level"] = reader.tissue_level(fused, sources.b)
    return values


def _colours(picture: Levels, sources: Sources, wanted: Collection[str]) -> dict[str, float]:
    from upfusion_med.metrics import uptake_reading
    from upfusion_med.metrics.colour_fidelity import colour_fidelity

    values = {key: float(value[0]) for key, value in colour_fidelity(picture, sources.a).items()}
    if sources.scale is not None and sources.uptake is not None and not _OF_SCALE.isdisjoint(wanted):
        shown = uptake_reading.read_back(picture, sources.scale)
        values["hot_uptake_lost"] = uptake_reading.hot_uptake_lost(sources.uptake, shown)
        values["uptake_error"] = uptake_reading.uptake_error(sources.uptake, shown)
        values["uptake_order_kept"] = uptake_reading.uptake_order_kept(sources.uptake, shown, sources.uptake > 0)
        values["darker_when_hotter"] = uptake_reading.darker_when_hotter(sources.uptake, grey(picture))
        active = sources.uptake > uptake_reading.UPTAKE_FLOOR
        by_hue = uptake_reading.read_back_by_hue(picture[active], sources.scale)
        values["uptake_error_hue"] = uptake_reading.uptake_error(sources.uptake[active], by_hue)
        hot, body = uptake_reading.hot_pixels(sources.uptake), sources.uptake > 0
        values["hot_contrast"] = uptake_reading.hot_contrast(picture, sources.a, hot, body).kept
    return values

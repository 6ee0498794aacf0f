"""The colour tables that uptake is shown in.

Two families: palettes of this package, built by formula with evenly growing lightness, and the well-known palettes of
the DICOM standard (PS3.6 Annex B), taken at run time from the tables that pydicom carries.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import LUMA_WEIGHTS, UsageError
from upfusion_med.transforms.perceptual_ramp import PerceptualRamp

DEFAULT_LUT = "ember"
#: For uptake read back from the colours of a picture, which shows nothing but tissue.
PICTURE_LUT = "dawn"
#: Steps between two entries when a table is read at a value between them.
_STEPS_PER_ENTRY = 64

_OWN_SOURCE = "upfusion_med, by formula: CIE LCh hue path with linear L*, chroma inside sRGB"
_RAMPS = {
    # black, violet, crimson, orange, pale yellow. It ends short of white, so that the hottest uptake
    # stays apart from bright fat or fluid of the MRI.
    "ember": PerceptualRamp(
        lightness=(0.0, 10.0, 20.0, 32.0, 45.0, 58.0, 72.0, 84.0, 91.0, 96.5),
        hue_deg=(285.0, 293.0, 315.0, 358.0, 390.0, 410.0, 431.0, 450.0, 461.0, 462.8),
        chroma_cap=(0.0, 26.0, 36.0, 48.0, 70.0, 88.0, 84.0, 78.0, 66.0, 48.0),
    ),
    # black, soon blue, then rose, orange, pale yellow: hue tells the uptake, and every colour is bright enough to
    # lie over bright tissue. For fusion; alone, faint uptake is loud in it.
    "dawn": PerceptualRamp(
        lightness=(38.0, 47.0, 55.0, 64.0, 74.0, 85.0, 96.0),
        hue_deg=(258.0, 268.0, 298.0, 350.0, 400.0, 440.0, 463.0),
        chroma_cap=(50.0, 50.0, 50.0, 60.0, 75.0, 80.0, 60.0),
        rise=0.15,
    ),
    # black, deep blue, cyan, near white.
    "glacier": PerceptualRamp(
        lightness=(0.0, 20.0, 40.0, 60.0, 80.0, 100.0),
        hue_deg=(295.0, 290.0, 277.0, 250.0, 215.0, 200.0),
        chroma_cap=(0.0, 60.0, 62.0, 55.0, 45.0, 0.0),
    ),
    # black, deep green, green, pale green.
    "verdant": PerceptualRamp(
        lightness=(0.0, 25.0, 50.0, 75.0, 100.0),
        hue_deg=(165.0, 155.0, 143.0, 133.0, 118.0),
        chroma_cap=(0.0, 45.0, 70.0, 95.0, 0.0),
    ),
}
#: PS3.6 Annex B, Table B.1-1: name here, UID, whether its entries are steps that must not be blended.
_DICOM_PALETTES = {
    "hot_iron": ("1.2.840.10008.1.5.1", False),
    "pet": ("1.2.840.10008.1.5.2", False),
    "hot_metal_blue": ("1.2.840.10008.1.5.3", False),
    "pet_20_step": ("1.2.840.10008.1.5.4", True),
    "spring": ("1.2.840.10008.1.5.5", False),
    "summer": ("1.2.840.10008.1.5.6", False),
    "fall": ("1.2.840.10008.1.5.7", False),
    "winter": ("1.2.840.10008.1.5.8", False),
}


@dataclass(frozen=True, eq=False)
class Lut:
    """A colour table.

    Attributes:
        name: The word by which it is asked for.
        table: (256, 3) float64 in [0, 1], sRGB display values.
        source: Where the values come from, for the report.
        stepped: Whether values between two entries take the nearest entry instead of a blend of both.
    """

    name: str
    table: NDArray[np.float64]
    source: str
    stepped: bool = False

    def __post_init__(self) -> None:
        table = np.array(self.table, dtype=np.float64)
        if table.shape != (256, 3) or table.min() < 0 or table.max() > 1:
            raise UsageError(
                f"The colour table '{self.name}' has shape {table.shape} and values from {table.min()} to "
                f"{table.max()}; expected (256, 3) in [0, 1]."
            )
        table.setflags(write=False)
        object.__setattr__(self, "table", table)

    @property
    def luma(self) -> NDArray[np.float64]:
        """(256,) BT.601 luma of the entries, [0, 1]."""
        return self.table @ np.array(LUMA_WEIGHTS)

    @property
    def luma_is_monotone(self) -> bool:
        """Whether luma never falls from one entry to the next, so that hotter is never darker."""
        return bool((np.diff(self.luma) >= -1e-12).all())

    @property
    def display_luminance(self) -> NDArray[np.float64]:
        """(256,) luminance t(u) at which uptake u = index/255 is shown, [0, 1], never falling.

        It is the cumulative maximum of the luma: equal to the luma for monotone tables; where a palette grows darker
        with rising uptake, the luminance stays. Entry 0 is 0 for every table: no uptake gives no light, also in
        palettes that do not start with black.
        """
        luminance = np.maximum.accumulate(self.luma)
        luminance[0] = 0.0
        return luminance

    @property
    def chroma(self) -> NDArray[np.float64]:
        """(256, 3) RGB minus luma; entry 0 is without colour (see `display_luminance`)."""
        chroma = self.table - self.luma[:, None]
        chroma[0] = 0.0
        return chroma

    def sample(self, column: NDArray[np.float64], uptake: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """The values of a column at some uptake, blended between neighbouring entries (not so in stepped tables).

        Args:
            column: One value or colour per entry, (256,) or (256, 3): `display_luminance`, `chroma` or `table`.
            uptake: In [0, 1], any shape; values outside are clipped. i/255 gives exactly entry i; between entries it
                is rounded to a 64th of their distance.

        Returns:
            float32 of the uptake's shape, with a last axis of 3 for colours.
        """
        scaled = np.multiply(uptake, np.float32(255 * _STEPS_PER_ENTRY), dtype=np.float32)
        np.clip(scaled, 0, 255 * _STEPS_PER_ENTRY, out=scaled)
        np.rint(scaled, out=scaled)
        return np.take(self._fine(column), scaled.astype(np.uint16), axis=0)

    def _fine(self, column: NDArray[np.float64]) -> NDArray[np.float32]:
        """The column at `_STEPS_PER_ENTRY` steps per entry."""
        position = np.arange(255 * _STEPS_PER_ENTRY + 1) / _STEPS_PER_ENTRY
        lower = np.floor(position).astype(np.intp)
        if self.stepped:
            return column[np.rint(position).astype(np.intp)].astype(np.float32)
        part = (position - lower).reshape((-1,) + (1,) * (column.ndim - 1))
        upper = np.minimum(lower + 1, 255)
        return (column[lower] * (1.0 - part) + column[upper] * part).astype(np.float32)


def lut_names() -> tuple[str, ...]:
    """All names that `get_lut` knows: own tables first."""
    return ("grey", *_RAMPS, *_DICOM_PALETTES)


@cache
def get_lut(name: str) -> Lut:
    """The colour table of that name.

    Args:
        name: One of `lut_names`; case, hyphens and blanks do not matter (``"Hot-Iron"`` is ``"hot_iron"``).

    Raises:
        UsageError: No table has this name; the message lists those there are.
    """
    key = name.strip().lower().replace("-", "_").replace(" ", "_")
    if key == "grey":
        ramp = np.repeat(np.arange(256)[:, None] / 255.0, 3, axis=1)
        return Lut("grey", ramp, "the display's own grey ramp")
    if key in _RAMPS:
        return Lut(key, _RAMPS[key].table(), _OWN_SOURCE)
    if key in _DICOM_PALETTES:
        uid, stepped = _DICOM_PALETTES[key]
        return Lut(key, _dicom_palette(uid), f"DICOM PS3.6 Annex B, palette {uid}", stepped)
    raise UsageError(f"There is no colour table '{name}'. Expected one of: {', '.join(lut_names())}.")


def _dicom_palette(uid: str) -> NDArray[np.float64]:
    from pydicom.pixels import apply_color_lut

    return apply_color_lut(np.arange(256, dtype=np.uint8), palette=uid)[..., :3] / 255.0

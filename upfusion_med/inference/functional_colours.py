"""A functional image that comes in colours: which palette it was drawn with, and the uptake that the palette means."""

from __future__ import annotations

import numpy as np

from upfusion_med.core import Modality, Volume
from upfusion_med.transforms.pseudo_colour import PALETTE_DISTANCE, UPTAKE_UNITS, Palette, get_palette, recognise
from upfusion_med.transforms.window import Window

AUTO, KEEP = "auto", "keep"


def palette_of(functional: Volume, modality: Modality, asked: str) -> Palette | None:
    """The palette of a functional image.

    Args:
        functional: As it was read.
        modality: Only uptake (PET, SPECT) has a palette.
        asked: ``"auto"`` or ``"keep"``: the known palette nearest to its colours; or the name of one.

    Returns:
        None where the image has no colours, is no uptake, or was drawn with no known palette.

    Raises:
        UsageError: there is no palette of the name asked for.
    """
    named = None if asked in (AUTO, KEEP) else get_palette(asked)
    if not functional.is_rgb or not modality.is_emission:
        return None
    return named or recognise(functional.array)


def as_uptake(functional: Volume, palette: Palette) -> Volume:
    """The uptake that the colours mean, (I, J, K) in 0..1, on the same grid."""
    return functional.with_array(palette.uptake(functional.array), units=UPTAKE_UNITS)


def whole_scale() -> Window:
    """The window of uptake that was read from colours: no unit is known, so all of the scale."""
    return Window(0.0, 1.0, rule="the whole colour scale of the picture", units=UPTAKE_UNITS)


def doubt(functional: Volume, palette: Palette) -> str | None:
    """A sentence where the colours are not those of the palette, else None."""
    coloured = functional.array[np.ptp(functional.array, axis=-1) > 0].reshape(-1, 3)
    if not len(coloured) or palette.distance(coloured[:: max(1, len(coloured) // 4000)]) <= PALETTE_DISTANCE:
        return None
    return (
        f"The colours of the functional image are not those of '{palette.name}'; the uptake read from them is "
        "doubtful. Use --functional-colours keep to leave them as they are."
    )

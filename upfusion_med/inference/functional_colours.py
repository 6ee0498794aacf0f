"""A functional image that comes in colours: which palette it was drawn with, and the uptake that the palette means."""

from __future__ import annotations

import numpy as np

from upfusion_med.core import Modality, Volume
from upfusion_med.transforms.pseudo_colour import (
    PALETTE_DISTANCE,
    UPTAKE_UNITS,
    Palette,
    get_palette,
    is_inverted,
    nearest_palette,
)
from upfusion_med.transforms.window import Window

AUTO, KEEP = "auto", "keep"


def palette_of(functional: Volume, modality: Modality, asked: str) -> tuple[Palette | None, str | None]:
    """The palette of a functional image, and what is doubtful about it.

    Args:
        functional: As it was read.
        modality: Only uptake (PET, SPECT) has a palette.
        asked: ``"auto"`` or ``"keep"``: the known palette nearest to its colours; or the name of one.

    Returns:
        The palette, as it was drawn (upside down where air is hot); None where the image has no colours, is no uptake,
        was drawn with no known palette, or where it is not clear which way up it is. And a sentence for the user, or
        None.

    Raises:
        UsageError: there is no palette of the name asked for.
    """
    named = None if asked in (AUTO, KEEP) else get_palette(asked)
    if not functional.is_rgb or not modality.is_emission:
        return None, None
    if named is not None:
        return named, _doubt(functional, named)
    palette = nearest_palette(functional.array)
    if palette is None:
        return None, None
    inverted = is_inverted(functional.array, palette)
    if inverted is None:
        return None, (
            f"The functional image is drawn in '{palette.name}', and whether upside down is not clear from its border; "
            f"its colours were kept. Say --functional-colours {palette.name}, or {palette.inverted.name} where its air "
            "has the hottest colour."
        )
    if not inverted:
        return palette, None
    return palette.inverted, (
        f"The functional image is drawn upside down in '{palette.name}': its border has the hottest colour, which was "
        f"taken for air. Where it is uptake, say --functional-colours {palette.name}."
    )


def as_uptake(functional: Volume, palette: Palette) -> Volume:
    """The uptake that the colours mean, (I, J, K) in 0..1, on the same grid."""
    return functional.with_array(palette.uptake(functional.array), units=UPTAKE_UNITS)


def whole_scale() -> Window:
    """The window of uptake that was read from colours: no unit is known, so all of the scale."""
    return Window(0.0, 1.0, rule="the whole colour scale of the picture", units=UPTAKE_UNITS)


def _doubt(functional: Volume, named: Palette) -> str | None:
    """A sentence where the colours are not those of the palette that the user named, else None."""
    coloured = functional.array[np.ptp(functional.array, axis=-1) > 0].reshape(-1, 3)
    if len(coloured) and named.distance(coloured[:: max(1, len(coloured) // 4000)]) > PALETTE_DISTANCE:
        return (
            f"The colours of the functional image are not those of '{named.name}'; the uptake read from them is "
            "doubtful. Use --functional-colours keep to leave them as they are."
        )
    if is_inverted(functional.array, named) is not False:
        return (
            f"The border of the functional image has a hot colour of '{named.name}'. If it is air, the image is drawn "
            f"the other way up: say --functional-colours {named.inverted.name}."
        )
    return None

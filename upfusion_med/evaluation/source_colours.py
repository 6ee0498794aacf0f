"""In which colours picture A of a pair is drawn before it is fused: its own, or those of this package's colour table.

With a known palette the picture is turned back into uptake and drawn anew, as ``upfusion fuse`` does it. Everything
that follows, the luminance that is fused, the reference of the fusion metrics and the reader's measures, is of the
picture as it is drawn then.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from upfusion_med.core import RGB_LEVELS, InputError, Modality, UsageError, Volume
from upfusion_med.evaluation.pairs import Pair, PairList
from upfusion_med.evaluation.picture_levels import Levels, grey, read_levels
from upfusion_med.inference.functional_colours import AUTO, KEEP, palette_of
from upfusion_med.transforms import colour
from upfusion_med.transforms.luts import PICTURE_LUT, get_lut
from upfusion_med.transforms.pseudo_colour import get_palette


def drawn(a: Levels, modality: Modality, asked: str) -> Levels:
    """Picture A in the colours asked for.

    Args:
        a: (H, W) or (H, W, 3) uint8.
        modality: Only PET and SPECT have a palette.
        asked: ``"keep"``; ``"auto"``: the table `PICTURE_LUT` where A's palette is known; or the name of its palette.

    Returns:
        (H, W, 3) uint8 where the palette was read; otherwise ``a``. Black, no uptake, stays black.
    """
    if asked == KEEP or a.ndim == 2:
        return a
    palette, _ = palette_of(Volume(a[:, :, None].astype(np.float32), np.eye(4), RGB_LEVELS, modality), modality, asked)
    if palette is None:
        return a
    uptake, lut = palette.uptake(a), get_lut(PICTURE_LUT)
    return colour.compose(colour.lut_luminance(uptake, lut), colour.lut_chroma(uptake, lut))


def read_pair(pair: Pair) -> tuple[Levels, Levels]:
    """Picture A in the colours that the pair asks for, (H, W) or (H, W, 3), and B as (H, W) luma; uint8.

    Raises:
        InputError: one cannot be read, or the sizes differ.
    """
    a, b = drawn(read_levels(pair.a), pair.modality, pair.functional_colours), grey(read_levels(pair.b))
    if a.shape[:2] != b.shape:
        raise InputError(
            f"The pair {pair.id} is {a.shape[1]}x{a.shape[0]} ({pair.a.name}) and {b.shape[1]}x{b.shape[0]} pixels "
            f"({pair.b.name}); expected registered pictures of one size. Pictures are not resampled."
        )
    return a, b


def with_functional_colours(pairs: PairList, asked: str) -> PairList:
    """The pairs, with picture A to be drawn in the colours asked for.

    Raises:
        UsageError: no such palette, or no pair that has uptake.
    """
    asked = asked.strip().lower()
    if asked == KEEP:
        return pairs
    if asked != AUTO:
        asked = get_palette(asked).name
    if not any(p.modality.is_emission for p in pairs.pairs):
        raise UsageError(
            f"The functional colours '{asked}' were asked for, and no pair holds PET or SPECT; leave the option out."
        )
    return replace(pairs, pairs=tuple(replace(p, functional_colours=asked) for p in pairs.pairs), colours=asked)


def sentence(asked: str) -> str:
    """For the protocol: what A is."""
    how = "their palette was recognised" if asked == AUTO else f"they were taken for '{asked}'"
    return (
        f"Functional colours: PET and SPECT pictures were turned back into uptake where {how}, and drawn with the "
        f"colour table '{PICTURE_LUT}' before fusing. A, the source that metrics compare with, is the luminance that "
        "the networks were given: the luma of that drawing, not of the picture in the file."
    )

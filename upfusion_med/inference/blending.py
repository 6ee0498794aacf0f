"""The last step of a fusion: luminance and colours of the result, from the network or by classic alpha blending."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import UsageError
from upfusion_med.inference.preparation import FloatArray, Prepared, paint
from upfusion_med.transforms import colour
from upfusion_med.transforms.onset import onset_of_study

Ramp = tuple[float, float]


def neural(
    prepared: Prepared, luminance: FloatArray, ramp: Ramp | None, spacing_mm: tuple[float, float, float]
) -> tuple[FloatArray, NDArray[np.uint8]]:
    """The network's luminance under the colours of the uptake.

    Args:
        prepared: The study.
        luminance: (I, J, K) of the network, 0..1.
        ramp: Where uptake fades in (`opacity`), or None: it always shows.
        spacing_mm: Of the MRI's grid.

    Returns:
        Luminance (I, J, K) in 0..1 and colours (I, J, K, 3) uint8. Where the opacity is 0 they are the MRI, untouched.
        The colours' own luminance is the one returned, but where the colours of the uptake could not be read at it
        (see `LegibleColours`).
    """
    chroma: FloatArray | None
    if prepared.legible is not None and prepared.uptake is not None:
        onset = onset_of_study(prepared.uptake, spacing_mm) if prepared.onset is None else prepared.onset
        shown, chroma = prepared.legible.show(luminance, prepared.uptake, spacing_mm, onset)
    else:
        shown, chroma = luminance, prepared.chroma
    if ramp is None:
        return luminance, paint(shown, chroma)
    share = opacity(prepared, ramp)
    mri = prepared.mri * np.float32(prepared.brightness)
    colours = paint(mri + share * (shown - mri), None if chroma is None else chroma * share[..., None])
    return mri + share * (luminance - mri), colours


def alpha(prepared: Prepared, share: float, ramp: Ramp | None) -> tuple[FloatArray, NDArray[np.uint8]]:
    """Classic alpha blending: (1 − α) · MRI + α · coloured uptake, channel by channel, for comparison.

    Args:
        prepared: The study.
        share: α in 0..1, the part of the second image that was given.
        ramp: Where uptake fades in; α is multiplied by the opacity there.

    Returns:
        As `neural`; the luminance is the luma of the colours. Outside the functional field of view they are the MRI
        (the visible picture).
    """
    weight = np.where(prepared.alignment.inside, np.float32(share), np.float32(0))
    if prepared.visible_first:
        weight = 1 - weight
    if ramp is not None:
        weight *= opacity(prepared, ramp)
    uptake = paint(prepared.functional, prepared.chroma).astype(np.float32) / np.float32(255)
    mri = prepared.mri[..., None]
    rgb = np.rint((mri + weight[..., None] * (uptake - mri)) * np.float32(255)).astype(np.uint8)
    return colour.luma(rgb) / np.float32(255), rgb


def opacity(prepared: Prepared, ramp: Ramp) -> FloatArray:
    """How far uptake shows, (I, J, K) in 0..1: 0 up to the first share of the window, 1 from the second on.

    In between it is 3x² − 2x³: never falling with uptake, and smooth at both ends, so that no contour appears.

    Raises:
        UsageError: the functional image came in colours, so its uptake is not known, or it is infrared and has none.
    """
    if prepared.visible_first:
        raise UsageError("The opacity fades uptake in, and an infrared image has none. Leave the opacity out.")
    if prepared.uptake is None:
        raise UsageError(
            "The functional image came in colours, so its uptake is not known and cannot set the opacity. Leave "
            "the opacity out, or have the colours read back as uptake."
        )
    x = np.clip((prepared.uptake - np.float32(ramp[0])) / np.float32(ramp[1] - ramp[0]), 0, 1)
    return np.asarray(x * x * (3 - 2 * x), dtype=np.float32)

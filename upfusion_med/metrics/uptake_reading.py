"""What a reader can still tell about uptake from the colours of a fused picture.

The colours are read back the way an eye does with the legend beside it: each pixel is taken for the nearest colour of
the scale (`read_back`), or for the nearest hue, whatever its brightness (`read_back_by_hue`). Arrays are (H, W) or
(I, J, K), colours in a last axis of 3, all in 0..255; uptake is a position on the scale in 0..1.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from upfusion_med.core import LUMA_WEIGHTS, InputError
from upfusion_med.metrics.colour_fidelity import ciede2000, lab_from_srgb

#: Below this position on the scale there is nothing to read (baseline, section 6).
UPTAKE_FLOOR = 0.15
#: Share of the pixels with uptake that counts as hot, and the fall on the scale that counts as lost.
HOT_SHARE = 0.05
LOST_STEP = 0.10
#: Levels of uptake whose mean luminance is compared, and the fall in grey levels that counts as darker.
UPTAKE_LEVELS = 20
DARKER_STEP = 4.0

Array = NDArray[Any]

#: Two hues closer than this are one to the eye; distance of Cb and Cr from grey below which a colour has no hue.
HUE_TOLERANCE_DEGREES = 1.0
LEAST_CHROMA = 6.0

_PIXELS_AT_A_TIME = 8192


def _checked(picture: Array, colour_scale: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The pixels (n, 3) of a picture and the scale (N, 3).

    Raises:
        InputError: wrong shapes, or fewer than two colours.
    """
    picture, scale = np.asarray(picture), np.asarray(colour_scale, dtype=np.float64)
    if picture.shape[-1] != 3 or scale.ndim != 2 or scale.shape[1] != 3 or len(scale) < 2:
        raise InputError(
            f"The picture has shape {picture.shape}, the colour scale {scale.shape}; expected (..., 3) and (N, 3) "
            "with at least two colours."
        )
    return picture.reshape(-1, 3).astype(np.float64), scale


def read_back(picture: Array, colour_scale: Array) -> NDArray[np.float64]:
    """Position on a colour scale of the colour nearest to each pixel (squared distance in RGB; the lower on a tie).

    Args:
        picture: (..., 3) in 0..255.
        colour_scale: (N, 3) colours in 0..255 from no uptake to the most.

    Returns:
        (...) in 0..1.

    Raises:
        InputError: wrong shapes, or fewer than two colours.
    """
    pixels, scale = _checked(picture, colour_scale)
    lengths = (scale * scale).sum(1)
    nearest = np.empty(len(pixels), dtype=np.int64)
    for start in range(0, len(pixels), _PIXELS_AT_A_TIME):
        part = pixels[start : start + _PIXELS_AT_A_TIME]
        # |p − s|² without |p|², which is the same for all colours of the scale.
        nearest[start : start + len(part)] = (lengths - 2.0 * (part @ scale.T)).argmin(1)
    return (nearest / (len(scale) - 1.0)).reshape(np.shape(picture)[:-1])


def _chroma(colours: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Direction (n, 2) in the plane of Cb and Cr, and the distance from grey (n,), of colours (n, 3)."""
    luma = colours @ np.asarray(LUMA_WEIGHTS)
    plane = np.stack(((colours[:, 2] - luma) / 1.772, (colours[:, 0] - luma) / 1.402), axis=1)
    distance = np.hypot(plane[:, 0], plane[:, 1])
    return plane / np.maximum(distance, 1e-12)[:, None], distance


def read_back_by_hue(picture: Array, colour_scale: Array) -> NDArray[np.float64]:
    """Position on a colour scale of the hue nearest to each pixel's, whether the pixel is brighter or paler than it.

    Fusion changes luminance on purpose, so a reader of a fused picture goes by hue. Where the scale has one hue in
    several places (within 1°), the nearest colour among them counts. A pixel without hue, nearly grey, is read by
    `read_back`; entries of the scale without hue are candidates for such pixels only.

    Args:
        picture: (..., 3) in 0..255.
        colour_scale: (N, 3) colours in 0..255 from no uptake to the most.

    Returns:
        (...) in 0..1.

    Raises:
        InputError: wrong shapes, or fewer than two colours.
    """
    pixels, scale = _checked(picture, colour_scale)
    hues, distance = _chroma(scale)
    places = np.flatnonzero(distance >= LEAST_CHROMA)
    direction, strength = _chroma(pixels)
    found = read_back(pixels, scale)
    coloured = np.flatnonzero(strength >= LEAST_CHROMA)
    if not places.size:
        return found.reshape(np.shape(picture)[:-1])
    hues, lengths = hues[places], (scale[places] ** 2).sum(1)
    tolerance = np.deg2rad(HUE_TOLERANCE_DEGREES)
    for start in range(0, len(coloured), _PIXELS_AT_A_TIME):
        part = coloured[start : start + _PIXELS_AT_A_TIME]
        cosine = direction[part] @ hues.T
        best = np.clip(cosine.max(1, keepdims=True), -1.0, 1.0)
        # cos(angle + tolerance) of the nearest hue's angle: hues up to there count as the same.
        least = best * np.cos(tolerance) - np.sqrt(1.0 - best * best) * np.sin(tolerance)
        apart = lengths - 2.0 * (pixels[part] @ scale[places].T)
        found[part] = places[np.where(cosine >= least, apart, np.inf).argmin(1)] / (len(scale) - 1.0)
    return found.reshape(np.shape(picture)[:-1])


def _check_pair(uptake: Array, displayed: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    uptake, displayed = np.asarray(uptake, dtype=np.float64), np.asarray(displayed, dtype=np.float64)
    if uptake.shape != displayed.shape:
        raise InputError(
            f"The uptake has shape {uptake.shape}, what is displayed {displayed.shape}; expected one shape."
        )
    if not (np.isfinite(uptake).all() and np.isfinite(displayed).all()):
        raise InputError("The uptake or what is displayed holds values that are not finite; expected numbers.")
    return uptake, displayed


def hot_pixels(uptake: Array, share: float = HOT_SHARE, floor: float = UPTAKE_FLOOR) -> NDArray[np.bool_]:
    """The hottest ``share`` of the pixels whose uptake exceeds ``floor``; by the scale, not by luminance."""
    uptake = np.asarray(uptake, dtype=np.float64)
    active = uptake[uptake > floor]
    if active.size == 0:
        return np.zeros(uptake.shape, dtype=bool)
    return (uptake >= np.quantile(active, 1.0 - share)) & (uptake > floor)


def uptake_error(uptake: Array, displayed: Array, floor: float = UPTAKE_FLOOR) -> float:
    """Mean error of the uptake read back, in % of the scale, where the true uptake exceeds ``floor``.

    Args:
        uptake: True position on the scale, 0..1.
        displayed: Position read back from the fused picture (`read_back`).
        floor: Uptake at or below this is not judged.

    Returns:
        0 is right; NaN where there is no uptake.
    """
    uptake, displayed = _check_pair(uptake, displayed)
    active = uptake > floor
    return float(100.0 * np.abs(displayed - uptake)[active].mean()) if active.any() else float("nan")


def hot_uptake_lost(
    uptake: Array, displayed: Array, share: float = HOT_SHARE, step: float = LOST_STEP, floor: float = UPTAKE_FLOOR
) -> float:
    """Share in % of the hot pixels whose value, read back, has fallen by more than ``step`` of the scale.

    Args:
        uptake: True position on the scale, 0..1.
        displayed: Position read back from the fused picture.
        share: See `hot_pixels`.
        step: Fall that counts, in parts of the scale.
        floor: See `hot_pixels`.

    Returns:
        0 is right; NaN where there is no uptake.
    """
    uptake, displayed = _check_pair(uptake, displayed)
    hot = hot_pixels(uptake, share, floor)
    return float(100.0 * (uptake - displayed > step)[hot].mean()) if hot.any() else float("nan")


def uptake_order_kept(uptake: Array, displayed: Array, body: Array | None = None) -> float:
    """Whether hotter still looks hotter: Spearman's rank correlation of uptake and displayed value inside the body.

    Args:
        uptake: True uptake, any unit.
        displayed: What the picture shows for it: `read_back`, or a luminance for a grey display.
        body: Where to judge; everywhere by default.

    Returns:
        1 order kept, 0 unrelated, −1 reversed; NaN where either is constant.
    """
    from scipy.stats import rankdata

    uptake, displayed = _check_pair(uptake, displayed)
    inside = np.ones(uptake.shape, dtype=bool) if body is None else np.asarray(body, dtype=bool)
    x, y = rankdata(uptake[inside]), rankdata(displayed[inside])
    if x.size < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def darker_when_hotter(uptake: Array, luminance: Array, floor: float = UPTAKE_FLOOR) -> float:
    """Share in % of the pixels with uptake that are shown darker than colder ones.

    The mean luminance is taken over every twentieth of the scale; a twentieth counts with all its pixels where a colder
    one (above ``floor``) is brighter by more than `DARKER_STEP`.

    Args:
        uptake: True position on the scale, 0..1.
        luminance: Of the picture as it is shown, 0..255.
        floor: Uptake at or below this is not judged.

    Returns:
        0 is right: hotter is never darker; NaN where there is no uptake.
    """
    uptake, luminance = _check_pair(uptake, luminance)
    active = uptake > floor
    if not active.any():
        return float("nan")
    level = np.clip(uptake[active] * UPTAKE_LEVELS, 0, UPTAKE_LEVELS - 1).astype(np.intp)
    count = np.bincount(level, minlength=UPTAKE_LEVELS)
    there = np.flatnonzero(count)
    mean = np.bincount(level, weights=luminance[active], minlength=UPTAKE_LEVELS)[there] / count[there]
    darker = mean < np.maximum.accumulate(mean) - DARKER_STEP
    return float(100.0 * count[there][darker].sum() / count.sum())


class HotContrast(NamedTuple):
    """Colour distance of the hot region from its surroundings in two pictures, CIEDE2000 units.

    Attributes:
        before: In the functional picture.
        after: In the fused picture.
        kept: after / before; below 1 the hot region stands out less.
    """

    before: float
    after: float
    kept: float


def _distance_of_means(picture: Array, hot: Array, around: Array) -> float:
    picture = np.asarray(picture, dtype=np.float64)
    if picture.ndim == hot.ndim:
        picture = np.repeat(picture[..., None], 3, axis=-1)
    pixels = torch.from_numpy(np.ascontiguousarray(picture.reshape(-1, 3).T)).view(1, 3, 1, -1)
    lab = lab_from_srgb(pixels)[:, :, 0]
    inside, outside = torch.from_numpy(hot.reshape(-1)), torch.from_numpy(around.reshape(-1))
    return float(ciede2000(lab[..., inside].mean(2), lab[..., outside].mean(2)))


def hot_contrast(fused: Array, functional: Array, hot: Array, body: Array | None = None, ring: int = 6) -> HotContrast:
    """Contrast of hot regions against their surroundings before and after fusion.

    Args:
        fused: (..., 3) sRGB or (...) grey, 0..255.
        functional: As ``fused``.
        hot: (...) bool, the hot region (`hot_pixels`).
        body: (...) bool; surroundings outside it do not count.
        ring: Width of the surroundings in pixels.

    Returns:
        See `HotContrast`: CIEDE2000 distance between the mean colour of the region and that of the ring around it. All
        NaN where the region or its ring is empty; ``kept`` NaN where there was no contrast before.
    """
    from scipy.ndimage import binary_dilation

    hot = np.asarray(hot, dtype=bool)
    around = binary_dilation(hot, iterations=ring) & ~hot
    if body is not None:
        around &= np.asarray(body, dtype=bool)
    if not hot.any() or not around.any():
        return HotContrast(float("nan"), float("nan"), float("nan"))
    before, after = (_distance_of_means(picture, hot, around) for picture in (functional, fused))
    return HotContrast(before, after, after / before if before > 0 else float("nan"))

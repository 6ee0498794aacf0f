"""Visual information fidelity: how much of a source's information the fused image still carries.

Three unlike things are called VIF in the fusion literature; this file has the pixel-domain VIFp of Sheikh and Bovik
(which nearly all fusion papers print, many of them as a sum over the sources) and Han's VIFF. The wavelet-domain VIF
of the 2006 paper is on another scale and is not here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from upfusion_med.core import InputError
from upfusion_med.metrics.filters import LocalMoments, correlate, gaussian_taps, moment_strips, side_by_side
from upfusion_med.metrics.images import ImageLike, is_constant, prepare

#: Variance of the visual noise of VIFp (Sheikh's vifp_mscale.m) and of VIFF (Han's VIFF_Public.m: 0.005 · 255²).
VIFP_NOISE = 2.0
VIFF_NOISE = 0.005 * 255.0**2
#: Han's weights of the four scales, divided by their sum.
VIFF_WEIGHTS = (1.0 / 2.15, 0.0, 0.15 / 2.15, 1.0 / 2.15)
#: Added to both terms of a pixel in VIFF; Han's logarithms are decimal, those here natural.
VIFF_CONSTANT = 1e-7 * math.log(10.0)
#: Variances and gains below this count as none (vifp_mscale.m).
_FLOOR = 1e-10
#: The fourth scale needs at least one pixel.
SMALLEST_SIDE = 41


def _moments_of_scales(fused: Tensor, a: Tensor, b: Tensor) -> Iterator[tuple[int, LocalMoments]]:
    """Moments of the four scales of VIFp, strip by strip: windows of 17, 9, 5 and 3 pixels.

    From the second scale on, the images are filtered and halved first.
    """
    if min(fused.shape[-2:]) < SMALLEST_SIDE:
        raise InputError(
            f"The images are {fused.shape[-2]}×{fused.shape[-1]} pixels; VIF needs sides of at least {SMALLEST_SIDE}, "
            "since its fourth scale would be empty."
        )
    images = side_by_side(fused, a, b)
    for scale in range(4):
        size = 2 ** (4 - scale) + 1
        taps = gaussian_taps(size, size / 5.0)
        if scale > 0:
            images = correlate(images, taps, stride=2)
        for moments in moment_strips(images, taps):
            yield scale, moments


def _sum_of_logarithms(values: Tensor) -> Tensor:
    """Σ ln over rows and columns of (rows, B, terms, W'), (B, terms) float64.

    Rows are multiplied in pairs before the logarithm is taken. Values of grey levels lie between 1 and 8129, so the
    products of at most 63 (in single precision 7) of them do not overflow.
    """
    for _ in range(5 if values.dtype is torch.float64 else 2):
        rows = len(values)
        if rows == 1:
            break
        folded = values[: rows // 2] * values[rows // 2 : rows // 2 * 2]
        if rows % 2:
            folded[0] *= values[-1]
        values = folded
    return values.log().sum((0, 3), dtype=torch.float64)


def _information(moments: LocalMoments) -> Tensor:
    """The terms whose logarithms VIFp sums, (rows, B, 4, W'); overwrites the moments.

    Of a and b 1 + g²σ_x² / (v + 2), what the fused image keeps of a source, with g = σ_xF / σ_x² and
    v = σ_F² − g σ_xF; then of a and b 1 + σ_x² / 2, what the source has. Where a variance is none, or the covariance
    is negative, nothing is kept.
    """
    variance, covariance = torch.threshold_(moments.variance, _FLOOR, 0.0), moments.covariance.clamp_(min=0.0)
    of_fused, of_source = variance[:, :, :1], variance[:, :, 1:]
    if variance.dtype is not torch.float64:
        # In single precision the covariance with a flat source is rounding that the division would blow up.
        covariance.mul_(of_source.sign())
    one = variance.new_ones(())
    rows, batch, sources, width = of_source.shape
    terms = variance.new_empty(rows, batch, 2 * sources, width)
    kept, there = terms.chunk(2, dim=2)
    torch.add(one, of_source, alpha=1.0 / VIFP_NOISE, out=there)
    gain = covariance / (of_source + _FLOOR)
    noise = torch.addcmul(of_fused.add_(VIFP_NOISE), gain, covariance, value=-1.0).clamp_(min=VIFP_NOISE + _FLOOR)
    torch.addcdiv(one, gain.square_().mul_(of_source), noise, out=kept)
    return terms


def vif_per_source(fused: ImageLike, a: ImageLike, b: ImageLike, *, dtype: torch.dtype = torch.float64) -> Tensor:
    """Pixel-domain VIF (VIFp) of the fused image against each source.

    Args:
        fused: (B, 1, H, W) in 0..255, sides of at least 41.
        a: As ``fused``.
        b: As ``fused``.
        dtype: float64, or float32 for twice the speed and an error of up to 1e-4: a training log, not a table.

    Returns:
        (B, 2) float64: against a and b. 0 nothing kept, 1 identical, above 1 possible for a contrast-enhanced copy;
        NaN for a constant source (0/0).

    Source: Sheikh and Bovik, IEEE TIP 15(2), 2006, pixel-domain version vifp_mscale.m; facts C.5.
    """
    fused, a, b = prepare(fused, a, b)
    sums = fused.new_zeros(fused.shape[0], 4)
    for _, moments in _moments_of_scales(fused.to(dtype), a.to(dtype), b.to(dtype)):
        sums += _sum_of_logarithms(_information(moments))
    kept = sums[:, :2].masked_fill(is_constant(fused).view(-1, 1), 0.0)
    # What rounding makes of a constant source is no information.
    there = sums[:, 2:].masked_fill(torch.stack((is_constant(a), is_constant(b)), dim=1), torch.nan)
    return kept / there


def vif_family(
    fused: ImageLike, a: ImageLike, b: ImageLike, *, dtype: torch.dtype = torch.float64
) -> dict[str, Tensor]:
    """``vif_a``, ``vif_b``, their mean ``vif`` (a constant source left out) and their sum ``vif_sum``, (B,) each.

    See `vif_per_source` for the arguments.
    """
    fused, a, b = prepare(fused, a, b)
    scores = vif_per_source(fused, a, b, dtype=dtype)
    score_a, score_b = scores.unbind(1)
    return {
        # A constant source has no information, so its score is 0/0 already.
        "vif": scores.nanmean(1),
        "vif_sum": score_a + score_b,
        "vif_a": score_a,
        "vif_b": score_b,
    }


def vif(fused: ImageLike, a: ImageLike, b: ImageLike) -> Tensor:
    """VIFp as the UP-Fusion paper's tables have it: the mean over the sources, (B,). See `vif_per_source`."""
    return vif_family(fused, a, b)["vif"]


def viff(fused: ImageLike, a: ImageLike, b: ImageLike) -> Tensor:
    """Visual information fidelity for fusion (Han): per pixel the source with the smaller gain is judged.

    Args:
        fused: (B, 1, H, W) in 0..255, sides of at least 41.
        a: As ``fused``.
        b: As ``fused``.

    Returns:
        (B,), about 0..1. NaN where a source is constant: the smaller gain is then always the empty source's 0.

    Source: Han, Cai, Cao, Xu, Information Fusion 14(2), 2013; code VIFF_Public.m; facts C.5.
    """
    fused, a, b = prepare(fused, a, b)
    kept, there = fused.new_zeros(4, fused.shape[0]), fused.new_zeros(4, fused.shape[0])
    for scale, moments in _moments_of_scales(fused, a, b):
        variance = F.threshold(moments.variance, _FLOOR, 0.0)
        variance_f, variance_x = variance[:, :, :1], variance[:, :, 1:]
        gain = (moments.covariance / (variance_x + _FLOOR)).clamp_(min=0.0)
        rest = (variance_f - gain * moments.covariance).clamp_(min=_FLOOR)
        gain = gain * variance_x.sign() * variance_f.sign()
        first = gain[:, :, 0] < gain[:, :, 1]
        of_fused = gain.square() * variance_x / (rest + VIFF_NOISE)
        for total, ratio in ((kept, of_fused), (there, variance_x / VIFF_NOISE)):
            chosen = torch.where(first, ratio[:, :, 0], ratio[:, :, 1]).log1p_().add_(VIFF_CONSTANT)
            total[scale] += chosen.sum((0, 2))
    score = (kept / there * kept.new_tensor(VIFF_WEIGHTS).view(4, 1)).sum(0)
    return score.masked_fill(is_constant(a) | is_constant(b), torch.nan)

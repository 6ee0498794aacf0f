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
from upfusion_med.metrics.filters import LocalMoments, correlate, gaussian_taps, moment_strips
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
    images = torch.cat((fused, a, b), dim=1)
    for scale in range(4):
        size = 2 ** (4 - scale) + 1
        taps = gaussian_taps(size, size / 5.0)
        if scale > 0:
            images = correlate(images, taps, stride=2)
        for moments in moment_strips(images, taps):
            yield scale, moments


def _sum_of_logarithms(values: Tensor) -> Tensor:
    """Σ ln over groups and places of (groups, B, terms, places), (B, terms) float64.

    Places are multiplied in pairs before the logarithm is taken. Values of grey levels lie between 1 and 8129, so the
    products of at most 31 (in single precision 7) of them do not overflow.
    """
    for _ in range(4 if values.dtype is torch.float64 else 2):
        half = values.shape[3] // 2
        if half == 0:
            break
        folded = values[..., :half] * values[..., half : 2 * half]
        if values.shape[3] % 2:
            folded[..., 0] *= values[..., -1]
        values = folded
    return values.log().sum((0, 3), dtype=torch.float64)


def _information(moments: LocalMoments) -> Tensor:
    """What the sums of VIFp are made of, (groups, B, 7, places); overwrites the moments.

    Of a and b 1 + v/2, of a and b 1 + (v + g²σ_x²)/2, and 1 + σ²/2 of the fused image, a and b, with g = σ_xF/σ_x² and
    v = σ_F² − g σ_xF: Sheikh's 1 + g²σ_x²/(v + 2) is the quotient of the first two pairs. No quotient is formed, since
    logarithms of products are summed.
    """
    variance, covariance = torch.threshold_(moments.variance, _FLOOR, 0.0), moments.covariance.clamp_(min=0.0)
    groups, batch, _, places = variance.shape
    terms = variance.new_empty(groups, batch, 7, places)
    torch.add(variance.new_ones(()), variance, alpha=1.0 / VIFP_NOISE, out=terms[:, :, 4:])
    if variance.dtype is not torch.float64:
        # In single precision the covariance with a flat source is rounding that the division would blow up.
        covariance.mul_(variance[:, :, 1:].sign())
    # g² σ_x² is short of g σ_xF by g σ_xF · 1e-10 / (σ_x² + 1e-10), which shows where a source is all but flat.
    divisor = variance[:, :, 1:].add_(_FLOOR)
    taken = covariance.mul_(covariance).div_(divisor)
    rest = terms[:, :, :2]
    torch.add(terms[:, :, 4:5], taken, alpha=-1.0 / VIFP_NOISE, out=rest)
    rest.clamp_(min=1.0)
    torch.addcdiv(terms[:, :, 4:5], taken, divisor, value=-_FLOOR / VIFP_NOISE, out=terms[:, :, 2:4])
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
    sums = fused.new_zeros(fused.shape[0], 7)
    for _, moments in _moments_of_scales(fused.to(dtype), a.to(dtype), b.to(dtype)):
        sums += _sum_of_logarithms(_information(moments))
    kept = (sums[:, 2:4] - sums[:, :2]).masked_fill(is_constant(fused).view(-1, 1), 0.0)
    # What rounding makes of a constant source is no information.
    there = sums[:, 5:].masked_fill(torch.stack((is_constant(a), is_constant(b)), dim=1), torch.nan)
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

"""MEF-SSIM: structural similarity to the local patch that the sources together would give.

Made for multi-exposure fusion and used by fusion codes for everything; Tang's toolbox prints its three-scale product
under the name MS_SSIM, which it is not.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from upfusion_med.metrics.filters import moment_strips
from upfusion_med.metrics.images import ImageLike, is_constant, prepare
from upfusion_med.metrics.structure import WANG_TAPS, check_side

_WINDOW = len(WANG_TAPS)
_PIXELS = float(_WINDOW**2)
_MEAN_TAPS = (1.0 / _WINDOW,) * _WINDOW
_CONSTANT = (0.03 * 255.0) ** 2
_EPSILON = 2.0**-52
_LARGEST_POWER = 10.0
#: The first three of MS-SSIM's weights, divided by their sum.
SCALE_WEIGHTS = (0.0448 / 0.6305, 0.2856 / 0.6305, 0.3001 / 0.6305)


def _score(fused: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Mean over all 11×11 blocks of one scale, (B,)."""
    total = fused.new_zeros(fused.shape[0])
    sources = torch.cat((a, b), dim=1)
    strips = zip(
        moment_strips(sources, _MEAN_TAPS),
        moment_strips(sources, WANG_TAPS),
        moment_strips(torch.cat((fused, a, b), dim=1), WANG_TAPS),
        strict=True,
    )
    for plain, of_sources, with_fused in strips:
        # Squared norms of the blocks' deviations from their plain means, and their inner product.
        squared = (plain.variance * _PIXELS).clamp_(min=0.0)
        inner = plain.covariance[:, :, 0] * _PIXELS
        norms = squared.sqrt()
        both = (squared.sum(2) + 2.0 * inner).clamp_(min=0.0).sqrt_()
        consistency = (both + _EPSILON) / (norms.sum(2) + _EPSILON)
        power = torch.tan(consistency.clamp_(max=1.0 - _EPSILON) * (math.pi / 2.0)).clamp_(max=_LARGEST_POWER)
        strength = norms + 0.001
        weights = (strength / _WINDOW).pow(power.unsqueeze(2)) + _EPSILON
        parts = weights / weights.sum(2, keepdim=True) / strength
        part_a, part_b = parts[:, :, 0], parts[:, :, 1]
        length = part_a.square() * squared[:, :, 0] + part_b.square() * squared[:, :, 1] + 2.0 * part_a * part_b * inner
        length = length.clamp_(min=0.0).sqrt_()
        scale = strength.amax(2) / length.masked_fill(length == 0, 1.0)
        part_a, part_b = part_a * scale, part_b * scale
        covariance = part_a * with_fused.covariance[:, :, 0] + part_b * with_fused.covariance[:, :, 1]
        variance = (
            part_a.square() * of_sources.variance[:, :, 0]
            + part_b.square() * of_sources.variance[:, :, 1]
            + 2.0 * part_a * part_b * of_sources.covariance[:, :, 0]
        )
        score = (2.0 * covariance + _CONSTANT) / (variance + with_fused.variance[:, :, 0] + _CONSTANT)
        total += score.sum((0, 2))
    return total / ((fused.shape[-2] - _WINDOW + 1) * (fused.shape[-1] - _WINDOW + 1))


def _halve(images: Tensor) -> Tensor:
    """2×2 means of every second pixel with its right and lower neighbour; the edge is repeated."""
    height, width = images.shape[-2:]
    return F.avg_pool2d(F.pad(images, (0, width % 2, 0, height % 2), mode="replicate"), 2)


def mef_ssim(fused: ImageLike, a: ImageLike, b: ImageLike) -> Tensor:
    """MEF-SSIM on one scale.

    Args:
        fused: (B, 1, H, W) in 0..255, sides of at least 11.
        a: As ``fused``.
        b: As ``fused``.

    Returns:
        (B,) in 0..1. NaN where both sources are constant.

    Source: Ma, Zeng and Wang, IEEE TIP 24(11), 2015; facts C.4.
    """
    fused, a, b = prepare(fused, a, b)
    check_side(fused, _WINDOW, "MEF-SSIM")
    return _score(fused, a, b).masked_fill(is_constant(a) & is_constant(b), torch.nan)


def mef_ms_ssim(fused: ImageLike, a: ImageLike, b: ImageLike) -> Tensor:
    """MEF-SSIM on three scales, product of powers: what Tang's toolbox prints as "MS_SSIM".

    Args:
        fused: (B, 1, H, W) in 0..255, sides of at least 44.
        a: As ``fused``.
        b: As ``fused``.

    Returns:
        (B,) in 0..1. NaN where both sources are constant.
    """
    images = prepare(fused, a, b)
    check_side(images[0], 4 * _WINDOW, "MEF-SSIM on three scales")
    score = torch.ones_like(images[0][:, 0, 0, 0])
    constant = is_constant(images[1]) & is_constant(images[2])
    for scale, weight in enumerate(SCALE_WEIGHTS):
        if scale:
            images = tuple(_halve(x) for x in images)
        score *= _score(*images).pow(weight)
    return score.masked_fill(constant, torch.nan)

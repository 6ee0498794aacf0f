"""SSIM pooled by local weights: the indices of Piella (Q_S, Q_W, Q_E), Yang (Q_Y) and Cvejic (Q_C).

Weights rest on ratios of local variances, so areas that are flat must come out as exactly flat: variances below a
billionth of a squared grey level are rounding (the smallest true one, of a single pixel in a window's corner, is 1e-6).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from upfusion_med.metrics.filters import LocalMoments, derivative_pair, gaussian_taps, moment_strips, pairs
from upfusion_med.metrics.images import ImageLike, is_constant, prepare
from upfusion_med.metrics.structure import WANG_TAPS, check_side, similarity, ssim_constants

#: Window of Yang and Cvejic in Liu's toolbox, and the constant that keeps their SSIM from being 0/0.
YANG_TAPS = gaussian_taps(7, 1.5)
YANG_CONSTANTS = (2e-16, 2e-16)
#: Above this similarity of the sources Yang mixes both, below it the better one counts.
YANG_THRESHOLD = 0.75
_ROUNDING = 1e-9


def _cleaned(moments: LocalMoments) -> LocalMoments:
    """Moments whose rounding noise is exactly 0."""
    return LocalMoments(
        moments.mean, F.hardshrink(moments.variance, _ROUNDING), F.hardshrink(moments.covariance, _ROUNDING)
    )


class _Pooled:
    """Sums that Q_S and Q_W are made of."""

    def __init__(self, fused: Tensor, a: Tensor, b: Tensor) -> None:
        zeros = fused.new_zeros(fused.shape[0])
        quality, weighted, weights, pixels = zeros, zeros.clone(), zeros.clone(), 0
        for strip in moment_strips(torch.cat((fused, a, b), dim=1), WANG_TAPS):
            moments = _cleaned(strip)
            scores = similarity(pairs(moments), ssim_constants(255.0))
            variances = moments.variance[:, :, 1:]
            variances = variances + 0.5 * (variances.sum(2, keepdim=True) == 0)
            share = variances[:, :, 0] / variances.sum(2)
            local = share * scores[:, :, 0] + (1.0 - share) * scores[:, :, 1]
            saliency = variances.amax(2)
            quality = quality + local.sum((0, 2))
            weighted += (saliency * local).sum((0, 2))
            weights += saliency.sum((0, 2))
            pixels += local.shape[0] * local.shape[2]
        self.mean = quality / pixels
        self.by_saliency = weighted / weights


def prewitt_strength(images: Tensor) -> Tensor:
    """Edge strength from Prewitt kernels with zero padding, (B, 1, H, W)."""
    along_x, along_y = derivative_pair(F.pad(images, (1, 1, 1, 1)), centre_weight=1.0)
    return (along_x.square() + along_y.square()).sqrt_()


def piella_family(fused: ImageLike, a: ImageLike, b: ImageLike) -> dict[str, Tensor]:
    """Piella's three indices as Liu's toolbox computes them (Wang's SSIM instead of 8×8 blocks).

    Args:
        fused: (B, 1, H, W) in 0..255, sides of at least 11.
        a: As ``fused``; where only one source varies, only that one counts.
        b: As ``fused``.

    Returns:
        ``q_s``: plain mean; ``q_w``: weighted by the larger variance; ``q_w_edge``: the same on edge images; ``q_e``:
        q_w · q_w_edge, the paper's definition with α = 1 (the toolbox stops with an error there). (B,) in −1..1. NaN
        where both sources are constant.

    Source: Piella and Heijmans, ICIP 2003, code metricPeilla.m; facts C.4.
    """
    fused, a, b = prepare(fused, a, b)
    check_side(fused, len(WANG_TAPS), "Q_S, Q_W and Q_E")
    constant = is_constant(a) & is_constant(b)
    pooled, edges = _Pooled(fused, a, b), _Pooled(*(prewitt_strength(x) for x in (fused, a, b)))
    scores = {
        "q_s": pooled.mean,
        "q_w": pooled.by_saliency,
        "q_w_edge": edges.by_saliency,
        "q_e": pooled.by_saliency * edges.by_saliency,
    }
    return {key: score.masked_fill(constant, torch.nan) for key, score in scores.items()}


def yang_cvejic_family(fused: ImageLike, a: ImageLike, b: ImageLike) -> dict[str, Tensor]:
    """Yang's and Cvejic's indices, as shipped and completed.

    Args:
        fused: (B, 1, H, W) in 0..255, sides of at least 7.
        a: As ``fused``.
        b: As ``fused``.

    Returns:
        ``q_y``, ``q_c``: as Liu's toolbox computes them; NaN as soon as one 7×7 window is flat in both sources, which
        is every medical pair with an empty background; Q_C gives 1 where a source is anti-correlated (a defect).
        ``q_y_completed``: a share that is 0/0 becomes one half. ``q_c_completed``: the same, and the share is clipped
        to 0..1 as in the paper. (B,) each; the completed ones have no reference values on images with flat windows.

    Source: Yang et al., 2008, code metricYang.m; Cvejic et al., 2005, code metricCvejic.m sw=2; facts C.4.
    """
    fused, a, b = prepare(fused, a, b)
    check_side(fused, len(YANG_TAPS), "Q_Y and Q_C")
    batch = fused.shape[0]
    totals = {key: fused.new_zeros(batch) for key in ("q_y", "q_y_completed", "q_c", "q_c_completed")}
    pixels = 0
    strips = zip(
        moment_strips(torch.cat((fused, a, b), dim=1), YANG_TAPS),
        moment_strips(torch.cat((a, b), dim=1), YANG_TAPS),
        strict=True,
    )
    for with_fused, of_sources in strips:
        moments = _cleaned(with_fused)
        score_a, score_b = similarity(pairs(moments), YANG_CONSTANTS).unbind(2)
        alike = similarity(pairs(_cleaned(of_sources)), YANG_CONSTANTS)[:, :, 0] >= YANG_THRESHOLD
        best = torch.maximum(score_a, score_b)
        share = moments.variance[:, :, 1] / moments.variance[:, :, 1:].sum(2)
        completed = share.nan_to_num(nan=0.5)
        crossed = moments.covariance[:, :, 0] / moments.covariance.sum(2)
        shipped = crossed * score_a + (1.0 - crossed) * score_b
        shipped = torch.where(crossed < 0, 0.0, torch.where(crossed > 1, 1.0, shipped))
        clipped = crossed.nan_to_num(nan=0.5, posinf=1.0, neginf=0.0).clamp_(0.0, 1.0)
        maps = {
            "q_y": torch.where(alike, share * score_a + (1.0 - share) * score_b, best),
            "q_y_completed": torch.where(alike, completed * score_a + (1.0 - completed) * score_b, best),
            "q_c": shipped,
            "q_c_completed": clipped * score_a + (1.0 - clipped) * score_b,
        }
        for key, values in maps.items():
            totals[key] += values.sum((0, 2))
        pixels += best.shape[0] * best.shape[2]
    constant = is_constant(a) & is_constant(b)
    return {key: (total / pixels).masked_fill(constant, torch.nan) for key, total in totals.items()}

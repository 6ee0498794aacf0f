"""The SSIM family: structural similarity of the fused image with its sources.

SSIM's constants C1 and C2 scale with the dynamic range L. For grey levels 0..255 L is 255; several fusion codes work
with L = 1 on the same data, and so does, by its tables, the UP-Fusion paper. Both are here under their own keys and
must never be compared with each other (facts C.4).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from upfusion_med.core import InputError
from upfusion_med.metrics.filters import PairMoments, gaussian_taps, pair_moment_strips, side_by_side
from upfusion_med.metrics.images import ImageLike, mean_over_sources, prepare

#: Wang's window: 11×11 Gaussian, σ = 1.5, without padding.
WANG_TAPS = gaussian_taps(11, 1.5)
#: Weights of the five scales (Wang, Simoncelli and Bovik, 2003).
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
MS_SSIM_SMALLEST_SIDE = 161


def check_side(images: Tensor, smallest: int, metric: str) -> None:
    """Refuse images that are smaller than a metric's window.

    Raises:
        InputError: a side is below ``smallest`` pixels.
    """
    if min(images.shape[-2:]) < smallest:
        raise InputError(
            f"The images are {images.shape[-2]}×{images.shape[-1]} pixels; {metric} needs sides of at least {smallest}."
        )


def ssim_constants(dynamic_range: float) -> tuple[float, float]:
    """C1 = (0.01 L)² and C2 = (0.03 L)²."""
    return (0.01 * dynamic_range) ** 2, (0.03 * dynamic_range) ** 2


def similarity(moments: PairMoments, constants: tuple[float, float]) -> Tensor:
    """SSIM map of the first image of a strip with each of the others, (rows, B, C − 1, W'); overwrites the moments.

    (2 μ_x μ_y + C1)(2 σ_xy + C2) / ((μ_x² + μ_y² + C1)(σ_x² + σ_y² + C2)).
    """
    c1, c2 = constants
    luminance = moments.product.mul_(2.0).add_(c1), moments.squares.add_(c1)
    structure = moments.covariance.mul_(2.0).add_(c2), moments.variances.add_(c2)
    return luminance[0].mul_(structure[0]).div_(luminance[1].mul_(structure[1]))


def ssim_family(
    fused: ImageLike,
    a: ImageLike,
    b: ImageLike,
    *,
    dynamic_range: float = 255.0,
    dtype: torch.dtype = torch.float64,
) -> dict[str, Tensor]:
    """SSIM of the fused image with each source and its mean over the sources.

    Args:
        fused: (B, 1, H, W) in 0..255, sides of at least 11.
        a: As ``fused``.
        b: As ``fused``.
        dynamic_range: L of the constants. With 1 on 0..255 data the constants vanish, and SSIM measures above all
            whether the background is exactly 0; that is how the UP-Fusion paper's values come about.
        dtype: float64, or float32 for twice the speed and an error of up to 1e-4: a training log, not a table.

    Returns:
        ``ssim_a``, ``ssim_b`` and their mean ``ssim`` for L = 255; ``ssim_l1_a``, ``ssim_l1_b``, ``ssim_l1`` for L = 1.
        (B,) each in −1..1. The mean leaves a constant source out.

    Source: Wang et al., IEEE TIP 13(4), 2004, code ssim_index.m; facts C.4.
    """
    fused, a, b = prepare(fused, a, b)
    check_side(fused, len(WANG_TAPS), "SSIM")
    total = fused.new_zeros(fused.shape[0], 2)
    for moments in pair_moment_strips(side_by_side(fused, a, b).to(dtype), WANG_TAPS):
        total += similarity(moments, ssim_constants(dynamic_range)).sum((0, 3), dtype=torch.float64)
    pixels = (fused.shape[-2] - len(WANG_TAPS) + 1) * (fused.shape[-1] - len(WANG_TAPS) + 1)
    score_a, score_b = (total / pixels).unbind(1)
    key = "ssim_l1" if dynamic_range == 1.0 else "ssim"
    return {key: mean_over_sources(score_a, score_b, a, b), f"{key}_a": score_a, f"{key}_b": score_b}


def ssim(fused: ImageLike, a: ImageLike, b: ImageLike) -> Tensor:
    """SSIM with L = 255, mean over the sources, (B,). See `ssim_family`."""
    return ssim_family(fused, a, b)["ssim"]


def ms_ssim(fused: ImageLike, a: ImageLike, b: ImageLike) -> Tensor:
    """MS-SSIM over five scales with L = 255, mean over the sources; a constant source is left out.

    Between scales 2×2 means are taken; on an odd side with one row or column of zeros on both ends, as the common
    PyTorch packages have it.

    Args:
        fused: (B, 1, H, W) in 0..255, sides of at least 161.
        a: As ``fused``.
        b: As ``fused``.

    Returns:
        (B,) in 0..1.

    Source: Wang, Simoncelli and Bovik, Asilomar 2003; facts C.4.
    """
    fused, a, b = prepare(fused, a, b)
    check_side(fused, MS_SSIM_SMALLEST_SIDE, "MS-SSIM")
    images = torch.cat((fused, a, b), dim=1)
    score = fused.new_ones(fused.shape[0], 2)
    c1, c2 = ssim_constants(255.0)
    for scale, weight in enumerate(MS_SSIM_WEIGHTS):
        last = scale == len(MS_SSIM_WEIGHTS) - 1
        total = torch.zeros_like(score)
        for moments in pair_moment_strips(images, WANG_TAPS):
            if last:
                total += similarity(moments, (c1, c2)).sum((0, 3))
            else:
                total += ((2.0 * moments.covariance + c2) / (moments.variances + c2)).sum((0, 3))
        height, width = images.shape[-2:]
        pixels = (height - len(WANG_TAPS) + 1) * (width - len(WANG_TAPS) + 1)
        score *= (total / pixels).clamp_(min=0.0).pow_(weight)
        images = F.avg_pool2d(images, 2, padding=(height % 2, width % 2))
    return mean_over_sources(score[:, 0], score[:, 1], a, b)

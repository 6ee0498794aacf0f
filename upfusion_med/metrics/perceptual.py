"""Metrics with a model of contrast sensitivity, and one in a wavelet domain: Q_CB, Q_CV, Q_M of Liu's toolbox."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from upfusion_med.metrics.filters import correlate, sobel
from upfusion_med.metrics.images import ImageLike, is_constant, prepare, stretch

#: Side of the blocks of Q_CV, and the power of the edge strength that makes a block salient (metricChen.m).
CV_BLOCK = 16
CV_SALIENCY_POWER = 5
#: Weights of the two wavelet levels of Q_M (metricPWW.m).
Q_M_WEIGHTS = (2.0 / 3.0, 1.0 / 3.0)


@lru_cache(maxsize=16)
def _radius(height: int, width: int, cycles: float, device: torch.device) -> Tensor:
    """Spatial frequency of each Fourier coefficient, (H, W), zero frequency first; half the spectrum is 1/cycles."""
    v = (torch.arange(height, dtype=torch.float64) - height // 2) * 2.0 / height * (height / cycles)
    u = (torch.arange(width, dtype=torch.float64) - width // 2) * 2.0 / width * (width / cycles)
    return torch.fft.ifftshift((v.view(-1, 1).square() + u.square()).sqrt_()).to(device)


def _filtered(images: Tensor, response: Tensor) -> Tensor:
    """Images through a filter given in the Fourier domain."""
    return torch.fft.ifft2(torch.fft.fft2(images) * response).real


@lru_cache(maxsize=4)
def _plain_gaussian_taps(sigma: float) -> tuple[float, ...]:
    """Samples of the Gaussian density on −15…15; their sum is not made 1."""
    return tuple(
        math.exp(-(k * k) / (2.0 * sigma * sigma)) / (math.sqrt(2.0 * math.pi) * sigma) for k in range(-15, 16)
    )


def _masked_contrast(images: Tensor) -> Tensor:
    """Chen and Blum's contrast c³ / (c² + 1e-4) of filtered images, 0 where the neighbourhood is exactly 0."""
    centre = correlate(images, _plain_gaussian_taps(2.0), same=True)
    around = correlate(images, _plain_gaussian_taps(4.0), same=True)
    contrast = (centre / around - 1.0).abs_().nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    return contrast.pow(3) / (contrast.square() + 1e-4)


def q_cb(fused: ImageLike, a: ImageLike, b: ImageLike) -> Tensor:
    """Q_CB: preservation of contrast as seen through a contrast sensitivity filter.

    Ill-conditioned on images with an empty background: far from the object contrast is a ratio of rounding errors, and
    the third digit depends on the Fourier library.

    Args:
        fused: (B, 1, H, W) in 0..255.
        a: As ``fused``; a constant source has no contrast and no weight.
        b: As ``fused``.

    Returns:
        (B,) in 0..1. NaN where both sources are constant.

    Source: Chen and Blum, Image and Vision Computing 27(10), 2009, code metricChenBlum.m; facts C.8.
    """
    fused, a, b = prepare(fused, a, b)
    radius = _radius(*fused.shape[-2:], 30.0, fused.device)
    response = torch.exp(-((radius / 15.387) ** 2)) - 0.7622 * torch.exp(-((radius / 1.3456) ** 2))
    images = _filtered(torch.cat([stretch(x) for x in (fused, a, b)], dim=1), response)
    contrast = _masked_contrast(images)
    of_fused, of_sources = contrast[:, :1], contrast[:, 1:]
    low, high = torch.minimum(of_fused, of_sources), torch.maximum(of_fused, of_sources)
    kept = low / high.masked_fill(high == 0, 1.0)
    weight = of_sources.square()
    total = weight.sum(1)
    defined = total > 0
    score = torch.where(defined, (kept * weight).sum(1) / total, 0.0).sum((1, 2)) / defined.sum((1, 2))
    return score.masked_fill(is_constant(a) & is_constant(b), torch.nan)


def q_cv(fused: ImageLike, a: ImageLike, b: ImageLike) -> Tensor:
    """Q_CV: squared differences seen through a contrast sensitivity filter, weighted by the blocks' edges.

    Args:
        fused: (B, 1, H, W) in 0..255.
        a: As ``fused``; a constant source has no edges and no weight.
        b: As ``fused``.

    Returns:
        (B,), 0 is best, no upper end (tens to thousands). NaN where both sources are constant.

    Source: Chen and Varshney, Information Fusion 8(2), 2007, code metricChen.m; facts C.8.
    """
    fused, a, b = prepare(fused, a, b)
    constant = is_constant(a) & is_constant(b)
    fused, sources = stretch(fused), torch.cat((stretch(a), stretch(b)), dim=1)
    height, width = fused.shape[-2:]
    margins = (0, -width % CV_BLOCK, 0, -height % CV_BLOCK)
    along_x, along_y = sobel(sources)
    strength = (along_x.square() + along_y.square()).sqrt_()
    area = CV_BLOCK**2
    saliency = F.avg_pool2d(F.pad(strength.pow(CV_SALIENCY_POWER), margins), CV_BLOCK) * area
    radius = _radius(height, width, 8.0, fused.device) * 0.144
    response = 2.6 * (0.0192 + radius) * torch.exp(-(radius**1.1))
    difference = F.avg_pool2d(F.pad(_filtered(sources - fused, response).square(), margins), CV_BLOCK)
    score = (saliency * difference).sum((1, 2, 3)) / saliency.sum((1, 2, 3))
    return score.masked_fill(constant, torch.nan)


def _haar(images: Tensor) -> tuple[Tensor, Tensor]:
    """One level of the Haar transform: (low, the three detail bands stacked along dimension 1 per image).

    An odd last row or column is dropped.

    Args:
        images: (B, C, H, W).

    Returns:
        (B, C, H//2, W//2) and (B, C, 3, H//2, W//2).
    """
    height, width = images.shape[-2] // 2 * 2, images.shape[-1] // 2 * 2
    even, odd = images[..., 0:height:2, :width], images[..., 1:height:2, :width]
    low_y, high_y = (even + odd) / math.sqrt(2.0), (odd - even) / math.sqrt(2.0)

    def along_x(x: Tensor) -> tuple[Tensor, Tensor]:
        return (x[..., 0::2] + x[..., 1::2]) / math.sqrt(2.0), (x[..., 1::2] - x[..., 0::2]) / math.sqrt(2.0)

    (low_low, low_high), (high_low, high_high) = along_x(low_y), along_x(high_y)
    return low_low, torch.stack((high_low, low_high, high_high), dim=2)


def q_m(fused: ImageLike, a: ImageLike, b: ImageLike) -> Tensor:
    """Q_M: agreement of Haar detail coefficients on two levels, weighted by the sources' coefficients.

    Args:
        fused: (B, 1, H, W) in 0..255, sides of at least 4.
        a: As ``fused``; a constant source has no coefficients and no weight.
        b: As ``fused``.

    Returns:
        (B,) in 0..3, not 0..1: the three bands are summed. NaN where no source has details on a level.

    Source: Wang and Liu, 2008, code metricPWW.m; facts C.8.
    """
    fused, a, b = prepare(fused, a, b)
    low = torch.cat((fused, a, b), dim=1)
    score = fused.new_ones(fused.shape[0])
    for level_weight in Q_M_WEIGHTS:
        low, detail = _haar(low)
        agreement = torch.exp(-(detail[:, 1:] - detail[:, :1]).abs()).sum(2)
        weight = detail[:, 1:].square().sum(2)
        score *= ((agreement * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3))).pow(level_weight)
    return score

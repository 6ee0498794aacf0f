"""Losses of the published method: those of its paper, and those of the code its authors released.

Pictures are (B, 1, H, W) in 0..1. Where the two differ, both are here (facts A.2, A.8). The released code takes the
mean of red, green and blue as the visible picture in its losses; here pairs are held as BT.601 luma, and it is that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

Component = Callable[[Tensor, Tensor, Tensor], Tensor]


def l1_to_both(fused: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Mean absolute differences to each source, summed (paper eq. 5)."""
    return (fused - first).abs().mean() + (fused - second).abs().mean()


def l1_to_maximum(fused: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Mean absolute difference to the brighter source (released code, ``L_int``)."""
    return (fused - torch.maximum(first, second)).abs().mean()


def sobel_strength(x: Tensor) -> Tensor:
    """``|x * Kx| + |x * Ky|`` with zeros outside the picture, (B, 1, H, W)."""
    kernel = x.new_tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    return F.conv2d(x, torch.stack([kernel, kernel.T])[:, None], padding=1).abs().sum(1, keepdim=True)


def sobel_to_maximum(fused: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Mean absolute difference of the unsigned Sobel strength to the stronger source's (paper eq. 4, released code)."""
    target = torch.maximum(sobel_strength(first), sobel_strength(second))
    return (sobel_strength(fused) - target).abs().mean()


def ssim_zero_padded(x: Tensor, y: Tensor) -> Tensor:
    """Mean SSIM of a batch with zeros outside the picture (11x11 Gaussian, sigma 1.5, range 1), a scalar."""
    offsets = torch.arange(11, dtype=x.dtype, device=x.device) - 5
    window = torch.exp(-(offsets**2) / (2 * 1.5**2))
    window = window / window.sum()
    stacked = torch.cat([x, y, x * x, y * y, x * y], dim=1)
    weight = window.expand(5, 1, 1, 11)
    blurred = F.conv2d(F.conv2d(stacked, weight, padding=(0, 5), groups=5), weight.mT, padding=(5, 0), groups=5)
    mx, my, mxx, myy, mxy = blurred.split(1, dim=1)
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mx * my + c1) / (mx * mx + my * my + c1)
    structure = (2 * (mxy - mx * my) + c2) / (mxx - mx * mx + myy - my * my + c2)
    return (luminance * structure).mean()


def ssim_by_gradient(fused: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """One minus SSIM to both sources, weighted by the share of each in the batch's Sobel strength (released code).

    Two constant batches share alike; the released code divides zero by zero there.
    """
    strengths = torch.stack([sobel_strength(first).mean(), sobel_strength(second).mean()])
    shares = torch.where(strengths.sum() > 0, strengths / strengths.sum().clamp(min=1e-12), strengths.new_tensor(0.5))
    return 1 - (shares[0] * ssim_zero_padded(first, fused) + shares[1] * ssim_zero_padded(second, fused))


PUBLISHED: Mapping[str, Component] = {
    "l1_to_both": l1_to_both,
    "l1_to_maximum": l1_to_maximum,
    "sobel_to_maximum": sobel_to_maximum,
    "ssim_by_gradient": ssim_by_gradient,
}

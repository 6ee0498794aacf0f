"""Statistics of the fused image alone, and its correlation and error against the sources.

EN, SD, SF and AG say nothing about the sources: noise raises all four. They are here because papers print them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from upfusion_med.metrics.images import ImageLike, is_constant, mean_over_sources, prepare

#: A sum of squared deviations below this is rounding: a single pixel that is off by one level gives 1.
_NO_VARIATION = 1e-4


def standard_deviation(fused: ImageLike) -> Tensor:
    """SD: population standard deviation of the grey levels, (B,) in 0..127.5. Source: facts C.3."""
    (fused,) = prepare(fused)
    return fused.flatten(1).std(1, correction=0)


def spatial_frequency(fused: ImageLike) -> Tensor:
    """SF: root of the mean squared differences along rows plus those along columns, (B,).

    Each mean is taken over its own number of differences. Source: Eskicioglu and Fisher, 1995; facts C.3.
    """
    (fused,) = prepare(fused)
    rows = torch.diff(fused, dim=3).square_().mean((1, 2, 3))
    columns = torch.diff(fused, dim=2).square_().mean((1, 2, 3))
    return (rows + columns).sqrt_()


def _gradient_sum(fused: Tensor) -> Tensor:
    """(B,) sum of sqrt((gx² + gy²) / 2), central differences inside, one-sided at the border."""
    along_y, along_x = torch.gradient(fused, dim=(2, 3))
    return ((along_x.square() + along_y.square()) / 2.0).sqrt_().sum((1, 2, 3))


def average_gradient_family(fused: ImageLike) -> dict[str, Tensor]:
    """AG: ``ag`` divides the sum by (H − 1)(W − 1) as Tang's code does, ``ag_mean`` by H·W as CDDFuse's. (B,) each."""
    (fused,) = prepare(fused)
    height, width = fused.shape[-2:]
    total = _gradient_sum(fused)
    return {"ag": total / ((height - 1) * (width - 1)), "ag_mean": total / (height * width)}


def average_gradient(fused: ImageLike) -> Tensor:
    """AG over (H − 1)(W − 1), (B,). See `average_gradient_family`."""
    return average_gradient_family(fused)["ag"]


def pearson(x: Tensor, y: Tensor) -> Tensor:
    """Pearson correlation of two batches (B, 1, H, W): (B,) in −1..1, NaN where either is constant."""
    constant = is_constant(x) | is_constant(y)
    x, y = x.flatten(1), y.flatten(1)
    x, y = x - x.mean(1, keepdim=True), y - y.mean(1, keepdim=True)
    product = (x * y).sum(1)
    return (product / (x.square().sum(1) * y.square().sum(1)).sqrt_()).masked_fill_(constant, torch.nan)


def correlation(fused: ImageLike, a: ImageLike, b: ImageLike) -> Tensor:
    """CC: mean Pearson correlation of the fused image with the sources, (B,) in −1..1.

    A constant source is left out; NaN where the fused image or both sources are constant. Source: facts C.3.
    """
    fused, a, b = prepare(fused, a, b)
    return mean_over_sources(pearson(fused, a), pearson(fused, b), a, b)


def sum_of_correlations_of_differences(fused: ImageLike, a: ImageLike, b: ImageLike) -> Tensor:
    """SCD: r(F − B, A) + r(F − A, B), (B,) in −2..2.

    NaN where a source is constant or where the fused image equals a source up to a constant (0/0).
    Source: Aslantas and Bendes, AEÜ 69(12), 2015; facts C.3.
    """
    images = torch.cat(prepare(fused, a, b), dim=1).flatten(2)
    sums = images.sum(2)
    # Of whole levels the sums are exact, and so are those of products.
    covariance = images @ images.mT - sums.unsqueeze(2) * sums.unsqueeze(1) / images.shape[2]
    differences = images.new_tensor(((1.0, 0.0, -1.0), (1.0, -1.0, 0.0)))  # F − B, F − A
    with_images = differences @ covariance
    of_differences = (with_images * differences).sum(2)
    of_sources = covariance.diagonal(dim1=1, dim2=2)[:, 1:]
    correlations = with_images.diagonal(offset=1, dim1=1, dim2=2) / (of_differences * of_sources).sqrt()
    undefined = torch.minimum(of_differences, of_sources).amin(1) < _NO_VARIATION
    return correlations.sum(1).masked_fill(undefined, torch.nan)


def error_family(fused: ImageLike, a: ImageLike, b: ImageLike) -> dict[str, Tensor]:
    """Squared error against the sources, and what codes make of it.

    Returns:
        ``mse_255``: mean of the two mean squared errors on 0..255; ``mse``: the same on 0..1 (divided by 255²);
        ``psnr``: 10 log10(255² / mse_255) in dB, the definition; ``psnr_unit_mse``: 20 log10(255 / sqrt(mse)), the
        48.13 dB higher value that Tang's code and IVIF-ZOO print. (B,) each; PSNR of equal images is infinite.

    Source: facts C.3.
    """
    fused, a, b = prepare(fused, a, b)
    error = (torch.stack((fused - a, fused - b)).square_().mean((2, 3, 4))).mean(0)
    psnr = 10.0 * torch.log10(255.0**2 / error)
    return {
        "mse_255": error,
        "mse": error / 255.0**2,
        "psnr": psnr,
        "psnr_unit_mse": psnr + 20.0 * math.log10(255.0),
    }


def psnr(fused: ImageLike, a: ImageLike, b: ImageLike) -> Tensor:
    """PSNR in dB with peak 255 over the mean of both squared errors, (B,). See `error_family`."""
    return error_family(fused, a, b)["psnr"]


def zheng_spatial_frequency(fused: ImageLike, a: ImageLike, b: ImageLike) -> Tensor:
    """Q_SF: relative error of the fused image's spatial frequency against the stronger source's at each pixel.

    Args:
        fused: (B, 1, H, W) in 0..255.
        a: As ``fused``.
        b: As ``fused``.

    Returns:
        (B,); 0 is ideal, negative means smoother than the sources. NaN where both sources are constant.

    Source: Zheng et al., Information Fusion 8(2), 2007, code metricZheng.m; facts C.3.
    """
    fused, a, b = prepare(fused, a, b)
    pixels = fused.shape[-2] * fused.shape[-1]
    sum_fused, sum_reference = fused.new_zeros(fused.shape[0]), fused.new_zeros(fused.shape[0])
    for weight, difference in (
        (1.0, lambda x: x[..., :, 1:] - x[..., :, :-1]),
        (1.0, lambda x: x[..., 1:, :] - x[..., :-1, :]),
        (math.sqrt(0.5), lambda x: x[..., 1:, 1:] - x[..., :-1, :-1]),
        (math.sqrt(0.5), lambda x: x[..., 1:, :-1] - x[..., :-1, 1:]),
    ):
        sum_fused += weight * difference(fused).square().sum((1, 2, 3)) / pixels
        reference = torch.maximum(difference(a).abs(), difference(b).abs())
        sum_reference += weight * reference.square().sum((1, 2, 3)) / pixels
    frequency = sum_reference.sqrt()
    return ((sum_fused.sqrt() - frequency) / frequency).masked_fill(frequency == 0, torch.nan)

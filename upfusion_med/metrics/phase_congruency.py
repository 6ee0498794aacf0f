"""Q_P: phase congruency features of the sources that are found again in the fused image.

The filter bank and the sums that turn noise power into a threshold depend on the image size only and are kept.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from upfusion_med.metrics.filters import gaussian_taps, keep_freed_memory, moment_strips, place_strips
from upfusion_med.metrics.images import ImageLike, is_constant, prepare

# Settings of metricZhao.m (phasecong2 of P. Kovesi, modified); facts C.7.
SCALES = 4
ORIENTATIONS = 6
SHORTEST_WAVELENGTH = 3.0
WAVELENGTH_FACTOR = 2.1
RADIAL_SIGMA = 0.55
NOISE_K = 2.0
SPREAD_CUT_OFF = 0.5
SPREAD_GAIN = 10.0
ANGULAR_SIGMA = (math.pi / ORIENTATIONS) / 1.2
EPSILON = 1e-4
#: Pixels count as features above this phase congruency; constant of the local correlation.
FEATURE_THRESHOLD = 0.1
CORRELATION_CONSTANT = 1e-4
_WINDOW = gaussian_taps(11, 1.5)
#: Keeps a share of nothing in nothing from being 0/0, and roots from zeros, at which they are slow.
_NO_RESPONSE = 1e-30


class _Bank(NamedTuple):
    """The filters of one image size, radial times angular, and the sums that depend on them alone.

    Both parts hold each value twice, (…, H, W, 2): they multiply real and imaginary parts, and a real factor on a
    complex tensor would be converted every time.

    Attributes:
        radial: One for each scale.
        angular: One for each orientation.
        power: Per orientation, the sum of the squared filter of the finest scale.
        squares: Per orientation, Σ h² over scales and pixels of the filters' spatial responses.
        products: Per orientation, Σ h_s h_t over pairs of scales.
    """

    radial: Tensor
    angular: Tensor
    power: list[float]
    squares: list[float]
    products: list[float]


def _twice(filters: Tensor) -> Tensor:
    return filters.unsqueeze(-1).expand(*filters.shape, 2).contiguous()


@lru_cache(maxsize=4)
def _bank(height: int, width: int, device: torch.device, dtype: torch.dtype) -> _Bank:
    """The log-Gabor filters of one image size."""

    def axis(n: int) -> Tensor:
        k = torch.arange(n, dtype=torch.float64)
        return (k - (n - 1) / 2) / (n - 1) if n % 2 else (k - n / 2) / n

    y, x = torch.meshgrid(axis(height), axis(width), indexing="ij")
    radius = (x * x + y * y).sqrt()
    radius[height // 2, width // 2] = 1.0
    radius, theta = torch.fft.ifftshift(radius), torch.fft.ifftshift(torch.atan2(-y, x))
    rows = (torch.arange(height, dtype=torch.float64) - height // 2) / height
    columns = (torch.arange(width, dtype=torch.float64) - width // 2) / width
    # For odd sizes fftshift is one pixel off; the toolbox has it so.
    other = torch.fft.fftshift((rows.view(-1, 1).square() + columns.square()).sqrt())
    low_pass = 1.0 / (1.0 + (other / 0.45).pow(30))
    wavelengths = [SHORTEST_WAVELENGTH * WAVELENGTH_FACTOR**scale for scale in range(SCALES)]
    shapes = [torch.exp(-(torch.log(radius * w) ** 2) / (2.0 * math.log(RADIAL_SIGMA) ** 2)) for w in wavelengths]
    radial = torch.stack(shapes) * low_pass
    radial[:, 0, 0] = 0.0
    sine, cosine = torch.sin(theta), torch.cos(theta)
    angular = torch.empty(ORIENTATIONS, height, width, dtype=torch.float64)
    power, squares, products = [], [], []
    for orientation in range(ORIENTATIONS):
        phi = orientation * math.pi / ORIENTATIONS
        turn_sine = sine * math.cos(phi) - cosine * math.sin(phi)
        turn_cosine = cosine * math.cos(phi) + sine * math.sin(phi)
        distance = torch.atan2(turn_sine, turn_cosine).abs_()
        angular[orientation] = torch.exp(-(distance**2) / (2.0 * ANGULAR_SIGMA**2))
        filters = radial * angular[orientation]
        responses = torch.fft.ifft2(filters).real * math.sqrt(height * width)
        own = float(responses.square().sum())
        power.append(float(filters[0].square().sum()))
        squares.append(own)
        products.append((float(responses.sum(0).square().sum()) - own) / 2.0)
    by_scale, by_angle = (_twice(kind).to(device, dtype) for kind in (radial, angular))
    return _Bank(by_scale, by_angle, power, squares, products)


class FeatureMaps(NamedTuple):
    """Phase congruency and the largest and smallest moment of it over orientations, (B, H, W) each."""

    congruency: Tensor
    largest_moment: Tensor
    smallest_moment: Tensor


def _median(values: Tensor) -> float:
    """Median of all values, the mean of the middle two where their number is even."""
    flat = values.reshape(-1)
    half = flat.numel() // 2
    if flat.device.type == "cpu":
        parted = np.partition(flat.numpy(), half)
        return float(parted[half]) if flat.numel() % 2 else float((parted[:half].max() + parted[half]) / 2.0)
    upper = flat.kthvalue(half + 1).values
    return float(upper if flat.numel() % 2 else (flat.kthvalue(half).values + upper) / 2.0)


def _noise_threshold(finest_squared: Tensor, bank: _Bank, orientation: int) -> float:
    """Energy that noise alone would reach, from the squared amplitudes of the finest scale (H, W)."""
    power = _median(finest_squared) / math.log(2.0) / bank.power[orientation]
    energy = 2.0 * power * bank.squares[orientation] + 4.0 * power * bank.products[orientation]
    tau = math.sqrt(energy / 2.0)
    return (tau * math.sqrt(math.pi / 2.0) + NOISE_K * math.sqrt((2.0 - math.pi / 2.0) * tau * tau)) / 1.7


def _responses(turned: Tensor, radial: Tensor) -> list[Tensor]:
    """Even and odd response (2, H, W) at each scale, of a spectrum (H, W, 2) turned to one orientation."""
    spectra = (torch.view_as_complex(turned * filters) for filters in radial)
    responses = (torch.view_as_real(torch.fft.ifft2(spectrum)) for spectrum in spectra)
    return [response.permute(2, 0, 1).contiguous() for response in responses]


def _energy_and_amplitude(spectrum: Tensor, bank: _Bank, orientation: int) -> tuple[Tensor, Tensor]:
    """Weighted energy above noise, and the sum of amplitudes over scales, of one orientation.

    Args:
        spectrum: (H, W, 2), of the image.
        bank: The filters.
        orientation: Its number.

    Returns:
        (H, W) each.
    """
    responses = _responses(spectrum * bank.angular[orientation], bank.radial)
    mean = responses[0] + responses[1]
    for response in responses[2:]:
        mean += response
    mean_even, mean_odd = mean
    energy = (mean_even * mean_even).addcmul_(mean_odd, mean_odd)
    length = energy.sqrt().add_(EPSILON)
    energy.div_(length)
    mean.div_(length)
    amplitude, largest = torch.zeros_like(energy), torch.zeros_like(energy)
    threshold = 0.0
    for scale, (even, odd) in enumerate(responses):
        size = (even * even).addcmul_(odd, odd)
        if scale == 0:
            threshold = _noise_threshold(size, bank, orientation)
        amplitude += size.sqrt_()
        largest = torch.maximum(largest, size, out=largest)
        energy -= even.mul_(mean_odd).addcmul_(odd, mean_even, value=-1.0).abs_()
    energy.sub_(threshold).clamp_(min=0.0)
    spread = torch.div(amplitude, largest.add_(EPSILON)).div_(SCALES)
    return energy.mul_(spread.sub_(SPREAD_CUT_OFF).mul_(SPREAD_GAIN).sigmoid_()), amplitude


def _maps_of_one(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Maps of one image (H, W) float64, in single precision.

    The spectrum is taken in double precision: beside the mean grey level, which no filter lets through, the responses
    are small. Of the responses themselves seven digits suffice; Q_P then agrees with the toolbox to 1e-7.
    """
    bank = _bank(int(image.shape[0]), int(image.shape[1]), image.device, torch.float32)
    keep_freed_memory()
    spectrum = torch.view_as_real(torch.fft.fft2(image)).to(torch.float32)
    # Energy, amplitude and the three second moments, summed over orientations.
    sums = image.new_zeros(5, *image.shape, dtype=torch.float32)
    for orientation in range(ORIENTATIONS):
        energy, amplitude = _energy_and_amplitude(spectrum, bank, orientation)
        sums[0] += energy
        sums[1] += amplitude
        # An image without any response has no phase congruency; the toolbox's 0/0 spreads over the whole image.
        square = energy.div_(amplitude.clamp_(min=_NO_RESPONSE)).square_()
        cosine, sine = math.cos(orientation * math.pi / ORIENTATIONS), math.sin(orientation * math.pi / ORIENTATIONS)
        sums[2].add_(square, alpha=cosine * cosine)
        sums[3].add_(square, alpha=sine * sine)
        sums[4].add_(square, alpha=cosine * sine)
    congruency = sums[0] / sums[1].add_(EPSILON)
    x, y, z = sums[2].div_(ORIENTATIONS / 2), sums[3].div_(ORIENTATIONS / 2), sums[4].div_(ORIENTATIONS)
    root = (z * z).add_((x - y).square_()).sqrt_().add_(EPSILON)
    both = x + y
    return congruency, (both + root).div_(2.0), (both - root).div_(2.0)


def feature_maps(images: Tensor) -> FeatureMaps:
    """Phase congruency of a batch.

    Args:
        images: (B, 1, H, W) float64 in 0..255. A constant image has no features: all maps but the ±ε/2 of the moments
            are 0.

    Returns:
        Maps of seven digits, as float64.
    """
    constant = is_constant(images).tolist()
    maps = [
        _maps_of_one(torch.zeros_like(image[0]) if flat else image[0])
        for image, flat in zip(images, constant, strict=True)
    ]
    return FeatureMaps(*(torch.stack(kind).to(torch.float64) for kind in zip(*maps, strict=True)))


def q_p(fused: ImageLike, a: ImageLike, b: ImageLike, *, dtype: torch.dtype = torch.float64) -> Tensor:
    """Q_P: local correlation of phase congruency and of its moments with the sources' and their maximum's.

    It rewards emptiness (where the fused features vanish, 0/0 is taken as 1) and copies of one source: read it beside
    SSIM and VIF per source.

    Args:
        fused: (B, 1, H, W) in 0..255.
        a: As ``fused``.
        b: As ``fused``.
        dtype: Of the local correlations: float64, or float32 for less time and an error of up to 1e-4, for a training
            log, not a table. The feature maps are in single precision either way, which costs 1e-7.

    Returns:
        (B,) float64, 0.2…0.6 for fusion methods, about 1 for identical images. NaN where neither source has a feature.

    Source: Zhao, Laganière and Liu, 2007, in Liu et al., IEEE TPAMI 34(1), 2012, code metricZhao.m; facts C.7.
    """
    fused, a, b = prepare(fused, a, b)
    maps_f, maps_a, maps_b = (feature_maps(x) for x in (fused, a, b))
    from_a = maps_a.congruency > maps_b.congruency
    mask_a, mask_b = ((maps.congruency > FEATURE_THRESHOLD).to(dtype) for maps in (maps_a, maps_b))
    masks = torch.stack((mask_a, mask_b, torch.where(from_a, mask_a, mask_b)), dim=1)
    count = masks[:, 2].sum((1, 2), dtype=torch.float64)
    score = torch.ones_like(count)
    margin = len(_WINDOW) // 2
    batch, _, height, width = masks.shape
    padded = masks.new_zeros(batch, 4, height + 2 * margin, width + 2 * margin)
    inside = padded[..., margin:-margin, margin:-margin]
    for feature, of_a, of_b in zip(maps_f, maps_a, maps_b, strict=True):
        inside[:, 0] = feature
        torch.mul(of_a, mask_a, out=inside[:, 1])
        torch.mul(of_b, mask_b, out=inside[:, 2])
        torch.where(from_a, inside[:, 1], inside[:, 2], out=inside[:, 3])
        total = torch.zeros_like(count)
        for moments, mask in zip(moment_strips(padded, _WINDOW), place_strips(masks), strict=True):
            deviations = (moments.variance[:, :, :1] * moments.variance[:, :, 1:]).abs_().add_(_NO_RESPONSE).sqrt_()
            ratio = moments.covariance.add_(CORRELATION_CONSTANT).div_(deviations.add_(CORRELATION_CONSTANT))
            total += ratio.mul_(mask).amax(2).sum((0, 2), dtype=torch.float64)
        score *= total / count
    return score

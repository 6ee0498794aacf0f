"""The usual evaluator loop of fusion papers, written from the formulas: full 2-D convolutions, one metric at a time.

It is the yardstick of `upfusion bench metrics` and an independent second opinion on the values; nothing else uses it.
It has the habits of the evaluators that papers run: no separable windows for VIF, nothing shared between the sources,
sums over the sources for VIF and SSIM, SSIM with a 7×7 uniform window, MI in nats (facts C.3 to C.6, C.10).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float64]

_SOBEL_X = np.array([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
_SOBEL_Y = np.array([[1.0, 2.0, 1.0], [0.0, 0.0, 0.0], [-1.0, -2.0, -1.0]])


def _gaussian_window(size: int, sigma: float) -> Image:
    """``size`` × ``size`` Gaussian with sum 1."""
    y, x = np.mgrid[-(size // 2) : size // 2 + 1, -(size // 2) : size // 2 + 1]
    window = np.exp(-(x * x + y * y) / (2.0 * sigma * sigma))
    return window / window.sum()


def _filter(image: Image, window: Image) -> Image:
    from scipy.signal import convolve2d

    return convolve2d(image, np.rot90(window, 2), mode="valid")


def _vif_of_source(source: Image, fused: Image) -> float:
    """VIFp of one source (facts C.5)."""
    information_fused = information_source = 0.0
    for scale in range(1, 5):
        size = 2 ** (5 - scale) + 1
        window = _gaussian_window(size, size / 5.0)
        if scale > 1:
            source = _filter(source, window)[::2, ::2]
            fused = _filter(fused, window)[::2, ::2]
        mean_s, mean_f = _filter(source, window), _filter(fused, window)
        variance_s = _filter(source * source, window) - mean_s * mean_s
        variance_f = _filter(fused * fused, window) - mean_f * mean_f
        covariance = _filter(source * fused, window) - mean_s * mean_f
        variance_s[variance_s < 0] = 0
        variance_f[variance_f < 0] = 0
        gain = covariance / (variance_s + 1e-10)
        rest = variance_f - gain * covariance
        flat = variance_s < 1e-10
        gain[flat], rest[flat], variance_s[flat] = 0, variance_f[flat], 0
        flat = variance_f < 1e-10
        gain[flat], rest[flat] = 0, 0
        turned = gain < 0
        rest[turned], gain[turned] = variance_f[turned], 0
        rest[rest <= 1e-10] = 1e-10
        information_fused += np.sum(np.log(1.0 + gain * gain * variance_s / (rest + 2.0)))
        information_source += np.sum(np.log(1.0 + variance_s / 2.0))
    return float(information_fused / information_source)


def vif_sum(fused: Image, a: Image, b: Image) -> float:
    """VIFp, sum over the sources."""
    return _vif_of_source(a, fused) + _vif_of_source(b, fused)


def _edges(image: Image) -> tuple[Image, Image]:
    """Sobel strength and angle as in Hong's Q^AB/F."""
    from scipy.signal import convolve2d

    along_x = convolve2d(image, _SOBEL_X, mode="same")
    along_y = convolve2d(image, _SOBEL_Y, mode="same")
    strength = np.sqrt(along_x * along_x + along_y * along_y)
    angle = np.full(image.shape, np.pi / 2)
    some = along_x != 0
    angle[some] = np.arctan(along_y[some] / along_x[some])
    return strength, angle


def _edges_kept(source: tuple[Image, Image], fused: tuple[Image, Image]) -> Image:
    """Hong's Q map of one source."""
    (strength_s, angle_s), (strength_f, angle_f) = source, fused
    ratio = strength_f.copy()
    more, less = strength_s > strength_f, strength_s < strength_f
    ratio[more] = strength_f[more] / strength_s[more]
    ratio[less] = strength_s[less] / strength_f[less]
    alike = 1.0 - np.abs(angle_s - angle_f) / (np.pi / 2)
    strength = 0.9994 / (1.0 + np.exp(-15.0 * (ratio - 0.5)))
    return strength * 0.9879 / (1.0 + np.exp(-22.0 * (alike - 0.8)))


def q_abf(fused: Image, a: Image, b: Image) -> float:
    """Q^AB/F in Hong's form."""
    of_fused, of_a, of_b = _edges(fused), _edges(a), _edges(b)
    kept = _edges_kept(of_a, of_fused) * of_a[0] + _edges_kept(of_b, of_fused) * of_b[0]
    return float(np.sum(kept) / np.sum(of_a[0] + of_b[0]))


def _ssim_of_source(source: Image, fused: Image) -> float:
    """SSIM of one source with a 7×7 uniform window, sample variances, border cropped, L = 255."""
    from scipy.ndimage import uniform_filter

    c1, c2, unbiased = 6.5025, 58.5225, 49.0 / 48.0
    mean_s, mean_f = uniform_filter(source, 7), uniform_filter(fused, 7)
    variance_s = unbiased * (uniform_filter(source * source, 7) - mean_s * mean_s)
    variance_f = unbiased * (uniform_filter(fused * fused, 7) - mean_f * mean_f)
    covariance = unbiased * (uniform_filter(source * fused, 7) - mean_s * mean_f)
    top = (2 * mean_s * mean_f + c1) * (2 * covariance + c2)
    score = top / ((mean_s**2 + mean_f**2 + c1) * (variance_s + variance_f + c2))
    return float(np.mean(score[3:-3, 3:-3]))


def ssim_sum(fused: Image, a: Image, b: Image) -> float:
    """SSIM with a 7×7 uniform window and L = 255, sum over the sources."""
    return _ssim_of_source(a, fused) + _ssim_of_source(b, fused)


def _pearson(x: Image, y: Image) -> float:
    x, y = x - x.mean(), y - y.mean()
    return float(np.sum(x * y) / np.sqrt(np.sum(x * x) * np.sum(y * y)))


def scd(fused: Image, a: Image, b: Image) -> float:
    """Sum of the correlations of differences."""
    return _pearson(fused - b, a) + _pearson(fused - a, b)


def _entropy(histogram: NDArray[Any]) -> float:
    p = histogram[histogram > 0] / histogram.sum()
    return float(-np.sum(p * np.log(p)))


def _mutual_information(x: Image, y: Image) -> float:
    edges = np.arange(257) - 0.5
    joint = np.histogram2d(x.ravel(), y.ravel(), bins=(edges, edges))[0]
    return _entropy(joint.sum(0)) + _entropy(joint.sum(1)) - _entropy(joint)


def mi_nats(fused: Image, a: Image, b: Image) -> float:
    """Mutual information in nats, sum over the sources."""
    return _mutual_information(a, fused) + _mutual_information(b, fused)


#: Name → function, in the order of the usual loop.
REFERENCE_METRICS = {"vif_sum": vif_sum, "q_abf": q_abf, "ssim_sum": ssim_sum, "scd": scd, "mi_nats": mi_nats}


def evaluate(fused: Image, a: Image, b: Image) -> dict[str, float]:
    """VIF, Q^AB/F, SSIM, SCD and MI, one after the other.

    Args:
        fused: (H, W) float64 in 0..255.
        a: As ``fused``.
        b: As ``fused``.
    """
    return {name: function(fused, a, b) for name, function in REFERENCE_METRICS.items()}

from __future__ import annotations

import math

import numpy as np
import pytest

from upfusion_med.metrics.statistics import (
    average_gradient_family,
    correlation,
    error_family,
    spatial_frequency,
    standard_deviation,
    sum_of_correlations_of_differences,
    zheng_spatial_frequency,
)


def test_a_ramp_has_its_slope_as_gradient_and_frequency() -> None:
    ramp = np.tile(np.arange(20.0) * 3, (10, 1))
    assert spatial_frequency(ramp).item() == pytest.approx(3.0)
    gradients = average_gradient_family(ramp)
    assert gradients["ag_mean"].item() == pytest.approx(3.0 / math.sqrt(2))
    assert gradients["ag"].item() == pytest.approx(3.0 / math.sqrt(2) * 200 / (19 * 9))


def test_standard_deviation_is_that_of_the_population() -> None:
    image = np.array([[0.0, 10.0], [0.0, 10.0]])
    assert standard_deviation(image).item() == pytest.approx(5.0)


def test_errors_and_peak_ratio_follow_their_definitions() -> None:
    a, b = np.full((8, 8), 100.0), np.full((8, 8), 110.0)
    fused = np.full((8, 8), 104.0)
    scores = error_family(fused, a, b)
    assert scores["mse_255"].item() == pytest.approx((16 + 36) / 2)
    assert scores["mse"].item() == pytest.approx(26 / 255**2)
    assert scores["psnr"].item() == pytest.approx(10 * math.log10(255**2 / 26))
    assert scores["psnr_unit_mse"].item() - scores["psnr"].item() == pytest.approx(48.1308, abs=1e-4)


def test_the_average_of_independent_sources_loses_no_difference(small_pair: tuple[np.ndarray, ...]) -> None:
    _, a, b = small_pair
    assert sum_of_correlations_of_differences(a + b, a, b).item() == pytest.approx(2.0, abs=1e-12)
    assert correlation(a, a, a).item() == pytest.approx(1.0)


def test_a_difference_that_is_constant_leaves_the_sum_undefined(small_pair: tuple[np.ndarray, ...]) -> None:
    _, a, b = small_pair
    assert sum_of_correlations_of_differences(a, a, b).isnan().item()
    assert sum_of_correlations_of_differences(a + 3, a, b).isnan().item()
    assert not sum_of_correlations_of_differences(a // 2, a, b).isnan().item()


def test_correlation_agrees_with_numpy(small_pair: tuple[np.ndarray, ...]) -> None:
    fused, a, b = small_pair
    expected = sum(np.corrcoef(fused.ravel(), x.ravel())[0, 1] for x in (a, b)) / 2
    assert correlation(fused, a, b).item() == pytest.approx(expected, rel=1e-12)
    expected = sum(np.corrcoef((fused - x).ravel(), y.ravel())[0, 1] for x, y in ((b, a), (a, b)))
    assert sum_of_correlations_of_differences(fused, a, b).item() == pytest.approx(expected, rel=1e-10)


def test_a_smoother_image_has_a_negative_frequency_error(small_pair: tuple[np.ndarray, ...]) -> None:
    _, a, _ = small_pair
    assert zheng_spatial_frequency(a, a, a).item() == pytest.approx(0.0, abs=1e-12)
    assert zheng_spatial_frequency(a / 2, a, a).item() == pytest.approx(-0.5)
    assert zheng_spatial_frequency(np.zeros_like(a), a, a).item() == -1.0

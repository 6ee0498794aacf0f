from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from upfusion_med.core import InputError
from upfusion_med.metrics.filters import gaussian_taps
from upfusion_med.metrics.unexplained import (
    NOISE_VARIANCE,
    WINDOW_SIGMA,
    WINDOW_SIZE,
    unexplained_structure,
)

SIDE = 96


def textured(seed: int, smooth: float = 1.5) -> np.ndarray:
    """Grey levels around 120 with a standard deviation of about 30."""
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal((SIDE, SIDE)), smooth)
    return np.clip(np.rint(120 + 30 * noise / noise.std()), 0, 255)


def half_flat(seed: int) -> np.ndarray:
    """Texture on the left, one level on the right."""
    image = textured(seed)
    image[:, SIDE // 2 :] = 90
    return image


def blob(height: float = 40.0, sigma: float = 3.0) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE]
    return height * np.exp(-((y - SIDE / 2) ** 2 + (x - 3 * SIDE / 4) ** 2) / (2 * sigma**2))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), weights=st.tuples(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6)))
def test_a_rounded_mixture_of_the_sources_leaves_exactly_nothing(seed: int, weights: tuple[float, float]) -> None:
    a, b = textured(seed), textured(seed + 1000, 4.0)
    found = unexplained_structure(np.rint(weights[0] * a + weights[1] * b + 100), a, b)
    assert not found.deviation.any()
    assert found.largest_patch == 0


@pytest.mark.parametrize("fused", ["a", "b", "average"])
def test_copies_and_the_average_leave_exactly_nothing(fused: str) -> None:
    a, b = textured(0), half_flat(1)
    found = unexplained_structure({"a": a, "b": b, "average": np.rint((a + b) / 2)}[fused], a, b)
    assert found.share == 0
    assert not found.deviation.any()
    assert found.largest_patch == 0


def test_weights_that_change_slowly_leave_almost_nothing() -> None:
    a, b = textured(0), textured(1)
    share = np.linspace(0, 1, SIDE)[None]
    assert unexplained_structure(share * a + (1 - share) * b, a, b).share < 0.5


def test_a_blob_where_both_sources_are_flat_has_its_own_energy() -> None:
    a, b = half_flat(0), half_flat(1)
    average = (a + b) / 2
    found = unexplained_structure(average + blob(), a, b)
    taps = np.array(gaussian_taps(WINDOW_SIZE, WINDOW_SIGMA))
    window = np.outer(taps, taps)

    def variance(image: np.ndarray) -> np.ndarray:
        views = np.lib.stride_tricks.sliding_window_view(np.pad(image, WINDOW_SIZE // 2, mode="reflect"), window.shape)
        mean = (views * window).sum((2, 3))
        return (views**2 * window).sum((2, 3)) - mean**2

    expected = np.maximum(variance(blob()) - NOISE_VARIANCE, 0)
    right = np.s_[:, SIDE // 2 + WINDOW_SIZE :]
    np.testing.assert_allclose(found.deviation[right] ** 2, expected[right], atol=1e-6)
    assert found.share == pytest.approx(100 * expected.sum() / variance(average + blob()).sum(), rel=0.01)
    assert found.patches[SIDE // 2, 3 * SIDE // 4 + 4]
    assert 100 < found.largest_patch < 600


def test_a_blob_in_one_source_is_explained() -> None:
    a, b = half_flat(0) + blob(), half_flat(1)
    found = unexplained_structure(0.5 * a + 0.5 * b, a, b)
    assert found.share == 0
    assert not found.patches.any()


def test_independent_noise_is_unexplained_but_for_what_chance_fits() -> None:
    a, b = textured(0), textured(1)
    sigma = 10.0
    noise = sigma * np.random.default_rng(2).standard_normal(a.shape)
    found = unexplained_structure((a + b) / 2 + noise, a, b)
    taps = np.array(gaussian_taps(WINDOW_SIZE, WINDOW_SIGMA))
    independent = 1 / (taps**2).sum() ** 2
    # One degree of freedom goes to each of the three coefficients.
    expected = sigma**2 * (1 - 3 / independent) - NOISE_VARIANCE
    assert (found.deviation**2).mean() == pytest.approx(expected, rel=0.1)


def test_the_maximum_rule_leaves_its_seams_and_nowhere_else() -> None:
    a, b = textured(0), textured(1)
    found = unexplained_structure(np.maximum(a, b), a, b)
    seams = np.zeros(a.shape, dtype=bool)
    seams[:, 1:] |= (a > b)[:, 1:] != (a > b)[:, :-1]
    seams[1:] |= (a > b)[1:] != (a > b)[:-1]
    reach = WINDOW_SIZE // 2 + 1
    padded = np.pad(seams, reach)
    near = np.lib.stride_tricks.sliding_window_view(padded, (2 * reach + 1,) * 2).any((2, 3))
    assert found.share > 0.5
    assert not found.deviation[~near].any()


def test_structure_in_the_background_counts() -> None:
    a = np.zeros((SIDE, SIDE))
    a[:, : SIDE // 2] = textured(0)[:, : SIDE // 2]
    assert unexplained_structure(a + blob(), a, a).share > 0
    assert np.isnan(unexplained_structure(np.full_like(a, 7.0), a, a).share)


def test_images_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="one shape"):
        unexplained_structure(np.zeros((20, 20)), np.zeros((20, 21)), np.zeros((20, 20)))
    with pytest.raises(InputError, match="at least 11×11"):
        unexplained_structure(*np.zeros((3, 10, 30)))
    with pytest.raises(InputError, match="not finite"):
        unexplained_structure(*np.full((3, 20, 20), np.nan))

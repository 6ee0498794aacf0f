from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import sobel as scipy_sobel
from scipy.signal import correlate2d

from upfusion_med.metrics.filters import (
    correlate,
    gaussian_taps,
    moment_strips,
    pair_moment_strips,
    pairs,
    place_strips,
    row_strips,
    side_by_side,
    sobel,
)


def by_scipy(image: np.ndarray, taps: tuple[float, ...], stride: int, same: bool) -> np.ndarray:
    window = np.outer(taps, taps)
    return correlate2d(image, window, mode="same" if same else "valid")[::stride, ::stride]


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(17, 90),
    width=st.integers(17, 90),
    taps=st.sampled_from([3, 5, 7, 9, 11, 17]),
    stride=st.sampled_from([1, 2]),
    same=st.booleans(),
    seed=st.integers(0, 99),
)
def test_correlation_equals_scipys(height: int, width: int, taps: int, stride: int, same: bool, seed: int) -> None:
    if same and stride == 2:
        return
    window = gaussian_taps(taps, taps / 5.0)
    images = np.random.default_rng(seed).uniform(0, 255, (2, 3, height, width))
    ours = correlate(torch.from_numpy(images), window, stride=stride, same=same)
    for image in range(2):
        for channel in range(3):
            expected = by_scipy(images[image, channel], window, stride, same)
            assert np.allclose(ours[image, channel].numpy(), expected, rtol=0, atol=1e-10)


def test_windows_that_are_not_symmetric_are_not_turned() -> None:
    taps = (1.0, 2.0, 4.0)
    image = np.random.default_rng(1).uniform(0, 9, (9, 8))
    ours = correlate(torch.from_numpy(image)[None, None], taps)[0, 0].numpy()
    assert np.allclose(ours, by_scipy(image, taps, 1, False))


def test_exact_zeros_stay_exact() -> None:
    image = torch.zeros(1, 1, 60, 60, dtype=torch.float64)
    image[..., 30:, 30:] = 200.0
    result = correlate(image, gaussian_taps(11, 1.5), same=True)[0, 0]
    assert (result[:25] == 0).all()
    assert (result[30:, 30:] > 0).all()


@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize("shape", [(61, 53), (130, 240), (20, 19), (150, 256)])
def test_moments_equal_those_of_whole_maps(shape: tuple[int, int], same: bool) -> None:
    images = torch.from_numpy(np.random.default_rng(2).uniform(0, 255, (2, 3, *shape)))
    taps = gaussian_taps(11, 1.5)

    def smooth(x: torch.Tensor) -> torch.Tensor:
        return correlate(x, taps, same=same)

    mean, variance = smooth(images), smooth(images**2) - smooth(images) ** 2
    covariance = smooth(images[:, :1] * images[:, 1:]) - mean[:, :1] * mean[:, 1:]
    places = torch.arange(mean[:, 0].numel(), dtype=torch.float64).view(2, 1, *mean.shape[2:])
    expected = zip(*(place_strips(x) for x in (mean, variance, covariance, places)), strict=True)
    seen: list[float] = []
    for strip, (of_mean, of_variance, of_covariance, place) in zip(
        moment_strips(images, taps, same=same), expected, strict=True
    ):
        assert torch.allclose(strip.mean, of_mean, atol=1e-10)
        assert torch.allclose(strip.variance, of_variance, atol=1e-8)
        assert torch.allclose(strip.covariance, of_covariance, atol=1e-8)
        seen += place.flatten().tolist()
    assert sorted(seen) == list(range(mean[:, 0].numel()))


@pytest.mark.parametrize("shape", [(61, 53), (150, 256)])
def test_moments_of_pairs_are_those_of_their_images(shape: tuple[int, int]) -> None:
    images = torch.from_numpy(np.random.default_rng(3).uniform(0, 255, (2, 3, *shape)))
    taps = gaussian_taps(11, 1.5)
    for together, apart in zip(pair_moment_strips(images, taps), moment_strips(images, taps), strict=True):
        for ours, expected in zip(together, pairs(apart), strict=True):
            assert torch.allclose(ours, expected, rtol=0, atol=1e-9)


def test_images_side_by_side_are_stacked_ones_in_another_order_of_memory() -> None:
    first, second = torch.rand(2, 3, 1, 5, 7).unbind()
    images = side_by_side(first, second)
    assert torch.equal(images, torch.cat((first, second), dim=1))
    assert images.permute(2, 0, 1, 3).is_contiguous()


def test_gaussian_window_sums_to_one_and_matches_its_formula() -> None:
    taps = gaussian_taps(11, 1.5)
    assert sum(taps) == pytest.approx(1.0, abs=1e-15)
    assert taps[0] / taps[5] == pytest.approx(np.exp(-25 / 4.5))


def test_sobel_points_right_and_down() -> None:
    image = np.random.default_rng(3).uniform(0, 255, (12, 13))
    along_x, along_y = sobel(torch.from_numpy(image)[None, None])
    assert np.allclose(along_x[0, 0].numpy(), scipy_sobel(image, axis=1, mode="constant"))
    assert np.allclose(along_y[0, 0].numpy(), scipy_sobel(image, axis=0, mode="constant"))


def test_row_strips_tile_the_image() -> None:
    padded = torch.arange(302.0).view(1, 1, 302, 1)
    windows = torch.cat([strip[:, :, :-2] for strip in row_strips(padded, overlap=2)], dim=2)
    assert windows.flatten().tolist() == list(range(300))

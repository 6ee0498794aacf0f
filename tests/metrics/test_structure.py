from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from upfusion_med.core import InputError
from upfusion_med.metrics.structure import ms_ssim, ssim, ssim_family


def by_scikit_image(x: np.ndarray, y: np.ndarray, dynamic_range: float) -> float:
    """Mean of the inner part of the Gaussian SSIM map, where no border reaches."""
    _, full = structural_similarity(
        x, y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=dynamic_range, full=True
    )
    return float(full[5:-5, 5:-5].mean())


@pytest.mark.parametrize("dynamic_range", [255.0, 1.0])
def test_similarity_equals_scikit_images(small_pair: tuple[np.ndarray, ...], dynamic_range: float) -> None:
    fused, a, b = small_pair
    scores = ssim_family(fused, a, b, dynamic_range=dynamic_range)
    key = "ssim" if dynamic_range == 255 else "ssim_l1"
    expected = [by_scikit_image(x, fused, dynamic_range) for x in (a, b)]
    assert scores[f"{key}_a"].item() == pytest.approx(expected[0], rel=1e-9)
    assert scores[key].item() == pytest.approx(sum(expected) / 2, rel=1e-9)


def test_background_that_is_not_exactly_zero_ruins_only_the_one_with_unit_range() -> None:
    a = np.zeros((64, 64))
    a[20:44, 20:44] = np.random.default_rng(0).integers(50, 255, (24, 24))
    noise = np.random.default_rng(1).integers(0, 4, a.shape)
    dirty = np.where(a == 0, noise, a)
    assert ssim(dirty, a, a).item() > 0.8
    assert ssim_family(dirty, a, a, dynamic_range=1.0)["ssim_l1"].item() < 0.5


def test_equal_images_score_one_and_inverted_ones_below_zero(small_pair: tuple[np.ndarray, ...]) -> None:
    _, a, _ = small_pair
    assert ssim(a, a, a).item() == pytest.approx(1.0, abs=1e-12)
    assert ssim(255 - a, a, a).item() < 0


def test_a_constant_source_is_left_out_of_the_mean(small_pair: tuple[np.ndarray, ...]) -> None:
    fused, a, _ = small_pair
    flat = np.full_like(a, 30.0)
    scores = ssim_family(fused, a, flat)
    assert scores["ssim"].item() == scores["ssim_a"].item()
    assert ssim_family(fused, flat, flat)["ssim"].isnan().item()


def test_single_precision_differs_little(small_pair: tuple[np.ndarray, ...]) -> None:
    double, single = (ssim_family(*small_pair, dtype=t)["ssim"] for t in (torch.float64, torch.float32))
    assert single.dtype is torch.float64
    assert single.item() == pytest.approx(double.item(), abs=1e-4)
    assert single.item() != double.item()


def test_images_smaller_than_the_window_are_refused() -> None:
    with pytest.raises(InputError, match="at least 11"):
        ssim(*np.zeros((3, 10, 40)))
    with pytest.raises(InputError, match="at least 161"):
        ms_ssim(*np.zeros((3, 160, 200)))


def test_multi_scale_similarity_of_equal_images_is_one() -> None:
    image = np.random.default_rng(3).integers(0, 256, (171, 165)).astype(float)
    assert ms_ssim(image, image, image).item() == pytest.approx(1.0, abs=1e-10)
    assert 0 < ms_ssim(image // 2, image, image).item() < 1


def test_a_batch_gives_what_its_images_give_alone(small_pair: tuple[np.ndarray, ...]) -> None:
    batch = [torch.from_numpy(np.stack([x, x[::-1].copy() // 2, x]))[:, None] for x in small_pair]
    together = ssim(*batch)
    alone = [ssim(*(x[k : k + 1] for x in batch)).item() for k in range(3)]
    assert together.tolist() == pytest.approx(alone, rel=1e-13)

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from upfusion_med.core import UsageError
from upfusion_med.training.objective import loss_parts
from upfusion_med.training.published_losses import PUBLISHED


@pytest.fixture
def images() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    smooth = [ndimage.gaussian_filter(rng.random((2, 1, 80, 96)), (0, 0, 1, 1)) for _ in range(3)]
    return tuple(torch.from_numpy(x.astype(np.float32)) for x in smooth)


def strength(image):
    kernel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], float)
    return sum(
        np.abs(np.stack([ndimage.correlate(x[0], k, mode="constant")[None] for x in image])) for k in (kernel, kernel.T)
    )


def similarity(x, y):
    """SSIM with a Gaussian of 11 pixels and zeros outside, by scipy."""

    def blur(z):
        return np.stack([ndimage.gaussian_filter(p[0], 1.5, radius=5, mode="constant")[None] for p in z])

    mx, my = blur(x), blur(y)
    vx, vy, cov = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
    score = (2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
    return score.mean()


def test_each_published_loss_is_the_formula_of_its_source(images):
    fused, first, second = images
    f, a, b = (x.double().numpy() for x in images)
    share = strength(a).mean() / (strength(a).mean() + strength(b).mean())
    truth = {
        "l1_to_both": np.abs(f - a).mean() + np.abs(f - b).mean(),
        "l1_to_maximum": np.abs(f - np.maximum(a, b)).mean(),
        "sobel_to_maximum": np.abs(strength(f) - np.maximum(strength(a), strength(b))).mean(),
        "ssim_by_gradient": 1 - (share * similarity(a, f) + (1 - share) * similarity(b, f)),
    }
    assert set(truth) == set(PUBLISHED)
    for name, value in truth.items():
        assert PUBLISHED[name](fused, first, second).item() == pytest.approx(value, rel=1e-4), name


def test_black_pictures_have_finite_losses_and_gradients():
    black = torch.zeros(1, 1, 32, 32)
    fused = torch.full_like(black, 0.1, requires_grad=True)
    sum(loss(fused, black, black) for loss in PUBLISHED.values()).backward()
    assert torch.isfinite(fused.grad).all()


def test_only_losses_with_a_weight_are_worked_out(images):
    half = torch.full((2,), 0.5)
    assert set(loss_parts(*images, half, 0, {"l1_to_both": 1.0})) == {"l1_to_both"}
    mixed = loss_parts(*images, half, 0, {"l1_to_both": 1.0, "ssim": 1.0})
    assert set(mixed) == {"l1_to_both", "ssim"}
    with pytest.raises(UsageError, match="sism"):
        loss_parts(*images, half, 0, {"sism": 1.0})


def test_factors_are_what_each_sample_counts(images):
    half, weights = torch.full((2,), 0.5), {"ssim": 1.0, "edges": 1.0}
    each = [loss_parts(*(x[i : i + 1] for x in images), half[:1], 0, weights) for i in (0, 1)]
    factors = torch.tensor([[2.0, 1.0], [0.0, 3.0]])
    found = loss_parts(*images, half, 0, weights, factors)
    assert found["ssim"].item() == pytest.approx(each[0]["ssim"].item(), rel=1e-5)
    assert found["edges"].item() == pytest.approx((each[0]["edges"] + 3 * each[1]["edges"]).item() / 2, rel=1e-5)
    with pytest.raises(UsageError, match="l1_to_both"):
        loss_parts(*images, half, 0, {"l1_to_both": 1.0}, torch.full((2, 1), 2.0))

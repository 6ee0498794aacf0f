from __future__ import annotations

import pytest
import torch

from upfusion_med.core import UsageError
from upfusion_med.metrics import compute
from upfusion_med.metrics.unexplained import unexplained_structure
from upfusion_med.training import losses
from upfusion_med.training.objective import loss_parts


@pytest.fixture
def images() -> tuple[torch.Tensor, torch.Tensor]:
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(80.0), indexing="ij")
    a = 0.5 + 0.3 * torch.sin(x / 3) * torch.cos(y / 5)
    b = 0.4 + 0.3 * torch.cos(x / 9 + y / 4)
    return a[None, None], b[None, None]


def test_ssim_and_vif_agree_with_the_metrics(images):
    a, b = (torch.round(255 * x) / 255 for x in images)
    fused = torch.round(255 * torch.maximum(a, b)) / 255
    scores = compute(*(255 * x[0, 0].double().numpy() for x in (fused, a, b)), names=["ssim_a", "vif_a", "vif_b"])
    assert losses.ssim(fused, a).item() == pytest.approx(scores["ssim_a"], rel=1e-3)
    assert losses.vif(a, fused).item() == pytest.approx(scores["vif_a"], rel=1e-3)
    assert losses.vif(b, fused).item() == pytest.approx(scores["vif_b"], rel=1e-3)


def test_ssim_of_dark_pictures_agrees_with_the_metric(images):
    a, b = (torch.round(6 * x) / 255 for x in images)
    score = compute(*(255 * x[0, 0].double().numpy() for x in (a, b, b)), names=["ssim_a"])["ssim_a"]
    assert 0.1 < score < 0.9
    assert losses.ssim(a, b).item() == pytest.approx(score, rel=1e-3)


def test_identical_pictures_cost_nothing(images):
    a, _ = images
    parts = losses.components(a, a, a, torch.tensor([0.5]))
    assert all(value.item() == pytest.approx(0, abs=2e-3) for value in parts.values())


def test_a_copy_is_out_of_balance_and_the_emphasis_says_which_source_counts(images):
    a, b = images
    copy = losses.components(a, a, b, torch.tensor([0.5]))
    assert copy["balance"].item() > 0.5
    assert losses.components(b, a, b, torch.tensor([0.5]))["balance"].item() > 0.5
    only_a, only_b = (losses.components(a, a, b, torch.tensor([e]))["vif"].item() for e in (1.0, 0.0))
    assert only_a < 0.01
    assert only_b > 0.5
    ssim = [losses.components(a, a, b, torch.tensor([e]))["ssim"].item() for e in (1.0, 0.25)]
    assert ssim == pytest.approx([0, 0.75 * (1 - losses.ssim(a, b).item())], abs=1e-5)


def test_the_total_weighs_the_components_that_have_a_weight():
    parts = {"edges": torch.tensor(0.5), "ssim": torch.tensor(0.25), "vif": torch.tensor(7.0)}
    assert losses.total(parts, {"edges": 3.0, "ssim": 2.0}).item() == 2.0


def test_gradients_are_finite_on_black_and_constant_pictures():
    black = torch.zeros(1, 1, 64, 64)
    fused = torch.full_like(black, 0.1, requires_grad=True)
    parts = losses.components(fused, black, black, torch.tensor([0.5]))
    sum(value.mean() for value in parts.values()).backward()
    assert torch.isfinite(fused.grad).all()


@pytest.mark.parametrize("name", ["vif", "balance", "one_sided"])
def test_crops_too_small_for_a_component_are_told(name):
    share = torch.tensor([0.5])
    small, enough = torch.rand(1, 1, 40, 40), torch.rand(1, 1, 41, 41)
    with pytest.raises(UsageError, match=f"'side' is 40; the loss {name} needs crops of at least 41"):
        loss_parts(small, small, small, share, 0, {name: 1.0})
    assert loss_parts(enough, enough, enough, share, 0, {name: 1.0})[name].isfinite()
    assert loss_parts(small, small, small, share, 0, {"ssim": 1.0})["ssim"].isfinite()


@pytest.fixture
def ramps() -> tuple[torch.Tensor, torch.Tensor]:
    """A rise of 0.004 a pixel to the right over 32 columns, and one of 0.002 a pixel down over 16 rows."""
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(32.0), indexing="ij")
    return (0.2 + 0.004 * x)[None, None], (0.3 + 0.002 * y)[None, None]


def test_intensity_is_the_distance_to_the_brighter_source(ramps):
    a, b = ramps
    for offset in (0.1, -0.2):
        assert losses.intensity(torch.maximum(a, b) + offset, a, b).item() == pytest.approx(abs(offset), rel=1e-5)


def test_gradient_wants_each_direction_of_the_source_that_is_stronger_in_it(ramps):
    a, b = ramps
    for falling in ((), (2,), (3,), (2, 3)):
        first, second = a.flip(falling), b.flip(falling)
        assert losses.gradient(first + second, first, second).item() == pytest.approx(0, abs=1e-6)
        assert losses.gradient(first + second, second, first).item() == pytest.approx(0, abs=1e-6)
    downwards = 8 * 0.002 * 15 / 16  # half of that at the first and the last row
    assert losses.gradient(a, a, b).item() == pytest.approx(downwards / 2, rel=1e-4)
    assert losses.gradient(a - b, a, b).item() == pytest.approx(downwards, rel=1e-4)


def test_edges_and_contours_of_a_ramp_that_is_lost(ramps):
    a, _ = ramps
    flat = torch.full_like(a, 0.5)
    rises = [0.004 * 2**k for k in range(3)]
    inner = [1 - 2 / (32 / 2**k) for k in range(3)]  # the first and the last column see half of it
    lengths = [r * (w + (1 - w) / 2) for r, w in zip(rises, inner, strict=True)]
    for pair in ((a, flat), (flat, a)):
        assert losses.edges(flat, *pair).item() == pytest.approx(sum(lengths), rel=1e-3)
    shares = [
        w * 8 * r / (8 * r + losses.FAINT) + (1 - w) * 4 * r / (4 * r + losses.FAINT)
        for r, w in zip(rises[:2], inner, strict=False)
    ]
    for pair in ((a, flat), (flat, a)):
        assert losses.contours(flat, *pair).item() == pytest.approx(sum(shares) / 2, rel=1e-3)


def test_edges_want_the_stronger_source_whole(images):
    a, b = images
    faint = 0.5 + 0.1 * (b - 0.5)
    of_strong = losses.edges(a, a, faint).item()
    assert of_strong < losses.edges(faint, a, faint).item()
    shifted = losses.edges(a + 0.1, a, faint).item()
    assert shifted == pytest.approx(of_strong, abs=1e-3)


def test_only_darkening_below_the_brighter_source_counts_as_brightness_lost(images):
    a, b = images
    bright = torch.maximum(a, b)
    assert losses.brightness_lost(bright + 0.1, a, b).item() == 0
    assert losses.brightness_lost(bright - 0.1, a, b).item() == pytest.approx(
        0.1 * (bright * bright).mean().item(), rel=1e-5
    )


def test_instability_is_the_change_beyond_that_of_the_sources(images):
    a, b = images
    first, second = torch.cat([a, a + 0.05]), torch.cat([b, b + 0.02])
    assert losses.instability(torch.maximum(first, second), first, second, 1).mean().item() == pytest.approx(
        0, abs=1e-6
    )
    jumping = torch.cat([a, a + 0.25])
    assert losses.instability(jumping, first, second, 1).mean().item() == pytest.approx(0.2, abs=1e-6)
    assert not losses.instability(jumping, first, second, 0).any()


def test_instability_compares_the_last_samples_with_the_first():
    fused, first, second = torch.rand(3, 5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    beyond = []
    for k in range(2):
        f, a, b = ((x[3 + k] - x[k]).abs() for x in (fused, first, second))
        beyond.append((f - torch.maximum(a, b)).clamp(min=0).mean().item())
    found = losses.instability(fused, first, second, 2)
    assert found.shape == (5,)
    assert found.mean().item() == pytest.approx(sum(beyond) / 2, rel=1e-5)


def test_contours_count_faint_structure_as_much_as_strong(images):
    a, _ = images
    flat = torch.full_like(a, 0.5)
    faint = 0.5 + 0.1 * (a - 0.5)
    strong_lost, faint_lost = losses.contours(flat, a, flat).item(), losses.contours(flat, faint, flat).item()
    assert faint_lost > 0.5 * strong_lost
    assert losses.edges(flat, faint, flat).item() < 0.15 * losses.edges(flat, a, flat).item()
    assert losses.contours(a, flat, flat).item() > 1  # structure that neither source has


def test_one_sided_is_what_a_copy_lacks_of_the_other_source(images):
    a, b = images
    parts = losses.components(a, a, b, torch.tensor([0.5]), names=["one_sided"])
    kept = losses.vif(b, a).item()
    least = (1 + losses.MARGIN) * losses.vif(b, 0.5 * (a + b)).item()
    assert parts["one_sided"].item() == pytest.approx(least - kept, abs=1e-5)
    assert least > kept


def test_only_the_components_asked_for_are_worked_out(images):
    a, b = images
    assert set(losses.components(a, a, b, torch.tensor([0.5]), names=["edges", "ssim"])) == {"edges", "ssim"}
    assert set(losses.components(a, a, b, torch.tensor([0.5]), names=["vif"])) == {"vif"}
    assert set(losses.components(a, a, b, torch.tensor([0.5]))) == set(losses.NAMES)


def test_only_structure_that_no_mixture_of_the_sources_has_counts_as_unexplained(images):
    a, b = images
    mixture = 0.6 * a + 0.3 * b
    assert losses.unexplained(mixture, a, b).item() == pytest.approx(0, abs=1e-4)
    invented = mixture.clone()
    invented[..., 40:50, 40:50] += 0.1
    deviation = unexplained_structure(*(255 * x[0, 0].double().numpy() for x in (invented, a, b))).deviation
    beyond_noise = (deviation[5:-5, 5:-5] ** 2 + 1) ** 0.5 - 1
    assert 255 * losses.unexplained(invented, a, b).item() == pytest.approx(beyond_noise.mean(), rel=0.01)
    assert beyond_noise.mean() > 0.1

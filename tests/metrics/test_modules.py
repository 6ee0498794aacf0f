from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from upfusion_med.core import InputError
from upfusion_med.evaluation.golden_values import Case
from upfusion_med.metrics import FusionMetrics, compute


def batch(cases: dict[str, Case]) -> list[torch.Tensor]:
    a, b, fused = cases["synfull"]
    flat = np.full_like(a, 10.0)
    return [torch.from_numpy(np.stack(x))[:, None] for x in ((fused, fused), (a, flat), (b, b))]


def test_batches_gather_to_the_mean_of_their_pairs(cases: dict[str, Case]) -> None:
    a, b, fused = cases["synfull"]
    metrics = FusionMetrics(("vif_a", "ssim"))
    metrics.update(*batch(cases))
    metrics.update(a, a, b)
    first, copy = compute(fused, a, b), compute(a, a, b)
    assert metrics.compute()["vif_a"] == pytest.approx((first["vif_a"] + copy["vif_a"]) / 2)
    assert [round(score.value, 12) for score in metrics.per_pair("vif_a")[::2]] == [
        round(first["vif_a"], 12),
        round(copy["vif_a"], 12),
    ]


def test_undefined_values_are_counted_and_never_averaged(cases: dict[str, Case]) -> None:
    metrics = FusionMetrics(("vif_a", "vif"))
    metrics.update(*batch(cases))
    summary = metrics.summary()
    assert (summary["vif_a"].pairs, summary["vif_a"].undefined) == (1, 1)
    assert math.isfinite(summary["vif_a"].mean)
    assert list(summary["vif_a"].reasons.values()) == [1]
    assert (summary["vif"].pairs, summary["vif"].undefined) == (2, 0)
    assert any("left out" in reason for reason in summary["vif"].reasons)


def test_colour_pictures_keep_their_colours() -> None:
    generator = np.random.default_rng(0)
    fused, a, b = (generator.integers(0, 256, shape) for shape in ((20, 20, 3), (20, 20, 3), (20, 20)))
    metrics, unit = FusionMetrics(("en", "hue_turned")), FusionMetrics(("en", "hue_turned"), unit_scale=True)
    metrics.update(fused, a, b)
    unit.update(fused / 255, a / 255, b / 255)
    assert metrics.compute() == unit.compute() == compute(fused, a, b, ("en", "hue_turned"))
    with pytest.raises(InputError, match="multiply by 255"):
        metrics.update(fused / 255, a, b)


def test_a_batch_that_is_refused_leaves_nothing_behind(cases: dict[str, Case]) -> None:
    fused, a, b = batch(cases)
    metrics = FusionMetrics("en")
    with pytest.raises(InputError, match="expected one shape"):
        metrics.update(fused, a[:1], b)
    outside = torch.stack((fused[0], fused[1] + 100.0))
    with pytest.raises(InputError, match=r"expected grey levels in 0\.\.255"):
        metrics.update(outside, a, b)
    assert metrics.per_pair("en") == ()


def test_nothing_gathered_and_after_reset_is_nan(cases: dict[str, Case]) -> None:
    metrics = FusionMetrics("en")
    assert math.isnan(metrics.compute()["en"])
    metrics.update(*batch(cases))
    assert metrics.compute()["en"] > 0
    metrics.reset()
    assert metrics.summary()["en"].pairs == 0


def test_images_on_the_unit_scale_are_taken_where_that_is_said(cases: dict[str, Case]) -> None:
    images = batch(cases)
    unit, plain = FusionMetrics("ssim", unit_scale=True), FusionMetrics("ssim")
    unit.update(*(x / 255 for x in images))
    plain.update(*images)
    assert unit.compute()["ssim"] == pytest.approx(plain.compute()["ssim"], rel=1e-12)
    with pytest.raises(InputError, match="multiply by 255"):
        plain.update(*(x / 255 for x in images))


def test_nearly_black_images_are_judged_where_the_unit_scale_is_said() -> None:
    dark = torch.full((1, 1, 16, 16), 0.001)
    dark[..., :8] = 0.003
    metrics = FusionMetrics("en", unit_scale=True)
    metrics.update(dark, dark, dark)
    assert metrics.compute()["en"] == pytest.approx(1.0)
    pytest.importorskip("monai")
    from upfusion_med.metrics.monai_metric import FusionIterationMetric

    metric = FusionIterationMetric("en")
    metric(y_pred=dark, y=torch.cat((dark, dark), dim=1))
    assert metric.aggregate().item() == pytest.approx(1.0)


def test_the_monai_metric_aggregates_over_batches(cases: dict[str, Case]) -> None:
    pytest.importorskip("monai")
    from upfusion_med.metrics.monai_metric import FusionIterationMetric

    fused, a, b = batch(cases)
    metric = FusionIterationMetric("vif_a", get_not_nans=True)
    metric(y_pred=fused / 255, y=torch.cat((a, b), dim=1) / 255)
    value, defined = metric.aggregate()
    expected = compute(fused[:1], a[:1], b[:1], "vif_a")["vif_a"]
    assert value.item() == pytest.approx(expected, rel=1e-6)
    assert defined.item() == 1
    metric.reset()
    with pytest.raises(InputError, match=r"\(B, 2, H, W\)"):
        metric(y_pred=fused / 255, y=a / 255)


@pytest.mark.parametrize("reduction", ["mean", "mean_batch", "mean_channel", "none"])
def test_the_monai_metric_is_nan_and_not_0_where_no_pair_has_a_value(reduction: str) -> None:
    pytest.importorskip("monai")
    from upfusion_med.metrics.monai_metric import FusionIterationMetric

    metric = FusionIterationMetric("q_cv", reduction=reduction)
    metric(y_pred=torch.rand(2, 1, 32, 32), y=torch.zeros(2, 2, 32, 32))
    assert metric.aggregate().isnan().all()


def test_the_room_imports_neither_monai_nor_torchmetrics() -> None:
    code = (
        "import sys, upfusion_med.metrics as m; "
        "bad = {'monai', 'torchmetrics', 'skimage'} & set(sys.modules); sys.exit(', '.join(bad) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

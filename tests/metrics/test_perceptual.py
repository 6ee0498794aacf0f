from __future__ import annotations

import numpy as np
import pytest
import torch

from upfusion_med.evaluation.golden_values import Case
from upfusion_med.metrics.perceptual import q_cb, q_cv, q_m


def test_identical_images_are_best(cases: dict[str, Case]) -> None:
    a, _, _ = cases["synfull"]
    assert q_cb(a, a, a).item() == pytest.approx(1.0)
    assert q_cv(a, a, a).item() == pytest.approx(0.0, abs=1e-12)
    assert q_m(a, a, a).item() == pytest.approx(3.0)


def test_worse_images_score_worse(cases: dict[str, Case]) -> None:
    a, b, fused = cases["synfull"]
    noise = np.random.default_rng(0).integers(-60, 60, a.shape)
    noisy = np.clip(fused + noise, 0, 255)
    assert q_cb(noisy, a, b).item() < q_cb(fused, a, b).item()
    assert q_cv(noisy, a, b).item() > q_cv(fused, a, b).item()


def test_constant_sources_leave_them_undefined(cases: dict[str, Case]) -> None:
    a, _, _ = cases["synfull"]
    flat = np.full_like(a, 40.0)
    for metric in (q_cb, q_cv, q_m):
        assert metric(a, flat, flat).isnan().item()
        assert metric(a, a, flat).item() == pytest.approx(metric(a, a, a).item(), abs=1e-9)


def test_haar_coefficients_of_a_known_block() -> None:
    """One 4×4 block: details (high y, low x) = 8 on level 1 in two places, nothing else differs between sources."""
    a = np.zeros((4, 4))
    a[1::2] = 8.0
    half = a / 2
    # Level 1: four equal coefficients of 8 in one band; fused has 4. Agreement e^-4 + 1 + 1 in every place.
    # Level 2: all lows are equal, so there is no detail and no weight: undefined.
    assert q_m(half, a, a).isnan().item()
    a[:2] *= 2
    agreement_1 = (np.exp(-8.0) * 256 * 2 + np.exp(-4.0) * 64 * 2) / (256 * 2 + 64 * 2) + 2
    # Lows on level 1: 16, 16 above 8, 8; level 2: (high, low) = (8+8−16−16)/2 = −8; fused −4.
    agreement_2 = np.exp(-4.0) + 2
    fused = a / 2
    weighted = ((np.exp(-8.0) + 2) * 256 * 2 + (np.exp(-4.0) + 2) * 64 * 2) / (256 * 2 + 64 * 2)
    assert weighted == pytest.approx(agreement_1)
    assert q_m(fused, a, a).item() == pytest.approx(weighted ** (2 / 3) * agreement_2 ** (1 / 3))


def test_a_batch_gives_what_its_images_give_alone() -> None:
    batch = torch.from_numpy(np.random.default_rng(5).integers(0, 256, (3, 2, 1, 37, 50)).astype(float))
    for function in (q_cb, q_cv, q_m):
        together = function(*batch)
        alone = [function(*(x[k : k + 1] for x in batch)).item() for k in range(2)]
        assert together.tolist() == pytest.approx(alone, rel=1e-9)

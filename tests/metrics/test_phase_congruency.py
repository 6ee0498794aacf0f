from __future__ import annotations

import numpy as np
import pytest
import torch

from upfusion_med.evaluation.golden_values import Case
from upfusion_med.metrics.phase_congruency import feature_maps, q_p


def as_images(*images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(images))[:, None]


def test_a_step_edge_has_its_phase_congruency_on_the_edge() -> None:
    image = np.zeros((64, 64))
    image[:, 32:] = 200.0
    congruency = feature_maps(as_images(image)).congruency[0]
    assert congruency[10:54, 31:33].mean() > 0.5
    assert congruency[10:54, 12:20].max() < 0.1


def test_a_constant_image_has_no_features() -> None:
    maps = feature_maps(as_images(np.full((40, 33), 100.0), np.zeros((40, 33))))
    assert maps.congruency.abs().max() == 0
    assert maps.largest_moment.max() == pytest.approx(5e-5)


def test_maps_of_a_batch_are_those_of_its_images(cases: dict[str, Case]) -> None:
    a, b, _ = cases["syn97x131"]
    both = feature_maps(as_images(a, b))
    for kind, first, second in zip(both, feature_maps(as_images(a)), feature_maps(as_images(b)), strict=True):
        assert torch.equal(kind[0], first[0])
        assert torch.equal(kind[1], second[0])


def test_inverted_contrast_is_not_seen_and_emptiness_is_rewarded(cases: dict[str, Case]) -> None:
    a, b, fused = cases["synfull"]
    assert q_p(255 - fused, a, b).item() == pytest.approx(q_p(fused, a, b).item(), rel=1e-9)
    nearly_empty = np.full_like(a, 90.0)
    nearly_empty[60, 40] = 91.0
    assert q_p(nearly_empty, a, b).item() > q_p(fused, a, b).item()


def test_sources_without_features_leave_it_undefined() -> None:
    image = np.random.default_rng(0).uniform(0, 255, (32, 32))
    flat = np.full((32, 32), 7.0)
    assert q_p(image, flat, flat).isnan().item()
    assert not q_p(image, flat, image).isnan().item()


def test_single_precision_differs_little(cases: dict[str, Case]) -> None:
    a, b, fused = cases["syn97x131"]
    single = q_p(fused, a, b, dtype=torch.float32)
    assert single.dtype is torch.float64
    assert single.item() == pytest.approx(q_p(fused, a, b).item(), rel=1e-4)

from __future__ import annotations

import numpy as np
import pytest
import torch

from upfusion_med.core import InputError
from upfusion_med.evaluation.golden_values import Case
from upfusion_med.evaluation.reference_evaluator import vif_sum
from upfusion_med.metrics.visual_information import vif, vif_family, vif_per_source, viff


def test_a_copy_keeps_all_information(cases: dict[str, Case]) -> None:
    a, b, _ = cases["synfull"]
    scores = vif_per_source(a, a, b)[0]
    assert scores[0].item() == pytest.approx(1.0, abs=1e-9)
    assert scores[1].item() < 0.5


def test_more_contrast_gives_more_than_one_and_a_constant_image_nothing(cases: dict[str, Case]) -> None:
    a, b, _ = cases["synfull"]
    assert vif_per_source(a * 0.5 + 60, a, b)[0, 0].item() < 1
    soft = a * 0.5
    assert vif_per_source(a, soft, b)[0, 0].item() > 1
    assert vif_per_source(np.full_like(a, 80.0), a, b)[0].tolist() == pytest.approx([0.0, 0.0], abs=1e-9)


def test_it_agrees_with_full_convolutions_on_random_images() -> None:
    a, b, fused = np.random.default_rng(4).integers(0, 256, (3, 70, 83)).astype(float)
    assert vif_family(fused, a, b)["vif_sum"].item() == pytest.approx(vif_sum(fused, a, b), rel=1e-10)


def test_a_constant_source_is_undefined_and_left_out(cases: dict[str, Case]) -> None:
    a, _, _ = cases["synfull"]
    flat = np.full_like(a, 12.0)
    scores = vif_family(a, a, flat)
    assert scores["vif_b"].isnan().item()
    assert scores["vif_sum"].isnan().item()
    assert scores["vif"].item() == scores["vif_a"].item()
    assert vif(flat, flat, flat).isnan().item()
    assert viff(a, a, flat).isnan().item()


def test_a_batch_gives_what_its_images_give_alone() -> None:
    batch = torch.from_numpy(np.random.default_rng(5).integers(0, 256, (3, 3, 1, 64, 50)).astype(float))
    batch[2, 1] = 3.0
    for function in (vif, viff):
        together = function(*batch)
        alone = [function(*(x[k : k + 1] for x in batch)).item() for k in range(3)]
        assert together.tolist() == pytest.approx(alone, rel=1e-12, nan_ok=True)


def test_single_precision_differs_little(cases: dict[str, Case]) -> None:
    a, b, fused = cases["syn128"]
    single = vif_per_source(fused, a, b, dtype=torch.float32)
    assert torch.allclose(single, vif_per_source(fused, a, b), rtol=1e-4)


def test_images_without_a_fourth_scale_are_refused() -> None:
    with pytest.raises(InputError, match="at least 41"):
        vif(*np.random.default_rng(0).uniform(0, 255, (3, 40, 60)))
    assert not vif(*np.random.default_rng(0).uniform(0, 255, (3, 41, 41))).isnan().item()

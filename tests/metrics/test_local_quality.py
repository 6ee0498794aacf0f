from __future__ import annotations

import numpy as np
import pytest
import torch

from upfusion_med.evaluation.golden_values import Case
from upfusion_med.metrics.exposure_structure import mef_ms_ssim, mef_ssim
from upfusion_med.metrics.local_quality import piella_family, prewitt_strength, yang_cvejic_family
from upfusion_med.metrics.structure import ssim_family


def test_where_one_source_is_flat_only_the_other_counts(cases: dict[str, Case]) -> None:
    a, _, fused = cases["synfull"]
    flat = np.full_like(a, 70.0)
    assert piella_family(fused, a, flat)["q_s"].item() == pytest.approx(ssim_family(fused, a, flat)["ssim_a"].item())


def test_edge_index_is_the_product_of_both(cases: dict[str, Case]) -> None:
    a, b, fused = cases["syn128"]
    scores = piella_family(fused, a, b)
    assert scores["q_e"].item() == pytest.approx(scores["q_w"].item() * scores["q_w_edge"].item())
    edges = [prewitt_strength(torch.from_numpy(x)[None, None]) for x in (fused, a, b)]
    assert piella_family(*edges)["q_w"].item() == pytest.approx(scores["q_w_edge"].item())


def test_completed_indices_equal_the_shipped_ones_where_those_are_defined(cases: dict[str, Case]) -> None:
    a, b, fused = cases["synfull"]
    scores = yang_cvejic_family(fused, a, b)
    assert scores["q_y_completed"].item() == pytest.approx(scores["q_y"].item())
    # Where no share leaves 0…1 both forms of Q_C agree.
    scores = yang_cvejic_family(fused, fused // 2, fused // 2 + 20)
    assert scores["q_c_completed"].item() == pytest.approx(scores["q_c"].item())


def test_flat_windows_leave_only_the_shipped_indices_undefined(cases: dict[str, Case]) -> None:
    a, b, fused = cases["syn128"]
    scores = yang_cvejic_family(fused, a, b)
    assert scores["q_y"].isnan().item()
    assert scores["q_c"].isnan().item()
    assert 0 < scores["q_y_completed"].item() <= 1
    assert 0 < scores["q_c_completed"].item() <= 1


def test_an_anticorrelated_source_is_clipped_instead_of_overwritten() -> None:
    a = np.random.default_rng(0).uniform(110, 146, (40, 40))
    strong, weak = 128 - 2 * (a - 128), 128 - 0.5 * (a - 128)
    # Covariances with the fused image are v and −v/2: the share is 2, clipped to 1, and only the equal source counts.
    scores = yang_cvejic_family(a, a, weak)
    assert scores["q_c"].item() == 1.0
    assert scores["q_c_completed"].item() == pytest.approx(1.0)
    # v and −2v: the share is −1; overwritten with 0 as shipped, clipped to the inverted source by the paper.
    scores = yang_cvejic_family(a, a, strong)
    assert scores["q_c"].item() == 0.0
    assert scores["q_c_completed"].item() == pytest.approx(-0.8, abs=0.01)


def test_fused_as_the_sources_would_be_scores_one(cases: dict[str, Case]) -> None:
    a, _, _ = cases["synfull"]
    assert mef_ssim(a, a, a).item() == pytest.approx(1.0, abs=1e-6)
    assert mef_ms_ssim(a, a, a).item() == pytest.approx(1.0, abs=1e-6)
    assert mef_ssim(np.full_like(a, 9.0), a, a).item() < 0.3


def test_a_batch_gives_what_its_images_give_alone(small_pair: tuple[np.ndarray, ...]) -> None:
    batch = [torch.from_numpy(np.stack([x, x[::-1].copy() // 2]))[:, None] for x in small_pair]
    for family in (piella_family, yang_cvejic_family, lambda *x: {"mef": mef_ssim(*x)}):
        together = family(*batch)
        for k in range(2):
            for key, value in family(*(x[k : k + 1] for x in batch)).items():
                assert together[key][k].item() == pytest.approx(value.item(), rel=1e-12, nan_ok=True)

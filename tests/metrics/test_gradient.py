from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from upfusion_med.evaluation.golden_values import Case
from upfusion_med.evaluation.reference_evaluator import q_abf as q_abf_by_definition
from upfusion_med.metrics.gradient import edge_transfer, n_abf, q_abf, q_abf_xydeas


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), height=st.integers(3, 140), width=st.integers(3, 40), levels=st.sampled_from([3, 256]))
def test_it_agrees_with_the_definition(seed: int, height: int, width: int, levels: int) -> None:
    images = np.random.default_rng(seed).integers(0, levels, (3, height, width)) * (255 // (levels - 1))
    fused, a, b = images.astype(float)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return
    assert q_abf(fused, a, b).item() == pytest.approx(q_abf_by_definition(fused, a, b), rel=1e-6)


def test_identical_images_keep_their_edges_up_to_the_constants(cases: dict[str, Case]) -> None:
    a, _, _ = cases["synfull"]
    assert q_abf(a, a, a).item() == pytest.approx(0.97533, abs=1e-5)
    assert q_abf_xydeas(a, a, a).item() == pytest.approx(0.98666, abs=1e-5)


def test_inverted_contrast_is_not_seen(cases: dict[str, Case]) -> None:
    a, b, fused = cases["synfull"]
    inner = [x[1:-1, 1:-1] for x in (a, b, fused)]
    shifted = q_abf(255 - inner[2], 255 - inner[0], 255 - inner[1])
    assert shifted.item() != q_abf(inner[2], inner[0], inner[1]).item()  # the border of zeros does see it
    framed = [np.pad(x, 3) for x in (a, b, fused)]
    assert q_abf(framed[2], framed[0], framed[1]).item() > 0


def test_a_constant_source_has_no_weight_and_no_frame(cases: dict[str, Case]) -> None:
    a, _, _ = cases["synfull"]
    flat, black = np.full_like(a, 100.0), np.zeros_like(a)
    for metric in (q_abf, q_abf_xydeas, n_abf):
        assert metric(a, a, flat).item() == metric(a, a, black).item()
        assert metric(a, flat, flat).isnan().item()


def test_kept_lost_and_invented_edges_add_up_to_one(cases: dict[str, Case]) -> None:
    for a, b, fused in (cases["syn128"], cases["synfull"]):
        parts = edge_transfer(fused, a, b)
        assert sum(part.item() for part in parts.values()) == pytest.approx(1.0, abs=1e-12)


def test_only_edges_that_no_source_has_are_artefacts() -> None:
    a = np.zeros((40, 40))
    a[:, 20:] = 100.0
    assert n_abf(a, a, a).item() == pytest.approx(0.0, abs=1e-9)
    invented = a.copy()
    invented[5:15, 5:15] = 200.0
    assert n_abf(invented, a, a).item() > 1e-6


def test_a_batch_gives_what_its_images_give_alone() -> None:
    batch = torch.from_numpy(np.random.default_rng(5).integers(0, 256, (3, 3, 1, 30, 50)).astype(float))
    for function in (q_abf, q_abf_xydeas, n_abf):
        together = function(*batch)
        alone = [function(*(x[k : k + 1] for x in batch)).item() for k in range(3)]
        assert together.tolist() == pytest.approx(alone, rel=1e-7)

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from upfusion_med.core import Pooling
from upfusion_med.inference import engine, slice_steps
from upfusion_med.inference.slice_steps import DETAIL, bound_steps, detail_weight
from upfusion_med.metrics.reader import flicker_steps


@pytest.fixture
def sources():
    x, y, z = np.meshgrid(np.linspace(0, 3, 32), np.linspace(0, 4, 28), np.linspace(0, 1, 24), indexing="ij")
    return (0.5 + 0.4 * np.sin(3 * x + z)).astype(np.float32), (0.5 + 0.4 * np.cos(5 * y - z)).astype(np.float32)


class Fickle:
    """Follows the functional image in even slices and the MRI in odd ones."""

    def describe(self):
        return {}

    def decide(self, functional, mri):
        return None

    def fuse(self, functional, mri, context):
        chosen = [a if k % 2 else b for k, (a, b) in enumerate(zip(functional, mri, strict=True))]
        return np.stack(chosen)


def beyond(fused, a, b, axis=2):
    """Largest step beyond the sources' own, in grey levels."""
    return flicker_steps(255 * fused, 255 * a, 255 * b, axis).max()


def test_a_fickle_network_does_not_flicker(sources):
    raw = engine.run(Fickle(), *sources, 2, bounded=False)
    assert beyond(raw, *sources) > 100
    assert beyond(engine.run(Fickle(), *sources, 2), *sources) < 1e-3


def test_slice_by_slice_every_slice_stays_as_it_is(sources):
    by_slice = engine.run(Fickle(), *sources, 2, pooling=Pooling.SLICE)
    assert np.array_equal(by_slice, engine.run(Fickle(), *sources, 2, bounded=False))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(
    "rule", [np.maximum, np.minimum, lambda a, b: 0.3 * a + 0.7 * b, lambda a, b: a], ids=["max", "min", "mix", "copy"]
)
def test_rules_that_work_voxel_by_voxel_do_not_change(sources, rule, axis):
    fused = rule(*sources)
    assert np.abs(bound_steps(fused, *sources, axis) - fused).max() < 1e-6


def test_detail_beyond_both_sources_stays_where_it_is_steady(sources):
    fused = np.maximum(*sources) + np.float32(0.05)
    assert np.abs(bound_steps(fused, *sources, 2) - fused).max() < 1e-6


def cosines(count):
    """Orthonormal matrix of the cosine transform."""
    k, n = np.mgrid[:count, :count]
    return np.cos(np.pi * k * (2 * n + 1) / (2 * count)) * np.where(k == 0, 1, np.sqrt(2)) / np.sqrt(count)


def test_the_nearest_volume_is_the_one_that_another_solver_finds(monkeypatch):
    rng = np.random.default_rng(3)
    fused, a, b = rng.uniform(0.2, 0.8, (3, 7, 3, 4)).astype(np.float32)
    limits = np.maximum(np.abs(np.diff(a, axis=0)), np.abs(np.diff(b, axis=0))).astype(float)
    waves = np.kron(cosines(3), cosines(4))
    metric = waves.T @ (detail_weight(3, 4).reshape(-1, 1) * waves)
    value = fused.reshape(7, 12).astype(float)
    steps = np.kron(np.diff(np.eye(7), axis=0), np.eye(12))
    bounds = [
        {"type": "ineq", "fun": lambda x, s=sign: limits.ravel() - s * steps @ x, "jac": lambda x, s=sign: -s * steps}
        for sign in (1, -1)
    ]
    other = minimize(
        lambda x: 0.5 * np.sum((x.reshape(7, 12) - value) @ metric * (x.reshape(7, 12) - value)),
        value.ravel(), jac=lambda x: ((x.reshape(7, 12) - value) @ metric).ravel(), constraints=bounds,
        options={"ftol": 1e-12, "maxiter": 500},
    )  # fmt: skip
    assert other.success
    assert np.abs(fused.ravel() - other.x).max() > 0.2
    assert np.abs(bound_steps(fused, a, b, 0).ravel() - other.x).mean() < 4e-3
    monkeypatch.setattr(slice_steps, "PASSES", 300)
    assert np.abs(bound_steps(fused, a, b, 0).ravel() - other.x).max() < 1e-3


def test_fine_structure_counts_more_than_brightness():
    weight = detail_weight(64, 64)
    assert weight[0, 0] == 1
    assert (np.diff(weight, axis=0) > 0).all()
    waves_of_ten_pixels = weight[int(2 * 64 / 10), 0]
    assert 0.4 * DETAIL < waves_of_ten_pixels < 0.6 * DETAIL


def test_edges_within_a_slice_stay_where_values_must_give_way():
    """Beside a voxel that must not step so far its neighbours give way too, and no spot is left in the slice."""
    flat = np.full((24, 24, 9), 0.5, np.float32)
    a, b = flat.copy(), flat.copy()
    a[..., 4] = 0.7
    a[11:13, 11:13, 4] = 0.5
    fused = flat.copy()
    fused[..., 4] = 0.7
    bounded = bound_steps(fused, a, b, 2)
    assert beyond(bounded, a, b) < 1e-3
    spot = bounded[14, 12, 4] - bounded[12, 12, 4]
    assert 0 < spot < 0.15


def test_the_direction_in_which_slices_are_counted_does_not_matter(sources):
    fused = engine.run(Fickle(), *sources, 2, bounded=False)
    forth = bound_steps(fused, *sources, 2)
    back = bound_steps(fused[:, :, ::-1], *(s[:, :, ::-1] for s in sources), 2)[:, :, ::-1]
    assert np.abs(forth - back).max() < 1e-5


def test_beside_a_black_slice_nothing_is_brighter_than_the_sources(sources):
    a, b = (s.copy() for s in sources)
    a[..., 10], b[..., 10] = 0, 0
    fused = np.where((a == 0) & (b == 0), 0, np.minimum(np.maximum(a, b) + 0.3, 1)).astype(np.float32)
    bounded = bound_steps(fused, a, b, 2)
    assert not bounded[..., 10].any()
    assert np.all(bounded[..., 9] <= np.maximum(a, b)[..., 9] + 1e-6)
    assert beyond(bounded, a, b) < 1e-3


def test_a_body_in_wide_air_is_bounded_as_without_the_air(sources):
    fused = engine.run(Fickle(), *sources, 2, bounded=False)
    wide = [np.pad(x, [(5, 9), (12, 0), (0, 0)]) for x in (fused, *sources)]
    bounded = bound_steps(*wide, 2)
    assert np.abs(bounded[5:-9, 12:] - bound_steps(fused, *sources, 2)).max() < 1e-6
    bounded[5:-9, 12:] = 0
    assert not bounded.any()


def test_a_black_volume_stays_black():
    black = np.zeros((6, 7, 8), np.float32)
    assert np.array_equal(bound_steps(black, black, black, 1), black)


def test_a_single_slice_has_no_neighbour(sources):
    a, b = (s[..., :1] for s in sources)
    assert np.array_equal(bound_steps(a * b, a, b, 2), a * b)


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 40), black=st.floats(0.0, 0.9))
@settings(max_examples=60, deadline=None)
def test_the_bound_holds_the_range_is_kept_and_black_stays_black(seed, count, black):
    rng = np.random.default_rng(seed)
    fused, a, b = rng.uniform(0, 1, (3, 4, count, 5)).astype(np.float32)
    empty = rng.uniform(size=a.shape) < black
    a[empty], b[empty], fused[empty] = 0, 0, 0
    bounded = bound_steps(fused, a, b, 1)
    assert beyond(bounded, a, b, 1) < 1e-3
    assert bounded.min() >= 0
    assert bounded.max() <= 1
    assert not bounded[empty].any()

from __future__ import annotations

import numpy as np
import pytest

from upfusion_med.inference import engine
from upfusion_med.inference.slice_consistency import CONCESSION, agree_along
from upfusion_med.metrics.reader import slice_flicker


@pytest.fixture
def sources():
    x, y, z = np.meshgrid(np.linspace(0, 3, 32), np.linspace(0, 4, 28), np.linspace(0, 1, 24), indexing="ij")
    return (0.5 + 0.4 * np.sin(3 * x + z)).astype(np.float32), (0.5 + 0.4 * np.cos(5 * y)).astype(np.float32)


class Fickle:
    """Follows the functional image in even slices and the MRI in odd ones."""

    def describe(self):
        return {}

    def decide(self, functional, mri):
        return None

    def fuse(self, functional, mri, context):
        chosen = [a if k % 2 else b for k, (a, b) in enumerate(zip(functional, mri, strict=True))]
        return np.stack(chosen)


def kept_flicker(a, b, concession=1.0):
    raw = engine.run(Fickle(), a, b, 2)
    agreed = agree_along(raw, a, b, 2, 3.0, concession)
    flicker = [slice_flicker(255 * x, 255 * a, 255 * b) for x in (raw, agreed)]
    return agreed, flicker[1] / flicker[0]


def test_a_fickle_choice_becomes_one_that_neighbours_share(sources):
    a, b = sources[0], 0.1 * sources[1]
    agreed, kept = kept_flicker(a, b)
    assert kept < 0.05
    assert np.abs(agreed[:, :, 8:16] - 0.5 * (a + b)[:, :, 8:16]).max() < 0.03


def test_regions_go_as_much_of_the_way_as_they_concede(sources):
    a, b = sources[0], 0.1 * sources[1]
    assert np.array_equal(kept_flicker(a, b, 0.0)[0], engine.run(Fickle(), a, b, 2))
    by_default = engine.run(Fickle(), a, b, 2, sigma_slices=3.0)
    agreed, kept = kept_flicker(a, b, CONCESSION)
    assert np.array_equal(by_default, agreed)
    assert kept == pytest.approx(1 - CONCESSION, abs=0.03)


def test_where_the_sources_cross_a_fickle_choice_is_tamed_too(sources):
    # Beside a crossing the darker source is another one, so regions there share less of their place.
    _, kept = kept_flicker(*sources)
    assert kept < 0.25


@pytest.mark.parametrize("rule", [np.maximum, np.minimum, lambda a, b: 0.5 * (a + b), lambda a, b: a])
def test_choices_that_are_the_same_everywhere_do_not_change(sources, rule):
    a, b = sources
    fused = rule(a, b)
    if rule(0, 1) == rule(1, 0):
        assert np.allclose(agree_along(fused, a, b, 2, 3.0), fused, atol=1e-5)
    else:  # which source is the darker one changes along the slices only where they cross
        assert np.abs(agree_along(fused, a, b, 2, 3.0) - fused).mean() < 0.05


def test_detail_outside_both_sources_stays(sources):
    a, b = sources
    fused = np.clip(np.maximum(a, b) + 0.05, 0, 1)
    assert np.allclose(agree_along(fused, a, b, 2, 3.0), fused, atol=1e-5)


def test_where_the_anatomy_changes_the_choice_may_change_with_it():
    shape = (20, 20, 24)
    later = np.broadcast_to(np.arange(24) >= 12, shape)
    a = np.where(later, 0.8, 0.2).astype(np.float32)
    b = np.where(later, 0.3, 0.7).astype(np.float32)
    fused = np.where(later, a, 0.5 * (a + b)).astype(np.float32)
    assert np.abs(agree_along(fused, a, b, 2, 3.0, 1.0) - fused).max() < 0.01

    alike = np.full(shape, 0.2, np.float32), np.full(shape, 0.7, np.float32)
    fused = np.where(later, alike[1], 0.5 * (alike[0] + alike[1])).astype(np.float32)
    step = np.abs(np.diff(agree_along(fused, *alike, 2, 3.0, 1.0), axis=2)).max()
    assert step < 0.2 * np.abs(np.diff(fused, axis=2)).max()


def test_thick_slices_are_left_alone(sources):
    a, b = sources
    assert agree_along(a, a, b, 2, 0.1) is a


def test_the_result_stays_in_range_and_black_stays_black(sources):
    a, b = (s.copy() for s in sources)
    a[:8], b[:8] = 0, 0
    agreed = engine.run(Fickle(), a, b, 2, sigma_slices=2.0)
    assert agreed.min() >= 0
    assert agreed.max() <= 1
    assert not agreed[:8].any()


def test_detail_of_the_choice_within_a_slice_stays_while_regions_agree(sources):
    a, b = sources
    texture = np.random.default_rng(0).uniform(-0.3, 0.3, a.shape).astype(np.float32)
    jumping = 0.5 + np.where(np.arange(a.shape[2]) % 2, 0.2, -0.2).astype(np.float32)
    fused = np.minimum(a, b) + (jumping + texture) * np.abs(a - b)
    agreed = agree_along(fused, a, b, 2, 3.0, 1.0)
    clear = np.abs(a - b) > 0.2
    place = ((agreed - np.minimum(a, b)) / np.maximum(np.abs(a - b), 1e-6))[clear]
    assert np.corrcoef(place, texture[clear])[0, 1] > 0.95
    assert abs(np.corrcoef(place, np.broadcast_to(jumping, a.shape)[clear])[0, 1]) < 0.1
    assert np.std(place) == pytest.approx(np.std(texture[clear]), rel=0.1)

from __future__ import annotations

import numpy as np
import pytest

from upfusion_med.training.pairs import TrainingPair
from upfusion_med.training.published_crops import draw_plain_batch, plain_crop


@pytest.fixture
def pair() -> TrainingPair:
    ramp = np.arange(50 * 60, dtype=np.int64).reshape(50, 60) % 251
    return TrainingPair("p", "p", ramp.astype(np.uint8), (250 - ramp).astype(np.uint8))


def test_both_pictures_are_cut_and_mirrored_alike(pair):
    for seed in range(20):
        a, b = plain_crop(pair, 32, np.random.default_rng(seed), flips=True)
        assert a.shape == (32, 32)
        assert np.allclose(a + b, 250 / 255)


def test_each_mirror_falls_on_half_of_the_crops(pair):
    crops = [plain_crop(pair, 32, np.random.default_rng(seed), flips=True)[0] for seed in range(200)]
    rising = [float(np.mean(np.diff(c, axis=1) > 0) > 0.5) for c in crops]
    assert 0.35 < np.mean(rising) < 0.65
    plain = [plain_crop(pair, 32, np.random.default_rng(seed), flips=False)[0] for seed in range(20)]
    assert all(np.mean(np.diff(c, axis=1) > 0) > 0.5 for c in plain)


def test_a_picture_that_is_too_small_gets_zeros_at_the_right_and_bottom(pair):
    a, _ = plain_crop(pair, 64, np.random.default_rng(0), flips=False)
    assert a.shape == (64, 64)
    assert (a[50:] == 0).all()
    assert (a[:, 60:] == 0).all()
    assert np.array_equal(np.round(255 * a[:50, :60]), pair.visible)


def test_the_same_key_draws_the_same_batch(pair):
    one, two = (draw_plain_batch([pair], 3, 32, np.random.default_rng((1, 2)), flips=True) for _ in range(2))
    assert np.array_equal(one[0], two[0])
    assert one[0].shape == (3, 1, 32, 32)
    assert one[2] == ["universal"] * 3

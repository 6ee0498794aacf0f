from __future__ import annotations

import numpy as np
import pytest

from upfusion_med.transforms.onset import ONSET_ENCLOSED, ONSET_OPEN, onset_of_study

SHAPE = (120, 112, 56)
SPACINGS = [(1.0, 1.0, 2.0), (1.5, 1.2, 5.0)]


def from_middle(spacing_mm):
    """Distance of every voxel from the middle of the grid, mm."""
    axes = [(np.arange(n) - n // 2) * s for n, s in zip(SHAPE, spacing_mm, strict=True)]
    return np.sqrt(sum(x**2 for x in np.meshgrid(*axes, indexing="ij")))


def noise(mean):
    rng = np.random.default_rng(0)
    return (mean * rng.gamma(4, 0.25, SHAPE)).astype(np.float32)


@pytest.mark.parametrize("spacing_mm", SPACINGS)
def test_a_cold_defect_in_warm_tissue_is_coloured_as_soon_as_tissue_is(spacing_mm):
    r = from_middle(spacing_mm)
    uptake = np.where(r < 10, 0.15, np.where(r < 40, 0.6, 0)).astype(np.float32)
    onset = onset_of_study(uptake, spacing_mm)
    assert onset[r < 30] == pytest.approx(ONSET_ENCLOSED, abs=1e-3)
    assert onset[0, 0, 0] == pytest.approx(ONSET_OPEN, abs=1e-3)


@pytest.mark.parametrize("spacing_mm", SPACINGS)
def test_a_cold_place_that_is_wide_is_open(spacing_mm):
    r = from_middle(spacing_mm)
    onset = onset_of_study(np.where(r < 40, 0.05, 0.6).astype(np.float32), spacing_mm)
    assert (onset[r < 10] > 0.27).all()


@pytest.mark.parametrize("spacing_mm", SPACINGS)
def test_around_a_hot_lesion_in_a_cold_background_nothing_changes(spacing_mm):
    r = from_middle(spacing_mm)
    cold = noise(0.05)
    hot = np.where(r < 8, np.float32(0.9), cold)
    alone, beside = onset_of_study(cold, spacing_mm), onset_of_study(hot, spacing_mm)
    assert beside[r > 20] == pytest.approx(alone[r > 20], abs=2e-3)
    assert (beside[r < 4] < 0.15).all()


def test_noise_in_cold_tissue_moves_the_onset_little():
    onset = onset_of_study(noise(0.05), (1.0, 1.0, 1.0))
    assert onset.dtype == np.float32
    assert onset.shape == SHAPE
    assert onset.min() > 0.27
    assert max(np.abs(np.diff(onset, axis=k)).max() for k in range(3)) < 0.005


@pytest.mark.parametrize("spacing_mm", [(1.6, 1.0, 5.0), (0.8, 2.0, 3.0), (4.0, 1.5, 2.5)])
def test_the_last_digits_of_a_spacing_decide_nothing(spacing_mm):
    uptake = noise(0.2)
    near = [tuple(x * (1 + sign * 1e-6) for x in spacing_mm) for sign in (-1, 1)]
    one, other = (onset_of_study(uptake, spacing) for spacing in near)
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_grid_stored_the_other_way_round_has_the_same_onset():
    uptake = noise(0.2)
    turned = onset_of_study(uptake[::-1, ::-1, ::-1].transpose(2, 0, 1), (2.0, 1.0, 1.5))
    np.testing.assert_allclose(
        turned.transpose(1, 2, 0)[::-1, ::-1, ::-1], onset_of_study(uptake, (1.0, 1.5, 2.0)), atol=1e-5
    )


@pytest.mark.parametrize("shape", [(1, 7, 5), (40, 1, 33), (3, 2, 1)])
def test_grids_of_any_size_and_lengths_in_any_unit_are_taken(shape):
    uptake = np.full(shape, 0.5, np.float32)
    for spacing_mm in ((1.0, 1.0, 5.0), (0.001, 0.001, 0.005), (1000.0, 1000.0, 1000.0)):
        assert onset_of_study(uptake, spacing_mm) == pytest.approx(ONSET_ENCLOSED)

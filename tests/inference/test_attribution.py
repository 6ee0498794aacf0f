"""Attribution gives back what a phantom was made from."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from upfusion_med.core import UsageError
from upfusion_med.inference.attribution import (
    DETAIL_FLOOR,
    AttributionMap,
    attribution,
    attribution_colours,
    share_chroma,
)
from upfusion_med.transforms.colour import luma


def _texture(seed: int, sigma: float = 1.0, shape=(5, 96, 96)) -> np.ndarray:
    values = gaussian_filter(np.random.default_rng(seed).normal(size=shape), (0, sigma, sigma))
    return ((values - values.min()) / (values.max() - values.min())).astype(np.float32)


MRI, PET = _texture(1), _texture(2)


def test_a_fusion_that_is_one_source_is_that_source():
    for fused, truth in ((MRI, 1.0), (PET, 0.0)):
        result = attribution(fused, MRI, PET, axis=0)
        assert result.has_detail.all()
        np.testing.assert_allclose(result.share, truth, atol=0.02)
        np.testing.assert_allclose(result.explained, 1.0, atol=0.01)


def test_halves_from_different_sources_are_told_apart():
    fused = np.where(np.arange(96) < 48, MRI, PET)
    share = attribution(fused, MRI, PET, axis=0).share
    assert share[..., :42].min() > 0.98 and share[..., 54:].max() < 0.02
    assert 0.3 < share[..., 46:50].mean() < 0.7


@pytest.mark.parametrize("part", [0.3, 0.5, 0.7])
def test_a_mixture_of_unrelated_sources_has_the_share_of_its_weights(part):
    result = attribution(part * MRI + (1 - part) * PET, MRI, PET, axis=0)
    # Both textures have the same statistics, so the weights are the parts of the amplitude.
    assert result.share.mean() == pytest.approx(part, abs=0.02)
    assert result.explained.min() > 0.97


def test_a_share_does_not_depend_on_the_brightness_of_a_source():
    fused = 0.6 * MRI + 0.4 * PET
    one = attribution(fused, MRI, PET, axis=0).share
    other = attribution(fused, MRI * np.float32(0.7), PET, axis=0).share
    np.testing.assert_allclose(one, other, atol=0.01)


def test_flat_fusions_and_flat_sources_say_nothing():
    grey, black = np.full_like(MRI, 0.5), np.zeros_like(MRI)
    for fused, mri, functional in ((grey, MRI, PET), (black, black, black), (MRI, black, grey)):
        result = attribution(fused, mri, functional, axis=0)
        assert not result.has_detail.any()
        assert (result.share == 0.5).all() and (result.explained == 0).all()
    result = attribution(MRI, MRI, black, axis=0)
    assert result.has_detail.all() and (result.share == 1).all()


def test_detail_of_neither_source_is_hardly_explained():
    result = attribution(_texture(3), MRI, PET, axis=0)
    assert result.explained.mean() < 0.15
    inverted = attribution(1 - MRI, MRI, PET, axis=0)
    assert inverted.explained.mean() < 0.15


def test_a_border_that_both_have_with_opposite_contrast_belongs_to_the_one_that_shows():
    # White matter: bright on T1, dark on FDG-PET.
    step = np.clip((np.arange(64, dtype=np.float32) - 30) / 4, 0, 1) * np.ones((3, 64, 64), np.float32)
    for fused, truth in ((step, 1.0), (1 - step, 0.0)):
        result = attribution(fused, step, 1 - step, axis=0)
        at_border = result.share[..., 31:33]
        np.testing.assert_array_equal(at_border, truth)


def test_a_border_that_both_have_alike_counts_for_both():
    result = attribution(MRI, MRI, MRI, axis=0)
    np.testing.assert_allclose(result.share, 0.5, atol=1e-3)


def test_detail_is_the_slope_of_the_fused_luminance():
    ramp = np.broadcast_to(np.arange(40, dtype=np.float32) * np.float32(0.01), (2, 40, 40))
    result = attribution(ramp, ramp, np.zeros_like(ramp), axis=0)
    np.testing.assert_allclose(result.detail, 0.01, rtol=1e-4)
    assert (result.share == 1).all()
    weak = attribution(ramp * np.float32(0.9 * DETAIL_FLOOR / 0.01), ramp, ramp, axis=0)
    assert not weak.has_detail.any() and (weak.share == 0.5).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_may_be_stacked_along_any_axis_and_do_not_see_each_other(axis):
    fused = np.where(np.arange(96) < 48, MRI, PET)
    straight = attribution(fused, MRI, PET, axis=0)
    turned = attribution(*(np.moveaxis(v, 0, axis) for v in (fused, MRI, PET)), axis=axis)
    for name in ("share", "detail", "explained"):
        np.testing.assert_array_equal(np.moveaxis(getattr(turned, name), axis, 0), getattr(straight, name))
        assert getattr(turned, name).dtype == np.float32
    alone = attribution(fused[3:4], MRI[3:4], PET[3:4], axis=0)
    np.testing.assert_array_equal(alone.share[0], straight.share[3])


def test_shapes_that_do_not_belong_together_are_refused():
    with pytest.raises(UsageError, match=r"one \(I, J, K\) grid"):
        attribution(MRI, MRI[:-1], PET, axis=0)
    with pytest.raises(UsageError, match="axis from 0 to 2"):
        attribution(MRI, MRI, PET, axis=3)


def test_overlay_is_blue_for_the_mri_orange_for_uptake_and_grey_otherwise():
    fused = np.full((1, 1, 5), 0.5, np.float32)
    share = np.array([1, 0, 0.5, 1, 1], np.float32).reshape(fused.shape)
    detail = np.array([1, 1, 1, 0, 1], np.float32).reshape(fused.shape)
    explained = np.array([1, 1, 1, 0, 0.05], np.float32).reshape(fused.shape)
    rgb = attribution_colours(AttributionMap(share, detail, explained), fused)[0, 0].astype(int)
    assert rgb[0, 2] - rgb[0, 0] > 100 and rgb[1, 0] - rgb[1, 2] > 100
    for neutral in rgb[2:]:
        assert np.ptp(neutral) == 0
    # The luminance is the same everywhere: colour says where from, brightness what.
    np.testing.assert_allclose(luma(rgb.astype(np.float32)), luma(rgb[2].astype(np.float32)), atol=1.0)
    black = attribution_colours(AttributionMap(share, detail, explained), np.zeros_like(fused))
    assert not black.any()


def test_chroma_of_the_scale_has_no_luma_and_fades_to_the_middle():
    chroma = share_chroma(np.linspace(0, 1, 11, dtype=np.float32))
    np.testing.assert_allclose(luma(chroma), 0, atol=1e-6)
    strength = np.linalg.norm(chroma, axis=-1)
    assert strength[5] == 0 and (np.diff(strength[5:]) > 0).all() and (np.diff(strength[:6]) < 0).all()

"""Composed colours keep luminance and hue; only saturation gives way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from upfusion_med.core import InputError, UsageError, Volume
from upfusion_med.transforms.colour import (
    compose,
    legend_colours,
    luma,
    lut_chroma,
    lut_luminance,
    rgb_chroma,
    split_rgb,
)
from upfusion_med.transforms.luts import get_lut, lut_names

unit = st.floats(0, 1, width=32)
colours = arrays(np.float32, (40, 3), elements=unit)
levels = arrays(np.float32, (40,), elements=unit)


@given(levels, colours)
def test_luma_of_the_result_is_the_luminance_within_rounding(luminance, rgb):
    composed = compose(luminance, rgb_chroma(rgb))
    assert np.abs(luma(composed.astype(np.float32)) - luminance * 255).max() <= 0.501


@given(levels, colours)
def test_hue_is_kept_and_saturation_never_grows(luminance, rgb):
    chroma = rgb_chroma(rgb)
    composed = compose(luminance, chroma).astype(np.float64)
    shown = composed - luma(composed)[:, None]
    # Along the hue: at most the wanted length. Across it: nothing but rounding.
    length = np.linalg.norm(chroma, axis=1)
    direction = chroma / np.maximum(length, 1e-9)[:, None]
    along = (shown * direction).sum(axis=1)
    across = np.linalg.norm(shown - along[:, None] * direction, axis=1)
    assert (along <= length * 255 + 1.5).all() and (along >= -1.5).all()
    assert across[length > 1e-3].max(initial=0) <= 1.5


@given(colours)
def test_colours_inside_the_gamut_are_untouched(rgb):
    composed = compose(luma(rgb), rgb_chroma(rgb))
    assert np.abs(composed - rgb.astype(np.float64) * 255).max() <= 0.502


@given(levels, colours)
def test_saturation_is_the_largest_that_fits(luminance, rgb):
    chroma = rgb_chroma(rgb)
    composed = compose(luminance, chroma)
    shown = np.linalg.norm(composed - luma(composed.astype(np.float32))[:, None], axis=1)
    paler = shown < np.linalg.norm(chroma, axis=1) * 255 - 3
    at_the_border = (composed.max(axis=1) >= 254) | (composed.min(axis=1) <= 1)
    assert at_the_border[paler].all()


@given(colours)
def test_no_luminance_is_exactly_black_and_full_luminance_exactly_white(rgb):
    chroma = rgb_chroma(rgb)
    assert not compose(np.zeros(40, np.float32), chroma).any()
    assert (compose(np.ones(40, np.float32), chroma) == 255).all()


@settings(max_examples=20)
@given(st.sampled_from([(7,), (3, 4), (5, 1, 6), (2, 3, 4, 5)]), st.booleans())
def test_any_shape_and_memory_order_gives_the_same(shape, fortran):
    rng = np.random.default_rng(1)
    luminance, chroma = rng.random(shape, dtype=np.float32), rgb_chroma(rng.random((*shape, 3), dtype=np.float32))
    flat = compose(luminance.ravel(), chroma.reshape(-1, 3)).reshape(*shape, 3)
    if fortran:
        luminance, chroma = np.asfortranarray(luminance), np.asfortranarray(chroma)
    np.testing.assert_array_equal(compose(luminance, chroma), flat)


def test_blocks_join_without_a_seam():
    rng = np.random.default_rng(2)
    luminance, chroma = rng.random((300, 700), dtype=np.float32), rgb_chroma(rng.random((300, 700, 3)))
    together = compose(luminance, chroma)
    apart = np.stack([compose(y, c) for y, c in zip(luminance, chroma, strict=True)])
    np.testing.assert_array_equal(together, apart)


def test_luminance_outside_its_range_is_clipped_and_a_scalar_works():
    chroma = rgb_chroma(np.array([[1.0, 0.0, 0.0]] * 2))
    np.testing.assert_array_equal(compose(np.array([-0.5, 1.5]), chroma), [[0, 0, 0], [255, 255, 255]])
    assert compose(np.float32(0.5), np.zeros(3)).tolist() == [128, 128, 128]


def test_shapes_that_do_not_belong_together_are_refused():
    with pytest.raises(UsageError, match="expected"):
        compose(np.zeros((4, 5)), np.zeros((4, 6, 3)))


def test_luma_weights_are_those_of_bt601():
    np.testing.assert_allclose(luma(np.eye(3)), [0.299, 0.587, 0.114], atol=1e-7)
    np.testing.assert_allclose(luma(rgb_chroma(np.random.default_rng(0).random((9, 3)))), 0, atol=1e-6)


@pytest.mark.parametrize("name", lut_names())
def test_uptake_alone_is_shown_in_the_colour_of_the_table(name):
    lut = get_lut(name)
    uptake = (np.arange(256) / 255).astype(np.float32)
    shown = compose(lut_luminance(uptake, lut), lut_chroma(uptake, lut))
    assert shown[0].tolist() == [0, 0, 0]
    # Where luma has not fallen behind an earlier entry, the colour is exactly the table's.
    own = lut.luma >= lut.display_luminance - 1e-12
    own[0] = not lut.table[0].any()
    assert own[1:].all() == lut.luma_is_monotone
    assert np.abs(shown[own] - lut.table[own] * 255).max(initial=0) <= 0.51
    # Hotter is never darker.
    assert (np.diff(luma(shown.astype(np.float32))) > -1.01).all()
    assert (np.diff(lut_luminance(uptake, lut)) >= 0).all()


def test_bright_mri_under_low_uptake_stays_nearly_neutral_in_the_default_table():
    lut = get_lut("ember")
    uptake = np.full(1, 0.05, np.float32)
    shown = compose(np.full(1, 0.7, np.float32), lut_chroma(uptake, lut))[0].astype(int)
    assert shown.max() - shown.min() < 12


def test_legend_runs_from_black_to_the_last_colour():
    lut = get_lut("ember")
    legend = legend_colours(lut, 64)
    assert legend.shape == (64, 3) and legend.dtype == np.uint8
    assert not legend[0].any()
    np.testing.assert_allclose(legend[-1], lut.table[-1] * 255, atol=0.51)


def test_coloured_volume_is_split_and_put_together_again():
    rgb = np.random.default_rng(3).integers(0, 256, (5, 6, 7, 3)).astype(np.float32)
    rgb[0] = 0
    volume = Volume(rgb, np.diag([2.0, 2.0, 2.0, 1.0]), units="RGB levels")
    brightness, chroma = split_rgb(volume)
    assert brightness.geometry.same_grid(volume.geometry)
    assert not brightness.is_rgb and brightness.array.min() >= 0 and brightness.array.max() <= 1
    assert not brightness.array[0].any()
    np.testing.assert_array_equal(compose(brightness.array, chroma), rgb)


def test_only_colours_in_range_are_split():
    with pytest.raises(InputError, match="has no colours"):
        split_rgb(Volume(np.ones((3, 3, 3), np.float32), np.eye(4)))
    for wrong in (-1.0, 256.0, np.nan):
        levels = np.full((3, 3, 3, 3), 100.0, np.float32)
        levels[1, 1, 1, 1] = wrong
        with pytest.raises(InputError, match="expected 0 to 255"):
            split_rgb(Volume(levels, np.eye(4)))

from __future__ import annotations

import numpy as np
import pytest

from upfusion_med.core import InputError
from upfusion_med.metrics import uptake_reading
from upfusion_med.metrics.uptake_reading import (
    darker_when_hotter,
    hot_contrast,
    hot_pixels,
    hot_uptake_lost,
    read_back,
    read_back_by_hue,
    uptake_error,
    uptake_order_kept,
)

#: Black to red to yellow to white.
SCALE = np.concatenate(
    [np.stack([np.arange(0, 255, 5), np.zeros(51), np.zeros(51)], 1), [[255, 5 * k, 0] for k in range(51)]]
)
UPTAKE = np.tile(np.linspace(0, 1, 101), (10, 1))


def test_colours_of_the_scale_are_read_back_exactly() -> None:
    index = np.arange(102).reshape(6, 17)
    assert np.allclose(read_back(SCALE[index], SCALE) * 101, index)


def test_colours_beside_the_scale_go_to_the_nearest() -> None:
    assert read_back(np.array([[200, 30, 30]]), SCALE)[0] * 101 == pytest.approx(40, abs=1)


#: From blue over green to red at one luma of 100: a scale that says everything by hue.
ANGLES = np.linspace(np.deg2rad(-20.0), np.deg2rad(110.0), 90)


def of_luma_and_hue(luma: float, angle: np.ndarray, chroma: float) -> np.ndarray:
    """(n, 3) colours with Y = luma and (Cb, Cr) = chroma · (cos, sin)."""
    cb, cr = chroma * np.cos(angle), chroma * np.sin(angle)
    red, blue = luma + 1.402 * cr, luma + 1.772 * cb
    return np.stack((red, (luma - 0.299 * red - 0.114 * blue) / 0.587, blue), axis=-1)


HUES = of_luma_and_hue(100.0, ANGLES, 40.0)


@pytest.mark.parametrize(("luma", "chroma"), [(100.0, 40.0), (150.0, 40.0), (60.0, 30.0), (180.0, 12.0)])
def test_hue_is_read_back_whatever_the_brightness_and_however_pale(luma: float, chroma: float) -> None:
    shown = of_luma_and_hue(luma, ANGLES, chroma)
    uptake = np.linspace(0, 1, 90)
    assert uptake_error(uptake, read_back_by_hue(shown, HUES)) < 0.8  # hues within 1° count as one
    if luma != 100.0:
        other_hue = of_luma_and_hue(luma, ANGLES[::-1], chroma)
        assert uptake_error(uptake, read_back_by_hue(other_hue, HUES)) > 40


def test_brightness_alone_misleads_the_nearest_colour_and_not_the_hue() -> None:
    # Dark red to light yellow: brighter by fusion, a red is nearest to a yellow of the scale, and yet red.
    angles = np.linspace(np.deg2rad(112.0), np.deg2rad(170.0), 60)
    scale = np.concatenate([of_luma_and_hue(70 + 2 * k, angles[k : k + 1], 55.0) for k in range(60)])
    shown = np.concatenate([of_luma_and_hue(130 + 2 * k, angles[k : k + 1], 55.0) for k in range(60)])
    uptake = np.linspace(0, 1, 60)
    assert uptake_error(uptake, read_back_by_hue(shown, scale)) < 3
    assert uptake_error(uptake, read_back(shown, scale)) > 10


def test_a_turned_hue_is_an_error_of_that_part_of_the_scale() -> None:
    step = (ANGLES[1] - ANGLES[0]) * 20
    error = uptake_error(
        np.linspace(0, 1, 90)[15:65], read_back_by_hue(of_luma_and_hue(140.0, ANGLES + step, 40.0), HUES)[15:65]
    )
    assert error == pytest.approx(100 * 20 / 89, abs=1.0)


def test_of_two_places_with_one_hue_the_nearer_colour_counts_and_grey_has_no_hue() -> None:
    scale = np.array([[0, 0, 0], [90, 0, 0], [255, 0, 0], [255, 255, 255]], dtype=float)
    shown = np.array([[110, 0, 0], [250, 10, 10], [130, 130, 130], [240, 240, 238], [255, 150, 150]])
    assert np.allclose(read_back_by_hue(shown, scale) * 3, [1, 2, 1, 3, 2])
    assert np.allclose(read_back_by_hue(np.full((2, 3), 200), scale[[0, 3]]), 1.0)


def test_wrong_scales_are_refused() -> None:
    with pytest.raises(InputError, match="two colours"):
        read_back(np.zeros((2, 2, 3)), np.zeros((1, 3)))
    with pytest.raises(InputError, match="expected"):
        read_back(np.zeros((2, 2)), SCALE)


def hue_read_by_loops(colour: np.ndarray, scale: np.ndarray) -> float:
    """Position of the nearest hue by plain search, hues as angles."""

    def hue(c: np.ndarray) -> tuple[float, float]:
        luma = c @ [0.299, 0.587, 0.114]
        cb, cr = (c[2] - luma) / 1.772, (c[0] - luma) / 1.402
        return np.rad2deg(np.arctan2(cr, cb)), np.hypot(cb, cr)

    angle, strength = hue(colour)
    coloured = [k for k, c in enumerate(scale) if hue(c)[1] >= 6.0]
    apart = {k: abs((hue(scale[k])[0] - angle + 180) % 360 - 180) for k in coloured}
    same = [k for k in coloured if apart[k] <= min(apart.values()) + 1.0] if strength >= 6.0 else range(len(scale))
    return min(same, key=lambda k: ((scale[k] - colour) ** 2).sum()) / (len(scale) - 1)


@pytest.mark.parametrize("at_a_time", [7, 1 << 20])
def test_hues_of_any_colours_are_read_as_by_plain_search(monkeypatch: pytest.MonkeyPatch, at_a_time: int) -> None:
    monkeypatch.setattr(uptake_reading, "_PIXELS_AT_A_TIME", at_a_time)
    rng = np.random.default_rng(8)
    scale = rng.uniform(0, 255, (60, 3))
    scale[::10] = scale[::10, :1]  # grey
    picture = rng.uniform(0, 255, (9, 11, 3))
    picture[3] = picture[3, :, :1] + rng.uniform(-3, 3, (11, 3))
    expected = [hue_read_by_loops(colour, scale) for colour in picture.reshape(-1, 3)]
    np.testing.assert_array_equal(read_back_by_hue(picture, scale).ravel(), expected)


def test_a_scale_without_hues_is_read_by_the_nearest_colour() -> None:
    grey = np.repeat(np.linspace(0, 255, 20)[:, None], 3, axis=1)
    picture = np.random.default_rng(1).uniform(0, 255, (4, 5, 3))
    np.testing.assert_array_equal(read_back_by_hue(picture, grey), read_back(picture, grey))


def test_hot_pixels_are_the_hottest_part_of_those_with_uptake() -> None:
    uptake = np.zeros((20, 20))
    uptake.flat[:100] = np.linspace(0.2, 1.0, 100)
    hot = hot_pixels(uptake)
    assert hot.sum() == 5
    assert uptake[hot].min() > 0.95
    assert not hot_pixels(np.full((3, 3), 0.1)).any()


def test_uniform_fall_is_measured_and_counted_beyond_its_step() -> None:
    assert uptake_error(UPTAKE, UPTAKE) == 0
    assert uptake_error(UPTAKE, UPTAKE - 0.04) == pytest.approx(4.0)
    assert hot_uptake_lost(UPTAKE, UPTAKE - 0.09) == 0
    assert hot_uptake_lost(UPTAKE, UPTAKE - 0.11) == 100
    half = UPTAKE.copy()
    half[:5] -= 0.2
    assert hot_uptake_lost(UPTAKE, half) == pytest.approx(50.0)
    faint = np.array([0.05, 0.1, 0.2])
    assert np.isnan(hot_uptake_lost(faint, faint - 0.2, floor=0.2))
    assert hot_uptake_lost(faint, [0.05, 0.1, 0.0], share=0.6) == 100
    assert hot_uptake_lost(faint, [0.05, 0.1, 0.0], share=0.6, floor=0.0) == 50
    assert np.isnan(uptake_error(np.zeros((3, 3)), np.zeros((3, 3))))
    assert np.isnan(hot_uptake_lost(np.zeros((3, 3)), np.zeros((3, 3))))


def test_order_is_kept_by_any_rising_display_and_reversed_by_a_falling_one() -> None:
    assert uptake_order_kept(UPTAKE, UPTAKE**3) == pytest.approx(1.0)
    assert uptake_order_kept(UPTAKE, 1 - UPTAKE) == pytest.approx(-1.0)
    body = UPTAKE > 0.5
    folded = np.abs(UPTAKE - 0.5)
    assert uptake_order_kept(UPTAKE, folded, body) == pytest.approx(1.0)
    assert abs(uptake_order_kept(UPTAKE, folded)) < 0.05
    assert np.isnan(uptake_order_kept(UPTAKE, np.zeros_like(UPTAKE)))
    assert np.isnan(uptake_order_kept(np.zeros_like(UPTAKE), UPTAKE))
    assert uptake_order_kept(np.array([0.1, 0.2]), np.array([7.0, 9.0])) == pytest.approx(1.0)


def test_luminance_of_a_scale_that_falls_does_not_keep_the_order() -> None:
    falling = np.array([[0, 0, 0], [0, 0, 255], [255, 255, 0], [255, 0, 0]], dtype=float)
    uptake = np.repeat(np.arange(4) / 3, 5).reshape(4, 5)
    luminance = falling[(uptake * 3).astype(int)] @ [0.299, 0.587, 0.114]
    assert uptake_order_kept(uptake, luminance) == pytest.approx(0.8)  # ranks 1, 2, 4, 3
    assert uptake_order_kept(uptake, read_back(falling[(uptake * 3).astype(int)], falling)) == pytest.approx(1.0)


def test_pixels_darker_than_colder_ones_are_counted() -> None:
    assert darker_when_hotter(UPTAKE, 200 * UPTAKE) == 0
    beyond_peak = 200 * np.minimum(UPTAKE, 1.2 - UPTAKE)
    judged = UPTAKE > 0.15
    assert darker_when_hotter(UPTAKE, beyond_peak) == pytest.approx(100 * (UPTAKE >= 0.65)[judged].mean(), abs=0.5)
    assert darker_when_hotter(UPTAKE, 100 - 3 * UPTAKE) == 0, "a fall of less than 4 levels is not seen"
    hottest = np.array([0.5] * 10 + [0.96] * 9 + [1.0])
    assert darker_when_hotter(hottest, np.array([100.0] * 10 + [99.0] * 9 + [10.0])) == 50, "one twentieth, up to 1"
    assert np.isnan(darker_when_hotter(np.zeros((2, 2)), np.zeros((2, 2))))


def test_hot_contrast_falls_with_the_difference_and_knows_its_surroundings() -> None:
    hot = np.zeros((40, 40), dtype=bool)
    hot[15:25, 15:25] = True
    before = np.where(hot, 200.0, 100.0)
    same = hot_contrast(before, before, hot)
    assert same.kept == pytest.approx(1.0)
    assert same.before > 20
    assert hot_contrast(np.full((40, 40), 100.0), before, hot).kept == pytest.approx(0.0)
    assert 0 < hot_contrast(np.where(hot, 150.0, 100.0), before, hot).kept < 1
    far = before.copy()
    far[:3] = 255.0  # further away than the ring
    assert hot_contrast(far, before, hot).after == pytest.approx(same.after)
    near = before.copy()
    near[20, 30] = 255.0  # six pixels to the right
    assert hot_contrast(near, before, hot).after != pytest.approx(same.after)
    assert hot_contrast(near, before, hot, ring=5).after == pytest.approx(same.after)
    body = np.ones_like(hot)
    body[:, :15] = False
    outside = np.where(body, before, 255.0)
    assert hot_contrast(outside, outside, hot).before != pytest.approx(same.before)
    assert hot_contrast(outside, outside, hot, body).before == pytest.approx(same.before)
    assert np.isnan(hot_contrast(before, before, hot, hot)).all(), "no surroundings"
    flat = hot_contrast(before, np.full((40, 40), 100.0), hot)
    assert flat.before == 0 and np.isnan(flat.kept)
    colour = np.repeat(before[..., None], 3, axis=-1)
    assert hot_contrast(colour, colour, hot).before == pytest.approx(same.before)
    assert np.isnan(hot_contrast(before, before, np.zeros_like(hot)).kept)


def test_values_that_are_not_finite_or_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="one shape"):
        uptake_error(UPTAKE, UPTAKE[:2])
    with pytest.raises(InputError, match="not finite"):
        uptake_error(UPTAKE, np.where(UPTAKE == 0.5, np.nan, UPTAKE))
    with pytest.raises(InputError, match="not finite"):
        uptake_error(np.where(UPTAKE == 0.5, np.inf, UPTAKE), UPTAKE)

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr

from upfusion_med.core import UsageError
from upfusion_med.transforms import legible_colour, legible_limits
from upfusion_med.transforms.colour import compose, luma, rgb_chroma
from upfusion_med.transforms.legible_colour import LegibleColours
from upfusion_med.transforms.luts import get_lut
from upfusion_med.transforms.pseudo_colour import get_palette

SPACING = (1.0, 1.0, 1.0)
TABLES = {
    "ember": get_lut("ember").table,
    "warm": get_palette("warm").colours / 255.0,
    "rainbow": get_palette("rainbow").colours / 255.0,
}


def read(colours: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Position of the nearest colour of the table, by plain search."""
    distance = ((colours[..., None, :] / 255.0 - table) ** 2).sum(-1)
    return distance.argmin(-1) / (len(table) - 1)


def uptake_and_structure() -> tuple[np.ndarray, np.ndarray]:
    """Smooth uptake over the whole range, under a luminance of stripes that knows nothing of it."""
    x, y = np.meshgrid(np.linspace(0, 1, 96), np.arange(64), indexing="ij")
    stripes = 0.5 + 0.45 * np.sin(y / 2.0)
    return x[..., None].astype(np.float32), stripes[..., None].astype(np.float32)


@pytest.mark.parametrize("name", TABLES)
def test_uptake_is_read_back_whatever_luminance_is_put_under_it(name):
    table = TABLES[name]
    uptake, structure = uptake_and_structure()
    shown, chroma = LegibleColours.of(table).show(structure, uptake, SPACING)
    exact = compose(structure, rgb_chroma(table[np.rint(uptake * (len(table) - 1)).astype(int)]))
    inside = uptake > 0.15
    legible_error, exact_error = (
        np.abs(read(picture, table) - uptake)[inside].mean() for picture in (compose(shown, chroma), exact)
    )
    assert legible_error < 0.05
    assert legible_error < 0.4 * exact_error


@pytest.mark.parametrize(("name", "tight"), [("ember", 0), ("warm", 0), ("rainbow", 2)])
def test_structure_stays_to_be_seen_inside_uptake(name, tight):
    """``tight``: rows of uptake in the rainbow's cyan, which is misread a few levels away and has little room."""
    uptake, structure = uptake_and_structure()
    shown, _ = LegibleColours.of(TABLES[name]).show(structure, uptake, SPACING)
    middle = slice(30, 80)
    contrast = [np.ptp(x[middle, 8:-8, 0], axis=1) for x in (shown, structure)]
    kept = np.sort(contrast[0] / contrast[1])
    assert kept[tight] > 0.08
    assert kept[0] > 0.05
    assert np.median(kept) > 0.2
    along = np.sort([np.corrcoef(shown[i, :, 0], structure[i, :, 0])[0, 1] for i in range(30, 80)])
    assert along[tight] > 0.9, "brighter stays brighter"
    assert along[0] > 0.85


@pytest.mark.parametrize("name", TABLES)
def test_the_luminance_said_is_the_luminance_painted(name):
    uptake, structure = uptake_and_structure()
    shown, chroma = LegibleColours.of(TABLES[name]).show(structure, uptake, SPACING)
    assert np.abs(luma(compose(shown, chroma).astype(np.float32)) / 255.0 - shown).max() < 0.006


def test_without_uptake_the_luminance_is_untouched_and_grey():
    uptake, structure = uptake_and_structure()
    uptake[:40] = 0
    shown, chroma = LegibleColours.of(TABLES["ember"]).show(structure, uptake, SPACING)
    assert np.array_equal(shown[:40], structure[:40])
    assert not chroma[:40].any()
    nothing = LegibleColours.of(TABLES["ember"]).show(structure, np.zeros_like(uptake), SPACING)
    assert np.array_equal(nothing[0], structure)


def test_at_its_own_luminance_a_colour_is_shown_as_the_table_has_it():
    table = TABLES["warm"]
    uptake = np.linspace(0.05, 1, 150, dtype=np.float32)[:, None, None]
    entry = np.rint(uptake * (len(table) - 1)).astype(int)[..., 0, 0]
    exact = (entry / (len(table) - 1)).astype(np.float32)[:, None, None]
    legible = LegibleColours.of(table)
    own = legible.luminance[legible.entry(exact)]
    shown, chroma = legible.show(own, exact, SPACING)
    assert np.allclose(shown, own, atol=1e-5)
    assert np.abs(compose(shown, chroma)[:, 0, 0] / 255.0 - table[entry]).mean() < 0.03


def test_equal_uptake_has_equal_hue_at_every_luminance():
    legible = LegibleColours.of(TABLES["ember"])
    luminance = np.linspace(0.05, 0.95, 60, dtype=np.float32)[:, None, None]
    uptake = np.full_like(luminance, 0.6)
    chroma = legible.show(luminance, uptake, SPACING)[1][:, 0, 0]
    direction = chroma / np.linalg.norm(chroma, axis=1, keepdims=True)
    assert np.allclose(direction, direction[0], atol=1e-5)


def test_uptake_fades_in_without_a_step():
    legible = LegibleColours.of(TABLES["warm"])
    uptake = np.linspace(0, 0.24, 400, dtype=np.float32)[:, None, None]
    shown, _ = legible.show(np.full_like(uptake, 0.8), uptake, SPACING, 0.12)
    assert np.abs(np.diff(shown[:, 0, 0])).max() < 0.02


@pytest.mark.parametrize("name", TABLES)
def test_limits_of_cold_uptake_only_rise(name):
    legible = LegibleColours.of(TABLES[name])
    cold = slice(0, int(legible_limits.COLD * len(legible.luminance)) + 1)
    assert (np.diff(legible.darkest[cold]) >= -1e-6).all()
    assert (np.diff(legible.brightest[cold]) >= -1e-6).all()
    assert (legible.darkest <= legible.luminance + 1e-6).all()
    assert (legible.brightest >= legible.luminance - 1e-6).all()
    assert legible.darkest[0] == 0, "no uptake gives no light"


@pytest.mark.parametrize("name", ["ember", "dawn"])
def test_where_luminance_never_falls_no_limit_is_above_that_of_warmer_uptake(name):
    table = get_lut(name).table
    assert (np.diff(LegibleColours.of(table).brightest) >= -1e-3).all()
    uptake = np.linspace(0.02, 1, 400, dtype=np.float32)[:, None, None]
    shown, _ = LegibleColours.of(table).show(np.full_like(uptake, 0.7), uptake, SPACING)
    assert np.diff(shown[:, 0, 0]).min() > -0.004, "on even tissue hotter is never darker"


@pytest.mark.parametrize("level", [0.0, 0.3, 0.9])
def test_cold_uptake_of_a_picture_stays_in_order_on_any_mri(level):
    table = TABLES["rainbow"]
    entry = np.arange(1, int(0.2 * len(table)))
    uptake = (entry / (len(table) - 1)).astype(np.float32)[:, None, None]
    picture = compose(*LegibleColours.of(table).show(np.full_like(uptake, level), uptake, SPACING))
    assert spearmanr(entry, read(picture, table)[:, 0, 0]).statistic > 0.95


def test_the_violet_of_the_atlas_leaves_room_for_a_bright_mri():
    legible = LegibleColours.of(TABLES["warm"])
    uptake = np.linspace(0, 1, len(legible.luminance))
    violet = (uptake >= 0.25) & (uptake <= 0.4)
    assert 255 * (legible.brightest - legible.luminance)[violet].mean() > 50


def test_cold_uptake_keeps_its_colour_on_black():
    table = TABLES["rainbow"]
    entry = np.arange(5, int(0.2 * len(table)))
    uptake = (entry / (len(table) - 1)).astype(np.float32)[:, None, None]
    picture = compose(*LegibleColours.of(table).show(np.zeros_like(uptake), uptake, SPACING)).astype(float)
    assert picture.max(-1).min() >= 1
    assert ((picture.max(-1) - picture.min(-1)) / picture.max(-1)).mean() > 0.95


@pytest.mark.parametrize("wrong", [np.zeros((1, 3)), np.zeros((5, 4)), np.full((5, 3), 2.0)])
def test_what_is_no_table_of_colours_is_refused(wrong):
    with pytest.raises(UsageError, match="expected \\(N, 3\\)"):
        LegibleColours.of(wrong)


@pytest.mark.parametrize("name", ["dawn", "ember"])
def test_at_the_lower_limit_uptake_is_hardly_ever_read_as_lost(name):
    table = get_lut(name).table
    colours = LegibleColours.of(table)
    entries = np.arange(len(colours.luminance))
    too_low = entries / entries[-1] - read(255 * at(colours, colours.darkest), table)
    assert (too_low > 0.10).mean() < 0.02
    assert too_low.max() < 0.11


@pytest.mark.parametrize(
    ("table", "allowed"),
    [
        (TABLES["warm"], legible_limits.READING_ERROR),
        (TABLES["rainbow"], legible_limits.READING_ERROR),
        (TABLES["ember"], legible_limits.READING_ERROR_BY_LIGHT),
        (get_lut("dawn").table, legible_limits.READING_ERROR_BY_LIGHT),
    ],
    ids=["warm", "rainbow", "ember", "dawn"],
)
def test_up_to_the_upper_limit_uptake_is_hardly_ever_read_wrong(table, allowed):
    colours = LegibleColours.of(table)
    error = np.abs(read(255 * at(colours, colours.brightest), table) - np.linspace(0, 1, len(colours.luminance)))
    assert (error > allowed + 0.01).mean() < 0.02


@pytest.mark.parametrize("name", TABLES)
def test_at_both_limits_colours_are_hardly_paler(name):
    colours = LegibleColours.of(TABLES[name])
    own, dark, bright = (saturation(at(colours, x)) for x in (colours.luminance, colours.darkest, colours.brightest))
    coloured = (own > 0.3) & (colours.darkest > 0.02)
    assert (bright[coloured] / own[coloured]).mean() > 0.87
    assert (dark[coloured] / own[coloured]).mean() > 0.97


def at(colours: LegibleColours, luminance: np.ndarray) -> np.ndarray:
    """(N, 3) colours of the entries at a luminance each."""
    level = np.rint(luminance * 255).astype(int)
    return luminance[:, None] + colours.gain[np.arange(len(level)), level][:, None] * colours.chroma


def saturation(colours: np.ndarray) -> np.ndarray:
    return np.ptp(colours, axis=-1) / np.maximum(colours.max(-1), 1e-6)


def test_the_smooth_part_is_compressed_into_its_share_of_the_limits_of_either_side():
    value = np.linspace(-0.4, 0.6, 101, dtype=np.float32)
    room, reach = (np.full(101, 0.2), np.full(101, 0.05)), (np.full(101, 0.6), np.full(101, 0.4))
    bent = legible_colour._compress(value, room, reach)
    assert bent[-1] == pytest.approx(legible_colour.SMOOTH_SHARE * 0.2, rel=1e-5)
    assert bent[0] == pytest.approx(-legible_colour.SMOOTH_SHARE * 0.05, rel=1e-5)
    assert (np.diff(bent) > 0).all()
    assert (np.abs(bent) <= np.abs(value)).all()
    small = np.array([-1e-4, 1e-4], np.float32)
    np.testing.assert_allclose(
        legible_colour._compress(small, tuple(x[:2] for x in room), tuple(x[:2] for x in reach)), small, rtol=0.01
    )
    enough = legible_colour._compress(value, (np.full(101, 0.9), np.full(101, 0.9)), reach)
    np.testing.assert_allclose(enough, value, atol=1e-6)


def test_what_goes_beyond_the_limits_is_bent_into_them_on_either_side():
    value = np.array([-2.0, -0.05, -1e-4, 0.0, 1e-4, 0.1, 2.0])
    expected = [-0.05, -0.05 * np.tanh(1), -1e-4, 0, 1e-4, 0.2 * np.tanh(0.5), 0.2]
    found = legible_colour._bound(value, (np.full(7, 0.2), np.full(7, 0.05)))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def shown_at_once(colours, luminance, uptake, spacing_mm, onset):
    """`LegibleColours.show` over a whole volume, without slabs and without a box around the uptake."""
    entry = np.rint(uptake * (len(colours.luminance) - 1)).astype(int)
    own = colours.luminance[entry]
    counts = ((uptake > 0) | (luminance > 0)).astype(np.float32)
    sigma = [legible_colour.SMOOTH_MM / s for s in spacing_mm]
    smooth = gaussian_filter((luminance - own) * counts, sigma, truncate=3.0)
    smooth = smooth / np.maximum(gaussian_filter(counts, sigma, truncate=3.0), np.float32(1e-6))
    room = colours.brightest[entry] - own, own - colours.darkest[entry]
    wanted = legible_colour._compress(smooth, room, (1 - own, own)) + (luminance - own - smooth)
    x = np.clip(uptake / np.asarray(onset, np.float32), 0, 1)
    share = x * x * (3 - 2 * x)
    shown = np.clip(luminance + share * (own + legible_colour._bound(wanted, room) - luminance), 0, 1)
    gain = colours.gain[entry, np.rint(shown * 255).astype(int)]
    active = uptake > 0
    return np.where(active, shown, luminance), ((share * gain)[..., None] * colours.chroma[entry]) * active[..., None]


@pytest.mark.parametrize("slab", [1, 3000, 1 << 30])
def test_slabs_change_nothing(monkeypatch, slab):
    monkeypatch.setattr(legible_colour, "_SLAB_VOXELS", slab)
    rng = np.random.default_rng(0)
    uptake, luminance = rng.random((2, 30, 26, 22), dtype=np.float32)
    uptake[uptake < 0.3] = 0
    luminance[luminance < 0.1] = 0
    colours = LegibleColours.of(TABLES["ember"])
    for onset in (0.008, rng.uniform(0.1, 0.3, uptake.shape).astype(np.float32)):
        expected = shown_at_once(colours, luminance, uptake, SPACING, onset)
        for found, wanted in zip(colours.show(luminance, uptake, SPACING, onset), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.8, 1.1, 4.0)])
def test_a_small_lesion_is_shown_as_in_the_whole_volume(spacing_mm):
    rng = np.random.default_rng(1)
    luminance = gaussian_filter(rng.normal(size=(60, 48, 40)), 2)
    luminance = np.clip(0.5 + 0.3 * luminance / luminance.std(), 0, 1).astype(np.float32)
    uptake = np.zeros_like(luminance)
    uptake[36:44, 20:25, 18:22] = rng.uniform(0.3, 1, (8, 5, 4))
    colours = LegibleColours.of(TABLES["ember"])
    expected = shown_at_once(colours, luminance, uptake, spacing_mm, 0.05)
    for found, wanted in zip(colours.show(luminance, uptake, spacing_mm, 0.05), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    one_mm = shown_at_once(colours, luminance, uptake, SPACING, 0.05)[0]
    assert spacing_mm == SPACING or np.abs(one_mm - expected[0]).max() > 0.02


def test_little_more_memory_is_needed_than_the_result_takes():
    rng = np.random.default_rng(0)
    uptake, luminance = rng.random((2, 96, 96, 96), dtype=np.float32)
    colours = LegibleColours.of(TABLES["ember"])
    tracemalloc.start()
    try:
        colours.show(luminance, uptake, SPACING)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 40 * uptake.size  # the result takes 16 bytes a voxel


def test_lengths_in_another_unit_do_not_make_the_smoothing_endless(monkeypatch):
    asked = []
    gaussian = legible_colour._smooth
    monkeypatch.setattr(legible_colour, "_smooth", lambda *given: (asked.append(given[2]), gaussian(*given)))
    colours = LegibleColours.of(get_lut("ember").table)
    uptake = np.linspace(0.1, 1, 100 * 20 * 3, dtype=np.float32).reshape(100, 20, 3)
    shown, _ = colours.show(np.full_like(uptake, 0.5), uptake, (0.001, 0.001, 5.0))
    assert asked == [[100, 64, 0.6]]
    assert np.isfinite(shown).all()

from __future__ import annotations

import csv

import numpy as np
import pytest

from upfusion_med.core import UsageError
from upfusion_med.transforms.luts import get_lut
from upfusion_med.transforms.pseudo_colour import get_palette, is_inverted, palette_names, recognise


def drawn(name: str, side: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """Indices on a palette, and the picture drawn with it."""
    colours = get_palette(name).colours
    index = np.random.default_rng(3).integers(0, len(colours), (side, side))
    return index, colours[index].astype(np.uint8)


@pytest.mark.parametrize("name", ["rainbow", "warm", "hot_iron", "ember"])
def test_a_palette_is_recognised_and_uptake_read_back_exactly(name):
    index, picture = drawn(name)
    found = recognise(picture)
    assert found is not None
    assert found.name == name
    count = len(found.colours)
    wrong = np.abs(found.uptake(picture) * (count - 1) - index)
    same = (found.colours[np.rint(found.uptake(picture) * (count - 1)).astype(int)] == picture).all(-1)
    assert same.all(), "another index only where two entries have one colour"
    assert (wrong > 0.5).mean() < 0.35


@pytest.mark.parametrize("name", ["rainbow", "warm"])
def test_noise_as_of_jpeg_does_not_hide_a_palette(name):
    index, picture = drawn(name)
    noisy = np.clip(picture + np.random.default_rng(0).normal(0, 5, picture.shape), 0, 255).astype(np.uint8)
    found = recognise(noisy)
    assert found is not None
    assert found.name == name
    assert np.abs(found.uptake(noisy) - index / (len(found.colours) - 1)).mean() < 0.05


def head(name: str, shape: tuple[int, ...] = (64, 64)) -> tuple[np.ndarray, np.ndarray]:
    """Uptake of a head with one hot lesion in air, and the picture drawn with a palette."""
    y, x = np.indices(shape)[:2]
    uptake = np.where(np.hypot(y - 32, x - 32) < 26, 0.35 + 0.1 * np.sin(x / 4), 0.0)
    uptake[np.hypot(y - 30, x - 40) < 4] = 1.0
    colours = get_palette(name).colours
    return uptake, colours[np.rint(uptake * (len(colours) - 1)).astype(int)].astype(np.uint8)


@pytest.mark.parametrize("shape", [(64, 64), (64, 64, 1), (64, 64, 5)])
@pytest.mark.parametrize("name", ["rainbow", "hot_iron", "hot_metal_blue", "pet", "pet_20_step", "spring"])
def test_a_picture_with_hot_air_is_read_the_other_way_up(name, shape):
    for asked in (name, f"{name}_inverted"):
        uptake, picture = head(asked, shape)
        found = recognise(picture)
        assert found is not None
        assert found.name == asked
        read = found.uptake(picture)
        assert (read[uptake == 0] == 0).all()
        assert read[uptake == 1].min() > 0.94
        assert np.abs(read - uptake).max() < 0.06


def test_a_picture_whose_frame_is_warm_is_not_read_at_all():
    colours = get_palette("hot_iron").colours
    _, picture = head("hot_iron")
    picture[:, :6] = colours[180]
    picture[:, -6:] = colours[180]
    assert is_inverted(picture, get_palette("hot_iron")) is None
    assert recognise(picture) is None


def test_white_air_on_a_black_page_is_not_read_at_all():
    _, picture = head("hot_iron_inverted")
    assert recognise(np.pad(picture, ((9, 9), (9, 9), (0, 0)))) is None
    assert recognise(np.pad(head("hot_iron")[1], ((9, 9), (9, 9), (0, 0)))).name == "hot_iron"


def test_a_picture_that_cuts_the_tissue_counts_as_upright():
    uptake = np.indices((48, 48)).sum(axis=0) / 94
    colours = get_palette("hot_iron").colours
    assert recognise(colours[np.rint(uptake * 255).astype(int)]).name == "hot_iron"


def test_colours_of_no_palette_and_grey_are_not_recognised():
    _, picture = drawn("rainbow")
    assert recognise(np.random.default_rng(1).integers(0, 256, (48, 48, 3)).astype(np.uint8)) is None
    assert recognise(np.repeat(picture[..., :1], 3, axis=-1)) is None


def test_black_is_no_uptake_in_every_palette():
    for name in palette_names():
        assert get_palette(name).uptake(np.zeros((2, 2, 3), np.uint8)).max() == 0


def test_the_lookup_tables_are_palettes_too():
    assert np.array_equal(get_palette("hot-iron").colours, np.rint(get_lut("hot_iron").table * 255))


def test_an_unknown_palette_is_named_with_those_there_are():
    with pytest.raises(UsageError, match=r"'plasma'.*auto, keep.*rainbow, warm"):
        get_palette("plasma")


@pytest.mark.shared
def test_the_palettes_are_those_of_the_atlas(shared):
    with (shared / "data" / "harvard" / "colour_scale.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for ours, theirs in (("rainbow", "pet_rainbow"), ("warm", "spect_warm")):
        colours = np.array([[float(r[c]) for c in "rgb"] for r in rows if r["map"] == theirs])
        assert np.array_equal(get_palette(ours).colours, colours)

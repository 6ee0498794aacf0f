from __future__ import annotations

import csv

import numpy as np
import pytest

from upfusion_med.core import UsageError
from upfusion_med.transforms.luts import get_lut
from upfusion_med.transforms.pseudo_colour import get_palette, palette_names, recognise


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

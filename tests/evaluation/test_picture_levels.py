from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from upfusion_med.core import InputError
from upfusion_med.evaluation.picture_levels import grey, read_levels, to_levels


def test_sixteen_bits_are_scaled_from_their_full_range(tmp_path: Path) -> None:
    values = np.array([[0, 257, 128 * 257, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    assert read_levels(tmp_path / "deep.png").tolist() == [[0, 1, 128, 255]]


def test_a_dark_sixteen_bit_picture_is_not_taken_for_eight_bits(tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 2), 200, dtype=np.uint16)).save(tmp_path / "dark.png")
    assert read_levels(tmp_path / "dark.png").max() == 1


def test_an_opaque_alpha_channel_changes_nothing(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    opaque = np.dstack([colours, np.full((5, 7), 255, np.uint8)])
    Image.fromarray(opaque, "RGBA").save(tmp_path / "rgba.png")
    np.testing.assert_array_equal(read_levels(tmp_path / "rgba.png"), colours)


def test_transparent_pixels_lie_on_black(tmp_path: Path) -> None:
    picture = np.full((2, 2, 4), 200, np.uint8)
    picture[0, :, 3] = 0
    picture[1, :, :3] = (10, 20, 30)
    picture[1, :, 3] = 255
    Image.fromarray(picture, "RGBA").save(tmp_path / "half.png")
    assert read_levels(tmp_path / "half.png").tolist() == [[[0, 0, 0]] * 2, [[10, 20, 30]] * 2]


def test_values_that_are_no_levels_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.array([[-1000.0, 3.5]], dtype=np.float32)).save(tmp_path / "hu.tif")
    with pytest.raises(InputError, match=r"values from -1000 to 3\.5; expected grey levels"):
        read_levels(tmp_path / "hu.tif")


def test_fractions_on_the_unit_scale_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)).save(tmp_path / "unit.tif")
    with pytest.raises(InputError, match=r"unit\.tif is 1: it seems to be on the scale 0\.\.1"):
        read_levels(tmp_path / "unit.tif")
    Image.fromarray(np.eye(3, dtype=np.float32)).save(tmp_path / "binary.tif")
    assert read_levels(tmp_path / "binary.tif").tolist() == np.eye(3).tolist()


def test_luma_is_exact_for_every_colour_of_a_sample() -> None:
    colours = np.random.default_rng(1).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    colours[0, :3] = ((0, 0, 0), (255, 255, 255), (0, 250, 125))
    expected = [
        [int(Fraction(299 * int(r) + 587 * int(g) + 114 * int(b), 1000) + Fraction(1, 2)) for r, g, b in row]
        for row in colours
    ]
    assert grey(colours).tolist() == expected


def test_rounding_takes_halves_to_the_even_level_and_clips() -> None:
    assert to_levels(np.array([[0.5, 1.5, 2.5, 300.0, -4.0]])).tolist() == [[0, 2, 2, 255, 0]]

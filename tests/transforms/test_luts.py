"""Colour tables: the standard's palettes are the standard's, our own grow lighter in even steps."""

from __future__ import annotations

import numpy as np
import pytest

from upfusion_med.core import UsageError
from upfusion_med.transforms.luts import DEFAULT_LUT, PICTURE_LUT, Lut, get_lut, lut_names
from upfusion_med.transforms.perceptual_ramp import lab_from_srgb, srgb_from_lab

EVEN = ("ember", "glacier", "verdant")
OWN = (*EVEN, PICTURE_LUT)
DICOM = ("hot_iron", "pet", "hot_metal_blue", "pet_20_step", "spring", "summer", "fall", "winter")


def test_all_names_give_a_table():
    assert set(lut_names()) == {"grey", *OWN, *DICOM}
    for name in lut_names():
        lut = get_lut(name)
        assert lut.table.shape == (256, 3)
        assert lut.name == name and lut.source


def test_spelling_does_not_matter_but_the_name_does():
    assert get_lut("Hot Iron").name == get_lut("HOT-IRON").name == "hot_iron"
    with pytest.raises(UsageError, match=r"no colour table 'jet'.*ember.*winter"):
        get_lut("jet")


def test_hot_iron_follows_its_construction():
    # PS3.6 Annex B: red rises over the first half, green over the second, blue over the last quarter.
    i = np.arange(256)
    expected = np.stack(
        [
            np.where(i < 128, 2 * i, 255),
            np.where(i < 128, 0, np.where(i == 255, 255, 2 * (i - 128))),
            np.where(i < 192, 0, np.minimum(255, 4 * (i - 192) + 4)),
        ],
        axis=1,
    )
    np.testing.assert_array_equal(np.rint(get_lut("hot_iron").table * 255), expected)


@pytest.mark.shared
@pytest.mark.parametrize("name", DICOM)
def test_palettes_are_those_of_the_standard(shared, name):
    rows = np.loadtxt(shared / "refs" / "luts" / f"{name.replace('_', '')}.csv", delimiter=",", skiprows=1)
    np.testing.assert_array_equal(np.rint(get_lut(name).table * 255), rows[:, 1:])


def test_which_palettes_have_monotone_luma():
    falls = {name for name in lut_names() if not get_lut(name).luma_is_monotone}
    assert falls == {"pet", "pet_20_step", "summer", "fall"}


@pytest.mark.parametrize("name", EVEN)
def test_own_tables_grow_lighter_in_even_steps(name):
    lut = get_lut(name)
    lightness = lab_from_srgb(lut.table)[:, 0]
    steps = np.diff(lightness)
    assert lightness[0] == 0 and lightness[-1] > 95
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.01)
    assert (np.diff(lut.luma) > 0.0015).all()


def test_the_table_of_pictures_is_soon_bright_and_never_darker():
    lut = get_lut(PICTURE_LUT)
    lightness = lab_from_srgb(lut.table)[:, 0]
    assert lightness[0] == 0 and lightness[-1] > 95
    assert (np.diff(lut.luma) > 0).all()
    assert lightness[38] > 40  # at 0.15, where even steps from black have come to 14
    assert np.abs(np.diff(lightness[39:], 2)).max() < 0.02


@pytest.mark.parametrize("name", OWN)
def test_own_tables_have_no_kink(name):
    lab = lab_from_srgb(get_lut(name).table)
    steps = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    assert steps.max() < 2.3  # just noticeable difference in CIE76
    assert np.abs(np.diff(steps)).max() < 0.35


def test_default_table_ends_in_a_colour_and_not_in_white():
    lab = lab_from_srgb(get_lut(DEFAULT_LUT).table)
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    assert get_lut(DEFAULT_LUT).luma_is_monotone
    assert chroma[-1] > 25
    assert chroma[:6].max() < 5  # next to no uptake gives next to no colour


def test_grey_shows_the_value_itself():
    grey = get_lut("grey")
    uptake = np.linspace(0, 1, 256)
    np.testing.assert_allclose(grey.sample(grey.display_luminance, uptake), uptake, atol=1e-6)


@pytest.mark.parametrize("name", lut_names())
def test_display_luminance_never_falls_and_begins_with_nothing(name):
    lut = get_lut(name)
    luminance = lut.display_luminance
    assert luminance[0] == 0
    assert (np.diff(luminance) >= 0).all()
    assert (luminance[1:] >= lut.luma[1:] - 1e-12).all()
    if lut.luma_is_monotone:
        np.testing.assert_allclose(luminance[1:], lut.luma[1:], atol=1e-12)
    assert not lut.chroma[0].any()
    np.testing.assert_allclose(lut.chroma @ [0.299, 0.587, 0.114], 0, atol=1e-12)


@pytest.mark.parametrize("name", ["ember", "pet_20_step"])
def test_sampling_gives_the_entries_exactly(name):
    lut = get_lut(name)
    uptake = (np.arange(256) / 255).astype(np.float32)
    np.testing.assert_array_equal(lut.sample(lut.table, uptake), lut.table.astype(np.float32))
    assert lut.sample(lut.table, uptake.reshape(16, 4, 4)).shape == (16, 4, 4, 3)


def test_steps_are_not_blended_and_ramps_are():
    stepped, smooth = get_lut("pet_20_step"), get_lut("hot_iron")
    between = np.linspace(0, 1, 5000)
    assert len(np.unique(stepped.sample(stepped.table, between), axis=0)) == 20
    middle = smooth.sample(smooth.table, np.array([10.5 / 255]))
    np.testing.assert_allclose(middle, [(smooth.table[10] + smooth.table[11]) / 2], atol=1e-6)


def test_table_of_a_wrong_form_is_refused():
    with pytest.raises(UsageError, match="256, 3"):
        Lut("mine", np.zeros((10, 3)), "here")


def test_lab_agrees_with_an_independent_implementation():
    skimage = pytest.importorskip("skimage.color")
    rgb = np.random.default_rng(0).random((500, 3))
    np.testing.assert_allclose(lab_from_srgb(rgb), skimage.rgb2lab(rgb), atol=0.05)
    np.testing.assert_allclose(srgb_from_lab(lab_from_srgb(rgb)), rgb, atol=1e-6)

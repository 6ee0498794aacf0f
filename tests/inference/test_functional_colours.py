"""A PET that comes in colours: recognised, read as uptake, or left as it is."""

from __future__ import annotations

import numpy as np
import pytest

from tests.inference.maximum_backend import MaximumBackend
from upfusion_med.core import RGB_LEVELS, Blend, FuseSettings, Modality, UsageError, Volume
from upfusion_med.inference import fuse
from upfusion_med.inference import result as result_module
from upfusion_med.transforms.colour import luma
from upfusion_med.transforms.luts import get_lut
from upfusion_med.transforms.pseudo_colour import get_palette

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])


@pytest.fixture
def coloured() -> tuple[Volume, Volume, np.ndarray]:
    """MRI, a PET drawn in the rainbow, and the uptake it was drawn from."""
    x, y, _ = np.mgrid[0:32, 0:30, 0:4]
    head = np.hypot((x - 16) / 14, (y - 15) / 13) < 1
    uptake = np.where(head, np.clip(x / 31.0, 0, 1), 0)
    palette = get_palette("rainbow").colours
    index = np.rint(uptake * (len(palette) - 1)).astype(int)
    mri = np.where(head, 200.0 + 500 * (y % 6 > 2), 0).astype(np.float32)
    pet = Volume(palette[index].astype(np.float32), AFFINE, "RGB", Modality.PET)
    return Volume(mri, AFFINE, modality=Modality.MR), pet, index / (len(palette) - 1)


def run(mri: Volume, pet: Volume, **settings: object):
    return fuse(mri, pet, FuseSettings(modality=Modality.PET, **settings), backend=MaximumBackend())


def test_a_known_palette_is_turned_into_uptake_and_shown_by_the_colour_table(coloured):
    mri, pet, uptake = coloured
    result = run(mri, pet)
    assert "rainbow" in result.report["functional_colours"]
    expected = get_lut("dawn").table[np.rint(uptake * 255).astype(int)] * 255
    assert np.abs(result.functional.array - expected).max() <= 3
    assert result.functional_window is not None
    assert (result.functional_window.low, result.functional_window.high) == (0.0, 1.0)


@pytest.mark.parametrize("asked", ["keep", "auto"])
def test_outside_the_field_of_view_of_a_palette_drawn_upside_down_the_mri_stands_alone(asked):
    x, y, _ = np.mgrid[0:40, 0:40, 0:6]
    head = np.hypot(x - 20, y - 20) < 17
    palette = get_palette("hot_iron_inverted")
    uptake = np.where(head, 0.2 + 0.6 * np.exp(-((x - 24) ** 2 + (y - 20) ** 2) / 60), 0)
    drawn = palette.colours[np.rint(uptake * (len(palette.colours) - 1)).astype(int)].astype(np.float32)
    mri = Volume(np.where(head, 300 + 100 * (y % 6 > 2), 0).astype(np.float32), AFFINE, modality=Modality.MR)
    result = run(mri, Volume(drawn[:, :, :4], AFFINE, RGB_LEVELS, Modality.PET), functional_colours=asked)
    alone = np.asarray(result.volume.array)[:, :, 4:]
    np.testing.assert_allclose(alone, np.repeat(255 * result.mri.array[:, :, 4:, None], 3, axis=-1), atol=1)


def test_a_window_in_display_levels_is_refused_for_colours(coloured):
    mri, pet, _ = coloured
    assert run(mri, pet, functional_window=(0, 0.5)).functional_window.high == 0.5
    with pytest.raises(UsageError, match=r"0 to 255 .* position on the colour scale; expected a window within 0 to 1"):
        run(mri, pet, functional_window=(0, 255))
    drawn = mri.with_array(np.stack([mri.array / 4, mri.array / 3, mri.array / 4], axis=-1), units=RGB_LEVELS)
    with pytest.raises(UsageError, match=r"0 to 255 .* luma, 0 to 1; expected a window within 0 to 1"):
        run(drawn, pet, mri_window=(0, 255))


def test_hotter_is_brighter_where_the_rainbow_was_darker(coloured):
    mri, pet, uptake = coloured
    kept, turned = (luma(run(mri, pet, functional_colours=c).functional.array.astype(float)) for c in ("keep", "auto"))
    middle, hot = np.abs(uptake - 0.5) < 0.05, uptake > 0.8
    assert kept[hot].mean() < kept[middle].mean()
    assert turned[hot].mean() > turned[middle].mean()


def test_kept_colours_are_the_pictures_own_and_stay_readable(coloured):
    mri, pet, uptake = coloured
    palette = get_palette("rainbow")
    result = run(mri, pet, functional_colours="keep")
    assert np.array_equal(result.functional.array, pet.array)
    legible, exact = (
        np.abs(palette.uptake(run(mri, pet, functional_colours="keep", blend=b).volume.array) - uptake)[uptake > 0.15]
        for b in (Blend.NEURAL, Blend.EXACT)
    )
    assert legible.mean() < 0.03
    assert legible.mean() < 0.5 * exact.mean()


def notes_on(monkeypatch, result) -> tuple[object, list[str]]:
    """The colour bar and the lines that a contact sheet is drawn with."""
    drawn = {}
    monkeypatch.setattr(result_module, "render_contact_sheet", lambda *_, **words: drawn.update(words))
    result.contact_sheet()
    return drawn["legend"], drawn["notes"]


def test_kept_colours_of_a_known_palette_have_a_colour_bar_of_relative_uptake(coloured, monkeypatch):
    mri, pet, _ = coloured
    legend, notes = notes_on(monkeypatch, run(mri, pet, functional_colours="keep"))
    assert (legend.low, legend.high, legend.units, legend.name) == (0, 1, "uptake, relative", "palette of the picture")
    np.testing.assert_array_equal(legend.colours, get_palette("rainbow").colours)
    assert any("unit is not known" in line for line in notes)


def test_kept_colours_of_an_unknown_palette_have_no_colour_bar_and_a_line_says_so(coloured, monkeypatch):
    mri, pet, _ = coloured
    legend, notes = notes_on(monkeypatch, run(mri, pet.with_array(255.0 - pet.array)))
    assert legend is None
    assert any(line.startswith("No colour bar") for line in notes)


@pytest.mark.parametrize("picture", [False, True])
def test_the_cold_border_of_uptake_darkens_a_bright_mri_in_pictures_alone(picture):
    x, _, _ = np.mgrid[0:40, 0:40, 0 : 1 if picture else 12]
    uptake = np.clip((x - 20) / 20, 0, 1)
    palette = get_palette("rainbow").colours
    pet = palette[np.rint(uptake * (len(palette) - 1)).astype(int)].astype(np.float32)
    mri = Volume(np.where(x > 0, np.float32(240), 0), AFFINE, modality=Modality.MR, is_picture=picture)
    colours = Volume(pet, AFFINE, RGB_LEVELS, Modality.PET, is_picture=picture)
    shown = luma(run(mri, colours, mri_window=(0, 255)).volume.array)
    darkened = 1 - shown[(uptake > 0) & (uptake < 0.06)] / 240
    assert (darkened.max() > 0.5) == picture
    assert (darkened.max() < 0.2) == (not picture)


def test_a_palette_can_be_named_and_doubt_is_said(coloured):
    mri, pet, _ = coloured
    assert not run(mri, pet, functional_colours="rainbow").report["warnings"]
    doubted = run(mri, pet, functional_colours="warm")
    assert any("not those of 'warm'" in w for w in doubted.report["warnings"])
    with pytest.raises(UsageError, match="no functional colours called 'plasma'"):
        run(mri, pet, functional_colours="plasma")


def test_a_picture_drawn_upside_down_is_read_the_other_way_up_with_a_warning(coloured):
    mri, pet, uptake = coloured
    upside_down = pet.with_array(get_palette("rainbow_inverted").colours[np.rint(uptake * 127).astype(int)])
    result = run(mri, upside_down)
    assert result.report["functional_colours"] == "read as uptake: palette 'rainbow_inverted'"
    assert any("drawn upside down in 'rainbow'" in w for w in result.report["warnings"])
    np.testing.assert_array_equal(result.volume.array, run(mri, pet).volume.array)
    named = run(mri, upside_down, functional_colours="rainbow")
    assert any("say --functional-colours rainbow_inverted" in w for w in named.report["warnings"])
    assert not run(mri, upside_down, functional_colours="rainbow_inverted").report["warnings"]


def test_a_picture_that_may_be_upside_down_keeps_its_colours_with_a_warning(coloured):
    mri, pet, _ = coloured
    warm_frame = pet.array.copy()
    warm_frame[:3] = warm_frame[-3:] = get_palette("rainbow").colours[90]
    result = run(mri, pet.with_array(warm_frame))
    assert result.report["functional_colours"] is None
    assert any("whether upside down is not clear" in w for w in result.report["warnings"])


def test_unknown_colours_are_kept_and_the_report_says_so(coloured):
    mri, pet, _ = coloured
    result = run(mri, pet.with_array(255.0 - pet.array))
    assert "not known" in result.report["colour"]
    assert result.report["functional_colours"] is None

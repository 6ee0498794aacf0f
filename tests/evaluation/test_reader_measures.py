from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from upfusion_med.core import InputError, Modality
from upfusion_med.evaluation.columns import READER_KEYS
from upfusion_med.evaluation.datasets import get_data_set
from upfusion_med.evaluation.pair_search import find_pairs
from upfusion_med.evaluation.picture_levels import grey, read_levels
from upfusion_med.evaluation.reader_measures import (
    Composition,
    Sources,
    colour_picture,
    measure,
    read_colour_scales,
    scales_of,
)
from upfusion_med.metrics import reader, uptake_reading
from upfusion_med.transforms.pseudo_colour import get_palette

from .conftest import disc, warm

# A palette whose luma rises: black to bright orange.
SCALE = np.stack([np.linspace(0, 250, 64), np.linspace(0, 180, 64), np.linspace(0, 40, 64)], axis=1).round()


def painted(seed: int) -> np.ndarray:
    return SCALE[disc(seed) // 4].astype(np.uint8)


@pytest.mark.parametrize("how", Composition)
def test_the_own_luminance_gives_the_picture_back(how: Composition) -> None:
    a = warm(disc(3))
    difference = np.abs(colour_picture(grey(a), a, how).astype(int) - a)
    assert difference.max() <= 1


def test_the_composition_of_the_package_keeps_hue_where_the_custom_turns_it() -> None:
    a = painted(0)
    sources = Sources.of(a, disc(9), Modality.PET, {"s": SCALE})
    bright = np.where(grey(a) > 0, 230, 0).astype(np.uint8)
    turned = {how: measure(bright, sources, ("hue_turned",), how)["hue_turned"] for how in Composition}
    assert turned[Composition.GAMUT] < 1.0 < turned[Composition.YCBCR]


def test_a_palette_is_recognised_once_a_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def recognise(picture: np.ndarray) -> None:
        calls.append(picture.ndim)

    monkeypatch.setattr("upfusion_med.transforms.pseudo_colour.recognise", recognise)
    sources = Sources.of(painted(0), disc(9), Modality.PET, {})
    for _ in range(3):
        measure(disc(2), sources, ("background_level",), Composition.LEGIBLE)
    assert calls == [3]


def test_the_copy_of_a_loses_no_uptake() -> None:
    a = painted(1)
    values = measure(grey(a), Sources.of(a, disc(9), Modality.SPECT, {"s": SCALE}), READER_KEYS, Composition.GAMUT)
    assert values["hot_uptake_lost"] == 0
    assert values["uptake_error"] < 1.0
    assert values["saturation_kept"] == pytest.approx(1, abs=0.01)
    assert values["zero_background_touched"] == 0
    assert math.isnan(values["bright_kept"])


def test_a_picture_of_another_palette_has_no_uptake_to_read() -> None:
    a = np.dstack([np.zeros_like(disc(1)), disc(1) // 4, disc(1)])
    sources = Sources.of(a, disc(9), Modality.PET, {"s": SCALE})
    assert sources.uptake is None
    values = measure(grey(a), sources, READER_KEYS, Composition.GAMUT)
    assert math.isnan(values["uptake_error"])
    assert math.isfinite(values["hue_turned"])


def test_the_palette_that_fits_is_chosen() -> None:
    other = SCALE[:, ::-1].copy()
    assert Sources.of(painted(1), disc(9), Modality.PET, {"other": other, "s": SCALE}).scale is SCALE


def test_ct_has_bone_and_no_uptake() -> None:
    values = measure(disc(1) // 2, Sources(disc(1), disc(2), Modality.CT), READER_KEYS, Composition.GAMUT)
    assert values["bright_kept"] == pytest.approx(0.5, abs=0.01)
    assert math.isnan(values["tissue_level"])
    assert math.isnan(values["saturation_kept"])


def test_what_no_source_explains_is_measured_before_colours() -> None:
    a, b = painted(1), disc(9)
    sources = Sources.of(a, b, Modality.PET, {"s": SCALE})
    average = ((grey(a).astype(int) + b) // 2).astype(np.uint8)
    invented = average.copy()
    invented[2:8, 2:8] = 150
    keys = ("unexplained_structure", "unexplained_patch")
    assert measure(average, sources, keys, Composition.LEGIBLE) == dict.fromkeys(keys, 0.0)
    found = measure(invented, sources, keys, Composition.LEGIBLE)
    assert found["unexplained_structure"] > 0.1
    assert 20 < found["unexplained_patch"] < 300
    tiny = measure(average[:10], Sources(a[:10], b[:10], Modality.PET), keys, Composition.LEGIBLE)
    assert all(math.isnan(v) for v in tiny.values())


def test_pairs_that_are_not_medical_have_no_readers_measures() -> None:
    values = measure(disc(1), Sources(disc(1), disc(2), Modality.INFRARED), READER_KEYS, Composition.GAMUT)
    assert all(math.isnan(v) for v in values.values())


def test_measures_of_uptake_compare_what_is_shown_with_what_is_there() -> None:
    a, b, fused = painted(1), disc(9), disc(4)
    sources = Sources.of(a, b, Modality.PET, {"s": SCALE})
    values = measure(fused, sources, READER_KEYS, Composition.YCBCR)
    picture = colour_picture(fused, a, Composition.YCBCR)
    true, shown = (uptake_reading.read_back(x, SCALE) for x in (a, picture))
    hue = uptake_reading.read_back_by_hue(picture, SCALE)
    hot = uptake_reading.hot_pixels(true)
    expected = {
        "uptake_error": uptake_reading.uptake_error(true, shown),
        "uptake_error_hue": uptake_reading.uptake_error(true, hue),
        "hot_uptake_lost": uptake_reading.hot_uptake_lost(true, shown),
        "uptake_order_kept": uptake_reading.uptake_order_kept(true, shown, true > 0),
        "darker_when_hotter": uptake_reading.darker_when_hotter(true, grey(picture)),
        "hot_contrast": uptake_reading.hot_contrast(picture, a, hot, true > 0).kept,
        "tissue_level": reader.tissue_level(grey(picture), b),
        "mri_edges_kept": reader.mri_edges_kept(grey(picture), b),
        "background_level": reader.background_level(grey(picture), grey(a), b),
        "zero_background_touched": reader.zero_background_touched(grey(picture), grey(a), b),
    }
    assert {key: values[key] for key in expected} == pytest.approx(expected)
    assert expected["uptake_error"] > 1 and expected["uptake_order_kept"] < 0.99


def test_palettes_are_read_by_name_in_the_order_of_their_index(tmp_path: Path) -> None:
    rows = [
        "map,index,r,g,b",
        "warm,10,255,250,1",
        "cold,0,0,0,9",
        "warm,0,0,1,2",
        "warm,9,30.5,20,10",
        "cold,1,0,0,99",
    ]
    (tmp_path / "colour_scale.csv").write_text("\n".join(rows), encoding="utf-8-sig")
    scales = read_colour_scales(tmp_path)
    assert {name: scale.tolist() for name, scale in scales.items()} == {
        "warm": [[0, 1, 2], [30.5, 20, 10], [255, 250, 1]],
        "cold": [[0, 0, 9], [0, 0, 99]],
    }


def test_a_file_of_palettes_without_its_columns_is_refused(tmp_path: Path) -> None:
    assert read_colour_scales(tmp_path) == {}
    (tmp_path / "colour_scale.csv").write_text("name,r\nx,1\n")
    with pytest.raises(InputError, match="expected the columns map, index, r, g, b"):
        read_colour_scales(tmp_path)


def test_the_uptake_of_a_downloaded_atlas_is_read_by_its_known_palettes(atlas: Path) -> None:
    pairs = find_pairs(get_data_set("harvard"), atlas)
    a = get_palette("rainbow").colours[disc(3) // 2].astype(np.uint8)
    sources = Sources.of(a, disc(4), Modality.PET, scales_of(pairs))
    assert sources.uptake is not None
    np.testing.assert_allclose(sources.uptake, (disc(3) // 2) / 127)
    (atlas / "colour_scale.csv").write_text("map,index,r,g,b\nown,0,0,0,0\nown,1,255,255,255\n")
    assert list(scales_of(pairs)) == ["own"]


@pytest.mark.shared
@pytest.mark.parametrize(
    ("file", "entries"),
    [("PET-MRI/PET/41054.png", 128), ("PET-MRI/PET/sa_25.png", 156), ("SPECT-MRI/SPECT/9019.png", 156)],
)
def test_the_palettes_of_the_atlas_are_recognised(shared: Path, file: str, entries: int) -> None:
    root = shared / "data" / "harvard"
    modality = Modality.PET if "PET-MRI/" in file and "SPECT" not in file else Modality.SPECT
    a = read_levels(root / file)
    scale = Sources.of(a, grey(a), modality, read_colour_scales(root)).scale
    assert scale is not None
    assert len(scale) == entries

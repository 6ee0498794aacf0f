"""Pictures in colours that are read back as uptake before they are fused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.conftest import disc, save
from tests.inference.maximum_backend import MaximumBackend
from upfusion_med.core import FuseSettings, Modality, UsageError
from upfusion_med.evaluation.datasets import folder_pair
from upfusion_med.evaluation.harness import run_benchmark
from upfusion_med.evaluation.methods import Method, RuleMethod
from upfusion_med.evaluation.pairs import PairList, pairs_of_folders
from upfusion_med.evaluation.picture_levels import grey
from upfusion_med.evaluation.reader_measures import Composition, colour_picture, scales_of
from upfusion_med.evaluation.results import build_results
from upfusion_med.evaluation.run_record import run_facts
from upfusion_med.evaluation.source_colours import drawn, read_pair, with_functional_colours
from upfusion_med.evaluation.store import score_key
from upfusion_med.inference import fuse
from upfusion_med.transforms.luts import get_lut
from upfusion_med.transforms.pseudo_colour import get_palette

METRICS = ("vif_a", "uptake_error", "darker_when_hotter")


def in_rainbow(seed: int) -> np.ndarray:
    """(H, W, 3) a head whose uptake is drawn in the rainbow."""
    palette = get_palette("rainbow").colours
    return palette[np.rint(disc(seed) / 255 * (len(palette) - 1)).astype(int)].astype(np.uint8)


@pytest.fixture
def pairs(tmp_path: Path) -> PairList:
    for k, name in enumerate(("1", "2")):
        save(tmp_path / "a" / f"{name}.png", in_rainbow(k))
        save(tmp_path / "b" / f"{name}.png", disc(k + 10))
    return pairs_of_folders(folder_pair("pairs", Modality.PET), tmp_path / "a", tmp_path / "b")


def test_colours_are_kept_unless_asked_for(pairs: PairList) -> None:
    assert with_functional_colours(pairs, "keep") is pairs
    assert np.array_equal(read_pair(pairs.pairs[0])[0], in_rainbow(0))


@pytest.mark.parametrize("asked", ["auto", "rainbow"])
def test_the_picture_is_drawn_as_a_fusion_draws_it(pairs: PairList, asked: str, tmp_path: Path) -> None:
    pair = with_functional_colours(pairs, asked).pairs[0]
    a, _ = read_pair(pair)
    settings = FuseSettings(modality=Modality.PET, functional_colours=asked)
    result = fuse(pair.b, pair.a, settings, backend=MaximumBackend())
    shown, fused = (np.swapaxes(v.array[:, :, 0], 0, 1) for v in (result.functional, result.volume))
    assert np.array_equal(a, shown)
    mri = np.swapaxes(result.mri.array[:, :, 0], 0, 1)
    levels = np.rint(np.maximum(mri, grey(a) / 255) * 255).astype(np.uint8)
    assert np.abs(colour_picture(levels, a, Composition.LEGIBLE) - fused.astype(float)).mean() < 1


def test_hotter_is_brighter_in_what_is_fused_then(pairs: PairList) -> None:
    uptake = get_palette("rainbow").uptake(in_rainbow(0))
    luma = grey(drawn(in_rainbow(0), Modality.PET, "auto")).astype(int)
    order = np.argsort(uptake, axis=None)
    assert (np.diff(luma.ravel()[order]) >= -1).all()


def test_ct_and_unknown_colours_stay_as_they_are() -> None:
    assert np.array_equal(drawn(in_rainbow(0), Modality.CT, "auto"), in_rainbow(0))
    unknown = 255 - in_rainbow(0)
    assert np.array_equal(drawn(unknown, Modality.PET, "auto"), unknown)
    assert np.array_equal(drawn(disc(0), Modality.PET, "auto"), disc(0))


def test_metrics_compare_with_the_drawing_and_scores_of_another_setting_are_not_used(
    pairs: PairList, tmp_path: Path
) -> None:
    methods: list[Method] = [RuleMethod("copy-a")]
    out = tmp_path / "run"
    kept = run_benchmark(pairs, methods, METRICS, out)
    turned = with_functional_colours(pairs, "auto")
    auto = run_benchmark(turned, methods, METRICS, out)
    assert np.allclose(auto.of_metric("vif_a"), 1.0), "the copy of the drawing, compared with the drawing"
    assert np.array_equal(
        run_benchmark(pairs, methods, METRICS, tmp_path / "fresh").values, kept.values, equal_nan=True
    )
    assert score_key(pairs.pairs[0], methods[0]) != score_key(turned.pairs[0], methods[0])
    assert (auto.of_metric("darker_when_hotter") == 0).all()
    assert (auto.of_metric("uptake_error") < 1).all()
    assert np.array_equal(scales_of(turned)["dawn"], get_lut("dawn").table * 255)


def test_the_setting_is_recorded_and_the_reference_is_said(pairs: PairList, tmp_path: Path) -> None:
    turned = with_functional_colours(pairs, " Auto")
    methods: list[Method] = [RuleMethod("max")]
    assert json.loads(json.dumps(run_facts(turned, methods, METRICS, 0)))["functional_colours"] == "auto"
    facts = run_facts(pairs, methods, METRICS, 0, Composition.YCBCR)
    assert (facts["functional_colours"], facts["colour"]) == ("keep", "ycbcr")
    results = build_results(run_benchmark(turned, methods, METRICS, tmp_path / "run"), turned, title="t")
    assert any("luminance that the networks were given" in line for line in results.protocol)


def test_what_has_no_uptake_or_no_such_palette_is_refused(pairs: PairList, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no functional colours called 'plasma'"):
        with_functional_colours(pairs, "plasma")
    Image.fromarray(disc(1)).save(tmp_path / "a" / "3.png")
    Image.fromarray(disc(2)).save(tmp_path / "b" / "3.png")
    infrared = pairs_of_folders(folder_pair("pairs", Modality.INFRARED), tmp_path / "a", tmp_path / "b")
    with pytest.raises(UsageError, match="no pair holds PET or SPECT"):
        with_functional_colours(infrared, "auto")

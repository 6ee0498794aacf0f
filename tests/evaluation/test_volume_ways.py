from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from upfusion_med.core import FuseSettings, InputError, Modality, Volume
from upfusion_med.evaluation.volume_picture import draw_cuts, steps_of, worst_cut
from upfusion_med.evaluation.volume_ways import (
    METRICS,
    YARDSTICKS,
    Way,
    compare_ways,
    scored_slices,
    slices_csv,
    ways_csv,
    window_every_slice,
)
from upfusion_med.inference.display_planes import DisplayGrid, Plane
from upfusion_med.inference.fusion import read_study

SIDE, SLICES = 48, 10


class Undecided:
    """Under a volume's decision the average; otherwise the uptake, at half its level in slices that have less of it."""

    def describe(self):
        return {}

    def decide(self, functional, mri):
        return "average"

    def fuse(self, functional, mri, context):
        if context is not None:
            return (functional + mri) / 2
        bright = functional.max((1, 2)) > 0.9 * functional.max()
        return functional * np.where(bright, 1.0, 0.5).astype(np.float32)[:, None, None]


def volumes() -> tuple[Volume, Volume]:
    """A steady MRI, and uptake with more and less of it in turns; black around both."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2 + 0.5
    body = x * x + y * y < 20**2
    texture = np.random.default_rng(0).uniform(0.4, 0.6, (SIDE, SIDE))
    mri = np.repeat((body * texture)[..., None], SLICES, axis=2)
    level = np.where(np.arange(SLICES) % 2, 1.0, 0.8)
    uptake = np.random.default_rng(1).uniform(0.8, 1.2, (SIDE, SIDE))[..., None] * body[..., None] * level
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    return (
        Volume(mri.astype(np.float32), affine, modality=Modality.MR),
        Volume(uptake.astype(np.float32), affine, units="SUV", modality=Modality.PET),
    )


@pytest.fixture(scope="module")
def study():
    return read_study(*volumes(), FuseSettings(modality=Modality.PET))


@pytest.fixture(scope="module")
def comparison(study):
    return compare_ways(study, Undecided(), name="phantom")


def test_decisions_made_once_do_not_flicker_and_those_of_every_slice_do(comparison) -> None:
    scores = {s.name: s for s in comparison.scores}
    assert list(scores) == [*(w.value for w in Way), *YARDSTICKS]
    for name in (Way.VOLUME.value, Way.STATISTICS.value, *YARDSTICKS):
        assert scores[name].flicker == pytest.approx(0, abs=1e-4)
        assert scores[name].stepping == 0
    jumpy = scores[Way.SLICES.value]
    assert jumpy.flicker_in_body > jumpy.flicker > 1
    assert 0 < jumpy.stepping <= 1
    assert jumpy.largest > 2


def test_the_same_picture_has_the_same_scores(comparison) -> None:
    scores = {s.name: s for s in comparison.scores}
    own, rule = scores[Way.VOLUME.value], scores["average"]
    assert own.metrics == pytest.approx(rule.metrics, abs=2e-3)
    assert own.side is rule.side
    assert np.isnan(rule.seconds)
    assert own.seconds >= 0


def test_every_nth_slice_can_be_scored(study) -> None:
    some = compare_ways(study, Undecided(), [Way.SLICES], every=3)
    assert some.slices == (0, 3, 6, 9)
    assert [s.name for s in some.scores] == [Way.SLICES.value, *YARDSTICKS]


def test_every_slice_gets_the_window_that_it_would_have_alone(study) -> None:
    alone = window_every_slice(study)
    assert study.prepared.uptake[..., ::2].max() < 0.85
    assert alone.prepared.functional[..., 0].max() == pytest.approx(alone.prepared.functional[..., 1].max(), abs=1e-6)
    assert alone.prepared.functional[..., 0].max() > study.prepared.functional[..., 0].max()
    assert np.array_equal(alone.prepared.mri == 0, study.prepared.mri == 0)


def test_slices_without_one_of_the_images_are_not_scored() -> None:
    a = np.zeros((SIDE, SIDE, 4), np.float32)
    a[10:30, 10:30, 1:3] = 1
    assert scored_slices(a, np.ones_like(a), 2) == [1, 2]


def test_pictures_have_no_slices_to_compare(study) -> None:
    picture = Volume(
        np.random.default_rng(0).random((SIDE, SIDE, 1)).astype(np.float32) * 255, np.eye(4), is_picture=True
    )
    pair = read_study(picture, picture, FuseSettings(modality=Modality.INFRARED))
    with pytest.raises(InputError, match="expected volumes"):
        compare_ways(pair, Undecided())


def test_the_tables_hold_every_way_and_every_slice(comparison) -> None:
    ways = list(csv.DictReader(io.StringIO(ways_csv(comparison))))
    assert [row["way"] for row in ways] == [s.name for s in comparison.scores]
    assert float(ways[0]["q_p"]) == pytest.approx(comparison.scores[0].metrics["q_p"], rel=1e-5)
    assert ways[-1]["s"] == ""
    slices = list(csv.DictReader(io.StringIO(slices_csv(comparison))))
    assert len(slices) == SLICES * len(comparison.scores)
    assert set(METRICS) < set(slices[0])


def test_the_cuts_show_stripes_where_a_way_flickers(study, comparison) -> None:
    steps = {key: steps_of(study, fused) for key, fused in comparison.fused.items()}
    assert steps[Way.SLICES.value].shape == study.display_mri.shape
    assert not steps[Way.SLICES.value][..., -1].any()
    grid = DisplayGrid(study.mri.geometry)
    assert 4 <= worst_cut(grid, Plane.SAGITTAL, steps) < SIDE - 4
    picture = np.asarray(draw_cuts(study, comparison, "phantom"))
    assert picture.ndim == 3
    panel = picture.shape[1] // (2 + len(Way))
    stripes = picture[picture.shape[0] // 3 : picture.shape[0] // 2]
    steady, jumpy = stripes[:, 2 * panel : 3 * panel - 10], stripes[:, 4 * panel + 10 : 5 * panel - 10]
    assert jumpy.std() > steady.std()

"""A volume fused under decisions made once, and slice by slice: what each way flickers, scores and costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import InputError, Modality, Pooling, Progress, SilentProgress, Volume
from upfusion_med.evaluation.methods import Kind
from upfusion_med.evaluation.one_sidedness import Side, one_sided
from upfusion_med.evaluation.pairs import Pair
from upfusion_med.evaluation.picture_levels import Levels, to_levels
from upfusion_med.evaluation.rules import BOUND, RULES
from upfusion_med.evaluation.score_table import ScoreTable
from upfusion_med.evaluation.tables import csv_text

if TYPE_CHECKING:
    from upfusion_med.inference.backends.base import Backend
    from upfusion_med.inference.fusion import Study

FloatArray = NDArray[np.float32]

#: What every slice is scored by.
METRICS = ("q_p", "vif", "vif_a", "vif_b", "q_abf", "ssim")
#: A voxel steps when it changes by more than so many grey levels beyond what the sources change.
STEP_LEVELS = 2.0
#: Slices with less than this share of pixels above zero are not scored (as `inference.engine` chooses slices).
_HOLDS_SOMETHING = 0.01


class Way(str, Enum):
    """How the slices of a volume come to their decisions."""

    VOLUME = "once per volume"
    STATISTICS = "once per volume, steps not bounded"
    SLICES = "every slice for itself"
    WINDOWS = "every slice for itself, windows too"

    @property
    def meaning(self) -> str:
        """In one sentence."""
        return {
            Way.VOLUME: "windows and the network's statistics once per volume, steps between slices bounded by the "
            "sources' own: what upfusion fuse does",
            Way.STATISTICS: "the same without the bound",
            Way.SLICES: "windows once per volume, statistics for every slice, no bound: --pooling slice of fuse",
            Way.WINDOWS: "as a program for pictures would do it: every slice windowed and fused for itself",
        }[self]


#: Rules that work voxel by voxel, as yardsticks; the average rule also is the bound of one-sidedness.
YARDSTICKS = ("max", BOUND)


@dataclass(frozen=True)
class WayScore:
    """What one way of fusing a volume gave.

    Attributes:
        name: `Way` or name of a rule.
        flicker: Mean change between slices beyond the sources' own, all voxels, grey levels (`reader.slice_flicker`).
        flicker_in_body: The same where a source is above zero in both slices.
        stepping: Share of those voxels that step by more than `STEP_LEVELS`, 0..1.
        largest: The largest step, grey levels.
        metrics: Mean over the scored slices, keys of `METRICS`.
        side: Whether one source is thrown away.
        seconds: Wall time of the network over the volume; NaN for rules.
        cpu_seconds: Processor time of the same.
    """

    name: str
    flicker: float
    flicker_in_body: float
    stepping: float
    largest: float
    metrics: Mapping[str, float]
    side: Side
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True, eq=False)
class VolumeComparison:
    """The ways of fusing one volume.

    Attributes:
        scores: One for each way, then the yardsticks.
        fused: (I, J, K) luminance in 0..1 of each way.
        slices: Numbers of the scored slices.
        table: Scores slice by slice, methods in the order of ``scores``.
    """

    scores: tuple[WayScore, ...]
    fused: Mapping[str, FloatArray]
    slices: tuple[int, ...]
    table: ScoreTable


def compare_ways(
    study: Study,
    backend: Backend,
    ways: Sequence[Way] = tuple(Way),
    *,
    every: int = 1,
    name: str = "volume",
    progress: Progress | None = None,
) -> VolumeComparison:
    """Fuse a study in several ways and measure each against the same sources, windowed once for the volume.

    Args:
        study: Read and prepared (`inference.fusion.read_study`).
        backend: Runs the network.
        ways: Which ways.
        every: Score every n-th slice that holds something; flicker is always taken over all slices.
        name: What the volume is called.
        progress: Told about every way and every scored slice.

    Raises:
        InputError: the study is a picture, or none of its slices can be scored.
    """
    if study.mri.is_picture:
        raise InputError("The study is a pair of pictures; expected volumes, which have slices to compare.")
    progress = progress or SilentProgress()
    functional, mri, axis = study.prepared.functional, study.display_mri, study.axis
    slices = scored_slices(functional, mri, axis)[::every]
    if not slices:
        raise InputError("No slice shows both images; there is nothing to compare. Check that both overlap.")
    _warm_up(study, backend, slices[len(slices) // 2])
    fused: dict[str, FloatArray] = {}
    seconds: dict[str, tuple[float, float]] = {}
    for way in ways:
        begin, begin_cpu = time.perf_counter(), time.process_time()
        fused[way.value] = fuse_one_way(study, backend, way, progress)
        seconds[way.value] = (time.perf_counter() - begin, time.process_time() - begin_cpu)
    every_result = {**fused, **{rule: _by_rule(RULES[rule], functional, mri) for rule in YARDSTICKS}}
    table = _score(every_result, functional, mri, axis, slices, study.choice.modality, name, progress)
    means = np.nanmean(table.values, axis=1)
    steps = {key: _steps(result, functional, mri, axis) for key, result in every_result.items()}
    scores = tuple(
        WayScore(key, *steps[key], dict(zip(METRICS, map(float, row), strict=True)), side, *seconds.get(key, _UNTIMED))
        for key, row, side in zip(every_result, means, one_sided(table), strict=True)
    )
    return VolumeComparison(scores, fused, tuple(slices), table)


_UNTIMED = (float("nan"), float("nan"))


def fuse_one_way(study: Study, backend: Backend, way: Way, progress: Progress | None = None) -> FloatArray:
    """(I, J, K) fused luminance in 0..1 of a study, one way."""
    from upfusion_med.inference.fusion import run_network

    if way is Way.WINDOWS:
        study = window_every_slice(study)
    pooling = Pooling.VOLUME if way in (Way.VOLUME, Way.STATISTICS) else Pooling.SLICE
    return run_network(_with_pooling(study, pooling), backend, bounded=way is Way.VOLUME, progress=progress)


def window_every_slice(study: Study) -> Study:
    """The study with every slice in a window of its own, by the rules that otherwise hold for the volume.

    Windows that are fixed (CT in Hounsfield units) and colours that are kept stay as they are.
    """
    from upfusion_med.transforms import colour

    prepared, axis = study.prepared, study.axis
    mri = _stretched(prepared.mri, axis, Modality.MR)
    functional = prepared.functional
    if prepared.uptake is not None and prepared.lut is not None and study.choice.modality.is_emission:
        uptake = _stretched(prepared.uptake, axis, study.choice.modality)
        functional = uptake if prepared.lut.name == "grey" else colour.lut_luminance(uptake, prepared.lut)
    return replace(study, prepared=replace(prepared, mri=mri, functional=functional))


def _stretched(array: FloatArray, axis: int, modality: Modality) -> FloatArray:
    """Every slice of (I, J, K) through its own robust window; slices without content stay as they are."""
    from upfusion_med.transforms.window import apply_window, robust_window

    stack = np.moveaxis(array, axis, 0)
    result = np.array(stack, dtype=np.float32)
    for k, plane in enumerate(stack):
        if plane.min() < plane.max() and plane.max() > 0:
            window = robust_window(Volume(plane[..., None], np.eye(4)), modality)
            result[k] = apply_window(plane, window)
    return np.ascontiguousarray(np.moveaxis(result, 0, axis))


def scored_slices(functional: FloatArray, mri: FloatArray, axis: int) -> list[int]:
    """Numbers of the slices in which both images hold something."""
    shares = [(np.moveaxis(x, axis, 0) > 0).mean(axis=(1, 2)) for x in (functional, mri)]
    return [int(k) for k in np.flatnonzero(np.minimum(*shares) > _HOLDS_SOMETHING)]


def _with_pooling(study: Study, pooling: Pooling) -> Study:
    return replace(study, settings=replace(study.settings, pooling=pooling))


def _warm_up(study: Study, backend: Backend, index: int) -> None:
    """Fuse one slice, so that the first way does not pay for what the libraries set up once."""
    images = (study.prepared.functional, study.display_mri)
    functional, mri = (np.ascontiguousarray(np.moveaxis(x, study.axis, 0)[index : index + 1]) for x in images)
    backend.fuse(functional, mri, None)


def _by_rule(
    rule: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]], a: FloatArray, b: FloatArray
) -> FloatArray:
    return rule(a, b).astype(np.float32)  # type: ignore[arg-type]


def _steps(fused: FloatArray, a: FloatArray, b: FloatArray, axis: int) -> tuple[float, float, float, float]:
    """Flicker over all voxels, flicker in the body, share of its voxels that step, and the largest step."""
    from upfusion_med.metrics.reader import flicker_steps

    own, first, second = (np.moveaxis(x, axis, 0) * np.float32(255) for x in (fused, a, b))
    beyond = flicker_steps(own, first, second, axis=0)
    if beyond.size == 0:
        return (float("nan"),) * 4
    there = np.moveaxis((a > 0) | (b > 0), axis, 0)
    inside = beyond[there[1:] & there[:-1]]
    return float(beyond.mean()), float(inside.mean()), float((inside > STEP_LEVELS).mean()), float(beyond.max())


def _score(
    results: Mapping[str, FloatArray],
    functional: FloatArray,
    mri: FloatArray,
    axis: int,
    slices: Sequence[int],
    modality: Modality,
    name: str,
    progress: Progress,
) -> ScoreTable:
    """Fusion metrics of every result, slice by slice, of 8-bit levels as in `upfusion benchmark`."""
    from upfusion_med.metrics import compute

    progress.stage("scoring slices", len(slices))
    values = np.full((len(results), len(slices), len(METRICS)), np.nan)
    for p, k in enumerate(slices):
        a, b = (_levels(x, axis, k) for x in (functional, mri))
        for m, fused in enumerate(results.values()):
            found = compute(_levels(fused, axis, k), a, b, METRICS)
            values[m, p] = [found[key] for key in METRICS]
        progress.advance()
    nowhere = Path()
    return ScoreTable(
        methods=tuple(results),
        kinds=tuple(Kind.RULE if key in RULES else Kind.MODEL for key in results),
        pairs=tuple(Pair(name, f"{k:03d}", name, nowhere, nowhere, modality) for k in slices),
        metrics=METRICS,
        values=values,
        scored=np.ones(values.shape[:2], dtype=bool),
    )


def _levels(volume: FloatArray, axis: int, index: int) -> Levels:
    return to_levels(np.take(volume, index, axis=axis).astype(np.float64) * 255.0)


def ways_csv(comparison: VolumeComparison) -> str:
    """One line a way."""
    heads = ["way", "flicker", "flicker_in_body", "stepping", "largest_step", *METRICS, "one_sided", "s", "cpu_s"]
    rows = [
        [s.name, s.flicker, s.flicker_in_body, s.stepping, s.largest, *s.metrics.values(), s.side.value, s.seconds,
         s.cpu_seconds]
        for s in comparison.scores
    ]  # fmt: skip
    return csv_text(heads, rows, digits=6)


def slices_csv(comparison: VolumeComparison) -> str:
    """One line a slice and way."""
    table = comparison.table
    rows = [
        [k, name, *table.values[m, p]] for p, k in enumerate(comparison.slices) for m, name in enumerate(table.methods)
    ]
    return csv_text(["slice", "way", *METRICS], rows, digits=6)

from __future__ import annotations

import numpy as np
import pytest

from upfusion_med.core import Geometry, Pooling, SliceAxis
from upfusion_med.inference import engine


class MaxBackend:
    """Stands in for a network: the brighter source plus one, so that padding and masking can be seen."""

    def __init__(self) -> None:
        self.decided: list[int] = []
        self.batches: list[tuple[int, ...]] = []

    def describe(self):
        return {"model": "maximum"}

    def decide(self, functional, mri):
        self.decided.append(len(functional))
        return "decided"

    def fuse(self, functional, mri, context):
        assert functional.dtype == np.float32
        self.batches.append((*functional.shape, context))
        return np.maximum(functional, mri) * np.float32(0.5) + np.float32(0.25)


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 20, 24, 18)).astype(np.float32)
    a[:, :, :4], b[:, :, :4] = 0, 0
    a[:3], b[:3] = 0, 0
    return a, b


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_every_voxel_comes_back_to_its_place(arrays, axis):
    a, b = arrays
    fused = engine.run(MaxBackend(), a, b, axis, batch_size=5, bounded=False)
    expected = np.maximum(a, b) * 0.5 + 0.25
    expected[(a == 0) & (b == 0)] = 0
    assert np.allclose(fused, expected)


def test_background_that_is_zero_in_both_stays_zero(arrays):
    a, b = arrays
    fused = engine.run(MaxBackend(), a, b, 2)
    assert np.array_equal(fused == 0, (a == 0) & (b == 0))


def test_empty_slices_cost_nothing_and_decisions_are_made_once(arrays):
    backend = MaxBackend()
    engine.run(backend, *arrays, 2, batch_size=4)
    assert len(backend.decided) == 1
    assert sum(batch[0] for batch in backend.batches) == 14
    assert {batch[-1] for batch in backend.batches} == {"decided"}


def test_progress_counts_every_slice_once(arrays):
    class Counted:
        total = done = 0

        def stage(self, name, steps):
            self.total = steps

        def advance(self, steps=1):
            self.done += steps

    counted = Counted()
    engine.run(MaxBackend(), *arrays, 2, batch_size=4, progress=counted)
    assert (counted.done, counted.total) == (18, 18)


def test_a_single_slice_is_its_own_context(arrays):
    a, b = (x[..., 9:10] for x in arrays)
    backend = MaxBackend()
    engine.run(backend, a, b, 2)
    assert backend.decided == []
    assert backend.batches == [(1, 20, 24, None)]


def test_slice_pooling_decides_nothing(arrays):
    backend = MaxBackend()
    engine.run(backend, *arrays, 2, pooling=Pooling.SLICE)
    assert backend.decided == []
    assert {batch[-1] for batch in backend.batches} == {None}


def test_small_slices_are_padded_to_what_a_network_takes_and_cropped_back():
    a = np.random.default_rng(0).random((5, 7, 3)).astype(np.float32) + 0.1
    backend = MaxBackend()
    fused = engine.run(backend, a, a, 2)
    assert fused.shape == a.shape
    assert backend.batches[0][1:3] == (16, 16)
    assert np.allclose(fused, a * 0.5 + 0.25)


@pytest.mark.parametrize(("side", "at_once"), [(200, 8), (300, 5), (512, 2), (1024, 1)])
def test_larger_slices_go_fewer_at_a_time_so_that_a_batch_takes_no_more_memory(side, at_once):
    a = np.full((9, side, side), 0.5, np.float32)
    backend = MaxBackend()
    engine.run(backend, a, a, 0, batch_size=8, bounded=False)
    assert max(batch[0] for batch in backend.batches) == at_once
    assert sum(batch[0] for batch in backend.batches) == 9


def test_the_slice_axis_follows_the_patient_not_the_array():
    sagittal_stack = np.zeros((4, 4))
    sagittal_stack[1, 0], sagittal_stack[2, 1], sagittal_stack[0, 2], sagittal_stack[3, 3] = -1, -1, 3, 1
    grid = Geometry((10, 11, 12), sagittal_stack)
    assert engine.slice_axis(grid, SliceAxis.SAGITTAL) == 2
    assert engine.slice_axis(grid, SliceAxis.CORONAL) == 0
    assert engine.slice_axis(grid, SliceAxis.AXIAL) == 1


def test_representatives_hold_something_and_are_spread():
    a = np.zeros((40, 32, 32), np.float32)
    a[10:30, 8:24, 8:24] = 1
    chosen = engine.representative_slices(a, np.zeros_like(a))
    assert chosen.min() >= 10
    assert chosen.max() < 30
    assert chosen.size == engine.REPRESENTATIVES


def test_of_large_slices_fewer_decide(monkeypatch):
    monkeypatch.setattr(engine, "REPRESENTATIVE_PIXELS", 5 * 32 * 32)
    a = np.ones((40, 32, 32), np.float32)
    assert engine.representative_slices(a, a).tolist() == [6, 13, 20, 26, 32]
    assert engine.representative_slices(a[:, :, :16], a[:, :, :16]).size == 10
    monkeypatch.setattr(engine, "REPRESENTATIVE_PIXELS", 100)
    assert engine.representative_slices(a, a).tolist() == [20]


def test_one_slice_that_holds_something_is_enough():
    a = np.zeros((5, 32, 32), np.float32)
    a[3, 0, 0] = 1
    assert engine.representative_slices(a, a).tolist() == [3]


def test_nearly_empty_slices_at_the_ends_decide_nothing():
    a = np.zeros((40, 32, 32), np.float32)
    a[:, 12:20, 12:20] = 1
    a[10:30, 4:28, 4:28] = 1
    chosen = engine.representative_slices(a, np.zeros_like(a))
    assert chosen.min() >= 10
    assert chosen.max() < 30

"""Cut a volume into slices, run a backend on them, put the result back: the one place that changes axis order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import Geometry, Pooling, Progress, SilentProgress, SliceAxis
from upfusion_med.inference.backends.base import Backend, FloatArray
from upfusion_med.inference.slice_steps import bound_steps

#: Slices that decide the global statistics of a volume, at most.
REPRESENTATIVES = 16
#: Pixels in them, at most, so that large matrices do not need more memory than a batch.
REPRESENTATIVE_PIXELS = 16 * 256 * 256
#: Pixels of a slice up to which a batch is as many slices as asked for; of larger ones it takes as many fewer.
USUAL_PIXELS = 256 * 256
#: Slices emptier than this part of the fullest slice decide nothing. Counting them cost 0.03 of Q_P and 0.01 of VIF on
#: the demo study (docs/volumes.md).
REPRESENTATIVE_PART = 0.5
#: Smallest side that the networks take; smaller slices are padded with zeros and cropped back.
SMALLEST_SIDE = 16


def slice_direction(geometry: Geometry, asked: SliceAxis) -> SliceAxis:
    """The direction asked for; that across the slice in a volume of a single one, which is not cut into lines."""
    if geometry.shape.count(1) != 1:
        return asked
    across, _ = geometry.closest_world_axes()[geometry.shape.index(1)]
    return next(direction for direction in SliceAxis if direction.world_axis == across)


def slice_axis(geometry: Geometry, axis: SliceAxis) -> int:
    """The array axis that runs closest along the anatomical direction, also in oblique grids."""
    return next(k for k, (world, _) in enumerate(geometry.closest_world_axes()) if world == axis.world_axis)


def representative_slices(functional: FloatArray, mri: FloatArray) -> NDArray[np.intp]:
    """Indices of evenly spaced slices among those that show the volume's content, (N, H, W) stacks given.

    A slice counts when at least half as many of its pixels as of the fullest slice's are not zero in either image: the
    first and last slices of a head, small patches in black, would pull the means away from what most slices are.
    """
    filled = ((functional > 0) | (mri > 0)).mean(axis=(1, 2))
    holding = np.flatnonzero(filled >= max(REPRESENTATIVE_PART * filled.max(), 0.01))
    if holding.size == 0:
        holding = np.flatnonzero(filled > 0)
    room = max(REPRESENTATIVE_PIXELS // max(int(np.prod(functional.shape[1:])), 1), 1)
    count = min(REPRESENTATIVES, room, holding.size)
    picks = np.linspace(0, holding.size - 1, count + 2)[1:-1]
    return holding[np.unique(np.round(picks).astype(np.intp))]


def _pad_small(stack: FloatArray) -> FloatArray:
    lack = [(0, max(SMALLEST_SIDE - side, 0)) for side in stack.shape[1:]]
    return np.pad(stack, [(0, 0), *lack]) if any(n for _, n in lack) else stack


def run(
    backend: Backend,
    functional: FloatArray,
    mri: FloatArray,
    axis: int,
    *,
    batch_size: int = 8,
    pooling: Pooling = Pooling.VOLUME,
    bounded: bool = True,
    progress: Progress | None = None,
) -> FloatArray:
    """Fuse two arrays slice by slice.

    Args:
        backend: Runs the network.
        functional: (I, J, K) float32 in 0..1.
        mri: The same for the MRI.
        axis: Array axis along which slices are stacked.
        batch_size: Slices of 256 x 256 pixels at once; of larger ones as many fewer, one at least.
        pooling: Whether the network's global decisions are made once for the volume or for each slice.
        bounded: No voxel may change more from slice to slice than its sources do, see ``slice_steps`` (volume pooling
            only).
        progress: Told about every slice.

    Returns:
        (I, J, K) float32 fused luminance in 0..1; exactly 0 wherever both inputs are exactly 0.
    """
    progress = progress or SilentProgress()
    a = _pad_small(np.moveaxis(functional, axis, 0))
    b = _pad_small(np.moveaxis(mri, axis, 0))
    _, height, width = np.moveaxis(functional, axis, 0).shape
    nothing = (a == 0) & (b == 0)
    filled = np.flatnonzero(~nothing.all(axis=(1, 2)))
    fused = np.zeros(a.shape, np.float32)
    progress.stage("fusing slices", len(a))
    progress.advance(len(a) - filled.size)
    context = None
    if pooling is Pooling.VOLUME and filled.size > 1:
        chosen = representative_slices(a, b)
        context = backend.decide(a[chosen], b[chosen])
    at_once = max(1, batch_size * USUAL_PIXELS // max(height * width, USUAL_PIXELS))
    for start in range(0, filled.size, at_once):
        batch = filled[start : start + at_once]
        fused[batch] = backend.fuse(a[batch], b[batch], context)
        progress.advance(batch.size)
    fused[nothing] = 0.0
    if pooling is Pooling.VOLUME and bounded:
        fused = bound_steps(fused, a, b, 0)
    return np.ascontiguousarray(np.moveaxis(fused[:, :height, :width], 0, axis))

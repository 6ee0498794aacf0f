"""No flicker: from slice to slice a fused voxel changes no more than the livelier of its two sources.

A network that works slice by slice may follow the functional image in one slice and the MRI in the next, where both
would do. Cut across, that shows as streaks that neither source has. Of all volumes whose steps along the slices are
within the bound the nearest one takes the fused volume's place: nearest in its values and in its edges within the
slices. The maximum, the minimum and any fixed mixture of the sources are within it, and do not change.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
#: What a difference in the gradient within a slice counts against one in value, squared pixels. Values alone (0) would
#: wear away edges beside those that step; much above, whole areas are made lighter or darker to spare an edge.
EDGES = 4.0
#: Passes towards the nearest volume. After 10 a stack of 37 slices is within 0.1 grey levels (root mean square) of it;
#: the bound holds exactly either way.
PASSES = 10
#: Weight of the bound in a pass, and how far a pass goes beyond its own answer: they set the speed alone.
_STIFFNESS = 1.0 + EDGES
_RELAXATION = 1.6
#: Voxels that are worked on at once, in strips of rows; 60 bytes each.
_STRIP_VOXELS = 1 << 23
#: Rows beyond a strip that still count in it: what a change does to its neighbours falls by e every sqrt(EDGES) pixels.
_MARGIN = 16


def bound_steps(fused: FloatArray, functional: FloatArray, mri: FloatArray, axis: int) -> FloatArray:
    """The volume nearest to a fused one that changes no more from slice to slice than the livelier of its sources.

    Args:
        fused: (I, J, K) luminance in 0..1.
        functional: The sources, as the network saw them.
        mri: See ``functional``.
        axis: Slice direction.

    Returns:
        (I, J, K) luminance ``x`` in 0..1 with ``|Δx| ≤ max(|Δfunctional|, |Δmri|)`` along the axis, exactly 0 where
        both sources are 0.

    Source: this project; measured in docs/volumes.md.
    """
    stacks = [np.moveaxis(x, axis, 0) for x in (fused, functional, mri)]
    bounded = np.zeros(stacks[0].shape, np.float32)
    body = _body(*stacks[1:])
    own, first, second = (x[body] for x in stacks)
    inside = bounded[body]
    rows = max(_STRIP_VOXELS // max(own.shape[0] * own.shape[2], 1) - 2 * _MARGIN, _MARGIN)
    for start in range(0, own.shape[1], rows):
        above = min(start, _MARGIN)
        with_margin = slice(start - above, start + rows + _MARGIN)
        strip = _bounded(*(np.ascontiguousarray(x[:, with_margin]) for x in (own, first, second)))
        inside[:, start : start + rows] = strip[:, above : above + rows]
    return np.moveaxis(bounded, 0, axis)


def _body(first: FloatArray, second: FloatArray) -> tuple[slice, ...]:
    """The rows and columns of (N, rows, columns) in which any slice shows anything."""
    shown = [x > 0 for x in (first.max(0), second.max(0))]
    places = [np.flatnonzero((shown[0] | shown[1]).any(axis=k)) for k in (1, 0)]
    within = (slice(p[0], p[-1] + 1) if p.size else slice(0) for p in places)
    return slice(None), *within


def _bounded(own: FloatArray, first: FloatArray, second: FloatArray) -> FloatArray:
    """`bound_steps` along the first axis of (N, rows, columns)."""
    limits = np.maximum(np.abs(np.diff(first, axis=0)), np.abs(np.diff(second, axis=0)))
    shown = np.maximum(first, second) > 0
    most = _most(shown, limits)
    bounded = np.minimum(own, most)
    if (np.abs(np.diff(bounded, axis=0)) > limits).any():
        bounded = _within(np.clip(_nearest(bounded, limits), 0.0, most), limits)
    bounded *= shown  # exactly, where rounding left a trace
    return bounded


def _most(shown: NDArray[np.bool_], limits: FloatArray) -> FloatArray:
    """The largest values within the limits, at most 1, that are 0 where nothing is shown, (N, …)."""
    most = shown.astype(np.float32)
    for k in range(1, len(most)):
        np.minimum(most[k], most[k - 1] + limits[k - 1], out=most[k])
    for k in range(len(most) - 2, -1, -1):
        np.minimum(most[k], most[k + 1] + limits[k], out=most[k])
    return most


def _nearest(values: FloatArray, limits: FloatArray) -> FloatArray:
    """Nearly the ``x`` nearest to the values, (N, rows, columns), with ``|Δx| ≤ limits``, (N - 1, rows, columns).

    Of min over x of ``|x − values|² + EDGES |∇(x − values)|²``, by the alternating direction method of multipliers
    (Boyd et al., Foundations and Trends in Machine Learning 2011, sections 3.1 and 3.4.3). What is quadratic is solved
    by cosine transforms; ``steps`` are the bounded steps plus the scaled multipliers, which clipping takes apart.
    """
    from scipy.fft import dctn, idctn

    along, down, across = (_curvature(count) for count in values.shape)
    weight = 1 + EDGES * (down[:, None] + across)
    stiffness = np.float32(_STIFFNESS)
    whole = weight + stiffness * along[:, None, None]
    pull = weight * dctn(values, norm="ortho")
    steps, nearest = np.diff(values, axis=0), values
    for _ in range(PASSES):
        kept = np.clip(steps, -limits, limits)
        push = dctn(_spread(2 * kept - steps), norm="ortho", overwrite_x=True)
        push *= stiffness
        push += pull
        push /= whole
        nearest = idctn(push, norm="ortho", overwrite_x=True)
        steps += np.float32(_RELAXATION) * (np.diff(nearest, axis=0) - kept)
    return nearest


def _curvature(count: int) -> FloatArray:
    """Eigenvalues of the second difference of so many values without a border, as the cosine transform sees it."""
    return (2 - 2 * np.cos(np.pi * np.arange(count) / count)).astype(np.float32)


def _spread(steps: FloatArray) -> FloatArray:
    """The transpose of taking steps: (N - 1, …) to (N, …)."""
    spread = np.zeros((len(steps) + 1, *steps.shape[1:]), np.float32)
    spread[1:] = steps
    spread[:-1] -= steps
    return spread


def _within(values: FloatArray, limits: FloatArray) -> FloatArray:
    """Values within the limits: the mean of what both ways along the first axis make of them."""
    forth, back = values.copy(), values.copy()
    for k in range(1, len(values)):
        np.clip(forth[k], forth[k - 1] - limits[k - 1], forth[k - 1] + limits[k - 1], out=forth[k])
    for k in range(len(values) - 2, -1, -1):
        np.clip(back[k], back[k + 1] - limits[k], back[k + 1] + limits[k], out=back[k])
    return 0.5 * (forth + back)

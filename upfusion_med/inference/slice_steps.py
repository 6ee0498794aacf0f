"""No flicker: from slice to slice a fused voxel changes no more than the livelier of its two sources.

A network that works slice by slice may follow the functional image in one slice and the MRI in the next, where both
would do. Cut across, that shows as streaks that neither source has. Of all volumes whose steps along the slices are
within the bound the nearest one takes the fused volume's place, nearest above all in the fine structure of the slices.
The maximum, the minimum and any fixed mixture of the sources are within it, and do not change.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
#: How much more a change of the finest structure within a slice counts than one of a whole area's brightness: where a
#: voxel must give way its surroundings go along, and what makes up the slice's picture stays.
DETAIL = 30.0
#: Squared wave number, 1/pixel², from which on structure counts as fine (half as much there): waves of ten pixels.
FINE = 0.4
#: Passes towards the nearest volume. After 10 a stack of 37 slices is within 0.1 grey levels (root mean square) of it;
#: the bound holds exactly either way.
PASSES = 10
#: Weight of the bound in a pass, and how far a pass goes beyond its own answer: they set the speed alone.
_STIFFNESS = 1.0 + DETAIL / 2
_RELAXATION = 1.8


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
    bounded[body] = _bounded(*(x[body] for x in stacks))
    return np.moveaxis(bounded, 0, axis)


def _body(first: FloatArray, second: FloatArray) -> tuple[slice, ...]:
    """The rows and columns of (N, rows, columns) in which any slice shows anything."""
    shown = [x > 0 for x in (first.max(0), second.max(0))]
    places = [np.flatnonzero((shown[0] | shown[1]).any(axis=k)) for k in (1, 0)]
    within = (slice(p[0], p[-1] + 1) if p.size else slice(0) for p in places)
    return slice(None), *within


def _bounded(own: FloatArray, first: FloatArray, second: FloatArray) -> FloatArray:
    """`bound_steps` along the first axis of (N, rows, columns)."""
    limits = np.abs(np.diff(first, axis=0))
    np.maximum(limits, np.abs(np.diff(second, axis=0)), out=limits)
    shown = np.maximum(first, second) > 0
    most = _most(shown, limits)
    bounded = np.minimum(own, most)
    if (np.abs(np.diff(bounded, axis=0)) > limits).any():
        bounded = _within(np.clip(_nearest(bounded, limits), 0.0, most), limits)
    bounded *= shown  # exactly, where rounding left a trace
    return bounded


def _most(shown: NDArray[np.bool_], limits: FloatArray) -> FloatArray:
    """The largest values within the limits, at most 1, that are 0 where nothing is shown, (N, rows, columns)."""
    most = shown.astype(np.float32)
    for k in range(1, len(most)):
        np.minimum(most[k], most[k - 1] + limits[k - 1], out=most[k])
    for k in range(len(most) - 2, -1, -1):
        np.minimum(most[k], most[k + 1] + limits[k], out=most[k])
    return most


def _nearest(values: FloatArray, limits: FloatArray) -> FloatArray:
    """Nearly the ``x`` nearest to the values, (N, rows, columns), with ``|Δx| ≤ limits``, (N - 1, rows, columns).

    Of min over x of ``|W (x - values)|²`` with the `detail_weight` W², by the alternating direction method of
    multipliers (Boyd et al., Foundations and Trends in Machine Learning 2011, sections 3.1 and 3.4.3). What is
    quadratic is solved by cosine transforms; ``steps`` are the bounded steps plus the scaled multipliers, which
    clipping takes apart.
    """
    from scipy.fft import dctn, idctn

    weight = detail_weight(*values.shape[1:])
    whole = weight + np.float32(_STIFFNESS) * _curvature(len(values))[:, None, None]
    pull = dctn(values, norm="ortho")
    pull *= weight
    steps, nearest = np.diff(values, axis=0), values
    for _ in range(PASSES):
        kept = np.clip(steps, -limits, limits)
        nearest = dctn(_spread(2 * kept - steps), norm="ortho", overwrite_x=True)
        nearest *= np.float32(_STIFFNESS)
        nearest += pull
        nearest /= whole
        nearest = idctn(nearest, norm="ortho", overwrite_x=True)
        kept -= np.diff(nearest, axis=0)
        kept *= np.float32(_RELAXATION)
        steps -= kept
    return nearest


def detail_weight(rows: int, columns: int) -> FloatArray:
    """What a change of a slice counts, (rows, columns) by frequency of its cosine transform.

    1 for the brightness of the whole slice, rising with the squared wave number ``q`` to ``1 + DETAIL`` nearly:
    ``1 + DETAIL q / (q + FINE)``.
    """
    squared = _curvature(rows)[:, None] + _curvature(columns)
    return np.asarray(1 + DETAIL * squared / (squared + FINE), dtype=np.float32)


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

"""Blending decisions that agree from slice to slice.

A network that works slice by slice may follow the functional image in one slice and the MRI in the next, where both
would do. Cut across, that shows as streaks. What is decided at a voxel is its place between the darker and the brighter
source. Of that place, the part that whole regions of a slice share is averaged with that of the neighbouring slices, as
far as the sources look alike there (a bilateral mean along one axis, Tomasi and Manduchi, ICCV 1998): where the
anatomy changes, the choice may change with it. The fine detail within the slice and the sources themselves are left
alone. Structures stay as sharp as they are, and voxels where both sources agree do not change.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
#: Standard deviation of the mean along the slices, in millimetres: 4.5 slices of a 1 mm volume, less than one of a
#: 5 mm volume.
SIGMA_MM = 4.5
#: How much the sources of a region may differ between two slices that are to agree, standard deviation in 0..1: 31 of
#: 255 levels. Without a bound the mean cost 0.013 of Q_P and 0.008 of VIF more on a stack of atlas slices, for 7 %
#: less flicker (docs/volumes.md).
ALIKE = 0.12
#: Standard deviation within the slice, in pixels, of what counts as shared by a region. Smoothing the place itself (0
#: here, 3 mm along) costs detail: 0.02 of Q_P and 0.01 of VIF on the demo study, for no less flicker (docs/volumes.md).
SIGMA_PIXELS = 2.0
#: How much of the way to their agreement regions go. The last third of the way costs as much of Q_P and VIF as the
#: first two, for a tenth of the flicker (docs/volumes.md).
CONCESSION = 0.7
#: Slices farther away than this many standard deviations have no say.
_REACH = 2.5


def agree_along(
    fused: FloatArray,
    functional: FloatArray,
    mri: FloatArray,
    axis: int,
    sigma_slices: float,
    concession: float = CONCESSION,
) -> FloatArray:
    """Let regions of neighbouring slices share their place between the two sources.

    With ``lo`` and ``hi`` the darker and brighter source, ``w`` in 0..1 the clipped place of the fused value between
    them, ``d = hi − lo``, ``r`` a Gaussian within the slice and ``s`` the mean over slices, weighted by their distance
    and by how alike ``r`` of either source is in them, the place becomes
    ``w' = w + c (s(r(w·d))/s(r(d)) − r(w·d)/r(d))``, clipped to 0..1, with the concession ``c``, and the result is
    ``fused + (w' − w)·d``: detail that the network put outside the two sources stays. The weight ``d`` lets voxels
    speak where the choice matters.

    Args:
        fused: (I, J, K) luminance in 0..1.
        functional: The sources, as the network saw them.
        mri: See ``functional``.
        axis: Slice direction.
        sigma_slices: Standard deviation of the distances that count, in slices; below 0.2 nothing is done.
        concession: How much of the way to their agreement regions go, 0..1.

    Returns:
        (I, J, K) luminance in 0..1; exactly 0 where both sources are 0 if ``fused`` is.
    """
    if sigma_slices < 0.2:
        return fused
    own, first, second = (np.moveaxis(x, axis, 0) for x in (fused, functional, mri))
    return np.moveaxis(_agree(own, first, second, sigma_slices, concession), 0, axis)


def _agree(fused: FloatArray, functional: FloatArray, mri: FloatArray, sigma: float, concession: float) -> FloatArray:
    """`agree_along` for (N, H, W) stacks."""
    low = np.minimum(functional, mri)
    span = np.maximum(functional, mri) - low
    place = np.clip((fused - low) / np.maximum(span, 1e-6), 0.0, 1.0)
    weight, chosen = _regional(span), _regional(place * span)
    looks = np.stack([_regional(functional), _regional(mri)], axis=1)
    reach = max(int(np.ceil(_REACH * sigma)), 1)
    nearness = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2).astype(np.float32)[:, None, None]
    agreed = np.empty_like(fused, dtype=np.float32)
    for k in range(len(fused)):
        near = slice(max(k - reach, 0), k + reach + 1)
        unlike = np.square(looks[near] - looks[k]).sum(axis=1)
        say = nearness[near.start - k + reach :][: len(unlike)] * np.exp(unlike * np.float32(-0.5 / ALIKE**2))
        # The two quotients on one denominator: slices that are equal to the bit then change nothing, to the bit.
        change = (say * (chosen[near] * weight[k] - chosen[k] * weight[near])).sum(axis=0)
        moved = place[k] + concession * change / np.maximum(weight[k] * (say * weight[near]).sum(axis=0), 1e-12)
        agreed[k] = fused[k] + (np.clip(moved, 0.0, 1.0) - place[k]) * span[k]
    return np.clip(agreed, 0.0, 1.0, out=agreed)


def _regional(stack: FloatArray) -> FloatArray:
    """(N, H, W), smoothed within the slices."""
    from scipy.ndimage import gaussian_filter

    sigmas = (0.0, SIGMA_PIXELS, SIGMA_PIXELS)
    return np.asarray(gaussian_filter(stack, sigmas, mode="nearest", truncate=3.0), dtype=np.float32)

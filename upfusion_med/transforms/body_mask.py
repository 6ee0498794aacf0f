"""Where in an image there is a body: a coarse mask of what is not air, for any modality."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_LOWEST_PERCENTILE = 0.5
_BINS = 256


def body_mask(values: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """The voxels that are brighter than air.

    Otsu's threshold on the cube root of the values above their 0.5th percentile. The root brings a tumour of SUV 10
    near to muscle of SUV 0.5, and bone near to fat; on the values themselves the threshold would fall between them.
    Holes (lungs, cortical bone, cold regions) stay holes. Meant for images smoothed over some millimetres.

    Args:
        values: Any shape, finite; air is darkest (MRI, PET, SPECT, CT).

    Returns:
        The mask, in the shape of ``values``; nothing where all values are equal.

    Source: Otsu, IEEE Trans. Syst. Man Cybern. 9 (1979) 62, for the threshold.
    """
    compressed = np.cbrt(np.maximum(values - np.percentile(values, _LOWEST_PERCENTILE), 0.0))
    return np.asarray(compressed > otsu_threshold(compressed))


def otsu_threshold(values: NDArray[np.floating[Any]]) -> float:
    """The threshold with the largest variance between the two classes, in the unit of the values."""
    counts, edges = np.histogram(values, bins=_BINS)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1].astype(np.float64)
    above = counts.sum() - below
    total = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (total[:-1] / below - (total[-1] - total[:-1]) / above) ** 2
    if not np.isfinite(between).any():
        return float(edges[-1])
    # Between two separate classes every threshold is equally good; the middle of them is taken.
    best = np.flatnonzero(between >= np.nanmax(between) * (1 - 1e-12))
    return float((edges[best[0] + 1] + edges[best[-1] + 1]) / 2)

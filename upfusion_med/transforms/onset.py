"""From which uptake on the colours of a table show in full; below, the fused luminance shows more and more.

All tissue has some uptake, and noise in it: colours that set in at once, dark as the cold end of most tables is, would
put stains on bright fat. A cold defect inside warm tissue is another thing: shown late it would be as bright as the MRI
is there, and look warmer than its own rim. So the onset of a study depends on what encloses a place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
#: Onset of single pictures and of colours that are kept, in parts of the table: their cold end is drawn on purpose (the
#: first step of the palettes of the atlas is 0.008 and 0.006).
ONSET_OF_PICTURES = 0.008
#: Onset of a study where tissue with uptake encloses a place, and where nothing does.
ONSET_ENCLOSED = 0.12
ONSET_OPEN = 0.3
#: What is no wider than this is enclosed by what lies around it, millimetres: most defects, and the ventricles.
ENCLOSED_MM = 30.0
#: Standard deviation of the Gaussian that takes the noise out of what encloses, and size of the cells, millimetres.
QUIET_MM = 4.0
#: Part by which a length may miss a whole number of voxels: the last digits of a spacing decide nothing.
_SLACK = 1e-3


def onset_of_study(uptake: FloatArray, spacing_mm: tuple[float, float, float]) -> FloatArray:
    """Uptake at which the colours of a study have fully set in, voxel by voxel.

    What encloses a place is the closing of the smoothed uptake by a box (Serra, Image Analysis and Mathematical
    Morphology, 1982): it fills what is cold and narrow, and adds nothing around what is hot.

    Args:
        uptake: (I, J, K) position in the table in 0..1.
        spacing_mm: Of the grid.

    Returns:
        (I, J, K) in `ONSET_ENCLOSED`..`ONSET_OPEN`, smooth.
    """
    from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter

    lengths = list(zip(uptake.shape, spacing_mm, strict=True))
    steps = [min(max(int(QUIET_MM / mm + 0.5 - _SLACK), 1), count) for count, mm in lengths]
    cells = _means(uptake, steps)
    sizes_mm = [step * mm for step, (_, mm) in zip(steps, lengths, strict=True)]
    quiet = gaussian_filter(cells, [min(QUIET_MM / mm, n) for mm, n in zip(sizes_mm, cells.shape, strict=True)])
    reach = [min(int(ENCLOSED_MM / mm / 2 - _SLACK), n) for mm, n in zip(sizes_mm, cells.shape, strict=True)]
    width = [2 * cells_beside + 1 for cells_beside in reach]
    enclosing = minimum_filter(maximum_filter(quiet, width, mode="nearest"), width, mode="nearest")
    x = np.clip(enclosing / np.float32(ONSET_OPEN), 0, 1)
    return _stretched(ONSET_OPEN - np.float32(ONSET_OPEN - ONSET_ENCLOSED) * x * x * (3 - 2 * x), steps, uptake.shape)


def _means(values: FloatArray, steps: Sequence[int]) -> FloatArray:
    """Means over cells of so many voxels; the last cell along an axis may be smaller."""
    for axis, step in enumerate(steps):
        starts = np.arange(0, values.shape[axis], step)
        counts = np.diff(starts, append=values.shape[axis]).reshape(-1, *[1] * (values.ndim - axis - 1))
        values = np.asarray(np.add.reduceat(values, starts, axis=axis) / counts, np.float32)
    return values


def _stretched(cells: FloatArray, steps: Sequence[int], shape: tuple[int, ...]) -> FloatArray:
    """Values of the voxels, linear between the middles of the cells."""
    for axis, (step, count) in enumerate(zip(steps, shape, strict=True)):
        place = np.clip((np.arange(count, dtype=np.float32) + 0.5) / step - 0.5, 0, cells.shape[axis] - 1)
        below = place.astype(np.intp)
        part = (place - below).reshape(-1, *[1] * (len(shape) - axis - 1))
        above = np.minimum(below + 1, cells.shape[axis] - 1)
        low = cells.take(below, axis)
        cells = cells.take(above, axis)
        cells -= low
        cells *= part
        cells += low
    return cells

"""From which uptake on the colours of a table show in full; below, the fused luminance shows more and more.

All tissue has some uptake, and noise in it: colours that set in at once, dark as the cold end of most tables is, would
put stains on bright fat. A cold defect inside warm tissue is another thing: shown late it would be as bright as the MRI
is there, and look warmer than its own rim. So the onset of a study depends on what encloses a place.
"""

from __future__ import annotations

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
#: Standard deviation of the Gaussian that takes the noise out of what encloses, millimetres.
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
    # Over a quarter of the grid it is nearly the mean; lengths given in metres would take minutes otherwise.
    sigma = [min(QUIET_MM / mm, count / 4) for count, mm in lengths]
    width = [2 * min(int(ENCLOSED_MM / 2 / mm - _SLACK), count) + 1 for count, mm in lengths]
    enclosing = gaussian_filter(uptake, sigma, output=np.float32)
    enclosing = minimum_filter(maximum_filter(enclosing, width, mode="nearest"), width, mode="nearest")
    enclosing /= np.float32(ONSET_OPEN)
    share = np.minimum(enclosing, 1, out=enclosing)
    return np.float32(ONSET_OPEN) - np.float32(ONSET_OPEN - ONSET_ENCLOSED) * share * share * (3 - 2 * share)

"""Padding: pixels that were never imaged and hold a value that says so (PS3.3 C.7.5.1.1.2), often far below others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.io.dicom.header import Header


def padding_of(header: Header, stored: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Which stored values of a slice are padding by its header; None where none are."""
    first = header.stored_value("PixelPaddingValue") if stored.dtype.kind in "iu" else None
    if first is None:
        return None
    last = header.stored_value("PixelPaddingRangeLimit")
    ends = sorted((first, first if last is None else last))
    padding = (stored >= ends[0]) & (stored <= ends[1])
    return padding if padding.any() else None


def fill_padding(values: NDArray[np.float32], padding: Mapping[int, NDArray[np.bool_]]) -> int:
    """Set padding to 0, or to the smallest real value where that is below 0.

    Padding between the real values is left as it is: it harms nothing, and some files say so of a value that is real.

    Args:
        values: (slices, rows, columns) rescaled values, changed in place.
        padding: (rows, columns) of the slices that have padding, by their number.

    Returns:
        How many voxels were set.
    """
    if not padding:
        return 0
    lowest, highest = np.inf, -np.inf
    for number, image in enumerate(values):
        real = image[~padding[number]] if number in padding else image
        if real.size:
            lowest, highest = min(lowest, float(real.min())), max(highest, float(real.max()))
    if lowest > highest:
        return 0  # all is padding
    count = 0
    for number, where in padding.items():
        image = values[number]
        beyond = where & ((image < lowest) | (image > highest))
        image[beyond] = min(lowest, 0.0)
        count += int(np.count_nonzero(beyond))
    return count

"""Which arrays are written as volumes: scalars of uint8 or float32, and RGB of 8 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import UsageError


def check_rgb(array: NDArray[Any]) -> None:
    """Refuse what is no colour volume.

    Raises:
        UsageError: not (I, J, K, 3), or not of uint8.
    """
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[3] != 3:
        raise UsageError(
            f"The colour array has shape {array.shape} and type {array.dtype}; expected (I, J, K, 3) of uint8."
        )


def scalar_voxels(array: NDArray[Any]) -> NDArray[Any]:
    """The array in the type it is written in: uint8 or float32.

    Raises:
        UsageError: not three-dimensional, or of an integer type other than uint8.
    """
    if array.ndim != 3:
        raise UsageError(f"The array has shape {array.shape}; expected three spatial axes (X, Y, Z).")
    if array.dtype in (np.uint8, np.bool_):
        return array.astype(np.uint8)
    if np.issubdtype(array.dtype, np.floating):
        return array.astype(np.float32)
    raise UsageError(f"The array has type {array.dtype}; expected uint8, bool or a floating type.")

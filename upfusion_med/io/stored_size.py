"""Whether a file can hold the voxels that its header promises, asked before any memory is taken for them."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

from upfusion_med.core import InputError

#: Deflate cannot shrink anything by more than this (zlib, technical details: one bit for a match of 258 bytes).
DEFLATE_LIMIT = 1032
#: A volume of more voxels than this (8 GiB as float32) is no image of a patient on a grid that can be fused.
MAX_VOXELS = 2**31


def check_stored_size(
    path: str | os.PathLike[str], shape: Sequence[int], bytes_per_voxel: int, *, stored: int | None = None
) -> None:
    """Refuse a header that asks for more than its file can hold, or for more than any volume has.

    Args:
        path: The file that holds the voxels, compressed or not.
        shape: Every axis that the header states, frames and channels included.
        bytes_per_voxel: Of one stored number.
        stored: Bytes of the file; None: asked from the file system.

    Raises:
        InputError: it does.
    """
    if math.prod(shape[:3]) > MAX_VOXELS:
        raise InputError(
            f"The header of {path} asks for {' x '.join(map(str, shape))} voxels; expected at most {MAX_VOXELS} in one "
            "volume. The header is damaged, or the volume must be cropped or resampled before it can be fused."
        )
    promised = math.prod(shape) * bytes_per_voxel
    present = Path(path).stat().st_size if stored is None else stored
    if promised > present * DEFLATE_LIMIT:
        raise InputError(
            f"The header of {path} asks for {' x '.join(map(str, shape))} voxels ({promised} bytes), which a file of "
            f"{present} bytes cannot hold, not even compressed. It is damaged or truncated; copy it again."
        )

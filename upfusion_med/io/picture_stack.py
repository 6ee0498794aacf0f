"""The slices of a colour volume as pictures, in radiological orientation and with square pixels."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import Geometry, SliceAxis, UsageError
from upfusion_med.io.atomic_file import atomic_file
from upfusion_med.io.atomic_folder import atomic_folder
from upfusion_med.io.slice_stack import slice_stack
from upfusion_med.io.voxel_types import check_rgb

#: Picture formats without loss.
STACK_SUFFIXES = (".png", ".tif")
#: Spacings closer than this part are shown as equal, so that pixels stay as they are.
_SAME_SPACING = 5e-3
#: More frames a second than this many browsers slow down to ten.
_FASTEST = 50.0


def slice_pictures(
    rgb: NDArray[np.uint8], affine: NDArray[np.float64], axis: SliceAxis = SliceAxis.AXIAL
) -> NDArray[np.uint8]:
    """All slices of one direction as pictures.

    Where the two spacings in a slice differ, the coarser axis is interpolated linearly to the finer spacing.

    Args:
        rgb: (I, J, K, 3).
        affine: (4, 4) voxel index to RAS+ millimetres; may be oblique, then slices are those of the closest axis.
        axis: Direction across the slices.

    Returns:
        (slices, height, width, 3). The patient's right is on the left of axial and coronal pictures, the front on the
        left of sagittal ones, front or head at the top; slices run to the left, to the back, or to the feet.

    Raises:
        InputError: the affine is sheared.
        UsageError: another shape or type.
    """
    from PIL import Image

    check_rgb(rgb)
    worlds = [world for world, _ in Geometry(rgb.shape[:3], affine).closest_world_axes()]
    stack = slice_stack(rgb, affine, axis=worlds.index(axis.world_axis))
    x, y, _ = stack.spacing_mm
    slices, rows, columns = stack.pixels.shape[:3]
    # in radiological display the normals point to the right, to the back and to the head
    pixels = np.ascontiguousarray(stack.pixels if axis is SliceAxis.CORONAL else stack.pixels[::-1])
    if abs(x / y - 1) <= _SAME_SPACING:
        return pixels
    size = (max(1, round(columns * x / min(x, y))), max(1, round(rows * y / min(x, y))))
    resized = (Image.fromarray(one).resize(size, Image.Resampling.BILINEAR) for one in pixels)
    return np.stack([np.asarray(picture) for picture in resized]).reshape(slices, size[1], size[0], 3)


def save_picture_stack(
    folder: str | os.PathLike[str],
    rgb: NDArray[np.uint8],
    affine: NDArray[np.float64],
    *,
    axis: SliceAxis = SliceAxis.AXIAL,
    suffix: str = ".png",
) -> list[Path]:
    """Write one picture a slice, ``axial_0001.png`` and so on; see `slice_pictures`.

    Args:
        folder: Made; may exist when it is empty.
        rgb: (I, J, K, 3) uint8.
        affine: (4, 4) voxel index to RAS+ millimetres.
        axis: Direction across the slices.
        suffix: ``.png`` or ``.tif``.

    Raises:
        UsageError: another suffix, shape or type, or the folder holds something.
        InputError: the affine is sheared.
        RuntimeFailure: the folder cannot be written; nothing is left there.
    """
    from PIL import Image

    if suffix not in STACK_SUFFIXES:
        raise UsageError(f"The picture format is {suffix}; expected one of {', '.join(STACK_SUFFIXES)}.")
    pictures = slice_pictures(rgb, affine, axis)
    names = [f"{axis.value}_{number:04d}{suffix}" for number in range(1, len(pictures) + 1)]
    with atomic_folder(folder) as beside:
        for name, picture in zip(names, pictures, strict=True):
            Image.fromarray(picture).save(beside / name)
    return [Path(folder) / name for name in names]


def save_cine(
    path: str | os.PathLike[str],
    rgb: NDArray[np.uint8],
    affine: NDArray[np.float64],
    *,
    axis: SliceAxis = SliceAxis.AXIAL,
    frames_per_second: float = 10.0,
) -> Path:
    """Write the slices as an animated GIF that runs for ever; a GIF has 256 colours a picture.

    Arguments and errors are those of `save_picture_stack`; ``path`` ends in ``.gif`` and its folder exists.

    Raises:
        UsageError: also for a speed that is not above 0 and up to 50 pictures a second.
    """
    from PIL import Image

    if not 0 < frames_per_second <= _FASTEST:
        raise UsageError(f"The speed is {frames_per_second:g} pictures a second; expected above 0, up to {_FASTEST:g}.")
    frames = [Image.fromarray(one).quantize(256) for one in slice_pictures(rgb, affine, axis)]
    with atomic_file(path, (".gif",)) as temporary:
        duration_ms = round(1000 / frames_per_second)
        frames[0].save(temporary, save_all=True, append_images=frames[1:], duration=duration_ms, loop=0, optimize=False)
    return Path(path)

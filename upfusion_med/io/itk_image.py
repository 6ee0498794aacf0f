"""NRRD and MetaImage files: scalar and colour volumes, written through SimpleITK."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import RAS_FROM_LPS, RuntimeFailure
from upfusion_med.io.atomic_file import atomic_file
from upfusion_med.io.itk_path import itk_path
from upfusion_med.io.voxel_types import check_rgb, scalar_voxels

if TYPE_CHECKING:
    import SimpleITK

SUFFIXES = (".nrrd", ".mha")


def save_rgb_nrrd(path: str | os.PathLike[str], rgb_uint8_xyz3: NDArray[np.uint8], affine: NDArray[np.float64]) -> None:
    """Write a colour volume as a three-component NRRD (or .mha), in LPS as ITK and Slicer expect.

    Args:
        path: ``.nrrd`` or ``.mha``.
        rgb_uint8_xyz3: (X, Y, Z, 3) uint8.
        affine: (4, 4) voxel index to RAS+ millimetres.
    """
    import SimpleITK as sitk

    check_rgb(rgb_uint8_xyz3)
    voxels = np.ascontiguousarray(np.transpose(rgb_uint8_xyz3, (2, 1, 0, 3)))
    _save(path, sitk.GetImageFromArray(voxels, isVector=True), affine)


def save_scalar_nrrd(path: str | os.PathLike[str], array: NDArray[Any], affine: NDArray[np.float64]) -> None:
    """Write a scalar volume as NRRD (or .mha): uint8 and bool as uint8, floating values as float32.

    Args:
        path: ``.nrrd`` or ``.mha``.
        array: (X, Y, Z).
        affine: (4, 4) voxel index to RAS+ millimetres.
    """
    import SimpleITK as sitk

    voxels = np.ascontiguousarray(np.transpose(scalar_voxels(array), (2, 1, 0)))
    _save(path, sitk.GetImageFromArray(voxels, isVector=False), affine)


def _save(path: str | os.PathLike[str], image: SimpleITK.Image, affine: NDArray[np.float64]) -> None:
    import SimpleITK as sitk

    lps = RAS_FROM_LPS @ np.array(affine, dtype=np.float64)
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing([float(v) for v in spacing])
    image.SetDirection([float(v) for v in (lps[:3, :3] / spacing).ravel()])
    image.SetOrigin([float(v) for v in lps[:3, 3]])
    with atomic_file(path, SUFFIXES) as temporary, itk_path(temporary) as place:
        try:
            sitk.WriteImage(image, place, useCompression=True)
        except RuntimeError as error:
            raise RuntimeFailure(
                f"The file {path} could not be written ({_reason(error)}). Check the rights of the folder and the "
                "free space."
            ) from error


def _reason(error: RuntimeError) -> str:
    """The last sentence of an ITK error, without the places in its source code."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and "Exception thrown" not in line]
    text = re.sub(r"^.*?:\s*(?=[A-Z])", "", lines[-1]) if lines else "unknown reason"
    return re.sub(r"\s*\S*/\S*", "", text)[:160].rstrip(" .")

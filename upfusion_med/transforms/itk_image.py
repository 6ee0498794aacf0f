"""The bridge between our arrays and SimpleITK images: the one place where axes are reversed and RAS becomes LPS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import RAS_FROM_LPS, Geometry, UsageError

if TYPE_CHECKING:
    import SimpleITK

#: Direction cosines below it are rounding of 0. ITK's inverse of a matrix that holds 1e-295 is not a number.
FAINTEST_COSINE = 1e-15


def itk_image(array: NDArray[Any], geometry: Geometry) -> SimpleITK.Image:
    """A SimpleITK image of the values at their place.

    Args:
        array: (I, J, K), or (I, J, K, C) for an image of C components; float32, float64 or uint8.
        geometry: Its grid. Left-handed and sheared grids are kept as they are: no axis is flipped.

    Returns:
        The image; its index (i, j, k) is our index (i, j, k), its physical points are LPS+ millimetres.
    """
    import SimpleITK as sitk

    if array.shape[:3] != geometry.shape or array.ndim not in (3, 4):
        raise UsageError(f"The array has shape {array.shape}, its grid {geometry.shape}; expected equal spatial axes.")
    axes = (2, 1, 0) if array.ndim == 3 else (2, 1, 0, 3)
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.transpose(axes)), isVector=array.ndim == 4)
    spacing = geometry.spacing_mm
    affine = geometry.affine_lps
    image.SetSpacing(spacing)
    image.SetOrigin(tuple(float(x) for x in affine[:3, 3]))
    cosines = affine[:3, :3] / spacing
    cosines[np.abs(cosines) < FAINTEST_COSINE] = 0.0
    image.SetDirection(tuple(float(x) for x in cosines.ravel()))
    return image


def itk_array(image: SimpleITK.Image) -> NDArray[Any]:
    """The values of a SimpleITK image, (I, J, K) or (I, J, K, C), C-contiguous."""
    import SimpleITK as sitk

    values = sitk.GetArrayViewFromImage(image)
    axes = (2, 1, 0) if values.ndim == 3 else (2, 1, 0, 3)
    return np.array(values.transpose(axes), order="C")


def itk_transform(matrix: NDArray[np.float64]) -> SimpleITK.AffineTransform:
    """The SimpleITK transform of a (4, 4) matrix that maps RAS+ points to RAS+ points (millimetres)."""
    import SimpleITK as sitk

    matrix = np.asarray(matrix, dtype=np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or not np.allclose(matrix[3], (0, 0, 0, 1)):
        raise UsageError(
            "The transform is not an affine matrix; expected (4, 4) finite numbers with the last row 0 0 0 1."
        )
    lps = RAS_FROM_LPS @ matrix @ RAS_FROM_LPS
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(tuple(float(x) for x in lps[:3, :3].ravel()))
    transform.SetTranslation(tuple(float(x) for x in lps[:3, 3]))
    return transform


def linearised(transform: SimpleITK.Transform, at_ras_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """The (4, 4) RAS+ to RAS+ matrix of a SimpleITK transform near a point; exact everywhere for linear transforms."""
    step_mm = 1.0
    centre = RAS_FROM_LPS[:3, :3] @ np.asarray(at_ras_mm, dtype=np.float64)
    image = np.array(transform.TransformPoint(tuple(centre)))
    lps = np.eye(4)
    for axis, step in enumerate(np.eye(3) * step_mm):
        ahead, behind = (np.array(transform.TransformPoint(tuple(centre + s * step))) for s in (1, -1))
        lps[:3, axis] = (ahead - behind) / (2 * step_mm)
    lps[:3, 3] = image - lps[:3, :3] @ centre
    return np.asarray(RAS_FROM_LPS @ lps @ RAS_FROM_LPS)

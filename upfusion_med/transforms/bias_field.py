"""Uneven brightness of an MRI, from the sensitivity of its coils: estimated by N4 and divided out."""

from __future__ import annotations

import numpy as np

from upfusion_med.core import InputError, Progress, SilentProgress, Volume
from upfusion_med.transforms.itk_image import itk_array, itk_image

#: The field is smooth: it is estimated on a grid of about this spacing, which is some fifty times faster.
_WORK_SPACING_MM = 4.0
#: Iterations at each of the levels of the B-spline.
_ITERATIONS = (30, 20, 10)
#: Least number of voxels that each axis keeps where the field is estimated.
_LEAST_VOXELS = 8


def correct_bias(mri: Volume, *, progress: Progress | None = None) -> Volume:
    """Divide a smooth bias field out of an MRI.

    The field is estimated on a coarser grid inside a head or body mask (Otsu) and has mean 1 there, so that the level
    of the tissue stays. Voxels that are 0 stay 0.

    Args:
        mri: Scalar volume without negative values.
        progress: Told of the one step.

    Returns:
        The corrected volume on the same grid.

    Raises:
        InputError: a picture or a single slice, colours, or negative values.

    Source: Tustison et al., N4ITK: improved N3 bias correction, IEEE TMI 29(6), 2010, in SimpleITK.
    """
    import SimpleITK as sitk

    shape = mri.geometry.shape
    if mri.is_rgb or mri.is_picture or min(shape) < _LEAST_VOXELS:
        raise InputError(
            f"The MRI has shape {mri.array.shape}; bias correction needs a scalar volume of at least {_LEAST_VOXELS} "
            "voxels along each axis. Leave it out."
        )
    low = float(mri.array.min())
    if low < 0:
        raise InputError(
            f"The MRI holds values down to {low:g}; bias correction divides and needs values from 0 on. Leave it out."
        )
    progress = progress or SilentProgress()
    progress.stage("bias field", 1)
    image = itk_image(np.asarray(mri.array, np.float32), mri.geometry)
    factors = [
        int(np.clip(round(_WORK_SPACING_MM / spacing), 1, max(1, size // _LEAST_VOXELS)))
        for spacing, size in zip(image.GetSpacing(), image.GetSize(), strict=True)
    ]
    small = sitk.Shrink(image, factors)
    filter_ = sitk.N4BiasFieldCorrectionImageFilter()
    filter_.SetNumberOfWorkUnits(1)
    filter_.SetMaximumNumberOfIterations(_ITERATIONS)
    mask = sitk.OtsuThreshold(small, 0, 1, 128)
    filter_.Execute(small, mask)
    field = itk_array(sitk.Exp(filter_.GetLogBiasFieldAsImage(image)))
    tissue = mri.array > float(np.quantile(mri.array, 0.5))
    level = float(field[tissue].mean()) if tissue.any() else 1.0
    progress.advance()
    return mri.with_array(np.asarray(mri.array / (field / level), dtype=np.float32))

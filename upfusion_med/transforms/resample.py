"""Bringing a volume onto the grid of another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import Geometry, InputError, UsageError, Volume
from upfusion_med.transforms.itk_image import itk_array, itk_image, itk_transform

INTERPOLATIONS = ("linear", "nearest")
#: A grid that is coarser by more than this factor is smoothed for first.
_COARSER = 1.5
_SIGMA_PER_FWHM = 1.0 / np.sqrt(8.0 * np.log(2.0))


def resample_to(
    moving: Volume,
    reference: Volume | Geometry,
    *,
    interpolation: str = "linear",
    transform: NDArray[np.float64] | None = None,
) -> tuple[Volume, NDArray[np.bool_]]:
    """The moving volume on the reference grid.

    Linear interpolation never leaves the range of the data, which matters for uptake. Along axes where the reference
    is coarser by more than 1.5 times, the moving volume is first smoothed with a Gaussian whose full width at half
    maximum is the reference spacing (without it T1 on a PET grid was off by a tenth). Values are interpolated only
    inside the moving field of view, which reaches half a voxel beyond the outermost voxel centres.

    Args:
        moving: Scalar or colour volume.
        reference: Where to.
        interpolation: ``"linear"`` or ``"nearest"`` (labels; never smoothed).
        transform: (4, 4) matrix that maps points of the reference's space to the moving's space, RAS+ millimetres.
            None: both are in one space.

    Returns:
        The volume, 0 outside the moving field of view, and the mask of what lies inside it, both on the reference
        grid. On the same grid (and without a transform) the moving volume itself, untouched.

    Raises:
        InputError: No voxel of the reference lies in the moving field of view.
        UsageError: unknown interpolation.
    """
    if interpolation not in INTERPOLATIONS:
        raise UsageError(
            f"The interpolation '{interpolation}' is unknown; expected one of {', '.join(INTERPOLATIONS)}."
        )
    target = reference.geometry if isinstance(reference, Volume) else reference
    if transform is None and moving.geometry.same_grid(target):
        return moving, np.ones(target.shape, dtype=bool)

    inside = np.ones(target.shape, dtype=bool)
    channels = []
    for channel in np.moveaxis(moving.array, 3, 0) if moving.is_rgb else moving.array[None]:
        values = channel.astype(np.float32, copy=False)
        if interpolation != "nearest":
            values = _smoothed_for(values, moving.geometry, target, transform)
        values = _interpolated(values, moving.geometry, target, interpolation, transform)
        inside = ~np.isnan(values)
        if not inside.any():
            raise InputError(_no_overlap(moving.geometry, target, transform))
        values[~inside] = 0.0
        channels.append(values)
    array = np.stack(channels, axis=-1) if moving.is_rgb else channels[0]
    space = reference.frame_of_reference_uid if isinstance(reference, Volume) else moving.frame_of_reference_uid
    return moving.with_array(array, affine=target.affine, frame_of_reference_uid=space), inside


def bounding_box_mm(geometry: Geometry) -> NDArray[np.float64]:
    """(2, 3) lowest and highest RAS+ coordinate of the grid, to the outer faces of its voxels."""
    ends = [(-0.5, n - 0.5) for n in geometry.shape]
    corners = np.array([(i, j, k, 1.0) for i in ends[0] for j in ends[1] for k in ends[2]])
    world = (corners @ geometry.affine.T)[:, :3]
    return np.stack([world.min(axis=0), world.max(axis=0)])


def _interpolated(
    values: NDArray[np.float32],
    geometry: Geometry,
    target: Geometry,
    interpolation: str,
    transform: NDArray[np.float64] | None,
) -> NDArray[np.float32]:
    """Values on the target grid; NaN outside the field of view."""
    import SimpleITK as sitk

    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(target.shape)
    resampler.SetOutputSpacing(target.spacing_mm)
    resampler.SetOutputOrigin(tuple(float(x) for x in target.affine_lps[:3, 3]))
    resampler.SetOutputDirection(tuple(float(x) for x in (target.affine_lps[:3, :3] / target.spacing_mm).ravel()))
    resampler.SetDefaultPixelValue(float("nan"))
    resampler.SetInterpolator({"linear": sitk.sitkLinear, "nearest": sitk.sitkNearestNeighbor}[interpolation])
    if transform is not None:
        resampler.SetTransform(itk_transform(transform))
    return itk_array(resampler.Execute(itk_image(values, geometry)))


def _smoothed_for(
    values: NDArray[np.float32], geometry: Geometry, target: Geometry, transform: NDArray[np.float64] | None
) -> NDArray[np.float32]:
    """The values, smoothed along those of their axes along which the target grid is coarser."""
    steps = target.affine[:3, :3] if transform is None else transform[:3, :3] @ target.affine[:3, :3]
    directions = geometry.affine[:3, :3] / geometry.spacing_mm
    # The target's sampling distance seen along each own axis: the width of an ellipsoid with the steps as half axes.
    widths_mm = np.linalg.norm(directions.T @ steps, axis=1)
    ratio = widths_mm / np.array(geometry.spacing_mm)
    sigma = np.where((ratio > _COARSER) & (np.array(geometry.shape) > 1), ratio * _SIGMA_PER_FWHM, 0.0)
    if not sigma.any():
        return values
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(values, sigma, mode="nearest")


def _no_overlap(moving: Geometry, target: Geometry, transform: NDArray[np.float64] | None) -> str:
    def box(geometry: Geometry) -> str:
        low, high = bounding_box_mm(geometry)
        return ", ".join(f"{axis} {a:.1f} to {b:.1f}" for axis, a, b in zip("xyz", low, high, strict=True))

    return (
        f"The two images do not overlap{'' if transform is None else ' after the transform'}: the image to be "
        f"resampled lies at {box(moving)} mm, the reference grid at {box(target)} mm (RAS). Expected a common "
        "field of view. Check that both belong to one study, or register them or give a transform."
    )

"""From the places of slices to one regular grid, or the reason why they make none (facts of PS3.3 C.7.6.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import InputError
from upfusion_med.io.dicom.no_volume import NoVolumeError
from upfusion_med.io.dicom.plane import Plane

#: Largest deviation of the direction cosines from two orthogonal unit vectors.
_ORTHONORMAL = 1e-3
#: Part of the slice step: deviations up to the first are silent, up to the second warned of, beyond refused.
_SILENT, _WARNED = 0.01, 0.05
#: Two slices closer than this lie at one place.
SAME_PLACE_MM = 1e-3


@dataclass(frozen=True, eq=False)
class StackGeometry:
    """The grid of a stack of slices.

    Attributes:
        order: For each slice of the grid, its number in the sequence that was given.
        affine_lps: (4, 4) index (column, row, slice) to LPS millimetres; the slices run along the normal.
        warnings: What was put up with.
    """

    order: tuple[int, ...]
    affine_lps: NDArray[np.float64]
    warnings: tuple[str, ...] = ()


def stack_geometry(planes: Sequence[Plane], shown: str, *, accept_tilt: bool = False) -> StackGeometry:
    """The grid of slices that share matrix, orientation and pixel spacing.

    Args:
        planes: The slices in any order.
        shown: What a message calls the series.
        accept_tilt: Take a tilted stack as the sheared grid that it is, with a warning.

    Raises:
        InputError: a tag is missing, directions are not orthonormal, a spacing is not positive, there is one slice
            only, two slices lie at one place, a slice is missing, the steps are irregular, or the stack is tilted.
    """
    first = planes[0]
    missing = sorted({name for plane in planes for name in plane.missing})
    if missing or first.orientation is None or first.spacing_mm is None:
        raise InputError(
            f"{capitalised(shown)} does not say where its slices lie: missing {', '.join(missing)}; "
            "expected on every slice. Export the original series with its geometry."
        )
    row, column = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    normal = _normal(row, column, shown)
    if min(first.spacing_mm) <= 0:
        raise InputError(
            f"Pixel Spacing (0028,0030) of {shown} is {first.spacing_mm[0]:g}\\{first.spacing_mm[1]:g}; expected two "
            "positive distances in mm. Export the series again."
        )
    if len(planes) == 1:
        raise NoVolumeError(
            f"{capitalised(shown)} has one slice only; expected at least two, because one slice has no spacing. "
            "Give the folder of the whole series."
        )
    positions = np.array([plane.position_mm for plane in planes], dtype=np.float64)
    heights = positions @ normal
    order = np.argsort(heights, kind="stable")
    positions, heights = positions[order], heights[order]
    steps = np.diff(heights)
    if steps.min() < SAME_PLACE_MM:
        where = int(np.argmin(steps))
        raise InputError(
            f"Two slices of {shown} lie at one place ({heights[where]:.3f} mm along the slice normal) and no tag tells "
            "them apart; expected one slice a place. Remove the copy, or export one acquisition."
        )
    warnings = _check_steps(steps, heights, shown) + _check_straight(positions, normal, shown, accept_tilt)
    step = (positions[-1] - positions[0]) / (len(planes) - 1)
    affine = np.eye(4)
    affine[:3, 0] = row * first.spacing_mm[1]
    affine[:3, 1] = column * first.spacing_mm[0]
    affine[:3, 2] = step
    affine[:3, 3] = positions[0]
    return StackGeometry(tuple(int(k) for k in order), affine, warnings)


def goes_on_at(plane: Plane, volume: Sequence[Plane], geometry: StackGeometry) -> bool:
    """Whether a slice lies one step before the first or behind the last one of a volume, on the same grid."""
    first = volume[0]
    if plane.position_mm is None or plane.orientation is None or plane.spacing_mm is None:
        return False
    if (plane.rows, plane.columns) != (first.rows, first.columns):
        return False
    if plane.header.text("FrameOfReferenceUID") != first.header.text("FrameOfReferenceUID"):
        return False
    row = np.multiply(plane.orientation[:3], plane.spacing_mm[1])
    column = np.multiply(plane.orientation[3:], plane.spacing_mm[0])
    own = np.vstack([np.column_stack([row, column, plane.position_mm]), [0, 0, 1]])
    in_voxels = np.linalg.solve(geometry.affine_lps, own)[:3]
    wanted = [np.array([[1, 0, 0], [0, 1, 0], [0, 0, k]]) for k in (-1, len(volume))]
    return any(np.abs(in_voxels - one).max() <= _WARNED for one in wanted)


def capitalised(text: str) -> str:
    """The text with a capital at its start, and all else as it is."""
    return text[:1].upper() + text[1:]


def _normal(row: NDArray[np.float64], column: NDArray[np.float64], shown: str) -> NDArray[np.float64]:
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if max(abs(lengths[0] - 1), abs(lengths[1] - 1), abs(float(row @ column))) > _ORTHONORMAL:
        raise InputError(
            f"Image Orientation (Patient) (0020,0037) of {shown} has vectors of length {lengths[0]:.4f} and "
            f"{lengths[1]:.4f} with product {float(row @ column):.4f}; expected two orthogonal unit vectors. "
            "Export the series again."
        )
    normal = np.cross(row, column)
    return np.asarray(normal / np.linalg.norm(normal))


def _check_steps(steps: NDArray[np.float64], heights: NDArray[np.float64], shown: str) -> tuple[str, ...]:
    mean, median = float(steps.mean()), float(np.median(steps))
    deviation = float(np.abs(steps - mean).max()) / mean
    if deviation <= _SILENT:
        return ()
    widest = int(np.argmax(steps))
    if deviation <= _WARNED:
        return (
            f"The distance between slices varies from {steps.min():.3f} to {steps.max():.3f} mm; "
            f"the mean {mean:.4f} mm was taken.",
        )
    multiple = steps[widest] / median
    if round(multiple) >= 2 and abs(multiple - round(multiple)) <= _WARNED * multiple:
        absent = round(multiple) - 1
        raise InputError(
            f"{capitalised(shown)} misses {absent} slice{'s' if absent > 1 else ''}: between {heights[widest]:.3f} and "
            f"{heights[widest + 1]:.3f} mm along the slice normal the step is {steps[widest]:.3f} mm instead of "
            f"{median:.3f} mm. Copy the whole series."
        )
    raise InputError(
        f"The distance between slices of {shown} is irregular: {steps.min():.3f} to {steps.max():.3f} mm, widest "
        f"between {heights[widest]:.3f} and {heights[widest + 1]:.3f} mm along the slice normal; expected equal steps "
        "to within 5 %. Copy the whole series, or resample it to equal steps first."
    )


def _check_straight(
    positions: NDArray[np.float64], normal: NDArray[np.float64], shown: str, accept_tilt: bool
) -> tuple[str, ...]:
    """The slices must lie above each other: a sideways step makes a sheared grid."""
    steps = np.diff(positions, axis=0)
    mean = steps.mean(axis=0)
    length = float(np.linalg.norm(mean))
    sideways = float(np.linalg.norm(mean - (mean @ normal) * normal))
    warnings: tuple[str, ...] = ()
    if sideways > _SILENT * length:
        warnings = (f"The stack is tilted: each slice is {sideways:.3f} mm sideways of the one before.",)
    if warnings and not accept_tilt:
        raise InputError(
            f"{capitalised(shown)} is a tilted stack: each slice is {sideways:.3f} mm sideways of the one before (step "
            f"{length:.3f} mm), as with a tilted gantry; expected slices straight above each other. Accept it "
            "with accept_tilt=True (--accept-tilt), or resample it to a rectangular grid first."
        )
    lateral = positions - positions[0] - np.outer(np.arange(len(positions)), mean)
    lateral -= np.outer(lateral @ normal, normal)
    deviation = float(np.linalg.norm(lateral, axis=1).max()) / length
    if deviation > _WARNED:
        raise InputError(
            f"The slices of {shown} do not lie on a straight line: one is {deviation * length:.3f} mm sideways. "
            "Expected a rectangular grid; export one acquisition, or resample it first."
        )
    if deviation > _SILENT:
        warnings += (f"Single slices lie up to {deviation * length:.3f} mm sideways; a straight stack was taken.",)
    return warnings

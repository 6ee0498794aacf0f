"""A volume cut into slices as they are looked at and stored in DICOM: rows, columns, and a step along the normal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import Geometry, InputError

#: Largest cosine between the in-plane axes, and between them and the step across; the limits of the DICOM reader, so
#: that whatever it takes can be written again.
_IN_PLANE, _ACROSS = 1e-3, 1e-2
#: Spacings closer than this part count as equal when the axis across the slices is chosen.
_SAME_SPACING = 1e-2
#: Row and column directions (LPS) of pictures of sagittal, coronal and axial slices: the patient's right on the left,
#: or the front on the left; front or head at the top.
_RADIOLOGICAL = (
    ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0)),
    ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0)),
    ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
)


@dataclass(frozen=True, eq=False)
class SliceStack:
    """Slices that lie straight above each other, in the order of their normal (row direction x column direction).

    Attributes:
        pixels: (slices, rows, columns) or (slices, rows, columns, 3).
        affine_lps: (4, 4) index (column, row, slice) to LPS millimetres of the pixel's centre.
    """

    pixels: NDArray[Any]
    affine_lps: NDArray[np.float64]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between columns, between rows, and between slices."""
        x, y, z = np.linalg.norm(self.affine_lps[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def orientation(self) -> tuple[float, ...]:
        """Cosines of the row direction (along which the column index grows), then of the column direction."""
        x, y, _ = self.spacing_mm
        return (*(self.affine_lps[:3, 0] / x).tolist(), *(self.affine_lps[:3, 1] / y).tolist())

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit vector across the slices, along which their number grows."""
        return normal_of(self.orientation)

    def position_mm(self, number: int) -> tuple[float, ...]:
        """LPS position of the first pixel of a slice."""
        return tuple((self.affine_lps @ (0.0, 0.0, number, 1.0))[:3].tolist())


def normal_of(orientation: Sequence[float]) -> NDArray[np.float64]:
    """Unit vector row direction x column direction of six cosines."""
    normal = np.cross(orientation[:3], orientation[3:])
    return np.asarray(normal / np.linalg.norm(normal))


def slice_stack(
    array: NDArray[Any],
    affine: NDArray[np.float64],
    *,
    axis: int | None = None,
    like: Sequence[float] | None = None,
) -> SliceStack:
    """Cut a volume into slices; voxels are turned and mirrored, never interpolated.

    Args:
        array: (I, J, K) or (I, J, K, 3).
        affine: (4, 4) voxel index to RAS+ millimetres.
        axis: Array axis across the slices. None: the one closest to the normal of ``like``; without ``like`` the one
            with the largest spacing, the last where they are equal.
        like: Six LPS cosines (row direction, column direction) of images that the slices shall resemble; None:
            radiological display.

    Returns:
        A stack whose slices run along the normal, whatever the handedness of the affine.

    Raises:
        InputError: the affine is sheared.
    """
    geometry = Geometry(array.shape[:3], affine)
    directions = geometry.affine_lps[:3, :3] / geometry.spacing_mm
    if axis is None:
        axis = _axis_across(geometry) if like is None else int(np.argmax(np.abs(directions.T @ normal_of(like))))
    _check_rectangular(directions, axis)
    if like is None:
        row, column = _RADIOLOGICAL[geometry.closest_world_axes()[axis][0]]
    else:
        row, column = (like[0], like[1], like[2]), (like[3], like[4], like[5])
    across, down = _in_plane_axes(directions, axis, row, column)
    signs = {
        across: _sign(directions[:, across] @ row),
        down: _sign(directions[:, down] @ column),
    }
    normal = np.cross(directions[:, across] * signs[across], directions[:, down] * signs[down])
    signs[axis] = _sign(directions[:, axis] @ normal)

    affine_lps = np.eye(4)
    first = [0 if signs[a] > 0 else geometry.shape[a] - 1 for a in range(3)]
    affine_lps[:3, 3] = (geometry.affine_lps @ (*first, 1.0))[:3]
    for place, source in enumerate((across, down, axis)):
        affine_lps[:3, place] = geometry.affine_lps[:3, source] * signs[source]
    pixels = array.transpose((axis, down, across, *range(3, array.ndim)))
    return SliceStack(pixels[:: signs[axis], :: signs[down], :: signs[across]], affine_lps)


def _axis_across(geometry: Geometry) -> int:
    spacing = np.array(geometry.spacing_mm)
    return int(np.flatnonzero(spacing >= spacing.max() * (1 - _SAME_SPACING))[-1])


def _in_plane_axes(
    directions: NDArray[np.float64], axis: int, row: Sequence[float], column: Sequence[float]
) -> tuple[int, int]:
    """The array axes along the rows and along the columns."""
    a, b = (k for k in range(3) if k != axis)
    along, turned = (abs(directions[:, p] @ row) + abs(directions[:, q] @ column) for p, q in ((a, b), (b, a)))
    return (a, b) if along >= turned else (b, a)


def _check_rectangular(directions: NDArray[np.float64], axis: int) -> None:
    cosines = np.abs(directions.T @ directions)
    a, b = (k for k in range(3) if k != axis)
    if cosines[a, b] > _IN_PLANE or max(cosines[axis, a], cosines[axis, b]) > _ACROSS:
        worst = max(cosines[a, b], cosines[axis, a], cosines[axis, b])
        raise InputError(
            f"The grid is sheared: two of its axes meet at {np.degrees(np.arccos(min(1.0, worst))):.2f} degrees; "
            "expected three right angles, because slices of images lie straight above each other. "
            "Resample the MRI to a rectangular grid first."
        )


def _sign(value: Any) -> int:
    return 1 if value >= 0 else -1

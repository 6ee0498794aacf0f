"""Which slices of a volume are looked at, and which way up: radiological orientation from the affine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import Geometry

#: Half the thickness of the slab in which the other two planes are chosen.
_SLAB_MM = 15.0
_FOREGROUND = 0.05
#: Part of the slices at each end of the volume that count less the farther out they lie.
_EDGE_PART = 0.15
#: Voxels that the choice of slices looks at, at most.
_LOOKED_AT = 2_000_000


class Plane(Enum):
    """An anatomical plane: RAS axis across it, RAS axis along its columns' direction, RAS axis along its rows'.

    Every picture begins at the positive end of its axes: the patient's right is on the left of axial and coronal
    pictures, front on the left of sagittal ones, front or head at the top.
    """

    AXIAL = (2, 0, 1)
    CORONAL = (1, 0, 2)
    SAGITTAL = (0, 1, 2)

    @property
    def normal(self) -> int:
        """RAS axis across the plane."""
        return self.value[0]

    @property
    def horizontal(self) -> int:
        """RAS axis from left to right of the picture."""
        return self.value[1]

    @property
    def vertical(self) -> int:
        """RAS axis from top to bottom of the picture."""
        return self.value[2]

    @property
    def letters(self) -> tuple[str, str, str, str]:
        """Anatomical letters at the left, right, top and bottom of the picture."""
        return (
            "RAS"[self.horizontal],
            "LPI"[self.horizontal],
            "RAS"[self.vertical],
            "LPI"[self.vertical],
        )


@dataclass(frozen=True)
class DisplayGrid:
    """A grid as it is looked at: for each anatomical axis the closest index axis, however it is stored."""

    geometry: Geometry

    def index_axis(self, world_axis: int) -> tuple[int, int]:
        """(Index axis closest to a RAS axis, +1 or -1 for its direction along it)."""
        for index, (world, sign) in enumerate(self.geometry.closest_world_axes()):
            if world == world_axis:
                return index, sign
        raise AssertionError("every anatomical axis belongs to one index axis")

    def slice_count(self, plane: Plane) -> int:
        """Number of slices of a plane."""
        return self.geometry.shape[self.index_axis(plane.normal)[0]]

    def size_mm(self, plane: Plane) -> tuple[float, float]:
        """Width and height of a picture of a plane, to the outer faces of its voxels."""
        axes = [self.index_axis(world)[0] for world in (plane.horizontal, plane.vertical)]
        width, height = (self.geometry.shape[a] * self.geometry.spacing_mm[a] for a in axes)
        return width, height

    def size_voxels(self, plane: Plane) -> tuple[int, int]:
        """Width and height of a picture of a plane in voxels."""
        axes = [self.index_axis(world)[0] for world in (plane.horizontal, plane.vertical)]
        return self.geometry.shape[axes[0]], self.geometry.shape[axes[1]]

    def picture(self, array: NDArray[Any], plane: Plane, index: int) -> NDArray[Any]:
        """One slice as (rows, columns) or (rows, columns, 3), in radiological orientation.

        Args:
            array: (I, J, K) or (I, J, K, 3).
            plane: Which plane.
            index: Slice number along the index axis across the plane.
        """
        across, _ = self.index_axis(plane.normal)
        horizontal, horizontal_sign = self.index_axis(plane.horizontal)
        vertical, vertical_sign = self.index_axis(plane.vertical)
        axes = (across, vertical, horizontal, *range(3, array.ndim))
        rows_columns = array.transpose(axes)[index]
        return rows_columns[::-vertical_sign, ::-horizontal_sign]

    @property
    def obliqueness_deg(self) -> float:
        """Largest angle between an index axis and the anatomical axis it is shown as."""
        directions = self.geometry.affine[:3, :3] / self.geometry.spacing_mm
        cosines = [abs(directions[world, index]) for index, (world, _) in enumerate(self.geometry.closest_world_axes())]
        return float(np.degrees(np.arccos(np.clip(min(cosines), 0.0, 1.0))))

    def chosen_slices(
        self, mri01: NDArray[np.floating[Any]], brightness: NDArray[np.floating[Any]]
    ) -> dict[Plane, int]:
        """The slice of each plane that shows most of the uptake inside the MRI's foreground.

        The axial one first; the coronal and sagittal ones from a slab of 3 cm around it, so that all three show the
        same place.

        Args:
            mri01: (I, J, K) in [0, 1].
            brightness: (I, J, K) luminance of the functional image; any scale, not negative.
        """
        weight, steps = self._weight(mri01, brightness)
        position: dict[Plane, int] = {}
        for plane in (Plane.AXIAL, Plane.CORONAL, Plane.SAGITTAL):
            axis, _ = self.index_axis(plane.normal)
            others = tuple(a for a in range(3) if a != axis)
            best = _peak(weight.sum(axis=others), self.geometry.spacing_mm[axis] * steps[axis])
            position[plane] = min(best * steps[axis], self.geometry.shape[axis] - 1)
            half = max(1, round(_SLAB_MM / (self.geometry.spacing_mm[axis] * steps[axis])))
            far = np.abs(np.arange(weight.shape[axis]) - best) > half
            weight = np.where(np.expand_dims(far, others), 0.0, weight)
        return position

    def spread_slices(
        self, mri01: NDArray[np.floating[Any]], plane: Plane, count: int, apart_from: int
    ) -> tuple[int, ...]:
        """``count`` more slices of a plane, spread evenly over the MRI's foreground, from the top of the body down.

        Args:
            mri01: (I, J, K) in [0, 1].
            plane: Which plane.
            count: How many; fewer come back where there are fewer slices.
            apart_from: A slice that is shown already.
        """
        axis, sign = self.index_axis(plane.normal)
        others = tuple(a for a in range(3) if a != axis)
        filled = np.flatnonzero((mri01 > _FOREGROUND).mean(axis=others) > 0.01)
        first, last = (int(filled[0]), int(filled[-1])) if filled.size else (0, mri01.shape[axis] - 1)
        candidates = {round(first + (last - first) * (k + 0.5) / (count + 1)) for k in range(count + 1)}
        # One more than needed was placed: the one nearest to the slice that is shown already is left out.
        by_distance = sorted(candidates - {apart_from}, key=lambda k: abs(k - apart_from), reverse=True)
        return tuple(sorted(by_distance[:count], reverse=sign > 0))

    def _weight(
        self, mri01: NDArray[np.floating[Any]], brightness: NDArray[np.floating[Any]]
    ) -> tuple[NDArray[np.float32], tuple[int, ...]]:
        step = max(1, int(np.ceil((mri01.size / _LOOKED_AT) ** (1 / 3))))
        steps = tuple(step if n >= 4 * step else 1 for n in mri01.shape)
        every = tuple(slice(None, None, s) for s in steps)
        hot = np.asarray(brightness[every], dtype=np.float32) ** 2
        inside = hot * (mri01[every] > _FOREGROUND)
        if inside.any():
            return inside, steps
        return (hot if hot.any() else np.ones_like(hot)), steps


def _peak(profile: NDArray[np.floating[Any]], spacing_mm: float) -> int:
    """Place of the largest value of a profile smoothed over 1 cm, with the ends of the volume counting less."""
    half = min(max(0, round(5.0 / spacing_mm)), (profile.size - 1) // 2)
    smooth = np.convolve(profile, np.ones(2 * half + 1), mode="same")
    to_edge = np.minimum(np.arange(profile.size), np.arange(profile.size)[::-1]) + 0.5
    return int(np.argmax(smooth * np.minimum(1.0, to_edge / (_EDGE_PART * profile.size))))

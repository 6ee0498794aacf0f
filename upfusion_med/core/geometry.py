"""Where the voxels of a grid lie in the patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core.errors import InputError

#: RAS+ to LPS+ and back (NIfTI's world and DICOM's / ITK's world).
RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
#: Voxels by which a voxel of a part may miss its place in the whole: cosines and positions are rounded in files.
_SAME_PLACE_VOXELS = 0.05


@dataclass(frozen=True, eq=False)
class Geometry:
    """A regular grid in patient space.

    Attributes:
        shape: Number of voxels along the three index axes (i, j, k).
        affine: (4, 4) float64, voxel index to RAS+ millimetres (x grows to the patient's right,
            y to the front, z to the head).

    Raises:
        InputError: the affine is not finite, or it is singular (a zero spacing).
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4):
            raise InputError(f"The affine has shape {affine.shape}; expected (4, 4).")
        if not np.isfinite(affine).all():
            raise InputError("The affine holds values that are not finite; the file's geometry cannot be used.")
        if not np.allclose(affine[3], (0, 0, 0, 1)):
            raise InputError(f"The last row of the affine is {affine[3].tolist()}; expected [0, 0, 0, 1].")
        lengths = np.linalg.norm(affine[:3, :3], axis=0)
        if (lengths <= 0).any() or abs(np.linalg.det(affine[:3, :3])) < 1e-6 * float(np.prod(lengths)):
            raise InputError(
                f"The affine is singular (spacing {lengths.tolist()} mm): a zero spacing or two parallel axes. "
                "Expected three independent axes."
            )
        affine.setflags(write=False)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        object.__setattr__(self, "affine", affine)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxel centres along i, j and k, in millimetres."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def affine_lps(self) -> NDArray[np.float64]:
        """(4, 4) voxel index to LPS+ millimetres, the world of DICOM and ITK."""
        return RAS_FROM_LPS @ self.affine

    @property
    def axis_codes(self) -> tuple[str, str, str]:
        """For each index axis, the anatomical letter it grows towards, such as ``('L', 'P', 'S')``.

        Every anatomical axis is given to exactly one index axis, also for oblique grids (the assignment with the
        largest total alignment).
        """
        return tuple("RAS"[w] if s > 0 else "LPI"[w] for w, s in self.closest_world_axes())  # type: ignore[return-value]

    def closest_world_axes(self) -> tuple[tuple[int, int], ...]:
        """For each index axis: (closest RAS axis 0..2, sign +1/-1 of its direction along that axis)."""
        from itertools import permutations

        cosines = self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0)
        best = max(permutations(range(3)), key=lambda p: sum(abs(cosines[p[k], k]) for k in range(3)))
        return tuple((w, 1 if cosines[w, k] >= 0 else -1) for k, w in enumerate(best))

    def same_grid(self, other: Geometry, tolerance_mm: float = 1e-3) -> bool:
        """Whether both grids have equal shape and every corner lies within ``tolerance_mm`` of the other's."""
        if self.shape != other.shape:
            return False
        return bool(np.abs((self.affine - other.affine) @ self._corners()).max() <= tolerance_mm)

    def is_part_of(self, whole: Geometry) -> bool:
        """Whether every voxel of this grid is a voxel of ``whole``; axes may be swapped and turned round."""
        to_whole = np.linalg.solve(whole.affine, self.affine)
        in_steps = np.rint(to_whole)
        turns = np.abs(in_steps[:3, :3])
        if not ((turns.sum(axis=0) == 1).all() and (turns.sum(axis=1) == 1).all()):
            return False
        corners = self._corners()
        places = (in_steps @ corners)[:3]
        last = np.array(whole.shape)[:, None] - 1
        is_inside = (places >= 0).all() and (places <= last).all()
        return bool(is_inside and np.abs((to_whole @ corners)[:3] - places).max() <= _SAME_PLACE_VOXELS)

    def _corners(self) -> NDArray[np.float64]:
        """(4, 8) indices of the voxels at the corners."""
        ends = [(0, n - 1) for n in self.shape]
        return np.array([(i, j, k, 1.0) for i in ends[0] for j in ends[1] for k in ends[2]]).T

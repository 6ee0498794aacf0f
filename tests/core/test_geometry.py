from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from upfusion_med.core import Geometry, InputError


def oblique() -> np.ndarray:
    angle = np.deg2rad(25)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-1.0, 1.5, 3.0])
    affine[:3, 3] = (10, -20, 30)
    return affine


def test_spacing_and_orientation_of_an_oblique_flipped_grid():
    grid = Geometry((10, 11, 12), oblique())
    assert grid.spacing_mm == pytest.approx((1.0, 1.5, 3.0))
    assert grid.axis_codes == ("L", "A", "S")


def test_every_index_axis_gets_its_own_letter_even_at_45_degrees():
    angle = np.deg2rad(45)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    letters = {{"L": "R", "P": "A", "I": "S"}.get(c, c) for c in Geometry((4, 4, 4), affine).axis_codes}
    assert letters == {"R", "A", "S"}


def test_lps_is_ras_with_two_signs_turned():
    grid = Geometry((3, 3, 3), oblique())
    assert np.allclose(grid.affine_lps[:2], -grid.affine[:2])
    assert np.allclose(grid.affine_lps[2:], grid.affine[2:])


def test_same_grid_looks_at_the_far_corner():
    near = oblique()
    far = near.copy()
    far[0, 0] *= 1.001  # 0.001 mm a voxel: 0.1 mm at the far end of 100 voxels
    shifted = near.copy()
    shifted[:3, 3] += 1e-5  # what a float32 header costs
    assert Geometry((100, 5, 5), near).same_grid(Geometry((100, 5, 5), shifted))
    assert not Geometry((100, 5, 5), near).same_grid(Geometry((100, 5, 5), far))
    assert not Geometry((100, 5, 5), near).same_grid(Geometry((99, 5, 5), near))


def part(steps=(1, 1, 1), first=(0, 0, 0), shape=(10, 11, 12)) -> Geometry:
    """A grid in voxels of the oblique one: its axes (a diagonal, or a matrix's columns), first voxel and shape."""
    in_voxels = np.eye(4)
    in_voxels[:3, :3], in_voxels[:3, 3] = np.diag(steps) if np.ndim(steps) == 1 else steps, first
    return Geometry(shape, oblique() @ in_voxels)


SWAPPED = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])  # i grows along j, j against i


@pytest.mark.parametrize(
    "grid",
    [
        part(),
        part(first=(2, 3, 4), shape=(8, 8, 8)),
        part(SWAPPED, first=(9, 0, 0), shape=(11, 10, 12)),
        part(first=(0.01, 0.01, 0.01)),
    ],
    ids=["all of it", "a crop", "turned round", "rounded"],
)
def test_a_part_has_its_voxels_on_those_of_the_whole(grid):
    assert grid.is_part_of(part())


@pytest.mark.parametrize(
    "grid",
    [
        part(first=(3, 0, 0)),
        part(first=(-1, 0, 0), shape=(5, 5, 5)),
        part(first=(0.3, 0, 0), shape=(5, 5, 5)),
        part(SWAPPED),
        part(Rotation.from_euler("z", 20, degrees=True).as_matrix(), shape=(5, 5, 5)),
        part((1, 1, 0.5)),
        part((1, 1, 2), shape=(5, 5, 5)),
        part((1.01, 1, 1)),
        part(first=(900, -500, 700)),
    ],
    ids=["moved", "out at the front", "between", "turned out", "oblique", "finer", "coarser", "stretched", "far away"],
)
def test_what_has_voxels_elsewhere_is_no_part(grid):
    assert not grid.is_part_of(part())


@pytest.mark.parametrize(
    "affine",
    [np.zeros((4, 4)), np.diag([1.0, 0.0, 1.0, 1.0]), np.full((4, 4), np.nan), np.eye(3), np.ones((4, 4))],
)
def test_affines_that_place_nothing_are_refused(affine):
    with pytest.raises(InputError):
        Geometry((2, 2, 2), affine)

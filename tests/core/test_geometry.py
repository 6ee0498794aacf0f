from __future__ import annotations

import numpy as np
import pytest

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


@pytest.mark.parametrize(
    "affine",
    [np.zeros((4, 4)), np.diag([1.0, 0.0, 1.0, 1.0]), np.full((4, 4), np.nan), np.eye(3), np.ones((4, 4))],
)
def test_affines_that_place_nothing_are_refused(affine):
    with pytest.raises(InputError):
        Geometry((2, 2, 2), affine)

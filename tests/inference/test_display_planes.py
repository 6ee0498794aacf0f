"""Slices are shown the radiological way round, whatever the order and direction of the voxels."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from upfusion_med.core import Geometry
from upfusion_med.inference.display_planes import DisplayGrid, Plane

SHAPE_RAS = (9, 11, 13)


def ras_phantom():
    """A volume in R-A-S index order whose values say where they are: 10000 x + 100 y + z."""
    x, y, z = np.indices(SHAPE_RAS)
    return (10000 * x + 100 * y + z).astype(np.float32)


def stored(order, flips, tilt=0.0):
    """The phantom as a file stores it, on its grid: axis k holds RAS axis order[k], reversed where flips[k] < 0."""
    array = ras_phantom().transpose(order)
    array = array[tuple(slice(None, None, f) for f in flips)]
    affine = np.eye(4)
    affine[:3, :3] = 0
    for k, world in enumerate(order):
        affine[world, k] = flips[k] * (world + 1.0)
        affine[world, 3] = (world + 1.0) * (array.shape[k] - 1) if flips[k] < 0 else 0.0
    turn = np.eye(4)
    c, s = np.cos(tilt), np.sin(tilt)
    turn[:2, :2] = [[c, -s], [s, c]]
    return array, DisplayGrid(Geometry(array.shape, turn @ affine))


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_every_storage_order_gives_the_same_pictures(order):
    phantom = ras_phantom()
    for flips, tilt in product(product((-1, 1), repeat=3), (0.0, np.radians(20))):
        array, grid = stored(order, flips, tilt)
        for plane, expected in (
            (Plane.AXIAL, phantom[::-1, ::-1, 4].T),
            (Plane.CORONAL, phantom[::-1, 4, ::-1].T),
            (Plane.SAGITTAL, phantom[4, ::-1, ::-1].T),
        ):
            axis, sign = grid.index_axis(plane.normal)
            index = 4 if sign > 0 else array.shape[axis] - 5
            np.testing.assert_array_equal(grid.picture(array, plane, index), expected)


def test_picture_of_colours_keeps_the_channels():
    array, grid = stored((2, 0, 1), (1, -1, 1))
    colours = np.stack([array, array + 0.25, array + 0.5], axis=-1)
    picture = grid.picture(colours, Plane.CORONAL, 3)
    np.testing.assert_array_equal(picture[..., 1], grid.picture(array, Plane.CORONAL, 3) + 0.25)


def test_letters_name_the_sides():
    assert Plane.AXIAL.letters == ("R", "L", "A", "P")
    assert Plane.CORONAL.letters == ("R", "L", "S", "I")
    assert Plane.SAGITTAL.letters == ("A", "P", "S", "I")


def test_sizes_are_physical():
    _, grid = stored((2, 0, 1), (1, -1, 1))
    assert grid.size_mm(Plane.AXIAL) == pytest.approx((9 * 1.0, 11 * 2.0))
    assert grid.size_mm(Plane.SAGITTAL) == pytest.approx((11 * 2.0, 13 * 3.0))
    assert grid.size_voxels(Plane.CORONAL) == (9, 13)
    assert grid.slice_count(Plane.AXIAL) == 13


def test_obliqueness_is_the_angle_to_the_patient():
    assert stored((0, 1, 2), (1, 1, 1))[1].obliqueness_deg == pytest.approx(0, abs=1e-4)
    assert stored((0, 1, 2), (1, -1, 1), np.radians(17))[1].obliqueness_deg == pytest.approx(17, abs=1e-6)


def test_chosen_slices_pass_through_the_uptake_and_not_through_a_spot_outside_the_head():
    grid = DisplayGrid(Geometry((60, 60, 60), np.diag([2.0, 2.0, 2.0, 1.0])))
    mri = np.zeros((60, 60, 60), np.float32)
    mri[10:50, 10:50, 10:50] = 0.5
    hot = np.zeros_like(mri)
    hot[20:24, 30:34, 40:44] = 200.0
    hot[0:9, 0:9, 0:9] = 255.0
    chosen = grid.chosen_slices(mri, hot)
    assert 20 <= chosen[Plane.SAGITTAL] < 24
    assert 30 <= chosen[Plane.CORONAL] < 34
    assert 40 <= chosen[Plane.AXIAL] < 44


def test_all_three_planes_show_one_of_two_lesions():
    grid = DisplayGrid(Geometry((80, 80, 80), np.diag([2.0, 2.0, 2.0, 1.0])))
    hot = np.zeros((80, 80, 80), np.float32)
    hot[20:26, 20:26, 20:26] = 200.0
    hot[54:61, 54:60, 54:60] = 190.0
    chosen = grid.chosen_slices(np.ones_like(hot), hot)
    assert len({index < 40 for index in chosen.values()}) == 1


def test_slices_of_an_image_without_uptake_lie_inside():
    grid = DisplayGrid(Geometry((20, 21, 22), np.eye(4)))
    chosen = grid.chosen_slices(np.zeros((20, 21, 22)), np.zeros((20, 21, 22)))
    assert all(2 <= index <= 18 for index in chosen.values())


def test_more_slices_are_spread_over_the_head_from_the_top_down():
    for sign in (1, -1):
        grid = DisplayGrid(Geometry((10, 10, 100), np.diag([1.0, 1.0, sign * 1.0, 1.0])))
        mri = np.zeros((10, 10, 100))
        mri[:, :, 20:80] = 1.0
        more = grid.spread_slices(mri, Plane.AXIAL, 3, apart_from=50)
        assert len(more) == 3 and 50 not in more
        assert all(20 <= k < 80 for k in more)
        assert list(more) == sorted(more, reverse=sign > 0)
        assert max(more) - min(more) > 30


def test_few_slices_are_not_shown_twice():
    grid = DisplayGrid(Geometry((10, 10, 3), np.eye(4)))
    more = grid.spread_slices(np.ones((10, 10, 3)), Plane.AXIAL, 3, apart_from=1)
    assert set(more) <= {0, 2} and len(more) == len(set(more))

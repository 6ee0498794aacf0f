"""SimpleITK images keep place and values, on any grid."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from upfusion_med.core import RAS_FROM_LPS, Geometry, UsageError
from upfusion_med.transforms.itk_image import itk_array, itk_image, itk_transform, linearised


def _rotation(axis, degrees):
    a = np.radians(degrees)
    c, s = np.cos(a), np.sin(a)
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    m = np.eye(3)
    m[i, i] = m[j, j] = c
    m[i, j], m[j, i] = -s, s
    return m


AFFINES = {
    "canonical": np.diag([1.0, 2.0, 3.0, 1.0]),
    "left-handed": np.diag([-1.0, 2.0, 3.0, 1.0]),
    "permuted": np.array([[0, 0, 2.5, -7], [-1.5, 0, 0, 4], [0, 0.8, 0, 9], [0, 0, 0, 1.0]]),
    "oblique left-handed": np.block(
        [
            [_rotation(0, 20) @ _rotation(2, 35) @ np.diag([1.2, -0.9, 4.0]), np.array([[3.0], [-8.0], [11.0]])],
            [np.array([[0.0, 0.0, 0.0, 1.0]])],
        ]
    ),
    "sheared": np.array([[1.0, 0.2, 0, 5], [0, 1.5, 0.3, -6], [0, 0, 2.0, 7], [0, 0, 0, 1]]),
}


@pytest.mark.parametrize("name", AFFINES)
def test_values_come_back_exactly(name):
    array = np.random.default_rng(1).random((5, 6, 7), dtype=np.float32)
    np.testing.assert_array_equal(itk_array(itk_image(array, Geometry((5, 6, 7), AFFINES[name]))), array)


@pytest.mark.parametrize("name", AFFINES)
def test_every_index_has_its_value_and_its_point(name):
    geometry = Geometry((4, 5, 6), AFFINES[name])
    array = np.arange(120, dtype=np.float32).reshape(4, 5, 6)
    image = itk_image(array, geometry)
    for index in [(0, 0, 0), (3, 0, 0), (0, 4, 0), (0, 0, 5), (1, 2, 3)]:
        assert image[index] == array[index]
        ras = (RAS_FROM_LPS @ [*image.TransformIndexToPhysicalPoint(index), 1.0])[:3]
        np.testing.assert_allclose(ras, (geometry.affine @ [*index, 1.0])[:3], atol=1e-9)


@pytest.mark.parametrize("shape", [(5, 1, 1), (1, 5, 1), (1, 1, 5), (1, 1, 1)])
def test_values_of_a_single_row_can_be_written_to_like_all_others(shape):
    array = itk_array(itk_image(np.ones(shape, np.float32), Geometry(shape, np.eye(4))))
    array[0, 0, 0] = 2
    assert array.shape == shape and array.max() == 2


def test_colour_is_an_image_of_three_components():
    array = np.random.default_rng(2).integers(0, 255, (3, 4, 5, 3), dtype=np.uint8)
    image = itk_image(array, Geometry((3, 4, 5), np.eye(4)))
    assert image.GetNumberOfComponentsPerPixel() == 3
    np.testing.assert_array_equal(itk_array(image), array)


def test_array_that_is_not_of_the_grid_is_refused():
    with pytest.raises(UsageError, match="equal spatial axes"):
        itk_image(np.zeros((2, 3, 4), np.float32), Geometry((2, 3, 5), np.eye(4)))


def test_matrix_becomes_a_transform_and_comes_back():
    matrix = np.eye(4)
    matrix[:3, :3] = _rotation(1, 25) @ _rotation(2, -10)
    matrix[:3, 3] = (10.0, -20.0, 30.0)
    transform = itk_transform(matrix)
    ras = np.array([12.0, 34.0, -56.0])
    lps = transform.TransformPoint((-12.0, -34.0, -56.0))
    np.testing.assert_allclose(np.array(lps) * [-1, -1, 1], matrix[:3, :3] @ ras + matrix[:3, 3], atol=1e-9)
    np.testing.assert_allclose(linearised(transform, np.array([40.0, 50.0, 60.0])), matrix, atol=1e-9)
    rigid = sitk.Euler3DTransform((1.0, 2.0, 3.0), 0.1, 0.2, 0.3, (4.0, 5.0, 6.0))
    np.testing.assert_allclose(itk_transform(linearised(rigid, np.zeros(3))).GetMatrix(), rigid.GetMatrix(), atol=1e-9)


def test_matrix_that_is_not_affine_is_refused():
    with pytest.raises(UsageError, match="last row"):
        itk_transform(np.ones((4, 4)))

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from tests.io.dicom.fused_phantom import assert_same_in_space, colours
from upfusion_med.core import InputError
from upfusion_med.io.slice_stack import slice_stack

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def signed_permutation(order, signs):
    matrix = np.zeros((3, 3))
    for column, (row, sign) in enumerate(zip(order, signs, strict=True)):
        matrix[row, column] = sign
    return matrix


def affine_of(rotation, spacing, origin):
    affine = np.eye(4)
    affine[:3, :3] = rotation * np.asarray(spacing)
    affine[:3, 3] = origin
    return affine


@settings(max_examples=150, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    order=st.permutations(range(3)),
    signs=st.tuples(*[st.sampled_from((-1, 1))] * 3),
    spacing=st.tuples(*[st.floats(0.3, 6)] * 3),
    axis=st.sampled_from((None, 0, 1, 2)),
    like=st.sampled_from((None, (1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, -1), (0.6, 0.8, 0, -0.8, 0.6, 0))),
)
def test_any_rectangular_grid_keeps_every_voxel_in_its_place(angles, order, signs, spacing, axis, like):
    rotation = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ signed_permutation(order, signs)
    affine = affine_of(rotation, spacing, (10, -20, 30))
    rgb = colours((3, 4, 5))
    stack = slice_stack(rgb, affine, axis=axis, like=like)
    assert_same_in_space(rgb, affine, stack.pixels.transpose(2, 1, 0, 3), LPS @ stack.affine_lps, 1e-9)
    assert np.linalg.det(stack.affine_lps[:3, :3]) > 0, "slices run along the normal"
    first, last = np.array(stack.position_mm(0)), np.array(stack.position_mm(len(stack.pixels) - 1))
    assert (last - first) @ stack.normal > 0
    if axis is not None:
        assert len(stack.pixels) == rgb.shape[axis]


@pytest.mark.parametrize(
    ("codes", "axis", "orientation"),
    [
        ("RAS", 2, (1, 0, 0, 0, 1, 0)),
        ("LPS", 2, (1, 0, 0, 0, 1, 0)),
        ("RAS", 1, (1, 0, 0, 0, 0, -1)),
        ("LAS", 0, (0, 1, 0, 0, 0, -1)),
        ("SRP", 1, (0, 1, 0, 0, 0, -1)),
    ],
)
def test_without_a_model_slices_are_turned_to_radiological_display(codes, axis, orientation):
    from nibabel.orientations import axcodes2ornt

    order, signs = axcodes2ornt(tuple(codes)).T
    affine = affine_of(signed_permutation(order.astype(int), signs), (1, 1, 1), (0, 0, 0))
    np.testing.assert_allclose(slice_stack(colours((3, 4, 5)), affine, axis=axis).orientation, orientation, atol=1e-12)


@pytest.mark.parametrize(
    ("spacing", "slices"), [((3, 1, 1), 3), ((1, 3, 1), 4), ((1, 1, 3), 5), ((1, 1, 1), 5), ((1.005, 1, 1), 5)]
)
def test_slices_are_cut_across_the_widest_spacing_and_else_the_last_axis(spacing, slices):
    assert len(slice_stack(colours((3, 4, 5)), affine_of(np.eye(3), spacing, (0, 0, 0))).pixels) == slices


def test_scalar_volumes_are_cut_as_well():
    values = np.arange(60.0).reshape(3, 4, 5)
    stack = slice_stack(values, LPS)
    np.testing.assert_array_equal(stack.pixels, values.transpose(2, 1, 0))


@pytest.mark.parametrize(("row", "column", "value"), [(0, 1, 0.002), (0, 2, 0.02), (1, 2, -0.02)])
def test_sheared_grids_are_refused(row, column, value):
    affine = np.eye(4)
    affine[row, column] = value
    with pytest.raises(InputError, match=r"sheared.*expected three right angles.*[Rr]esample"):
        slice_stack(colours((3, 4, 5)), affine, axis=2)


def test_rounding_of_a_float32_header_is_no_shear():
    rotation = Rotation.from_euler("xyz", (31, -17, 77), degrees=True).as_matrix()
    affine = affine_of(rotation, (0.9, 0.9, 4), (1, 2, 3)).astype(np.float32).astype(np.float64)
    assert len(slice_stack(colours((3, 4, 5)), affine).pixels) == 5

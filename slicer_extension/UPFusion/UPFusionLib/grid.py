"""Grids of volumes: matrices of nodes as arrays, and one volume's voxels in the order of another's."""

from __future__ import annotations

import numpy as np
import slicer
import vtk

#: Voxels by which two grids may miss each other and still count as one (rounding in files).
TOLERANCE_VOXELS = 1e-3
#: The same for a grid and the DICOM files that it came from, whose cosines and positions are rounded.
SAME_PLACE_VOXELS = 0.05


class GridMismatchError(ValueError):
    """Two volumes that should share one grid do not."""


def as_array(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    """(4, 4) float64."""
    return np.array([[matrix.GetElement(i, j) for j in range(4)] for i in range(4)])


def as_matrix(array: np.ndarray) -> vtk.vtkMatrix4x4:
    """The VTK matrix of a (4, 4) array."""
    matrix = vtk.vtkMatrix4x4()
    for i in range(4):
        for j in range(4):
            matrix.SetElement(i, j, float(array[i, j]))
    return matrix


def ijk_to_ras(volume: slicer.vtkMRMLVolumeNode) -> np.ndarray:
    """(4, 4) from voxel index (i, j, k) to RAS millimetres, without parent transforms."""
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return as_array(matrix)


def local_to_world(node: slicer.vtkMRMLTransformableNode) -> np.ndarray | None:
    """(4, 4) of the parent transforms of a node; None where they are not linear."""
    return transform_to_world(node.GetParentTransformNode())


def transform_to_world(transform: slicer.vtkMRMLTransformNode | None) -> np.ndarray | None:
    """(4, 4) of a transform with its own parents; the identity for None; None where it is not linear."""
    if transform is None:
        return np.eye(4)
    if not transform.IsTransformToWorldLinear():
        return None
    matrix = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(matrix)
    return as_array(matrix)


def reordered(array: np.ndarray, affine: np.ndarray, target: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """The voxels of a volume in the order of a grid that holds the same voxels (axes swapped or turned round).

    Slicer's reader turns the last axis of a left-handed volume round; this undoes it, without interpolation.

    Args:
        array: (k, j, i) or (k, j, i, components).
        affine: (4, 4) from (i, j, k) of ``array`` to millimetres.
        target: The same of the wanted grid.
        shape: (i, j, k) of the wanted grid.

    Raises:
        GridMismatchError: the grids do not hold the same voxels.
    """
    step = np.linalg.solve(target, affine)
    turned = np.rint(step[:3, :3])
    if not _is_permutation(turned):
        raise GridMismatchError("The grids are turned or scaled against each other.")
    source_of = [int(np.argmax(np.abs(turned[axis]))) for axis in range(3)]
    ijk = np.moveaxis(array, (0, 1, 2), (2, 1, 0))
    result = np.transpose(ijk, (*source_of, *range(3, array.ndim)))
    for axis in range(3):
        if turned[axis, source_of[axis]] < 0:
            result = np.flip(result, axis)
    placed = (step @ _corners(array.shape[2::-1]))[:3]
    low, high = placed.min(axis=1), placed.max(axis=1)
    if result.shape[:3] != tuple(shape) or max(np.abs(low).max(), np.abs(high - np.array(shape) + 1).max()) > (
        TOLERANCE_VOXELS
    ):
        raise GridMismatchError("The grids have other sizes or places.")
    return np.ascontiguousarray(np.moveaxis(result, (0, 1, 2), (2, 1, 0)))


def is_part(
    affine: np.ndarray, shape: tuple[int, int, int], whole: np.ndarray, whole_shape: tuple[int, int, int]
) -> bool:
    """Whether every voxel of a grid is a voxel of another one; axes may be swapped and turned round.

    Args:
        affine: (4, 4) from (i, j, k) of the part to millimetres.
        shape: (i, j, k) of the part.
        whole: The affine of the other grid.
        whole_shape: Its shape.
    """
    step = np.linalg.solve(whole, affine)
    in_voxels = np.rint(step)
    if not _is_permutation(in_voxels[:3, :3]):
        return False
    corners = _corners(shape)
    places = (in_voxels @ corners)[:3]
    is_inside = (places >= 0).all() and (places <= np.array(whole_shape)[:, None] - 1).all()
    return bool(is_inside and np.abs((step @ corners)[:3] - places).max() <= SAME_PLACE_VOXELS)


def _is_permutation(turned: np.ndarray) -> bool:
    return bool((np.abs(turned).sum(axis=0) == 1).all() and (np.abs(turned).sum(axis=1) == 1).all())


def _corners(shape: tuple[int, int, int]) -> np.ndarray:
    """(4, 8) indices of the voxels at the corners of a grid."""
    ends = [(0, n - 1) for n in shape]
    return np.array([(i, j, k, 1.0) for i in ends[0] for j in ends[1] for k in ends[2]]).T

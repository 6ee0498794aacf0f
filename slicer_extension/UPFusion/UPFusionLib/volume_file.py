"""Volumes and transforms of the scene as files for the command, in one space.

That space is the MRI's own (without its parent transforms), so that the result takes the MRI's place in the scene.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import slicer
from slicer.i18n import tr as _

from .grid import as_matrix, ijk_to_ras, local_to_world


class FileWriteError(RuntimeError):
    """A file could not be written; the message is for the user."""


def file_space(mri: slicer.vtkMRMLVolumeNode) -> np.ndarray:
    """(4, 4) from the scene's world to the space of the files.

    Where the MRI's transforms are not linear, files hold the world itself, and the MRI is resampled.
    """
    placed = local_to_world(mri)
    return np.eye(4) if placed is None else np.linalg.inv(placed)


def write_volume(volume: slicer.vtkMRMLScalarVolumeNode, path: Path, from_world: np.ndarray) -> None:
    """Write a volume as uncompressed NRRD; voxels are copied, or resampled where its transforms are not linear.

    Args:
        volume: Stays as it is.
        path: ``.nrrd``.
        from_world: (4, 4) from the world to the space of the file (`file_space`).

    Raises:
        FileWriteError: the disk is full, or the folder cannot be written.
    """
    placed = local_to_world(volume)
    image = volume.GetImageData()
    if placed is None:
        image, placed = _hardened(volume), np.eye(4)
    copy = getattr(slicer, volume.GetClassName())()
    copy.SetAndObserveImageData(image)
    copy.SetIJKToRASMatrix(as_matrix(from_world @ placed @ ijk_to_ras(volume)))
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(os.fspath(path))
    storage.SetUseCompression(0)
    if not storage.WriteData(copy):
        text = _("The volume '{name}' could not be written to {folder}: No space left on device, or no right to write.")
        raise FileWriteError(text.format(name=volume.GetName(), folder=path.parent))


def read_volume(path: Path, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """The voxels (k, j, i[, components]) and IJK-to-RAS matrix of a file.

    Args:
        path: The file.
        kind: Class of node that reads it, such as ``vtkMRMLVectorVolumeNode``.

    Raises:
        FileNotFoundError: it cannot be read.
    """
    node = getattr(slicer, kind)()
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(os.fspath(path))
    if not path.is_file() or not storage.ReadData(node):
        raise FileNotFoundError(path)
    return slicer.util.arrayFromVolume(node).copy(), ijk_to_ras(node)


def write_transform(mri_to_functional: np.ndarray, path: Path) -> None:
    """Write a linear transform as ITK stores it: from points of the fixed image (MRI) to the moving one, in LPS.

    Args:
        mri_to_functional: (4, 4), RAS millimetres, in the space of the files.
        path: ``.tfm``.

    Raises:
        FileWriteError: it cannot be written.
    """
    node = slicer.vtkMRMLLinearTransformNode()
    # A node moves its volume to the parent; the file holds the way back.
    node.SetMatrixTransformToParent(as_matrix(np.linalg.inv(mri_to_functional)))
    storage = slicer.vtkMRMLTransformStorageNode()
    storage.SetFileName(os.fspath(path))
    if not storage.WriteData(node):
        raise FileWriteError(_("The transform could not be written to {folder}.").format(folder=path.parent))


def read_transform(path: Path) -> np.ndarray:
    """(4, 4) from points of the MRI to points of the functional image, RAS millimetres, of a file as above."""
    from vtk import vtkMatrix4x4

    from .grid import as_array

    node = slicer.vtkMRMLLinearTransformNode()
    storage = slicer.vtkMRMLTransformStorageNode()
    storage.SetFileName(os.fspath(path))
    if not storage.ReadData(node):
        raise FileNotFoundError(path)
    matrix = vtkMatrix4x4()
    node.GetMatrixTransformFromParent(matrix)
    return as_array(matrix)


def _hardened(volume: slicer.vtkMRMLScalarVolumeNode):
    """The image of a volume after its transforms, on its own grid."""
    from vtk import vtkGeneralTransform

    copy = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "UPFusion temporary")
    copy.SetHideFromEditors(True)
    try:
        copy.SetIJKToRASMatrix(as_matrix(ijk_to_ras(volume)))
        copy.SetAndObserveImageData(volume.GetImageData())
        transform = vtkGeneralTransform()
        volume.GetParentTransformNode().GetTransformToWorld(transform)
        copy.ApplyTransform(transform)
        if not np.allclose(ijk_to_ras(copy), ijk_to_ras(volume)):
            raise FileWriteError(
                _("The transform of the volume '{name}' cannot be applied; harden it first.").format(
                    name=volume.GetName()
                )
            )
        return copy.GetImageData()
    finally:
        slicer.mrmlScene.RemoveNode(copy)

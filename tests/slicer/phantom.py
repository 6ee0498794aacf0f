"""Volumes of a scene whose geometry is oblique and whose voxels all differ."""

from __future__ import annotations

import numpy as np
import slicer
from scipy.spatial.transform import Rotation

TURN = Rotation.from_euler("xyz", (20, 15, 10), degrees=True).as_matrix()


def affine(spacing, origin=(12.34, -5.6, 7.891), turn=TURN) -> np.ndarray:
    """(4, 4) IJK to RAS; negative spacings turn axes round."""
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ np.diag(spacing)
    matrix[:3, 3] = origin
    return matrix


def add_volume(array: np.ndarray, matrix: np.ndarray, name: str, kind: str = "vtkMRMLScalarVolumeNode"):
    """(k, j, i) voxels as a node."""
    from UPFusionLib.grid import as_matrix

    node = slicer.util.addVolumeFromArray(array, as_matrix(matrix), name, kind)
    node.CreateDefaultDisplayNodes()
    return node


def head(shape, matrix: np.ndarray, centre) -> np.ndarray:
    """(k, j, i) distance from a place in the world, as part of an ellipsoid's radius: below 1 inside of a head."""
    k, j, i = np.mgrid[tuple(slice(n) for n in shape[::-1])]
    world = np.einsum("ab,bkji->akji", matrix[:3, :3], np.stack([i, j, k])) + matrix[:3, 3][:, None, None, None]
    radii = np.array([26.0, 32.0, 24.0])[:, None, None, None]
    return np.sqrt((((world - np.asarray(centre)[:, None, None, None]) / radii) ** 2).sum(axis=0))


def add_study(mri_spacing=(-1.6, -1.8, 3.3), pet_spacing=(3.1, 2.9, 4.0)):
    """An MRI and a PET of one simulated head, on different oblique grids; returns both nodes."""
    mri_shape, pet_shape = (40, 42, 16), (24, 26, 14)
    mri_matrix = affine(mri_spacing)
    centre = (mri_matrix @ [*((np.array(mri_shape) - 1) / 2), 1.0])[:3]
    pet_turn = Rotation.from_euler("xyz", (-5, 4, 12), degrees=True).as_matrix()
    pet_matrix = affine(pet_spacing, turn=pet_turn)
    pet_matrix[:3, 3] = centre - pet_matrix[:3, :3] @ ((np.array(pet_shape) - 1) / 2)
    inside = head(mri_shape, mri_matrix, centre)
    ripples = 300 + 150 * np.cos(9 * inside) + 80 * np.sin(np.indices(inside.shape).sum(axis=0) / 2)
    mri = np.where(inside < 1, ripples, 0).astype(np.int16)
    around = head(pet_shape, pet_matrix, centre)
    spot = np.linalg.norm(np.indices(around.shape).T - np.array([7, 9, 8]), axis=-1).T < 3
    pet = np.where(around < 0.95, 2.0 + 3 * (np.abs(around - 0.7) < 0.15) + 8 * spot, 0).astype(np.float32)
    return add_volume(mri, mri_matrix, "T1"), add_volume(pet, pet_matrix, "FDG PET")


def small_volume(name, low=0, **attributes):
    """2x2x2 voxels of 5, the first of them ``low``; an underscore in an attribute's name stands for a dot."""
    array = np.full((2, 2, 2), 5, np.int16)
    array[0, 0, 0] = low
    node = add_volume(array, np.eye(4), name)
    for key, value in attributes.items():
        node.SetAttribute(key.replace("_", "."), value)
    return node


def study_item(hierarchy, name, *volumes):
    """Put volumes into a study of a patient of its own."""
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), f"patient {name}")
    study = hierarchy.CreateStudyItem(patient, name)
    for node in volumes:
        hierarchy.CreateItem(study, node)

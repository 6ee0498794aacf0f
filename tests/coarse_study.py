"""The demonstration study on a coarse grid, and known ways to move it: for tests of alignment that have to be fast."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from scipy.spatial.transform import Rotation

from upfusion_med.core import Geometry, Volume
from upfusion_med.inference.demo_study import demo_study
from upfusion_med.transforms.resample import resample_to


@lru_cache(maxsize=1)
def coarse_study() -> tuple[Volume, Volume]:
    """MRI at 3 mm, and the simulated PET in the same space."""
    study = demo_study()
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = (-97.0, -133.0, -71.0)
    grid = Geometry((66, 78, 63), affine)
    return resample_to(study.mri, grid)[0], study.functional


def rigid(angles_deg, shift_mm, about_mm=(0.0, -18.0, 10.0)) -> np.ndarray:
    """(4, 4) that turns about a point and then shifts, RAS+ mm."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix()
    matrix[:3, 3] = np.array(about_mm) - matrix[:3, :3] @ about_mm + shift_mm
    return matrix


def moved(volume: Volume, matrix: np.ndarray) -> Volume:
    """The volume as a scanner with another frame would have stored it: points p of the old space lie at matrix @ p."""
    return replace(volume, affine=matrix @ volume.affine)


def errors_mm(found: np.ndarray, truth: np.ndarray, volume: Volume) -> np.ndarray:
    """How far apart two transforms put 27 points of a volume: a grid from a tenth to nine tenths along each axis."""
    ends = np.stack(np.meshgrid(*[[0.1, 0.5, 0.9]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    index = ends * (np.array(volume.array.shape[:3]) - 1)
    points = np.column_stack([index, np.ones(27)]) @ volume.affine.T
    return np.linalg.norm(points @ (found - truth)[:3].T, axis=1)

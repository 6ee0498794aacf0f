"""A study for trying things out: the MNI152 brain template and an FDG-PET that is simulated from its tissue maps."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import Geometry, MissingPackageError, Modality, Volume
from upfusion_med.io import load_volume

_FILES = {tissue: f"mni_icbm152_{tissue}_tal_nlin_sym_09a_converted.nii.gz" for tissue in ("t1", "gm", "wm")}
SIMULATED_UNITS = "simulated SUV"
#: Cortex takes up about four times as much FDG as white matter; the absolute level is that of a usual brain scan.
_SUV_GREY, _SUV_WHITE = 8.0, 2.0
_PSF_FWHM_MM = 6.0
#: Counts in a voxel of full grey matter: noise of 5 %.
_COUNTS_IN_GREY = 400.0
_SEED = 20240117
#: The scanner's own grid: coarser than the template's, turned and shifted against it.
_PET_SHAPE = (72, 84, 70)
_PET_SPACING_MM = 3.0
_PET_ANGLES_DEG = (4.0, -6.0, 8.0)
_PET_CENTRE_MM = (1.3, -18.4, 10.7)


@dataclass(frozen=True)
class Sphere:
    """A place where the simulated uptake differs.

    Attributes:
        name: What it stands for.
        centre_mm: RAS+ position in the template's space.
        radius_mm: Radius.
        factor: The uptake there is the surrounding one times this, …
        suv: … or, where this is given, this value.
    """

    name: str
    centre_mm: tuple[float, float, float]
    radius_mm: float
    factor: float = 1.0
    suv: float | None = None


SPHERES = (
    Sphere("hot lesion, right frontal white matter", (27.0, 30.0, 20.0), 7.0, suv=16.0),
    Sphere("hot lesion, left parietal white matter", (-27.0, -44.0, 30.0), 5.5, suv=16.0),
    Sphere("cold region, left temporal cortex", (-54.0, -22.0, -12.0), 16.0, factor=0.45),
)


@dataclass(frozen=True, eq=False)
class DemoStudy:
    """An MRI and a simulated PET in one space.

    Attributes:
        mri: MNI152 T1 template without skull, 1 mm.
        functional: Simulated FDG-PET on its own coarser, turned grid.
        description: What it is, in words to show to the user.
    """

    mri: Volume
    functional: Volume
    description: str


def demo_study() -> DemoStudy:
    """The demonstration study, made from files that nilearn brings along; nothing is downloaded.

    Uptake is 8 in grey and 2 in white matter, with two hot lesions and one cold region (`SPHERES`), blurred by a
    Gaussian of 6 mm and sampled at 3 mm on a turned grid, with Poisson noise from a fixed seed: the same every time.

    Raises:
        MissingPackageError: nilearn is not installed, or its files are not where they should be.
    """
    mri = load_volume(_template("t1"), modality=Modality.MR)
    grey, white = (load_volume(_template(tissue)).array / np.float32(255) for tissue in ("gm", "wm"))
    activity = _with_spheres(_SUV_GREY * grey + _SUV_WHITE * white, mri.geometry)
    grid = pet_grid()
    sampled = _sampled(activity, mri.geometry, grid)
    counts_per_suv = _COUNTS_IN_GREY / _SUV_GREY
    noisy = np.random.default_rng(_SEED).poisson(sampled * counts_per_suv) / counts_per_suv
    description = (
        "MRI: MNI152 T1 template (average of 152 brains, skull removed), 1 mm, from the installed nilearn package. "
        "PET: SIMULATED, no scanner: FDG-like uptake from the template's tissue maps (grey to white matter 4 to 1), "
        f"blurred by {_PSF_FWHM_MM:g} mm, {_PET_SPACING_MM:g} mm voxels on a turned grid, Poisson noise; "
        "with two hot lesions (right frontal, left parietal) and one cold region (left temporal) added."
    )
    functional = Volume(
        array=noisy.astype(np.float32),
        affine=grid.affine,
        units=SIMULATED_UNITS,
        modality=Modality.PET,
        notes={"simulated": True, "source": "MNI152 tissue maps of nilearn", "added": [s.name for s in SPHERES]},
    )
    return DemoStudy(mri, functional, description)


def pet_grid() -> Geometry:
    """The grid of the simulated scanner, in the template's space."""
    from scipy.spatial.transform import Rotation

    # Stored as a scanner does, first axis to the left, second to the back.
    axes = Rotation.from_euler("xyz", _PET_ANGLES_DEG, degrees=True).as_matrix() @ np.diag([-1.0, -1.0, 1.0])
    affine = np.eye(4)
    affine[:3, :3] = axes * _PET_SPACING_MM
    affine[:3, 3] = np.array(_PET_CENTRE_MM) - affine[:3, :3] @ ((np.array(_PET_SHAPE) - 1) / 2)
    return Geometry(_PET_SHAPE, affine)


def _template(tissue: str) -> Path:
    """A file of the installed nilearn; nilearn itself is not imported."""
    found = find_spec("nilearn")
    if found is None or found.origin is None:
        raise MissingPackageError("nilearn", "demo", "read the brain template of the demonstration")
    path = Path(found.origin).parent / "datasets" / "data" / _FILES[tissue]
    if not path.is_file():
        raise MissingPackageError(
            "nilearn>=0.11", "demo", f"read the brain template of the demonstration ({path.name})"
        )
    return path


def _with_spheres(activity: NDArray[np.float32], geometry: Geometry) -> NDArray[np.float32]:
    result = activity.copy()
    for sphere in SPHERES:
        centre = np.linalg.solve(geometry.affine, [*sphere.centre_mm, 1.0])[:3]
        reach = [int(np.ceil(sphere.radius_mm / s)) + 1 for s in geometry.spacing_mm]
        block = tuple(slice(max(0, int(c) - r), int(c) + r + 2) for c, r in zip(centre, reach, strict=True))
        offsets = np.meshgrid(
            *((np.arange(b.start, b.stop) - c) * s for b, c, s in zip(block, centre, geometry.spacing_mm, strict=True)),
            indexing="ij",
        )
        inside = sum(o**2 for o in offsets) <= sphere.radius_mm**2
        old = result[block]
        result[block] = np.where(inside, old * sphere.factor if sphere.suv is None else sphere.suv, old)
    return result


def _sampled(activity: NDArray[np.float32], geometry: Geometry, grid: Geometry) -> NDArray[np.float32]:
    """What a scanner with this resolution would see at the voxel centres of its grid."""
    from scipy.ndimage import affine_transform, gaussian_filter

    sigma_mm = _PSF_FWHM_MM / np.sqrt(8 * np.log(2))
    blurred = gaussian_filter(activity, [sigma_mm / s for s in geometry.spacing_mm], mode="constant", truncate=3.0)
    index = np.linalg.solve(geometry.affine, grid.affine)
    sampled = affine_transform(blurred, index[:3, :3], index[:3, 3], output_shape=grid.shape, order=1, mode="constant")
    return np.maximum(sampled, np.float32(0))

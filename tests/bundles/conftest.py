from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.io.dicom_phantom import MR, PT, pet_tags, slices, write
from upfusion_med.io import save_scalar_nifti

BUNDLES = Path(__file__).parents[2] / "bundles"
NAMES = ("upfusion_mri_pet_spect", "upfusion_ivif")


@pytest.fixture(scope="session")
def bundles(tmp_path_factory) -> Path:
    """Copies of the bundles with their weights."""
    from upfusion_med.bundle import save_bundle_weights

    root = tmp_path_factory.mktemp("bundles")
    for name in NAMES:
        shutil.copytree(BUNDLES / name, root / name, ignore=shutil.ignore_patterns("models", "eval", "train"))
        save_bundle_weights(root / name / "models" / "model.pt")
    return root


@pytest.fixture
def study(tmp_path) -> tuple[Path, Path]:
    """An oblique MRI and a coarser PET on a flipped grid, both simulated."""
    x, y, z = np.mgrid[0:40, 0:36, 0:12]
    r = np.hypot((x - 20) / 16, (y - 18) / 14)
    mri = np.where(r < 1, 300 + 400 * (r > 0.8) + 60 * np.sin(x / 3) * np.cos(z), 0)
    angle = np.deg2rad(15)
    affine = np.eye(4)
    affine[:3, :3] = [
        [np.cos(angle), 0, np.sin(angle)],
        [0, 1.1, 0],
        [-np.sin(angle), 0, np.cos(angle)],
    ] @ np.diag([1.0, 1.0, 3.0])
    coarse = affine @ np.diag([2.0, -2.0, 1.0, 1.0])
    coarse[:3, 3] = affine[:3, 3] + affine[:3, :3] @ [0.5, 35.5, 0]
    u, v, _ = np.mgrid[0:20, 0:18, 0:12]
    pet = np.where(np.hypot((u - 10) / 7, (v - 9) / 6) < 1, 1.0, 0) + 8.0 * (np.hypot(u - 12, v - 9) < 2)
    save_scalar_nifti(tmp_path / "t1.nii.gz", mri.astype(np.float32), affine)
    save_scalar_nifti(tmp_path / "pet.nii.gz", pet.astype(np.float32), coarse)
    return tmp_path / "t1.nii.gz", tmp_path / "pet.nii.gz"


@pytest.fixture
def dicom_study(tmp_path) -> tuple[Path, Path]:
    """A simulated DICOM study: five MR slices and five PET slices in Bq/ml with what SUV needs."""
    write(tmp_path / "MR", slices(sop=MR, series="mr"))
    write(tmp_path / "PET", slices(sop=PT, series="pet", spacing=(2.0, 2.0), tweak=pet_tags))
    return tmp_path / "MR", tmp_path / "PET"


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Four small infrared-visible pairs."""
    rng = np.random.default_rng(0)
    for number in range(4):
        y, x = np.mgrid[0:72, 0:80]
        for folder in ("vi", "ir"):
            wave = 127 + 90 * np.sin(x / rng.uniform(4, 12)) * np.cos(y / rng.uniform(4, 12))
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(wave.astype(np.uint8)).save(tmp_path / folder / f"{number}.png")
    return tmp_path

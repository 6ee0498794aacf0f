"""An MRI and a PET study to write fused objects into, and colours that tell every voxel apart."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.io import dicom_phantom as phantom

MATRIX = Rotation.from_euler("xyz", (20, 15, 10), degrees=True).as_matrix()
OBLIQUE = (*MATRIX[:, 0], *MATRIX[:, 1])
#: Orientation and slice step (LPS) of MRI series, by name.
STACKS = {
    "axial": (phantom.AXIAL, (0, 0, 3.0)),
    "descending": (phantom.AXIAL, (0, 0, -3.0)),
    "sagittal": ((0, 1, 0, 0, 0, -1), (3.0, 0, 0)),
    "coronal": ((1, 0, 0, 0, 0, -1), (0, 3.0, 0)),
    "flipped rows": ((-1, 0, 0, 0, 1, 0), (0, 0, 3.0)),
    "oblique": (OBLIQUE, tuple(MATRIX[:, 2] * 3.3)),
    "oblique descending": (OBLIQUE, tuple(MATRIX[:, 2] * -3.3)),
}
#: Texts in the elements of the source that must not leave it by mistake; each is unlike anything else in a file.
SECRETS = {
    "PatientName": "SECRETNAME^FIRST",
    "PatientID": "SECRETID-42",
    "IssuerOfPatientID": "SECRETISSUER",
    "PatientBirthDate": "19510203",
    "PatientAge": "071Y",
    "StudyDate": "20150704",
    "StudyTime": "112233.44",
    "ReferringPhysicianName": "SECRETDOCTOR",
    "StudyID": "SECRETSTUDY",
    "AccessionNumber": "SECRETACC",
    "StudyDescription": "SECRETDESCRIPTION",
    "PositionReferenceIndicator": "SECRETREFERENCE",
}
#: Elements that no fused object repeats at all.
NEVER_REPEATED = {
    "InstitutionName": "NEVERHOSPITAL",
    "OperatorsName": "NEVEROPERATOR",
    "PatientAddress": "NEVERSTREET",
    "PatientComments": "NEVERCOMMENT",
    "DeviceSerialNumber": "NEVERSERIAL",
    "OtherPatientNames": "NEVERALIAS",
}


def patient(d, k: int = 0) -> None:
    """Give a source slice patient elements, elements that stay behind, and a private block."""
    for keyword, value in {**SECRETS, **NEVER_REPEATED}.items():
        setattr(d, keyword, value)
    d.PatientSex, d.PatientWeight, d.BodyPartExamined, d.SliceThickness = "F", "61.5", "BRAIN", "2.5"
    d.private_block(0x0009, "NEVERCREATOR", create=True).add_new(1, "LO", "NEVERPRIVATE")


def mri_series(folder: Path, name: str = "axial", tweak=None) -> Path:
    orientation, step = STACKS[name]

    def both(d, k):
        patient(d, k)
        if tweak is not None:
            tweak(d, k)

    return phantom.write(folder, phantom.slices(orientation=orientation, step=step, tweak=both))


def pet_series(folder: Path, tweak=None) -> Path:
    """A PET of the same study and space, with another grid: 4 mm steps, coarser pixels."""
    positions = [(-9.0, -8.0, 19.0 + 4.0 * k) for k in range(4)]

    def both(d, k):
        phantom.pet_tags(d, k)
        patient(d, k)
        if tweak is not None:
            tweak(d, k)

    made = phantom.slices(sop=phantom.PT, series="pet", positions=positions, spacing=(3.0, 3.0), tweak=both)
    return phantom.write(folder, made)


def colours(shape, seed: int = 5):
    """Random colours, so that any exchange of voxels or channels is seen."""
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


def assert_same_in_space(rgb, affine, written, written_affine, tolerance_mm: float = 1e-4) -> None:
    """Every voxel of ``rgb`` lies where a voxel of ``written`` lies, with equal bytes, and there are no others."""
    index = np.stack(np.indices(rgb.shape[:3])).reshape(3, -1)
    places = affine[:3, :3] @ index + affine[:3, 3:]
    inverse = np.linalg.inv(written_affine)
    found = inverse[:3, :3] @ places + inverse[:3, 3:]
    nearest = np.rint(found).astype(int)
    back = written_affine[:3, :3] @ nearest + written_affine[:3, 3:]
    assert np.abs(back - places).max() < tolerance_mm
    assert sorted(written.shape) == sorted(rgb.shape)
    assert (written[tuple(nearest)] == rgb[tuple(index)]).all()


def dciodvfy_lines(path: Path) -> list[str]:
    """What the validator says; the test is skipped where it is not installed."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian package dicom3tools) is not installed")
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    return (done.stderr + done.stdout).splitlines()


def assert_valid(path: Path, kind: str) -> None:
    lines = dciodvfy_lines(path)
    assert kind in lines, "the validator recognised another kind of object"
    assert [line for line in lines if line.startswith("Error")] == []

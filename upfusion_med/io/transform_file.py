"""Transform files of ITK, as 3D Slicer, ANTs, elastix and SimpleITK read and write them.

An ITK transform maps points of the fixed image's space to the moving image's space, in LPS+ millimetres. Ours map the
same way in RAS+ millimetres: fixed is the MRI, moving the functional image.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import RAS_FROM_LPS, InputError, RuntimeFailure, UsageError
from upfusion_med.io.atomic_file import atomic_file
from upfusion_med.io.itk_path import itk_path

if TYPE_CHECKING:
    import SimpleITK

SUFFIXES = (".tfm", ".txt", ".h5")
#: A linear transform takes some kilobytes; whatever is larger is a field of displacements.
_LARGEST_BYTES = 1 << 20
_LEAST_DETERMINANT = 1e-6
#: Linear transforms of ITK 5 in three dimensions that SimpleITK reads, and how many parameters each has.
_PARAMETERS = {
    "AffineTransform": 12,
    "Euler3DTransform": 6,
    "IdentityTransform": 0,
    "MatrixOffsetTransformBase": 12,
    "QuaternionRigidTransform": 7,
    "ScaleSkewVersor3DTransform": 15,
    "ScaleTransform": 3,
    "ScaleVersor3DTransform": 9,
    "Similarity3DTransform": 7,
    "TranslationTransform": 3,
    "VersorRigid3DTransform": 6,
    "VersorTransform": 3,
}
_COMPOSITE = "CompositeTransform"
_EXPECTED = "expected a linear 3-D transform (rigid, versor, Euler, similarity or affine)"


def save_transform(path: str | os.PathLike[str], matrix: NDArray[np.float64]) -> None:
    """Write a linear transform as an ITK transform file (an affine transform in double precision).

    Args:
        path: ``.tfm`` or ``.txt`` (text), or ``.h5`` (HDF5).
        matrix: (4, 4) that maps fixed points (MRI) to moving points (functional image), RAS+ millimetres. In 3D Slicer,
            the loaded transform put on the functional image moves it onto the MRI.

    Raises:
        UsageError: another ending, no such folder, or a matrix that is not affine, not invertible, or a mirror.
        RuntimeFailure: the file cannot be written.
    """
    import SimpleITK as sitk

    matrix = np.asarray(matrix, dtype=np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or not np.allclose(matrix[3], (0, 0, 0, 1)):
        raise UsageError(
            "The transform is not an affine matrix; expected (4, 4) finite numbers with the last row 0 0 0 1."
        )
    if np.linalg.det(matrix[:3, :3]) < _LEAST_DETERMINANT:
        raise UsageError("The transform is not invertible, or it mirrors the patient; expected neither.")
    lps = RAS_FROM_LPS @ matrix @ RAS_FROM_LPS
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(tuple(float(x) for x in lps[:3, :3].ravel()))
    transform.SetTranslation(tuple(float(x) for x in lps[:3, 3]))
    with atomic_file(path, SUFFIXES) as temporary, itk_path(temporary) as place:
        try:
            sitk.WriteTransform(transform, place)
        except RuntimeError as error:
            raise RuntimeFailure(
                f"The transform {path} could not be written. Check the rights of the folder and the free space."
            ) from error


def read_transform(path: str | os.PathLike[str]) -> NDArray[np.float64]:
    """Read a linear transform from an ITK transform file.

    Args:
        path: ``.tfm``, ``.txt`` or ``.h5``. It may be a composite of linear transforms.

    Returns:
        (4, 4) that maps fixed points (MRI) to moving points (functional image), RAS+ millimetres.

    Raises:
        InputError: not readable, not an ITK transform, a list of several, not linear or not in three dimensions, not
            invertible, or one that mirrors the patient.
    """
    import SimpleITK as sitk

    file = Path(path)
    if file.suffix not in SUFFIXES:
        raise InputError(
            f"The transform file is called {file.name}; expected an ITK transform, a name that ends in "
            f"{', '.join(SUFFIXES)} in small letters. Save it so from 3D Slicer, ANTs or SimpleITK."
        )
    _check_whole(file)
    try:
        with itk_path(file) as place:
            transform = sitk.ReadTransform(place)
    except (RuntimeError, KeyError) as error:  # KeyError: SimpleITK meets a type that it has no class for.
        raise InputError(_not_itk(file)) from error
    if transform.GetDimension() != 3 or not transform.IsLinear():
        raise InputError(_not_linear(file, f"{transform.GetName()} in {transform.GetDimension()} dimensions"))
    lps = _matrix(transform)
    determinant = float(np.linalg.det(lps[:3, :3]))
    if not np.isfinite(lps).all() or abs(determinant) < _LEAST_DETERMINANT:
        raise InputError(f"The transform in {file} is not invertible; {_EXPECTED}. Save it again.")
    if determinant < 0:
        raise InputError(
            f"The transform in {file} mirrors the patient (determinant {determinant:.3f}); {_EXPECTED}, which keeps "
            "left and right. Correct the orientation of the image instead."
        )
    return np.asarray(RAS_FROM_LPS @ lps @ RAS_FROM_LPS)


def _check_whole(file: Path) -> None:
    """Refuse what is far too large, and text that was cut off: ITK reads that as the identity, without an error."""
    try:
        size = file.stat().st_size
        content = file.read_bytes() if size <= _LARGEST_BYTES else b""
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}); check the path and its access rights.") from error
    if size > _LARGEST_BYTES:
        raise InputError(
            f"The transform file {file} has {size >> 20} MiB, which is a field of displacements, not a linear "
            f"transform; {_EXPECTED}. Apply it with the software that made it, and give the resampled image instead."
        )
    if file.suffix == ".h5":
        return
    text = content.decode("ascii", "replace")
    if not text.startswith("#Insight Transform File"):
        raise InputError(_not_itk(file))
    if not text.endswith("\n"):
        raise InputError(f"The transform file {file} is cut off: it does not end with a line break. Copy it again.")
    blocks = re.split(r"(?m)^Transform:", text)[1:]
    if len(blocks) > 1 and not blocks[0].strip().startswith(_COMPOSITE):
        raise InputError(
            f"The transform file {file} lists {len(blocks)} transforms, of which ITK reads the first only; "
            "expected one. Save them as one composite transform, or put them together to one matrix."
        )
    for block in blocks:
        _check_block(file, block)


def _check_block(file: Path, block: str) -> None:
    """One transform of a text file: ITK reads beyond the end of a list of parameters that is too short."""
    name, _, size = block.split("\n", 1)[0].strip().partition("_")
    if name == _COMPOSITE:
        return
    if name not in _PARAMETERS or not size.endswith("_3_3"):
        raise InputError(_not_linear(file, f"{name}_{size}"))
    for word, counts in (("Parameters", (_PARAMETERS[name],)), ("FixedParameters", (0, 3, 4))):
        line = re.search(rf"(?m)^{word}:(.*)$", block)
        numbers = line.group(1).split() if line else []
        if line is None or len(numbers) not in counts or not all(_is_number(n) for n in numbers):
            raise InputError(
                f"The transform file {file} has {len(numbers)} values as '{word}' of its {name}; expected "
                f"{' or '.join(map(str, counts))} finite numbers. It is damaged or cut off; copy or save it again."
            )


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _not_itk(file: Path) -> str:
    return (
        f"The file {file} holds no ITK transform that can be read: it is damaged, or of another kind; {_EXPECTED}. "
        "Save it again from 3D Slicer, ANTs or SimpleITK. A bare matrix of numbers is not taken: it does not say "
        "which way it maps, and in which coordinates."
    )


def _not_linear(file: Path, name: str) -> str:
    return (
        f"The file {file} holds a transform of the type {name}; {_EXPECTED}. Apply it to the image with the software "
        "that made it, and give the resampled image instead."
    )


def _matrix(transform: SimpleITK.Transform) -> NDArray[np.float64]:
    """(4, 4) of a linear transform in its own coordinates, from where it puts four points."""
    lps = np.eye(4)
    lps[:3, 3] = transform.TransformPoint((0.0, 0.0, 0.0))
    for axis in range(3):
        point = np.zeros(3)
        point[axis] = 1.0
        lps[:3, axis] = np.array(transform.TransformPoint(tuple(point))) - lps[:3, 3]
    return lps

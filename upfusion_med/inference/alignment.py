"""Bringing the functional study onto the MRI's grid: resample, and register only where that was asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import InputError, Progress, UsageError, Volume
from upfusion_med.io.transform_file import read_transform
from upfusion_med.transforms.registration import Registration, register_rigid
from upfusion_med.transforms.resample import resample_to

AUTO, NEVER, RIGID = "auto", "never", "rigid"
MODES = (AUTO, NEVER, RIGID)
#: Lengths that a transform changes by more than this are worth a warning.
_SCALING = 0.01

_NOTHING_SAYS = "The two series have different frames of reference: nothing says that they are in one space."
_DIFFERENT_FRAMES = f"{_NOTHING_SAYS} They were registered."
_SAY_SO = (
    "Give a transform made in another program (--transform FILE), or, where you know that the positions in the files "
    "belong together, say so (--register never)."
)
_MISALIGNED = "Check the contact sheet; where the images are not aligned, give a transform made in another program."


@dataclass(frozen=True, eq=False)
class Alignment:
    """A functional study on the MRI's grid.

    Attributes:
        functional: On the MRI's grid, 0 outside its field of view.
        inside: (I, J, K) mask of what lies in its field of view.
        facts: What was done, for the report: ``mode``, ``how`` (words), ``transform_ras_mm`` ((4, 4) lists or None),
            ``registration`` (its figures, or None).
        warnings: What the user has to know, whole sentences.
        matrix: (4, 4) that maps points of the MRI's space to the functional study's, RAS+ millimetres; None: the
            positions in the files were taken as they are.
    """

    functional: Volume
    inside: NDArray[np.bool_]
    facts: Mapping[str, Any]
    warnings: tuple[str, ...]
    matrix: NDArray[np.float64] | None


def align(
    mri: Volume, functional: Volume, mode: str | os.PathLike[str] = AUTO, *, progress: Progress | None = None
) -> Alignment:
    """Resample the functional study onto the MRI's grid, after the alignment that was asked for.

    - ``"auto"``: the positions in the files, or ``"rigid"`` where the two frames of reference are known and differ:
      then the positions mean nothing.
    - ``"never"``: the positions in the files; the caller vouches for them.
    - ``"rigid"``: register, and use the result where it is accepted (see `register_rigid`). Otherwise the positions in
      the files, with a warning that says why; where the frames of reference differ, an error.
    - a path: the transform in that ITK file, whatever the frames of reference are.

    Args:
        mri: Its grid is the grid of the result.
        functional: Scalar or colour volume.
        mode: One of the three words, or the path of a transform file.
        progress: Told about the registration.

    Raises:
        InputError: the images do not overlap (after the transform, or without one after a refused registration), the
            transform file cannot be used, an image cannot be registered, or registration was refused and nothing else
            says that the images are in one space.
        UsageError: the mode is neither one of the words nor a file, or it is not for pictures.
    """
    mode = _checked(mode, mri.is_picture or functional.is_picture)
    if isinstance(mode, Path):
        return _as_in_file(mri, functional, mode)
    if mode == RIGID or (mode == AUTO and _frames_differ(mri, functional)):
        return _registered(mri, functional, mode, progress)
    on_grid = "pictures of one size, pixel on pixel" if mri.is_picture else "resampled onto the MRI's grid, linear"
    how = f"{on_grid}; not registered"
    return _resampled(mri, functional, None, mode, how, ())


def _frames_differ(mri: Volume, functional: Volume) -> bool:
    """Whether both frames of reference are known, and not one."""
    frames = (mri.frame_of_reference_uid, functional.frame_of_reference_uid)
    return None not in frames and frames[0] != frames[1]


def _checked(mode: str | os.PathLike[str], is_picture: bool) -> str | Path:
    if isinstance(mode, str) and mode in MODES:
        if mode == RIGID and is_picture:
            raise UsageError("Pictures cannot be registered: they carry no geometry. Give pictures of one view.")
        return mode
    path = Path(mode)
    if isinstance(mode, str) and not path.exists():
        raise UsageError(
            f"There is no transform file '{mode}'; expected the path of an ITK transform file, or one of the words "
            f"{', '.join(MODES)}. Check the path."
        )
    if is_picture:
        raise UsageError("A transform cannot be applied to pictures: they carry no geometry. Leave it out.")
    return path


def _as_in_file(mri: Volume, functional: Volume, path: Path) -> Alignment:
    matrix = read_transform(path)
    lengths = np.linalg.svd(matrix[:3, :3], compute_uv=False)
    change = float(np.abs(lengths - 1).max())
    warnings: tuple[str, ...] = ()
    if change > _SCALING:
        warnings = (
            f"The transform stretches or shears the functional image (lengths change by up to {change:.0%}): it is "
            "not rigid. Check the contact sheet.",
        )
    try:
        return _resampled(mri, functional, matrix, "file", "by a transform of the user, linear", warnings)
    except InputError as error:
        if not _overlap(mri, functional, np.linalg.inv(matrix).astype(np.float64)):
            raise
        raise InputError(
            f"{error} The inverse of the transform would bring them together: it has to map points of the MRI to "
            "points of the functional image (ITK's direction, fixed to moving). Save it the other way round."
        ) from error


def _registered(mri: Volume, functional: Volume, mode: str, progress: Progress | None) -> Alignment:
    try:
        result = register_rigid(mri, functional, progress=progress)
    except InputError as error:
        if mode == AUTO:
            raise InputError(f"{_NOTHING_SAYS} They cannot be registered either: {error} {_SAY_SO}") from error
        raise
    if result.accepted:
        how = (
            f"registered rigidly by mutual information: moved by {result.translation_mm:.1f} mm and turned by "
            f"{result.rotation_deg:.1f}° from the {result.initial}; linear"
        )
        told = _told(mri, functional, result)
        if mode == AUTO:
            told = (_DIFFERENT_FRAMES, *told)
        return _resampled(mri, functional, result.matrix, mode, how, told, result)
    reasons = "; ".join(result.reasons)
    if not _overlap(mri, functional, None):
        raise InputError(
            f"The images do not overlap at the positions in the files, and registration found no alignment that can be "
            f"trusted: {reasons}. Register them in another program (3D Slicer, for instance), look at the result, and "
            "give the transform."
        )
    if _frames_differ(mri, functional):
        raise InputError(f"{_NOTHING_SAYS} Registration found no alignment that can be trusted: {reasons}. {_SAY_SO}")
    warning = f"Registration was refused, and the positions in the files were kept: {reasons}. {_MISALIGNED}"
    how = "resampled onto the MRI's grid, linear; registration was refused"
    return _resampled(mri, functional, None, mode, how, (warning,), result)


def _told(mri: Volume, functional: Volume, result: Registration) -> tuple[str, ...]:
    warnings = [
        f"The functional image was moved by {result.translation_mm:.1f} mm and turned by {result.rotation_deg:.1f}° "
        f"from the {result.initial}. Check the contact sheet."
    ]
    if mri.frame_of_reference_uid is not None and mri.frame_of_reference_uid == functional.frame_of_reference_uid:
        warnings.append(
            "Both series have one frame of reference, so their files say that they were aligned already; they were "
            "registered because that was asked for."
        )
    return tuple(warnings)


def _overlap(mri: Volume, functional: Volume, matrix: NDArray[np.float64] | None) -> bool:
    try:
        resample_to(functional, mri, interpolation="nearest", transform=matrix)
    except InputError:
        return False
    return True


def _resampled(
    mri: Volume,
    functional: Volume,
    matrix: NDArray[np.float64] | None,
    mode: str,
    how: str,
    warnings: tuple[str, ...],
    registration: Registration | None = None,
) -> Alignment:
    moved, inside = resample_to(functional, mri, transform=matrix)
    facts = {
        "mode": mode,
        "how": how,
        "transform_ras_mm": None if matrix is None else matrix.tolist(),
        "registration": None if registration is None else _figures(registration),
    }
    return Alignment(moved, inside, MappingProxyType(facts), warnings, matrix)


def _figures(registration: Registration) -> dict[str, Any]:
    """The figures of a registration in JSON's own types (not a number becomes None)."""
    figures: dict[str, Any] = {}
    for name, value in asdict(registration).items():
        if isinstance(value, np.ndarray):
            figures[name] = value.tolist()
        elif isinstance(value, float):
            figures[name] = round(value, 4) if np.isfinite(value) else None
        else:
            figures[name] = list(value) if isinstance(value, tuple) else value
    return figures

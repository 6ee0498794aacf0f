"""The one door through which an image comes in, whatever its format."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from upfusion_med.core import FrameChoice, Modality, UsageError, Volume
from upfusion_med.io.dicom import SourceStudy, load_dicom_source, read_dicom
from upfusion_med.io.file_kind import FileKind, describe_kind
from upfusion_med.io.frames import check_single
from upfusion_med.io.units import SUV_UNITS

#: What ``quantity`` may ask for: SUV by body weight, or the values as they are stored (with rescale applied).
QUANTITIES = ("suv", "raw")


def load_volume(
    path: str | os.PathLike[str],
    *,
    series: str | None = None,
    quantity: str | None = None,
    modality: Modality | str | None = None,
    frame: FrameChoice = None,
    accept_tilt: bool = False,
) -> Volume:
    """Load an image: NIfTI, NRRD, MetaImage, DICOM (file, folder or zip), or a PNG, JPEG, TIFF or BMP picture.

    Args:
        path: File or folder.
        series: DICOM only: which series, by its key, its number, a part of its description, or the start of its UID,
            as `list_series` shows them.
        quantity: ``None`` for the physical quantity where there is one (SUVbw for PET in DICOM), ``"raw"`` for the
            stored values with their rescale applied, ``"suv"`` to insist on SUV. For files that are not DICOM,
            ``"suv"`` states that the values already are SUVbw.
        modality: Overrides the modality; without it DICOM says its own and other files are unknown.
        frame: For a time series: number of the frame (from 0) or ``"mean"``.
        accept_tilt: DICOM only: take a tilted stack (CT with a tilted gantry) as the sheared grid that it is.

    Returns:
        The volume, float32, in RAS geometry. Values that are not finite are kept.

    Raises:
        InputError: the file or the study is wrong; the message says what was found, what was expected, what to do.
        SuvRefusedError: an `InputError`: a PET in DICOM cannot become SUV, and ``quantity`` is not ``"raw"``.
        UsageError: a wrong ``quantity``, ``modality`` or ``frame``, or ``series`` for a file that has none.

    Example:
        >>> import tempfile, numpy as np
        >>> from pathlib import Path
        >>> from upfusion_med.io import load_volume, save_scalar_nifti
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "mr.nii.gz"
        ...     save_scalar_nifti(file, np.ones((4, 3, 2), np.float32), np.diag([2.0, 2.0, 3.0, 1.0]))
        ...     load_volume(file, modality="mr").geometry.spacing_mm
        (2.0, 2.0, 3.0)
    """
    _check_quantity(quantity)
    stated = _stated_modality(modality)
    kind = describe_kind(path)
    if kind is FileKind.DICOM:
        volume = read_dicom(
            path, series=series, quantity=quantity, modality=stated, frame=frame, accept_tilt=accept_tilt
        )
        return volume if stated is None else replace(volume, modality=stated)
    if series is not None:
        raise UsageError(f"A series was chosen, but {path} is one {kind.value} file without series; leave it out.")
    volume = _read_file(path, kind, frame)
    if quantity == "suv" and not volume.is_rgb:
        volume = replace(volume, units=SUV_UNITS, notes=_with_note(volume, "suv", {"rule": "stated by the caller"}))
    return volume if stated is None else replace(volume, modality=stated)


def load_source(
    path: str | os.PathLike[str],
    *,
    series: str | None = None,
    roles: Sequence[Sequence[str]] = (),
    quantity: str | None = None,
    frame: FrameChoice = None,
    accept_tilt: bool = False,
) -> tuple[Volume, SourceStudy | None]:
    """Load an image as `load_volume`, with what DICOM output needs to know about its series.

    Args:
        path: File or folder.
        series: As `load_volume`.
        roles: DICOM only, where several volumes could be meant: groups of modalities, such as
            ``(("PT", "NM"), ("CT",))``; the one volume of the first group of which there is anything is taken.
        quantity: As `load_volume`.
        frame: As `load_volume`.
        accept_tilt: As `load_volume`.

    Returns:
        The volume, and the study that it belongs to; None where the file is no DICOM.

    Raises:
        InputError: as `load_volume`.
        UsageError: as `load_volume`.
    """
    _check_quantity(quantity)
    if describe_kind(path) is FileKind.DICOM:
        return load_dicom_source(
            path, series=series, roles=roles, quantity=quantity, frame=frame, accept_tilt=accept_tilt
        )
    return load_volume(path, series=series, quantity=quantity, frame=frame), None


def _check_quantity(quantity: str | None) -> None:
    if quantity is not None and quantity not in QUANTITIES:
        raise UsageError(f"The quantity '{quantity}' is unknown; expected one of {', '.join(QUANTITIES)}.")


def _read_file(path: str | os.PathLike[str], kind: FileKind, frame: FrameChoice) -> Volume:
    if kind is FileKind.NIFTI:
        from upfusion_med.io.nifti import read_nifti

        return read_nifti(path, frame)
    if kind is FileKind.PICTURE:
        from upfusion_med.io.picture import read_picture

        check_single(frame, path)
        return read_picture(path)
    if kind is FileKind.NRRD:
        from upfusion_med.io.nrrd import read_nrrd

        return read_nrrd(path, frame)
    from upfusion_med.io.metaimage import read_metaimage

    return read_metaimage(path, frame)


def _stated_modality(modality: Modality | str | None) -> Modality | None:
    if modality is None:
        return None
    try:
        return Modality(modality)
    except ValueError as error:
        words = ", ".join(m.value for m in Modality)
        raise UsageError(f"The modality '{modality}' is unknown; expected one of {words}.") from error


def _with_note(volume: Volume, key: str, value: object) -> Mapping[str, Any]:
    return MappingProxyType({**volume.notes, key: value})

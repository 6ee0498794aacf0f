"""NRRD and MetaImage files: scalar and colour volumes, read and written through SimpleITK."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import RAS_FROM_LPS, FrameChoice, InputError, RuntimeFailure, UsageError, Volume
from upfusion_med.io.atomic_file import atomic_file
from upfusion_med.io.channels import settle_channels
from upfusion_med.io.frames import check_single, choose_frame
from upfusion_med.io.nifti import scalar_voxels
from upfusion_med.io.stored_size import check_stored_size
from upfusion_med.io.units import ARBITRARY_UNITS

if TYPE_CHECKING:
    import SimpleITK

SUFFIXES = (".nrrd", ".mha")
#: The part of a header that is searched for the name of a separate data file.
_HEADER_BYTES = 65536


def read_itk_image(path: str | os.PathLike[str], frame: FrameChoice = None) -> Volume:
    """Read an NRRD (.nrrd, .nhdr) or MetaImage (.mha, .mhd) file.

    Args:
        path: The file.
        frame: For a 4-D file: number of the frame (from 0) or ``"mean"``.

    Returns:
        (X, Y, Z) values, or (X, Y, Z, 3) in 0..255 for 8-bit colour; the affine in RAS.

    Raises:
        InputError: not readable, truncated, complex, not three-dimensional, 4-D without a choice of frame, or its
            data file lies outside its own folder.
    """
    import SimpleITK as sitk

    header = _read_header(Path(path))
    data_file = _data_file(Path(path), header)
    reader = sitk.ImageFileReader()
    reader.SetFileName(os.fspath(path))
    try:
        reader.ReadImageInformation()
        dimension, channels = reader.GetDimension(), reader.GetNumberOfComponents()
        if dimension not in (3, 4):
            raise InputError(f"The file {path} has {dimension} dimensions; expected a volume of three axes.")
        if "complex" in sitk.GetPixelIDValueAsString(reader.GetPixelID()):
            raise InputError(f"The file {path} holds complex numbers; expected real values. Save its magnitude.")
        bytes_per_voxel = max(1, sitk.Image(1, 1, reader.GetPixelID()).GetSizeOfPixelComponent()) * channels
        check_stored_size(data_file, reader.GetSize(), bytes_per_voxel)
        image = reader.Execute()
    except RuntimeError as error:
        if isinstance(error, InputError):
            raise
        if "allocate memory" in str(error):
            raise RuntimeFailure(f"The volume {path} does not fit into memory; free some, or crop it first.") from error
        raise InputError(
            f"The file {path} could not be read: its header and its data do not fit together "
            f"({_reason(error)}). It is damaged or truncated, or its data file is missing; copy it again."
        ) from error

    if dimension == 3:
        check_single(frame, path)
    values = sitk.GetArrayViewFromImage(image)
    axes = tuple(reversed(range(dimension)))
    if channels > 1:
        if channels not in (3, 4) or values.dtype != np.uint8:
            raise InputError(
                f"The file {path} holds {channels} components of type {values.dtype} in every voxel; expected one "
                "value, or colour of three 8-bit channels. Choose one component and save it alone."
            )
        data = np.transpose(values, (*axes, dimension))
        data = choose_frame(np.moveaxis(data, 3, -1), path, frame) if dimension == 4 else data
        array, units, warnings = settle_channels(data)
    else:
        data = np.transpose(values, axes)
        data = choose_frame(data, path, frame) if dimension == 4 else data
        array, units, warnings = np.array(data, dtype=np.float32), ARBITRARY_UNITS, ()
    if not re.search(
        rb"(?im)^\s*(space directions|spacings|elementspacing|elementsize|transformmatrix)\s*[:=]", header
    ):
        warnings = (*warnings, "The header says nothing about the spacing; one millimetre was taken.")
    notes: dict[str, Any] = {"format": "NRRD" if header.startswith(b"NRRD") else "MetaImage"}
    if warnings:
        notes["warnings"] = warnings
    return Volume(array=array, affine=_affine_ras(image), units=units, notes=notes)


def save_rgb_nrrd(path: str | os.PathLike[str], rgb_uint8_xyz3: NDArray[np.uint8], affine: NDArray[np.float64]) -> None:
    """Write a colour volume as a three-component NRRD (or .mha), in LPS as ITK and Slicer expect.

    Args:
        path: ``.nrrd`` or ``.mha``.
        rgb_uint8_xyz3: (X, Y, Z, 3) uint8.
        affine: (4, 4) voxel index to RAS+ millimetres.
    """
    import SimpleITK as sitk

    if rgb_uint8_xyz3.dtype != np.uint8 or rgb_uint8_xyz3.ndim != 4 or rgb_uint8_xyz3.shape[3] != 3:
        raise UsageError(
            f"The colour array has shape {rgb_uint8_xyz3.shape} and type {rgb_uint8_xyz3.dtype}; "
            "expected (X, Y, Z, 3) of uint8."
        )
    voxels = np.ascontiguousarray(np.transpose(rgb_uint8_xyz3, (2, 1, 0, 3)))
    _save(path, sitk.GetImageFromArray(voxels, isVector=True), affine)


def save_scalar_nrrd(path: str | os.PathLike[str], array: NDArray[Any], affine: NDArray[np.float64]) -> None:
    """Write a scalar volume as NRRD (or .mha): uint8 and bool as uint8, floating values as float32.

    Args:
        path: ``.nrrd`` or ``.mha``.
        array: (X, Y, Z).
        affine: (4, 4) voxel index to RAS+ millimetres.
    """
    import SimpleITK as sitk

    voxels = np.ascontiguousarray(np.transpose(scalar_voxels(array), (2, 1, 0)))
    _save(path, sitk.GetImageFromArray(voxels, isVector=False), affine)


def _save(path: str | os.PathLike[str], image: SimpleITK.Image, affine: NDArray[np.float64]) -> None:
    import SimpleITK as sitk

    lps = RAS_FROM_LPS @ np.array(affine, dtype=np.float64)
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing([float(v) for v in spacing])
    image.SetDirection([float(v) for v in (lps[:3, :3] / spacing).ravel()])
    image.SetOrigin([float(v) for v in lps[:3, 3]])
    with atomic_file(path, SUFFIXES) as temporary:
        try:
            sitk.WriteImage(image, os.fspath(temporary), useCompression=True)
        except RuntimeError as error:
            raise RuntimeFailure(
                f"The file {path} could not be written ({_reason(error)}). Check the rights of the folder and the "
                "free space."
            ) from error


def _affine_ras(image: SimpleITK.Image) -> NDArray[np.float64]:
    dimension = image.GetDimension()
    direction = np.array(image.GetDirection()).reshape(dimension, dimension)[:3, :3]
    lps = np.eye(4)
    lps[:3, :3] = direction * np.array(image.GetSpacing()[:3])
    lps[:3, 3] = image.GetOrigin()[:3]
    return np.asarray(RAS_FROM_LPS @ lps)


def _read_header(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEADER_BYTES)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check the path and its access rights.") from error
    ends = re.search(rb"\n\r?\n", head) if head.startswith(b"NRRD") else re.search(rb"(?im)^elementdatafile.*$", head)
    return head[: ends.end()] if ends else head


def _data_file(path: Path, header: bytes) -> Path:
    """The file that holds the voxels: a header may name it, and only a file of the header's own folder is followed."""
    named = re.search(rb"(?im)^\s*(?:data ?file\s*:|elementdatafile\s*=)\s*(.+?)\s*$", header)
    if not named:
        return path
    name = named.group(1).decode("utf-8", "replace")
    if name.split()[0].upper() in ("LOCAL", "LIST"):
        if name.split()[0].upper() == "LIST":
            raise InputError(
                f"The header {path} names a list of data files; expected one. Save the volume as one file."
            )
        return path
    if not name.isprintable():
        raise InputError(f"The header {path} names a data file with control characters; the header is damaged.")
    folder = path.resolve().parent
    data_file = (folder / name).resolve()
    if folder != data_file and folder not in data_file.parents:
        raise InputError(
            f"The header {path} names a data file outside its own folder; expected one beside the header. "
            "Put the data file there and correct the header."
        )
    if not data_file.is_file():
        raise InputError(
            f"The header {path} names the data file '{name}', which is not there; copy it beside the header."
        )
    return data_file


def _reason(error: RuntimeError) -> str:
    """The last sentence of an ITK error, without the places in its source code."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and "Exception thrown" not in line]
    text = re.sub(r"^.*?:\s*(?=[A-Z])", "", lines[-1]) if lines else "unknown reason"
    return re.sub(r"\s*\S*/\S*", "", text)[:160].rstrip(" .")

"""NIfTI files: scalar and colour volumes, read and written."""

from __future__ import annotations

import gzip
import logging
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import FrameChoice, InputError, RuntimeFailure, UsageError, Volume
from upfusion_med.io.atomic_file import atomic_file
from upfusion_med.io.channels import settle_channels
from upfusion_med.io.frames import check_single, choose_frame, choose_stored_frame
from upfusion_med.io.nifti_header import NIFTI2_BYTES, check_header, geometry_warnings
from upfusion_med.io.stored_size import check_stored_size
from upfusion_med.io.units import ARBITRARY_UNITS
from upfusion_med.io.voxel_types import check_rgb, scalar_voxels

if TYPE_CHECKING:
    import nibabel

SUFFIXES = (".nii", ".nii.gz")
#: NIfTI-1 standard, nifti1.h: intents of colour vectors, and the units of length in millimetres.
_VECTOR_INTENTS = (1007, 2003, 2004)
_MILLIMETRES = {1: 1e3, 2: 1.0, 3: 1e-3}


def read_nifti(path: str | os.PathLike[str], frame: FrameChoice = None) -> Volume:
    """Read a NIfTI-1 or NIfTI-2 file, compressed or not.

    The slope and intercept of the header are applied. The affine is kept as it is, also when its determinant is
    negative; the data are never flipped.

    Args:
        path: The file.
        frame: For a 4-D file: number of the frame (from 0) or ``"mean"``.

    Returns:
        (X, Y, Z) values, or (X, Y, Z, 3) in 0..255 for RGB24, RGBA32 and 8-bit vectors.

    Raises:
        InputError: not readable, truncated, complex, not three-dimensional, or 4-D without a choice of frame.
    """
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        with _open_image(Path(path)) as image, np.errstate(over="ignore", invalid="ignore"):
            data = _read_data(image, path, frame)
            header, affine = image.header, np.array(image.affine, dtype=np.float64)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"The file {path} is truncated or damaged: its gzip stream ends too early. Copy it again from its source."
        ) from error
    except MemoryError as error:
        raise RuntimeFailure(f"The volume {path} does not fit into memory; free some, or crop it first.") from error
    except (ImageFileError, HeaderDataError, OSError, ValueError, OverflowError, KeyError) as error:
        if isinstance(error, InputError | UsageError):
            raise
        raise InputError(
            f"The file {path} is a damaged or truncated NIfTI file: its header and its data do not fit together "
            f"({type(error).__name__}). Copy it again from its source."
        ) from error

    warnings = list(geometry_warnings(header))
    unit = int(header["xyzt_units"]) & 7
    if _MILLIMETRES.get(unit, 1.0) != 1.0:
        affine[:3] *= _MILLIMETRES[unit]
        warnings.append("The lengths in the header are not millimetres; the geometry was converted.")
    data, is_colour = _spatial_axes(data, header, path, frame)
    notes: dict[str, Any] = {"format": "NIfTI"}
    if is_colour:
        array, units, more = settle_channels(data)
        warnings.extend(more)
    else:
        array, units = data.astype(np.float32, copy=False), ARBITRARY_UNITS
    if warnings:
        notes["warnings"] = tuple(warnings)
    return Volume(array=array, affine=affine, units=units, notes=notes)


def save_rgb_nifti(
    path: str | os.PathLike[str], rgb_uint8_xyz3: NDArray[np.uint8], affine: NDArray[np.float64]
) -> None:
    """Write a colour volume as RGB24 (datatype 128), the form that ITK, Slicer and most viewers show in colour.

    Args:
        path: ``.nii`` or ``.nii.gz``.
        rgb_uint8_xyz3: (X, Y, Z, 3) uint8.
        affine: (4, 4) voxel index to RAS+ millimetres.
    """
    check_rgb(rgb_uint8_xyz3)
    rgb24 = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    voxels = np.ascontiguousarray(rgb_uint8_xyz3).view(rgb24)[..., 0]
    _save(path, voxels, affine)


def save_scalar_nifti(path: str | os.PathLike[str], array: NDArray[Any], affine: NDArray[np.float64]) -> None:
    """Write a scalar volume: uint8 and bool as uint8, floating values as float32, without scaling.

    Args:
        path: ``.nii`` or ``.nii.gz``.
        array: (X, Y, Z).
        affine: (4, 4) voxel index to RAS+ millimetres.
    """
    _save(path, scalar_voxels(array), affine)


def _save(path: str | os.PathLike[str], voxels: NDArray[Any], affine: NDArray[np.float64]) -> None:
    import nibabel

    affine = np.array(affine, dtype=np.float64)
    image = nibabel.Nifti1Image(voxels, affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    if not np.allclose(image.get_qform(), affine, atol=1e-3):
        image.header["qform_code"] = 0  # a quaternion holds no shear: only the sform speaks then
    image.header.set_xyzt_units("mm")
    with atomic_file(path, SUFFIXES) as temporary:
        nibabel.save(image, temporary)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without nibabel's own log of what it mends; `check_header` says what matters."""
    from nibabel.imageglobals import logger

    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _open_image(path: Path) -> Iterator[nibabel.Nifti1Image]:
    """The image of a file that is opened by its content, so that ``.nii`` that is gzip (and the reverse) reads."""
    import nibabel
    from nibabel.fileholders import FileHolder

    with path.open("rb") as raw, _quiet():
        compressed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        stream: Any = gzip.GzipFile(fileobj=raw) if compressed else raw
        head = stream.read(NIFTI2_BYTES)
        stream.seek(0)
        check_header(head, path)
        if head[344:347] == b"ni1" or head[4:7] == b"ni2":
            yield cast(nibabel.Nifti1Image, nibabel.load(path))
            return
        image_class = nibabel.Nifti2Image if head[4:7] == b"n+2" else nibabel.Nifti1Image
        yield image_class.from_file_map({"image": FileHolder(fileobj=stream)})


def _read_data(image: nibabel.Nifti1Image, path: str | os.PathLike[str], frame: FrameChoice) -> NDArray[Any]:
    """The voxels with the axes of the file; of a 4-D series the chosen frame, or the mean, as one frame."""
    shape = tuple(int(n) for n in image.shape)
    if not 2 <= len(shape) <= 5 or min(shape) < 1:
        raise InputError(
            f"The file {path} has dimensions {shape}; expected a volume of three axes, each of one voxel or more. "
            "Save one volume of it as NIfTI."
        )
    dtype = image.get_data_dtype()
    check_stored_size(path, shape, dtype.itemsize, stored=_stored_bytes(image, path))
    if np.issubdtype(dtype, np.complexfloating):
        raise InputError(f"The file {path} holds complex numbers; expected real values. Save its magnitude.")
    if dtype.names:
        voxels = np.asanyarray(image.dataobj)
        return np.stack([voxels[name] for name in dtype.names], axis=-1)
    proxy = cast(Any, image.dataobj)
    if len(shape) == 4 and shape[3] > 1:
        return choose_stored_frame(lambda number: np.asarray(proxy[..., number]), shape, path, frame)
    if (proxy.slope, proxy.inter) == (1.0, 0.0):
        return np.asarray(proxy.get_unscaled())
    return np.asarray(proxy, dtype=np.float32)


def _stored_bytes(image: nibabel.Nifti1Image, path: str | os.PathLike[str]) -> int:
    """Bytes of the file that holds the voxels: the second file of a header/data pair."""
    name = image.file_map["image"].filename
    return Path(path if name is None else name).stat().st_size


def _spatial_axes(
    data: NDArray[Any], header: nibabel.Nifti1Header, path: str | os.PathLike[str], frame: FrameChoice
) -> tuple[NDArray[Any], bool]:
    """The data with three spatial axes (and channels), and whether the last axis holds channels."""
    if header.get_data_dtype().names:
        colour = data.reshape(data.shape[:-1] + (1,) * (4 - data.ndim) + data.shape[-1:]) if data.ndim < 4 else data
        if colour.ndim > 4:
            colour = choose_frame(np.moveaxis(colour, -1, 3), path, frame)
        else:
            check_single(frame, path)
        return colour, True
    if data.ndim == 2:
        data = data[:, :, None]
    if data.ndim == 5:
        channels, is_vector = data.shape[4], int(header["intent_code"]) in _VECTOR_INTENTS
        if channels in (3, 4) and header.get_data_dtype() == np.uint8:
            return choose_frame(np.moveaxis(data, 4, 3), path, frame), True
        if channels != 1:
            what = "vectors" if is_vector else "values"
            raise InputError(
                f"The file {path} holds {what} of {channels} components of type {header.get_data_dtype()} in every "
                "voxel; expected one value, or colour of three 8-bit channels. Choose one component and save it alone."
            )
        data = data[..., 0]
    if data.ndim == 4:
        return choose_frame(data, path, frame), False
    if int(header["dim"][0]) < 4 or int(header["dim"][4]) < 2:
        check_single(frame, path)
    return data, False

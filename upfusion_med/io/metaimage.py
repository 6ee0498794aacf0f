"""MetaImage headers (.mha, .mhd): what they say about their voxels (itk.org/Wiki/ITK/MetaIO/Documentation)."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import RAS_FROM_LPS, FrameChoice, InputError, Volume
from upfusion_med.io.stored_voxels import Axis, Encoding, StoredVoxels, damaged, data_file, read_head, real, whole

_HEADER_BYTES = 1 << 20
_DTYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_MATRIX, _ORIGIN = ("transformmatrix", "rotation", "orientation"), ("offset", "position", "origin")
_SPACING = ("elementspacing", "elementsize")
_ORDER = ("binarydatabyteordermsb", "elementbyteordermsb")


def read_metaimage(path: str | os.PathLike[str], frame: FrameChoice = None) -> Volume:
    """Read a MetaImage file.

    Args:
        path: The file, or the header of a detached one.
        frame: For a 4-D file: number of the frame (from 0) or ``"mean"``.

    Returns:
        (X, Y, Z) values, or (X, Y, Z, 3) in 0..255 for 8-bit colour; the affine in RAS.

    Raises:
        InputError: not readable, truncated, not three-dimensional, 4-D without a choice of frame, or its data file
            lies outside its own folder.
    """
    return metaimage_header(Path(path)).volume(frame)


def metaimage_header(path: Path) -> StoredVoxels:
    """What the header of a file says.

    Raises:
        InputError: it is damaged, or of a kind that is no volume.
    """
    fields, end = _fields(path)
    kind = fields.get("elementtype", "").upper().removesuffix("_ARRAY")
    if kind not in _DTYPES:
        raise damaged(path, f"its values are of type '{kind}'; expected whole or real numbers")
    dtype = np.dtype(_DTYPES[kind])
    if dtype.itemsize > 1:
        dtype = dtype.newbyteorder(">" if _first(fields, _ORDER, "False").lower() in ("true", "1") else "<")
    shape = whole(path, "DimSize", fields.get("dimsize", ""))
    if whole(path, "NDims", fields.get("ndims", "")) != (len(shape),):
        raise damaged(path, f"it has {len(shape)} sizes and its NDims is '{fields.get('ndims', '')}'")
    if not 3 <= len(shape) <= 4:
        raise InputError(f"The file {path} has {len(shape)} dimensions; expected a volume of three axes.")
    channels = whole(path, "ElementNumberOfChannels", fields.get("elementnumberofchannels", "1"))
    skipped = whole(path, "HeaderSize", fields.get("headersize", "0"))
    if len(channels) != 1 or not 1 <= channels[0] <= 1 << 16 or len(skipped) != 1 or not -1 <= skipped[0] < 2**31:
        raise damaged(path, "its number of channels or its HeaderSize is no such number")
    axes = (Axis.SPACE,) * 3 + (Axis.FRAME,) * (len(shape) - 3)
    is_compressed = fields.get("compresseddata", "False").lower() in ("true", "1")
    is_text = fields.get("binarydata", "True").lower() not in ("true", "1")
    affine, warnings = _affine(path, fields, len(shape))
    file, offset = _place(path, fields, end)
    return StoredVoxels(
        path=path,
        file=file,
        offset=None if skipped[0] == -1 else offset + skipped[0],
        shape=shape if channels[0] == 1 else (channels[0], *shape),
        axes=axes if channels[0] == 1 else (Axis.CHANNEL, *axes),
        dtype=dtype,
        encoding=Encoding.TEXT if is_text else Encoding.ZLIB if is_compressed else Encoding.RAW,
        affine=affine,
        name="MetaImage",
        warnings=warnings,
    )


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """The fields by name in small letters, and where the header ends: after its line ElementDataFile."""
    head = read_head(path, _HEADER_BYTES)
    last = re.search(rb"(?im)^[ \t]*elementdatafile[ \t]*=[^\n]*(\n|\Z)", head)
    if last is None:
        raise damaged(path, "its header has no ElementDataFile")
    fields: dict[str, str] = {}
    for line in head[: last.end()].decode("latin-1").splitlines():
        name, sign, value = line.partition("=")
        if sign:
            fields[name.strip().lower()] = value.strip()
    if fields.get("objecttype", "Image").lower() != "image":
        raise damaged(path, f"it is a MetaIO object of type '{fields['objecttype']}' and no image")
    return fields, last.end()


def _place(path: Path, fields: dict[str, str], end: int) -> tuple[Path, int]:
    """The file with the voxels, and where they begin in it."""
    name = fields["elementdatafile"]
    if name.upper() == "LOCAL":
        return path, end
    if name.split()[:1] and name.split()[0].upper() == "LIST":
        raise InputError(f"The header {path} names a list of data files; expected one. Save the volume as one file.")
    return data_file(path, name), 0


def _affine(path: Path, fields: dict[str, str], count: int) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    stated = _first(fields, _SPACING, "")
    spacing = real(path, "ElementSpacing", stated or " ".join(["1"] * count))
    matrix = real(
        path, "TransformMatrix", _first(fields, _MATRIX, "") or " ".join(f"{v:g}" for v in np.eye(count).flat)
    )
    origin = real(path, "Offset", _first(fields, _ORIGIN, "") or " ".join(["0"] * count))
    if len(spacing) != count or len(matrix) != count**2 or len(origin) != count:
        raise damaged(path, f"its spacing, matrix and offset are not those of {count} axes")
    if min(spacing[:3]) <= 0:
        raise damaged(path, f"its spacing is {' x '.join(f'{v:g}' for v in spacing[:3])} mm; expected positive ones")
    lps = np.eye(4)
    # a row of the matrix is the direction of an axis
    lps[:3, :3] = np.array(matrix).reshape(count, count)[:3, :3].T * np.array(spacing[:3])
    lps[:3, 3] = origin[:3]
    nothing = "The header says nothing about the spacing; one millimetre was taken."
    return np.asarray(RAS_FROM_LPS @ lps), () if stated or _first(fields, _MATRIX, "") else (nothing,)


def _first(fields: dict[str, str], names: tuple[str, ...], otherwise: str) -> str:
    return next((fields[name] for name in names if name in fields), otherwise)

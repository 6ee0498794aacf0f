"""NRRD headers (.nrrd, .nhdr): what they say about their voxels (teem.sourceforge.net/nrrd/format.html)."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import FrameChoice, InputError, Volume
from upfusion_med.io.stored_voxels import (
    MAX_AXES,
    Axis,
    Encoding,
    StoredVoxels,
    damaged,
    data_file,
    read_head,
    real,
    whole,
)

_HEADER_BYTES = 1 << 20
_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_DTYPES = {name: code for code, names in _TYPES.items() for name in names}
_ENCODINGS = {
    "raw": Encoding.RAW,
    "gzip": Encoding.GZIP,
    "gz": Encoding.GZIP,
    "bzip2": Encoding.BZIP2,
    "bz2": Encoding.BZIP2,
    "txt": Encoding.TEXT,
    "text": Encoding.TEXT,
    "ascii": Encoding.TEXT,
    "hex": Encoding.HEX,
}
#: To RAS+ millimetres, by the name of the space; its axes point to what the name says.
_SPACES = {
    "right-anterior-superior": (1, 1, 1),
    "ras": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1),
    "las": (-1, 1, 1),
    "left-posterior-superior": (-1, -1, 1),
    "lps": (-1, -1, 1),
}
#: Millimetres of a unit of length, by its names in small letters (µ also as the two bytes of UTF-8, one by one).
_MILLIMETRES = {
    1.0: ("", "mm", "millimeter", "millimeters", "millimetre", "millimetres"),
    10.0: ("cm", "centimeter", "centimeters", "centimetre", "centimetres"),
    1e3: ("m", "meter", "meters", "metre", "metres"),
    1e-3: ("um", "\N{MICRO SIGN}m", "\N{LATIN SMALL LETTER A WITH CIRCUMFLEX}\N{MICRO SIGN}m", "micron", "microns"),
}
_UNITS = {name: factor for factor, names in _MILLIMETRES.items() for name in names}
_CHANNEL_KINDS = re.compile(
    r"(rgb|rgba|hsv|xyz|[234])-color|vector|covariant-vector|normal|[23]-vector|complex|.*matrix"
)
_FRAME_KINDS = ("list", "time", "none", "point")
_VECTOR = re.compile(r"none|\(([^()]*)\)")


def read_nrrd(path: str | os.PathLike[str], frame: FrameChoice = None) -> Volume:
    """Read an NRRD file.

    Args:
        path: The file, or the header of a detached one.
        frame: For a series of volumes: number of the frame (from 0) or ``"mean"``.

    Returns:
        (X, Y, Z) values, or (X, Y, Z, 3) in 0..255 for 8-bit colour; the affine in RAS.

    Raises:
        InputError: not readable, truncated, not three-dimensional, a series without a choice of frame, or its data
            file lies outside its own folder.
    """
    return nrrd_header(Path(path)).volume(frame)


def nrrd_header(path: Path) -> StoredVoxels:
    """What the header of a file says.

    Raises:
        InputError: it is damaged, or of a kind that is no volume.
    """
    fields, end = _fields(path)
    kind = fields.get("type", "").lower()
    if kind not in _DTYPES:
        raise damaged(path, f"its values are of type '{kind}'; expected whole or real numbers")
    encoding = _ENCODINGS.get(fields.get("encoding", "").lower())
    if encoding is None:
        raise damaged(path, f"its encoding is '{fields.get('encoding', '')}'; expected one of {', '.join(_ENCODINGS)}")
    dtype = np.dtype(_DTYPES[kind])
    if dtype.itemsize > 1 and encoding not in (Encoding.TEXT,):
        endian = fields.get("endian", "").lower()
        if endian not in ("little", "big"):
            raise damaged(path, f"its byte order (endian) is '{endian}'; expected little or big")
        dtype = dtype.newbyteorder("<" if endian == "little" else ">")
    shape = whole(path, "sizes", fields.get("sizes", ""))
    dimension = whole(path, "dimension", fields.get("dimension", ""))
    if dimension != (len(shape),) or not shape:
        raise damaged(path, f"it has {len(shape)} sizes and its dimension is '{fields.get('dimension', '')}'")
    if len(shape) > MAX_AXES:
        raise InputError(f"The file {path} has {len(shape)} dimensions; expected a volume of three axes.")
    axes = _axes(path, fields, len(shape))
    affine, warnings = _affine(path, fields, axes)
    skipped = whole(path, "byte skip", fields.get("byte skip", "0") or "0")
    lines = whole(path, "line skip", fields.get("line skip", "0") or "0")
    if len(skipped) != 1 or len(lines) != 1 or lines[0] < 0 or lines[0] > 10_000 or not -1 <= skipped[0] < 2**31:
        raise damaged(path, "what is to be skipped before its voxels is no small number")
    if skipped[0] == -1 and encoding is not Encoding.RAW:
        raise damaged(path, "its byte skip is -1, which needs the encoding raw")
    named = fields.get("data file")
    if named is not None and (named.split()[:1] == ["LIST"] or "%" in named):
        raise InputError(f"The header {path} names a list of data files; expected one. Save the volume as one file.")
    return StoredVoxels(
        path=path,
        file=path if named is None else data_file(path, named),
        offset=None if skipped[0] == -1 else (end if named is None else 0),
        shape=shape,
        axes=axes,
        dtype=dtype,
        encoding=encoding,
        affine=affine,
        name="NRRD",
        skip_lines=lines[0],
        skip_bytes=max(0, skipped[0]),
        warnings=warnings,
    )


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """The fields by name, and where the header ends."""
    head = read_head(path, _HEADER_BYTES)
    ends = re.search(rb"\r?\n\r?\n", head)
    end = ends.end() if ends else len(head)
    fields: dict[str, str] = {}
    for line in head[: ends.start() if ends else end].decode("latin-1").splitlines()[1:]:
        if line.startswith("#") or ":=" in line:
            continue
        name, colon, value = line.partition(":")
        if not colon:
            raise damaged(path, "a line of its header is no field")
        name = name.strip().lower()
        name = {"datafile": "data file", "lineskip": "line skip", "byteskip": "byte skip"}.get(name, name)
        fields[name] = value.strip()
    return fields, end


def _axes(path: Path, fields: dict[str, str], count: int) -> tuple[Axis, ...]:
    """What each axis counts: by its direction in space where there is one, else by its kind."""
    kinds = fields.get("kinds", "").lower().split() or ["domain"] * count
    if len(kinds) != count:
        raise damaged(path, f"it has {count} axes and {len(kinds)} kinds")
    if "complex" in kinds:
        raise InputError(f"The file {path} holds complex numbers; expected real values. Save its magnitude.")
    vectors = _vectors(path, fields, count)
    axes = []
    for number, kind in enumerate(kinds):
        if _CHANNEL_KINDS.fullmatch(kind):
            axes.append(Axis.CHANNEL)
        elif kind in _FRAME_KINDS or (vectors and vectors[number] is None):
            axes.append(Axis.FRAME)
        else:
            axes.append(Axis.SPACE)
    if not vectors and axes.count(Axis.SPACE) == 4:
        axes[len(axes) - 1 - axes[::-1].index(Axis.SPACE)] = Axis.FRAME  # the slowest of four counts volumes
    elif vectors and axes.count(Axis.SPACE) == 4:
        axes[-1] = Axis.FRAME
    return tuple(axes)


def _vectors(path: Path, fields: dict[str, str], count: int) -> list[tuple[float, ...] | None]:
    text = fields.get("space directions", "")
    if not text:
        return []
    found: list[tuple[float, ...] | None] = [
        None if match.group(1) is None else real(path, "space directions", match.group(1).replace(",", " "))
        for match in _VECTOR.finditer(text)
    ]
    if len(found) != count:
        raise damaged(path, f"it has {count} axes and {len(found)} space directions")
    return found


def _affine(path: Path, fields: dict[str, str], axes: tuple[Axis, ...]) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    vectors = _vectors(path, fields, len(axes))
    affine = np.eye(4)
    space = [k for k, axis in enumerate(axes) if axis is Axis.SPACE][:3]
    if len(space) < 3:
        return affine, ()  # no volume; refused when its voxels are asked for
    if not vectors:
        spacings = fields.get("spacings", "").split()
        affine[0, 0], affine[1, 1] = -1.0, -1.0  # LPS, as ITK takes it
        if not spacings:
            return affine, ("The header says nothing about the spacing; one millimetre was taken.",)
        if len(spacings) != len(axes):
            raise damaged(path, f"it has {len(axes)} axes and {len(spacings)} spacings")
        lengths = real(path, "spacings", " ".join(spacings[k] for k in space))
        factors, warnings = _millimetres(fields, "units", space)
        for k, length in enumerate(lengths):
            affine[k, k] *= length * factors[k]
        _check_spacing(path, affine)
        return affine, ("The header says nothing about the orientation; only the spacing is known.", *warnings)
    columns = [vectors[k] or () for k in space]
    if any(len(column) < 3 for column in columns):
        raise damaged(path, "its space directions do not have three numbers")
    for k, column in enumerate(columns):
        affine[:3, k] = column[:3]
    origin = real(path, "space origin", fields.get("space origin", "(0,0,0)").strip("() ").replace(",", " "))
    if len(origin) < 3:
        raise damaged(path, "its space origin does not have three numbers")
    affine[:3, 3] = origin[:3]
    factors, warnings = _millimetres(fields, "space units", [0, 1, 2])
    affine[:3] *= np.array(factors)[:, None]
    name = fields.get("space", "").lower().removesuffix("-time")
    signs = _SPACES.get(name)
    _check_spacing(path, affine)
    if signs is None:
        affine[:2] *= -1
        return affine, (f"The header names the space '{name}' without anatomical directions; LPS was taken.", *warnings)
    return np.diag([*signs, 1.0]).astype(np.float64) @ affine, warnings


def _millimetres(fields: dict[str, str], field: str, axes: list[int]) -> tuple[list[float], tuple[str, ...]]:
    """Millimetres of the unit of length of each axis, and what is to be said about that."""
    stated = re.findall(r'"([^"]*)"', fields.get(field, ""))
    names = [stated[k].strip().lower() if k < len(stated) else "" for k in axes]
    unknown = [name for name in names if name not in _UNITS]
    if unknown:
        return [1.0] * len(axes), (f"The header gives lengths in '{unknown[0]}' ({field}); millimetres were taken.",)
    factors = [_UNITS[name] for name in names]
    if all(factor == 1.0 for factor in factors):
        return factors, ()
    return factors, ("The lengths in the header are not millimetres; the geometry was converted.",)


def _check_spacing(path: Path, affine: NDArray[np.float64]) -> None:
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if spacing.min() <= 0:
        raise damaged(path, f"its spacing is {' x '.join(f'{v:g}' for v in spacing)} mm; expected positive distances")

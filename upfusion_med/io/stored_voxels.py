"""Voxels that follow a text header, as NRRD and MetaImage files store them.

Read here and not through ITK, because ITK's readers end the whole process on some damaged headers (a fuzz test found
segmentation faults in them).
"""

from __future__ import annotations

import bz2
import gzip
import io
import math
import os
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import FrameChoice, InputError, RuntimeFailure, Volume
from upfusion_med.io.channels import settle_channels
from upfusion_med.io.frames import check_single, choose_stored_frame
from upfusion_med.io.stored_size import check_stored_size
from upfusion_med.io.units import ARBITRARY_UNITS

#: More axes than space, channels and frames has no image.
MAX_AXES = 5
#: A line that is skipped before the voxels is no longer than this.
_LONGEST_LINE = 1 << 16


class Axis(Enum):
    """What an axis of stored voxels counts."""

    SPACE = "space"
    CHANNEL = "channel"
    FRAME = "frame"


class Encoding(Enum):
    """How voxels are written."""

    RAW = "raw"
    GZIP = "gzip"
    ZLIB = "zlib"
    BZIP2 = "bzip2"
    TEXT = "text"
    HEX = "hex"


@dataclass(frozen=True)
class StoredVoxels:
    """A header's promise about its voxels.

    Attributes:
        path: The header, for messages.
        file: The file with the voxels.
        offset: Where in that file they begin; None: they are its last bytes.
        shape: Size of every axis, the fastest first.
        axes: What each axis counts.
        dtype: Type and byte order.
        encoding: How they are written.
        affine: (4, 4) index of the three axes of space to RAS+ millimetres.
        name: The format, for the notes.
        skip_lines: Lines before the voxels, from ``offset``.
        skip_bytes: Bytes before the voxels, after decompression and the lines.
        warnings: What is doubtful about the header.
    """

    path: str | os.PathLike[str]
    file: Path
    offset: int | None
    shape: tuple[int, ...]
    axes: tuple[Axis, ...]
    dtype: np.dtype[Any]
    encoding: Encoding
    affine: NDArray[np.float64]
    name: str
    skip_lines: int = 0
    skip_bytes: int = 0
    warnings: tuple[str, ...] = field(default=())

    def volume(self, frame: FrameChoice) -> Volume:
        """Read the voxels.

        Args:
            frame: For a series of volumes: number of the frame from 0, or ``"mean"``.

        Raises:
            InputError: truncated, not three-dimensional, vectors, or a series without a choice of a frame.
            RuntimeFailure: too large for the memory.
        """
        self._check()
        channels = math.prod(n for n, a in zip(self.shape, self.axes, strict=True) if a is Axis.CHANNEL)
        frames = math.prod(n for n, a in zip(self.shape, self.axes, strict=True) if a is Axis.FRAME)
        if channels > 1 and (channels not in (3, 4) or self.dtype != np.uint8):
            raise InputError(
                f"The file {self.path} holds {channels} components of type {self.dtype} in every voxel; expected one "
                "value, or colour of three 8-bit channels. Choose one component and save it alone."
            )
        if Axis.FRAME not in self.axes:
            check_single(frame, self.path)
        elif frame is None and frames > 1:
            choose_stored_frame(lambda _: np.empty(0), (*self._space(), frames), self.path, None)
        try:
            array = self._ordered(self._read(), channels, frames)
            data = choose_stored_frame(lambda number: array[..., number], array.shape, self.path, frame)
            notes: dict[str, Any] = {"format": self.name}
            warnings, units = self.warnings, ARBITRARY_UNITS
            if channels > 1:
                values, units, more = settle_channels(data)
                warnings += more
            else:
                with np.errstate(over="ignore", invalid="ignore"):
                    values = np.ascontiguousarray(data[..., 0], dtype=np.float32)
        except MemoryError as error:
            raise RuntimeFailure(
                f"The volume {self.path} does not fit into memory; free some, or crop it first."
            ) from error
        if warnings:
            notes["warnings"] = warnings
        return Volume(array=values, affine=self.affine, units=units, notes=notes)

    def _space(self) -> tuple[int, ...]:
        return tuple(n for n, a in zip(self.shape, self.axes, strict=True) if a is Axis.SPACE)

    def _check(self) -> None:
        space = self._space()
        if len(space) != 3 or len(self.shape) > MAX_AXES:
            raise InputError(
                f"The file {self.path} has {len(self.shape)} dimensions, {len(space)} of them in space; expected a "
                "volume of three axes. Save one volume of it alone."
            )
        if min(self.shape) < 1:
            raise damaged(self.path, f"its size is {' x '.join(map(str, self.shape))}")
        ordered = (*space, *(n for n, a in zip(self.shape, self.axes, strict=True) if a is not Axis.SPACE))
        check_stored_size(self.path, ordered, self.dtype.itemsize, stored=self.file.stat().st_size)

    def _ordered(self, flat: NDArray[Any], channels: int, frames: int) -> NDArray[Any]:
        """(X, Y, Z, channels, frames) of the voxels in the order of the file."""
        order = [k for kind in Axis for k, axis in enumerate(self.axes) if axis is kind]
        array = flat.reshape(self.shape, order="F").transpose(order)
        return array.reshape((*self._space(), channels, frames))

    def _read(self) -> NDArray[Any]:
        count = math.prod(self.shape)
        try:
            with self.file.open("rb") as stream:
                return self._decoded(stream, count)
        except (OSError, EOFError, zlib.error, ValueError, OverflowError) as error:
            if isinstance(error, InputError):
                raise
            reason = getattr(error, "strerror", None) or f"{self.encoding.value}, {type(error).__name__}"
            raise damaged(self.path, f"its voxels cannot be read ({reason})") from error

    def _decoded(self, stream: BinaryIO, count: int) -> NDArray[Any]:
        needed = count * self.dtype.itemsize
        if self.offset is None:
            stream.seek(-needed, os.SEEK_END)
        else:
            stream.seek(self.offset)
        for _ in range(self.skip_lines):
            stream.readline(_LONGEST_LINE)
        if self.encoding in (Encoding.TEXT, Encoding.HEX):
            text = stream.read()
            if self.encoding is Encoding.HEX:
                return self._typed(bytes.fromhex(text.decode("ascii"))[self.skip_bytes :], needed)
            return np.array(text.split()[:count], dtype=np.float64).astype(self.dtype).reshape(count)
        source: Any = stream
        if self.encoding is Encoding.GZIP:
            source = gzip.GzipFile(fileobj=stream)
        elif self.encoding is Encoding.BZIP2:
            source = bz2.BZ2File(stream)
        elif self.encoding is Encoding.ZLIB:
            source = io.BytesIO(zlib.decompressobj().decompress(stream.read(), needed))
        if self.skip_bytes:
            source.read(self.skip_bytes)
        return self._typed(source.read(needed), needed)

    def _typed(self, content: bytes, needed: int) -> NDArray[Any]:
        if len(content) < needed:
            raise damaged(self.path, f"it holds {len(content)} bytes of voxels and its header promises {needed}")
        return np.frombuffer(content[:needed], self.dtype)


def damaged(path: str | os.PathLike[str], why: str) -> InputError:
    """The error that a header and its voxels do not fit together."""
    return InputError(
        f"The file {path} could not be read: {why}. It is damaged or truncated, or of an unusual kind; copy it again, "
        "or convert it to NIfTI."
    )


def read_head(path: Path, most: int) -> bytes:
    """The first bytes of a file, ``most`` of them at most.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return stream.read(most)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check the path and its access rights.") from error


def data_file(path: Path, name: str) -> Path:
    """The file that a header names: only one of the header's own folder is followed.

    Args:
        path: The header.
        name: As it stands there, every byte read as a character of Latin-1; ITK writes UTF-8.

    Raises:
        InputError: it lies elsewhere, or is not there.
    """
    with suppress(UnicodeError):
        name = name.encode("latin-1").decode("utf-8")
    if not name.isprintable() or not name:
        raise damaged(path, "the name of its data file is empty or has control characters")
    folder = path.resolve().parent
    file = (folder / name).resolve()
    if folder not in file.parents:
        raise InputError(
            f"The header {path} names a data file outside its own folder; expected one beside the header. "
            "Put the data file there and correct the header."
        )
    if not file.is_file():
        raise InputError(
            f"The header {path} names the data file '{name}', which is not there; copy it beside the header."
        )
    return file


def whole(path: str | os.PathLike[str], field_name: str, text: str) -> tuple[int, ...]:
    """The whole numbers of a field.

    Raises:
        InputError: one of them is none.
    """
    try:
        return tuple(int(word) for word in text.split())
    except ValueError as error:
        raise damaged(path, f"its field '{field_name}' holds no whole numbers") from error


def real(path: str | os.PathLike[str], field_name: str, text: str) -> tuple[float, ...]:
    """The finite numbers of a field.

    Raises:
        InputError: one of them is none.
    """
    try:
        numbers = tuple(float(word) for word in text.split())
    except ValueError as error:
        raise damaged(path, f"its field '{field_name}' holds no numbers") from error
    if not all(map(math.isfinite, numbers)):
        raise damaged(path, f"its field '{field_name}' holds numbers that are not finite")
    return numbers

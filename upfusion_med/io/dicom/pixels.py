"""Stored pixels of slices, decoded and rescaled."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import InputError, RuntimeFailure
from upfusion_med.io.dicom.codec import decode_with_itk
from upfusion_med.io.dicom.header import Header
from upfusion_med.io.dicom.padding import fill_padding, padding_of
from upfusion_med.io.dicom.plane import Plane, is_colour, is_palette
from upfusion_med.io.dicom.quiet import quiet

if TYPE_CHECKING:
    from pydicom import Dataset

#: Implicit and Explicit VR Little Endian.
_NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")
_PIXEL_DATA_TAG, _UNDEFINED_LENGTH = b"\xe0\x7f\x10\x00", 0xFFFFFFFF
_PIXEL_DATA = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def stack_values(planes: Sequence[Plane], factors: Sequence[float] | None = None) -> tuple[NDArray[np.float32], int]:
    """The rescaled values of sorted slices: stored value · slope + intercept of each slice, without padding.

    MONOCHROME1 changes the display only, so it changes nothing here.

    Args:
        planes: The slices, in the order of the grid.
        factors: What the rescaled values of each slice are multiplied by, such as the factor to SUV.

    Returns:
        (X, Y, Z) for grey, (X, Y, Z, 3) in 0..255 for colour; and how many voxels were padding (see `fill_padding`).

    Raises:
        InputError: pixels are missing, truncated, damaged, or differ in shape.
        RuntimeFailure: no decoder for the compression, or not enough memory.
    """
    values: NDArray[np.float32] | None = None
    padding: dict[int, NDArray[np.bool_]] = {}
    decoded: tuple[Path | None, NDArray[Any]] = (None, np.empty(0))
    for number, plane in enumerate(planes):
        if decoded[0] != plane.header.path:
            decoded = (plane.header.path, _decode(plane.header))
        frames = decoded[1]
        if (plane.frame or 0) >= len(frames):
            raise InputError(
                f"The file {plane.header.shown} holds {len(frames)} decoded frames; expected at least "
                f"{(plane.frame or 0) + 1}. Copy it again from its source."
            )
        stored = frames[plane.frame or 0]
        shape = (len(planes), plane.rows, plane.columns, *stored.shape[2:])
        if values is None:
            try:
                values = np.empty(shape, dtype=np.float32)
            except MemoryError as error:
                raise RuntimeFailure(f"A volume of shape {shape} does not fit into memory; free some.") from error
        if stored.shape != values.shape[1:]:
            raise InputError(
                f"The pixels of {plane.header.shown} have shape {stored.shape}; expected {values.shape[1:]}, "
                "as its header or the other slices say. Copy it again from its source."
            )
        if stored.ndim == 2:
            factor = 1.0 if factors is None else factors[number]
            scaled = np.multiply(stored, plane.slope * factor, dtype=np.float64)
            values[number] = scaled + plane.intercept * factor
            unreal = padding_of(plane.header, stored)
            if unreal is not None:
                padding[number] = unreal
        else:
            values[number] = stored
    assert values is not None
    padded = fill_padding(values, padding)
    return np.asarray(np.transpose(values, (2, 1, 0, *range(3, values.ndim)))), padded


def _decode(header: Header) -> NDArray[Any]:
    """(frames, rows, columns) stored values, or (frames, rows, columns, 3) colour levels in 0..255."""
    plain = _plain_pixels(header)
    if plain is not None:
        return plain
    dataset = _pixel_dataset(header)
    with quiet():
        pixels = _decode_dataset(dataset, header)
        try:
            if is_palette(header):
                pixels = _palette_levels(pixels, dataset)
            elif "ModalityLUTSequence" in dataset and "RescaleSlope" not in dataset:
                from pydicom.pixels import apply_modality_lut

                pixels = np.asarray(apply_modality_lut(pixels, dataset))
        except Exception as error:  # the parser raises what it likes on a damaged table
            raise InputError(
                f"The lookup table of {header.shown} is damaged ({type(error).__name__}); export the file again."
            ) from error
    samples = pixels.shape[-1] if is_colour(header) else 0
    frames = pixels.reshape(-1, *pixels.shape[-3 if samples else -2 :])
    if samples and frames.dtype != np.uint8:
        raise InputError(
            f"The file {header.shown} has colours of type {frames.dtype}; expected 8 bits a channel. "
            "Export it with 8-bit colour."
        )
    return frames


def _plain_pixels(header: Header) -> NDArray[Any] | None:
    """(frames, rows, columns) of a file whose grey pixels stand there as they are; None for every other file.

    Unused high bits may hold anything (PS3.5 section 8.1.1) and are filled with the sign, as pydicom does.
    """
    allocated, stored = header.count("BitsAllocated"), header.count("BitsStored")
    if (
        header.pixel_offset is None
        or header.transfer_syntax not in _NATIVE
        or header.count("SamplesPerPixel") != 1
        or not header.text("PhotometricInterpretation").startswith("MONOCHROME")
        or (header.number("RescaleSlope") is None and header.items("ModalityLUTSequence"))
        or allocated not in (8, 16)
        or not stored
        or stored > allocated
        or header.count("HighBit") != stored - 1
        or header.count("PixelRepresentation") not in (0, 1)
    ):
        return None
    rows, columns, frames = (header.count(k) for k in ("Rows", "Columns", "NumberOfFrames"))
    shape = (frames or 1, rows or 0, columns or 0)
    dtype = np.dtype(("<i" if header.count("PixelRepresentation") else "<u") + str(allocated // 8))
    needed = math.prod(shape) * dtype.itemsize
    try:
        with header.path.open("rb") as stream:
            stream.seek(header.pixel_offset)
            head = stream.read(8 if header.transfer_syntax == _NATIVE[0] else 12)
            length = int.from_bytes(head[-4:], "little")
            if head[:4] != _PIXEL_DATA_TAG or length == _UNDEFINED_LENGTH or length < needed or not needed:
                return None
            content = stream.read(needed)
    except (OSError, MemoryError):
        return None  # the long way says what is wrong
    if len(content) < needed:
        return None
    values = np.frombuffer(content, dtype).reshape(shape)
    if stored == allocated:
        return values
    unused = dtype.type(allocated - stored)
    return np.asarray((values << unused) >> unused)


def _pixel_dataset(header: Header) -> Dataset:
    """The header's data set with its pixels, which are read from the place where the header ended."""
    import pydicom
    from pydicom.filereader import read_dataset

    source = header.dataset
    dataset: Dataset
    try:
        with quiet():
            if header.pixel_offset is None:
                dataset = pydicom.dcmread(header.path, force=True)
            else:
                implicit, little = source.original_encoding
                with header.path.open("rb") as stream:
                    stream.seek(header.pixel_offset)
                    rest = read_dataset(stream, bool(implicit), bool(little))
                dataset = copy.copy(source)
                dataset.update(rest)
    except OSError as error:
        raise InputError(f"The file {header.shown} cannot be read ({error.strerror}); check its rights.") from error
    except Exception as error:  # the parser raises what it likes on a damaged file
        raise InputError(f"The file {header.shown} is damaged ({type(error).__name__}); copy it again.") from error
    if not any(keyword in dataset for keyword in _PIXEL_DATA):
        raise InputError(f"The file {header.shown} has no Pixel Data (7FE0,0010); it is truncated. Copy it again.")
    if header.transfer_syntax is None:
        implicit, little = source.original_encoding
        dataset.file_meta.TransferSyntaxUID = (
            pydicom.uid.ImplicitVRLittleEndian
            if implicit
            else (pydicom.uid.ExplicitVRLittleEndian if little else pydicom.uid.ExplicitVRBigEndian)
        )
    return dataset


def _decode_dataset(dataset: Dataset, header: Header) -> NDArray[Any]:
    from pydicom.pixels import get_decoder, pixel_array
    from pydicom.uid import JPEGExtended12Bit

    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        # of the optional decoders only Pillow may be here, which reads no JPEG of 12 bits
        deep_jpeg = syntax == JPEGExtended12Bit and dataset.get("BitsStored", 8) > 8
        if syntax.is_compressed and (deep_jpeg or not get_decoder(syntax).is_available):
            return decode_with_itk(dataset)
        return np.asarray(pixel_array(dataset))
    except MemoryError as error:
        raise RuntimeFailure(f"The pixels of {header.shown} do not fit into memory; free some.") from error
    except Exception as error:  # the decoders raise what they like on damaged pixels
        raise InputError(
            f"The pixels of {header.shown} cannot be decoded (transfer syntax {syntax.name}, {type(error).__name__}): "
            "the file is truncated, damaged, or compressed in an unusual way. Copy it again, or export it uncompressed."
        ) from error


def _palette_levels(indices: NDArray[Any], dataset: Dataset) -> NDArray[np.uint8]:
    from pydicom.pixels import apply_color_lut

    colours = np.asarray(apply_color_lut(indices, dataset))
    if colours.dtype == np.uint8:
        return colours[..., :3]
    return (colours[..., :3] >> 8).astype(np.uint8)  # tables of 16 bits hold 8-bit colour in the high byte

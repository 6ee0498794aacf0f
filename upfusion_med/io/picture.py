"""Two-dimensional pictures, read as volumes of one slice and written."""

from __future__ import annotations

import os
import warnings as python_warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import GREY_LEVELS, InputError, UsageError, Volume
from upfusion_med.io.atomic_file import atomic_file
from upfusion_med.io.channels import settle_channels

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
#: A picture's made-up place: x grows to the patient's left, y to the back, one pixel is one millimetre.
PICTURE_AFFINE = np.diag([-1.0, -1.0, 1.0, 1.0])

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP")
_SCALAR_MODES = ("1", "L", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")
#: Tags of TIFF 6.0: bits of each channel, and what 0 looks like.
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0


def read_picture(path: str | os.PathLike[str]) -> Volume:
    """Read a PNG, JPEG, TIFF or BMP picture.

    Returns:
        A volume of shape (W, H, 1), or (W, H, 1, 3) in 0..255 for colour: x index = column, y index = row. Grey values
        keep their depth (8 or 16 bits, or float); three equal channels become grey.

    Raises:
        InputError: not readable, truncated, several pages, or too large.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    notes: list[str] = []
    try:
        with python_warnings.catch_warnings():
            python_warnings.simplefilter("ignore")
            with Image.open(path, formats=_FORMATS) as picture:
                pages = getattr(picture, "n_frames", 1)
                if pages > 1:
                    raise InputError(
                        f"The picture {path} has {pages} pages; expected one. Save one page, or convert the stack to a "
                        "volume with geometry (NIfTI, NRRD)."
                    )
                picture.load()
                if _loses_depth(picture, Path(path)):
                    notes.append("The picture has 16 bits per channel; colours were read with 8 bits.")
                upright = ImageOps.exif_transpose(picture)
                if upright.size != picture.size or picture.getexif().get(0x0112, 1) not in (0, 1):
                    notes.append("The picture was turned as its EXIF orientation says.")
                levels = _levels(upright, notes)
                if picture.mode == "I;16" and _tiff_tags(picture).get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
                    levels = 65535 - levels  # of 8 bits Pillow turns them itself
    except Image.DecompressionBombError as error:
        raise InputError(f"The picture {path} has too many pixels to be read safely; make it smaller.") from error
    except UnidentifiedImageError as error:
        raise InputError(
            f"The picture {path} is damaged or of a kind that cannot be read; expected PNG, JPEG, TIFF or BMP with "
            "8-bit colour or 8- or 16-bit grey. Save it again as PNG."
        ) from error
    except (OSError, SyntaxError, ValueError, EOFError, KeyError, TypeError, IndexError, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        reason = getattr(error, "strerror", None) or "damaged or truncated"
        raise InputError(f"The picture {path} cannot be read ({reason}); copy it again from its source.") from error

    levels = np.swapaxes(levels, 0, 1)[:, :, None]
    if levels.ndim == 3:
        array, units = np.ascontiguousarray(levels, dtype=np.float32), GREY_LEVELS
    else:
        array, units, more = settle_channels(levels)
        notes.extend(more)
    about: dict[str, Any] = {"format": "picture"}
    if notes:
        about["warnings"] = tuple(notes)
    return Volume(array=array, affine=PICTURE_AFFINE, units=units, is_picture=True, notes=about)


def save_picture(path: str | os.PathLike[str], array_xy: NDArray[np.uint8]) -> None:
    """Write a picture; the format follows from the name.

    Args:
        path: ``.png``, ``.jpg``, ``.tif`` or ``.bmp``; JPEG loses detail.
        array_xy: (W, H) grey or (W, H, 3) colour, uint8; x index = column, y index = row.
    """
    from PIL import Image

    if array_xy.dtype != np.uint8 or not (array_xy.ndim == 2 or (array_xy.ndim == 3 and array_xy.shape[2] == 3)):
        raise UsageError(
            f"The picture has shape {array_xy.shape} and type {array_xy.dtype}; expected (W, H) or (W, H, 3) of uint8."
        )
    picture = Image.fromarray(np.ascontiguousarray(np.swapaxes(array_xy, 0, 1)))
    with atomic_file(path, SUFFIXES) as temporary:
        if temporary.suffix in (".jpg", ".jpeg"):
            picture.save(temporary, quality=95, subsampling=0)
        else:
            picture.save(temporary)


def _levels(picture: Image, notes: list[str]) -> NDArray[Any]:
    """(H, W) values or (H, W, C) levels of the picture, by its mode."""
    if picture.mode in _SCALAR_MODES:
        return np.asarray(picture.convert("L") if picture.mode == "1" else picture)
    if picture.mode in ("LA", "La", "RGBA", "RGBa", "PA"):
        return np.asarray(picture.convert("LA" if picture.mode in ("LA", "La") else "RGBA"))
    if picture.mode == "P":
        return np.asarray(picture.convert("RGBA" if "transparency" in picture.info else "RGB"))
    if picture.mode == "RGB" and "transparency" in picture.info:
        return np.asarray(picture.convert("RGBA"))
    if picture.mode not in ("RGB", "RGBX"):
        notes.append(f"The picture's colours are {picture.mode}; they were converted to RGB.")
    return np.asarray(picture.convert("RGB"))


def _loses_depth(picture: Image, path: Path) -> bool:
    """Whether it is a PNG or TIFF of 16 bits per channel in colour or with alpha, which Pillow reads with 8 bits."""
    if picture.format == "TIFF":
        return picture.mode not in _SCALAR_MODES and max(_tiff_tags(picture).get(_BITS_PER_SAMPLE, (1,))) > 8
    if picture.format != "PNG":
        return False
    with path.open("rb") as stream:
        head = stream.read(26)
    return head[24] == 16 and head[25] != 0


def _tiff_tags(picture: Image) -> Mapping[int, Any]:
    return getattr(picture, "tag_v2", {})

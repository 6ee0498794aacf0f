"""What must be right in a NIfTI header before anything is read with it.

nibabel mends a header where it can (a zero spacing becomes 1 mm, a wrong size of the header is overlooked); a mended
geometry is a guess, so these headers are refused here, where the bytes are as they came.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from upfusion_med.core import InputError

if TYPE_CHECKING:
    import nibabel

#: Bytes of the two versions' headers; each begins with its own length.
NIFTI1_BYTES, NIFTI2_BYTES = 348, 540


def check_header(block: bytes, path: str | os.PathLike[str]) -> None:
    """Refuse a header that is cut off or contradicts itself.

    Args:
        block: The file from its first byte, uncompressed; all that there is of the header.
        path: The file, for messages.

    Raises:
        InputError: it is cut off, its byte order contradicts itself, a spacing that is needed is not positive, or its
            scale is infinite.

    Source: nifti1.h, fields sizeof_hdr, dim, pixdim, scl_slope, scl_inter.
    """
    import nibabel

    is_second = block[4:7] in (b"n+2", b"ni2")
    needed = NIFTI2_BYTES if is_second else NIFTI1_BYTES
    if len(block) < needed:
        raise InputError(
            f"The file {path} is cut off inside its NIfTI header: {len(block)} bytes of {needed} are there. "
            "Copy it again from its source."
        )
    kind = nibabel.Nifti2Header if is_second else nibabel.Nifti1Header
    header = kind(block[:needed], check=False)
    stated = struct.unpack(f"{header.endianness}i", block[:4])[0]
    if stated != needed:
        raise InputError(
            f"The NIfTI header of {path} contradicts itself: its length (sizeof_hdr) reads {stated} in the byte order "
            f"of its size (dim); expected {needed}. It is damaged; copy it again from its source."
        )
    _check_spacing(header, path)
    for field in ("scl_slope", "scl_inter"):
        if np.isinf(header[field]):
            raise InputError(
                f"The scale of the values in {path} ({field}) is infinite; expected a finite number. The header is "
                "damaged; copy the file again from its source."
            )


def _check_spacing(header: nibabel.Nifti1Header, path: str | os.PathLike[str]) -> None:
    """The spacing is needed where no sform says the geometry; nibabel would take 1 mm for 0."""
    axes = min(3, max(0, int(header["dim"][0])))
    spacing = np.array(header["pixdim"][1 : 1 + axes], dtype=np.float64)
    counted = np.array(header["dim"][1 : 1 + axes]) > 1
    usable = np.isfinite(spacing) & (spacing != 0)
    if int(header["sform_code"]) == 0 and not usable[counted].all():
        raise InputError(
            f"The spacing in the NIfTI header of {path} (pixdim) is {' x '.join(f'{v:g}' for v in spacing)}; expected "
            "positive distances in mm, because no sform states the geometry. Correct the header, or convert the "
            "original data again."
        )


def geometry_warnings(header: nibabel.Nifti1Header) -> Iterator[str]:
    """What is doubtful about the geometry that a header states, as sentences."""
    qform, sform = int(header["qform_code"]), int(header["sform_code"])
    if qform == 0 and sform == 0:
        yield "The header says nothing about the orientation (qform and sform codes are 0); only the spacing is known."
    elif qform > 0 and sform > 0:
        try:
            apart = np.abs(header.get_qform() - header.get_sform())
        except ValueError:
            yield "The qform of the header is damaged; the sform was used."
            return
        if apart[:3, 3].max() > 1.0 or apart[:3, :3].max() > 0.01 * np.abs(header.get_sform()[:3, :3]).max():
            yield "The qform and the sform of the header disagree; the sform was used."

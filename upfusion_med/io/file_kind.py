"""What kind of image a path holds, told from its first bytes and not from its name."""

from __future__ import annotations

import os
import zlib
from enum import Enum
from pathlib import Path

from upfusion_med.core import InputError

#: Bytes read from the start of a file; a DICOM file has its mark at 128, NIfTI-1 at 344.
HEAD_BYTES = 560
#: Length of the header of NIfTI-1 and of Analyze 7.5, which both begin with this number.
_ANALYZE_BYTES = 348


class FileKind(str, Enum):
    """The kinds of input that can be read."""

    PICTURE = "picture"
    NIFTI = "nifti"
    NRRD = "nrrd"
    METAIMAGE = "metaimage"
    DICOM = "dicom"


_PICTURE_MAGIC = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"II*\x00",
    b"MM\x00*",
    b"II+\x00",
    b"MM\x00+",
    b"BM",
)


def describe_kind(path: str | os.PathLike[str]) -> FileKind:
    """The kind of input at ``path``, without loading it.

    A folder and a zip archive count as DICOM; whether there is any image in them is found out when they are read.

    Raises:
        InputError: there is nothing at the path, it cannot be opened, it is empty, or it is none of the known formats.
    """
    if not os.fspath(path):
        raise InputError("The path of an input is empty; expected a file or a folder. Give its path.")
    place = Path(path)
    if place.is_dir():
        return FileKind.DICOM
    head = read_head(place)
    kind = kind_of_head(head)
    if kind is None:
        raise InputError(_unknown_format(path, head))
    return kind


def read_head(path: Path) -> bytes:
    """The first bytes of a file, decompressed when it is gzip.

    Raises:
        InputError: the file is missing, unreadable, no regular file, empty, or a damaged gzip stream.
    """
    try:
        if not path.exists():
            if path.is_symlink():
                raise InputError(f"{path} is a link that leads nowhere, or to itself; give the file itself.")
            raise InputError(f"There is no file or folder {path}; check the path.")
        if not path.is_file():
            raise InputError(f"{path} is neither a regular file nor a folder; expected an image file or a folder.")
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
            if head[:2] != b"\x1f\x8b":
                if not head:
                    raise InputError(f"The file {path} is empty (0 bytes); copy it again from its source.")
                return head
            stream.seek(0)
            return zlib.decompressobj(wbits=31).decompress(stream.read(65536), HEAD_BYTES)
    except zlib.error as error:
        raise InputError(
            f"The file {path} begins like gzip but its stream is damaged; copy it again from its source."
        ) from error
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = getattr(error, "strerror", None) or "not a usable path"
        raise InputError(f"{path} cannot be read ({reason}); check the path and its access rights.") from error


def kind_of_head(head: bytes) -> FileKind | None:
    """The kind of file that begins with these bytes, or None."""
    if head[128:132] == b"DICM" or _is_bare_dicom(head) or head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return FileKind.DICOM
    if head[344:347] in (b"n+1", b"ni1") or head[4:7] in (b"n+2", b"ni2"):
        return FileKind.NIFTI
    if head.startswith(b"NRRD000"):
        return FileKind.NRRD
    if head.startswith(_PICTURE_MAGIC):
        return FileKind.PICTURE
    first_key = head.split(b"=", 1)[0].strip().lower()
    if b"=" in head and first_key in (b"objecttype", b"ndims", b"comment"):
        return FileKind.METAIMAGE
    return None


def _is_bare_dicom(head: bytes) -> bool:
    """Whether it is a DICOM data set without the preamble: it begins with an element of group 0002 or 0008."""
    if len(head) < 16:
        return False
    group, element = int.from_bytes(head[:2], "little"), int.from_bytes(head[2:4], "little")
    if (group, element) not in ((2, 0), (2, 1), (2, 2), (8, 0), (8, 1), (8, 5), (8, 8), (8, 0x12), (8, 0x16)):
        return False
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    return explicit or int.from_bytes(head[4:8], "little") < 256


def _unknown_format(path: str | os.PathLike[str], head: bytes) -> str:
    if head[:4] in (b"\x5c\x01\x00\x00", b"\x00\x00\x01\x5c"):
        if len(head) < _ANALYZE_BYTES:
            return (
                f"The file {path} is cut off inside its header: {len(head)} bytes of {_ANALYZE_BYTES} are there. "
                "Copy it again from its source."
            )
        return (
            f"The file {path} has an Analyze 7.5 header, which does not say where the voxels lie in the patient. "
            "Expected NIfTI; convert the original data to .nii.gz."
        )
    if str(path).lower().endswith(".img"):
        return f"The file {path} is the data part of a header/data pair; give its .hdr file instead."
    return (
        f"The file {path} begins with {head[:8].hex(' ')}, which is no known image format. Expected NIfTI, NRRD, "
        "MetaImage (.mha, .mhd), DICOM, a zip of DICOM files, PNG, JPEG, TIFF or BMP; check that the file is complete."
    )

"""Zip archives of DICOM files, unpacked so that no archive can do harm."""

from __future__ import annotations

import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath

from upfusion_med.core import InputError, RuntimeFailure
from upfusion_med.io.dicom.lost_file import may_be_lost
from upfusion_med.io.file_kind import FileKind, kind_of_head

MAX_MEMBERS = 100_000
MAX_BYTES = 8 * 2**30
#: An archive that grows beyond this many bytes must not grow by more than this factor. Measured: PET series of mostly
#: zeros shrink by 80; deflate's limit is 1032.
RATIO_COUNTS_FROM = 256 * 2**20
MAX_RATIO = 250
_CHUNK = 1 << 20


@contextmanager
def unpacked(path: Path, shown: str) -> Iterator[list[tuple[Path, str]]]:
    """The DICOM members of an archive, unpacked to a temporary folder that is removed afterwards.

    Members are written under numbers, never under their own names; what neither begins like DICOM nor may have been a
    DICOM file once is not written.

    Args:
        path: The archive.
        shown: Its name for messages.

    Yields:
        Path and shown name of every such member.

    Raises:
        InputError: damaged, encrypted, a member that points outside, a link, or larger than an archive of images is.
        RuntimeFailure: the temporary folder is full.
    """
    with tempfile.TemporaryDirectory(prefix="upfusion-") as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                members = [m for m in archive.infolist() if not m.is_dir()]
                _check(members, shown)
                files = list(_unpack(archive, members, Path(folder), shown))
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
            if isinstance(error, InputError | RuntimeFailure):
                raise
            raise InputError(
                f"The archive {shown} is damaged or of a kind that cannot be unpacked ({type(error).__name__}); "
                "copy it again, or unpack it and give the folder."
            ) from error
        yield files


def _check(members: list[zipfile.ZipInfo], shown: str) -> None:
    for member in members:
        parts = (*PurePosixPath(member.filename).parts, *PureWindowsPath(member.filename).parts)
        if ".." in parts or PurePosixPath(member.filename).is_absolute() or PureWindowsPath(member.filename).drive:
            raise InputError(
                f"The archive {shown} has a member whose name points outside the archive; it was not unpacked. "
                "Pack the study again from its folder."
            )
        if stat.S_ISLNK(member.external_attr >> 16):
            raise InputError(
                f"The archive {shown} holds a symbolic link; it was not unpacked. Pack the files themselves."
            )
        if member.flag_bits & 1:
            raise InputError(f"The archive {shown} is encrypted; unpack it with its password and give the folder.")
    total = sum(m.file_size for m in members)
    packed = max(1, sum(m.compress_size for m in members))
    if len(members) > MAX_MEMBERS or total > MAX_BYTES or (total > RATIO_COUNTS_FROM and total / packed > MAX_RATIO):
        raise InputError(
            f"The archive {shown} would unpack to {len(members)} files and {total / 2**20:.0f} MiB from "
            f"{packed / 2**20:.0f} MiB, which no archive of images does (limits: {MAX_MEMBERS} files, "
            f"{MAX_BYTES // 2**20} MiB, factor {MAX_RATIO}); it was not unpacked. "
            "Unpack it yourself and give the folder."
        )


def _unpack(
    archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], folder: Path, shown: str
) -> Iterator[tuple[Path, str]]:
    for number, member in enumerate(members):
        target = folder / f"{number:06d}"
        with archive.open(member) as source:
            head = source.read(560)
            is_dicom = kind_of_head(head) is FileKind.DICOM and head[:2] != b"PK"
            if not is_dicom and not may_be_lost(member.filename, head):
                continue
            try:
                with target.open("wb") as sink:
                    sink.write(head)
                    # zipfile itself stops at the size that the directory states, which was checked above
                    shutil.copyfileobj(source, sink, _CHUNK)
            except OSError as error:
                raise RuntimeFailure(
                    f"The archive {shown} could not be unpacked to the temporary folder ({error.strerror}); "
                    "free some space, or unpack it yourself and give the folder."
                ) from error
        yield target, f"{shown}:{member.filename}"

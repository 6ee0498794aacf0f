"""Finding the DICOM files of a study: a file, a folder with all its subfolders, or a zip archive."""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from upfusion_med.core import InputError
from upfusion_med.io.dicom.archive import unpacked
from upfusion_med.io.dicom.elements import read_elements
from upfusion_med.io.dicom.header import Header
from upfusion_med.io.dicom.keywords import KEYWORDS, PRIVATE_BLOCKS
from upfusion_med.io.dicom.lost_file import lost_problem, may_be_lost, naming
from upfusion_med.io.dicom.quiet import quiet
from upfusion_med.io.file_kind import HEAD_BYTES, FileKind, kind_of_head, read_head

#: Media Storage Directory, the SOP class of a DICOMDIR (PS3.4 annex B.5).
_DIRECTORY_SOP_CLASS = "1.2.840.10008.1.3.10"
#: A deflated data set must not inflate beyond this.
MAX_INFLATED = 2 * 2**30
_META_BYTES, _CHUNK = 4096, 1 << 20
#: Read at first, and more where the pixel data do not begin within it; a header is rarely larger.
_FIRST_BYTES, _MORE_BYTES = 1 << 14, 1 << 22
#: Preamble, mark, and the group length element of the file meta information (PS3.10 section 7.1).
_META_BEGINS = 128 + 4 + 12
#: Private creators are looked for in this many blocks of a group.
_PRIVATE_BLOCKS = range(0x10, 0x20)


@dataclass(frozen=True)
class Study:
    """What was found at a path.

    Attributes:
        shown: The path as the user gave it.
        images: Headers of the files that hold pixels.
        others: Names of the kinds of DICOM objects without pixels (reports, structures, directories).
        problems: Sentences about files that could not be read.
        is_one_file: Whether the path is one file and not a folder or an archive.
    """

    shown: str
    images: tuple[Header, ...]
    others: tuple[str, ...]
    problems: tuple[str, ...]
    is_one_file: bool


@contextmanager
def open_study(path: str | os.PathLike[str]) -> Iterator[Study]:
    """The DICOM files at ``path``; those of an archive are there until the block ends.

    Raises:
        InputError: nothing is there, the archive is unsafe, there is no DICOM file, or a single file is damaged.
    """
    place, shown = Path(path), os.fspath(path)
    with quiet():
        if place.is_dir():
            yield _checked(_study(shown, _files_below(place, shown), is_one_file=False))
        elif read_head(place)[:2] == b"PK":
            with unpacked(place, shown) as members:
                yield _checked(_study(shown, members, is_one_file=False))
        else:
            yield _checked(_study(shown, [(place, shown)], is_one_file=True))


def _files_below(folder: Path, shown: str) -> Iterator[tuple[Path, str]]:
    def refuse(error: OSError) -> None:
        raise InputError(
            f"The folder {error.filename} cannot be read ({error.strerror}); check its access rights."
        ) from error

    for base, folders, names in os.walk(folder, onerror=refuse):
        folders.sort()
        inside = os.path.relpath(base, folder)
        for name in sorted(names):
            yield Path(base, name), str(Path(shown, inside, name))


def _study(shown: str, files: Iterable[tuple[Path, str]], is_one_file: bool) -> Study:
    images: list[Header] = []
    others: list[str] = []
    problems: list[str] = []
    names: set[tuple[str, str]] = set()
    perhaps_lost: list[str] = []
    for path, name in files:
        try:
            header = _header_of(path, name)
            if header is None:
                head = _head_of(path)
                if head is not None and may_be_lost(name, head):
                    perhaps_lost.append(name)
                continue
            names.add(naming(name))
            if header.count("Rows") is None or header.count("Columns") is None:
                others.append(_object_name(header))  # raises for a damaged image
                continue
            _check_length(header)
        except InputError as error:
            problems.append(str(error))
            continue
        images.append(header)
    problems.extend(problem for problem in (lost_problem(name, names) for name in perhaps_lost) if problem)
    return Study(shown, tuple(images), tuple(sorted(set(others))), tuple(problems), is_one_file)


def _header_of(path: Path, shown: str) -> Header | None:
    """The tags of one file, or None where it is no DICOM file; opened once where it is a plain one."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode) or about.st_size == 0:
            return None
        with path.open("rb") as stream:
            content = stream.read(_FIRST_BYTES)
            if kind_of_head(content[:HEAD_BYTES]) is FileKind.DICOM:
                elements = read_elements(content, about.st_size, _wanted_tags())
                if elements is None and len(content) < about.st_size:
                    content += stream.read(_MORE_BYTES)
                    elements = read_elements(content, about.st_size, _wanted_tags())
                if elements is not None:
                    return Header(elements, path, shown, elements.pixel_offset)
    except FileNotFoundError:
        return None  # a link that leads nowhere
    except OSError as error:
        raise InputError(f"The file {shown} cannot be read ({error.strerror}); check its access rights.") from error
    return read_header(path, shown) if kind_of_head(read_head(path)) is FileKind.DICOM else None


def _head_of(path: Path) -> bytes | None:
    """The first bytes of a file, none where a link leads nowhere; None for what is no file, such as a pipe."""
    if not path.exists():
        return b""
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        return stream.read(HEAD_BYTES)


def read_header(path: Path, shown: str) -> Header:
    """The tags of one file, without its pixels.

    Raises:
        InputError: the file is no readable DICOM file.
    """
    import pydicom

    try:
        with quiet(), path.open("rb") as stream:
            deflated = _is_deflated(path, shown)
            dataset = pydicom.dcmread(stream, stop_before_pixels=True, force=True, specific_tags=list(_wanted_tags()))
            pixel_offset = None if deflated else stream.tell()
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"The file {shown} cannot be read ({error.strerror}); check its access rights.") from error
    except Exception as error:  # the parser raises what it likes on a damaged file
        raise InputError(
            f"The file {shown} is a damaged or truncated DICOM file ({type(error).__name__}); copy it again."
        ) from error
    return Header(dataset, path, shown, pixel_offset)


def _is_deflated(path: Path, shown: str) -> bool:
    """Whether the data set of a file is deflated; refuses one that inflates beyond any image.

    Raises:
        InputError: it inflates to more than ``MAX_INFLATED``.
    """
    from pydicom.filereader import read_file_meta_info
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    with path.open("rb") as stream:
        if DeflatedExplicitVRLittleEndian.encode() not in stream.read(_META_BYTES):
            return False
        stream.seek(_META_BEGINS + int(read_file_meta_info(path).get("FileMetaInformationGroupLength", 0)))
        inflater, inflated = zlib.decompressobj(-zlib.MAX_WBITS), 0
        data = stream.read(_META_BYTES)
        while data and not inflater.eof:
            inflated += len(inflater.decompress(data, _CHUNK))
            if inflated > MAX_INFLATED:
                raise InputError(
                    f"The file {shown} inflates to more than {MAX_INFLATED // 2**20} MiB, which no such image does; "
                    "it was not read. Export it uncompressed."
                )
            data = inflater.unconsumed_tail or stream.read(_META_BYTES)
    return True


@cache
def _wanted_tags() -> frozenset[int]:
    from pydicom.datadict import tag_for_keyword

    tags = [int(tag) for tag in map(tag_for_keyword, KEYWORDS) if tag is not None]
    for group, _, elements in PRIVATE_BLOCKS:
        for block in _PRIVATE_BLOCKS:
            tags.append((group << 16) | block)
            tags.extend((group << 16) | (block << 8) | element for element in elements)
    return frozenset(tags)


def _object_name(header: Header) -> str:
    """The kind of an object without pixels.

    Raises:
        InputError: it should have pixels, or its kind is not stated: its header is cut off.
    """
    uid = header.sop_class
    if uid == _DIRECTORY_SOP_CLASS:
        return "DICOMDIR"
    if not uid or "Image Storage" in uid.name:
        raise InputError(
            f"The file {header.shown} ({uid.name or 'without SOP Class UID'}) has no Rows and Columns (0028,0010), "
            "(0028,0011): it is damaged or truncated. Copy it again from its source."
        )
    return str(uid.name)


def _check_length(header: Header) -> None:
    """Refuse a file whose header or whose uncompressed pixels are cut off."""
    bits = header.count("BitsAllocated")
    if not bits:
        raise header.wrong("BitsAllocated", "is missing", "the size of a pixel; the file is damaged or truncated")
    syntax = header.transfer_syntax
    if header.pixel_offset is None or syntax is None or syntax.is_compressed:
        return
    samples = header.count("SamplesPerPixel") or 1
    if header.text("PhotometricInterpretation").startswith("YBR_FULL_422"):
        samples = 2
    pixels = (header.count("Rows") or 0) * (header.count("Columns") or 0) * (header.count("NumberOfFrames") or 1)
    expected, present = pixels * samples * bits // 8, header.path.stat().st_size - header.pixel_offset
    if present < expected:
        raise InputError(
            f"The file {header.shown} is truncated: {present} bytes follow its header, and its pixels take {expected}. "
            "Copy it again from its source."
        )


def _checked(study: Study) -> Study:
    if study.images:
        return study
    if study.problems:
        raise InputError(study.problems[0])
    if "DICOMDIR" in study.others and study.is_one_file:
        raise InputError(
            f"The file {study.shown} is a DICOMDIR, the table of contents of a medium; expected images. "
            "Give the folder that it lies in."
        )
    if study.others:
        raise InputError(
            f"{study.shown} holds no DICOM image, only: {', '.join(study.others)}. Expected MR, PET, CT or NM images."
        )
    raise InputError(
        f"{study.shown} holds no DICOM file. Expected a folder or an archive with a series of MR, PET, CT or NM "
        "images; for NIfTI, NRRD or a picture give the file itself."
    )

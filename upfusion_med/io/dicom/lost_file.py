"""Files that were DICOM once: emptied, cut off before the mark of DICOM, or overwritten; not the strays of a folder."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import PurePath

#: Preamble and mark (PS3.10 section 7.1).
_SHORTEST = 132
_SUFFIXES = (".dcm", ".ima")
#: What counts on in the names of a series: numbers, UIDs, hexadecimal names.
_NUMBER = re.compile(r"[0-9a-f._\-]*\d[0-9a-f._\-]*")


def may_be_lost(name: str, head: bytes) -> bool:
    """Whether a file that does not begin like DICOM may have been one, so that its neighbours must be looked at.

    Args:
        name: Of the file, with its folder.
        head: Its first bytes, more than 132 where there are as many.
    """
    if PurePath(name).name.startswith("."):
        return False  # what systems put beside files: .DS_Store, ._IM0001
    return _says_dicom(name) or len(head) < _SHORTEST or not any(head)


def naming(name: str) -> tuple[str, str]:
    """The folder of a file, and its name with one mark in place of each number: equal for the files of a series."""
    path = PurePath(name)
    return str(path.parent), _NUMBER.sub("#", path.name.casefold())


def lost_problem(name: str, dicom: Collection[tuple[str, str]]) -> str:
    """Why a file that may be lost stops the reading; empty where nothing says that it was DICOM.

    Args:
        name: Of the file, with its folder.
        dicom: `naming` of the DICOM files that were found.
    """
    if not _says_dicom(name) and naming(name) not in dicom:
        return ""
    return (
        f"The file {name} is named like a DICOM file and does not begin like one: it is empty, truncated or damaged. "
        "Copy it again from its source, or take it out of the folder if it is none."
    )


def _says_dicom(name: str) -> bool:
    return name.casefold().endswith(_SUFFIXES)

"""Where the result of a study of files goes, and whether the result that is there is of the same files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .studies import PairStudy

#: Beside the result; a hash of the inputs, without their names.
NOTE = "inputs.sha256"


def result_folders(studies: Iterable[PairStudy], output: Path) -> list[Path]:
    """A folder of its own for each study: named after it, in letters that every file system takes."""
    folders: list[Path] = []
    taken: set[str] = set()
    for study in studies:
        plain = "".join(c if c.isalnum() or c in "-_. " else "_" for c in study.name).strip(" .") or "study"
        name, number = plain, 1
        while name.lower() in taken:
            number += 1
            name = f"{plain} {number}"
        taken.add(name.lower())
        folders.append(output / name)
    return folders


def inputs_in(folder: Path) -> Iterator[Path]:
    """What lies in a folder of a study, without the result of an earlier run, where that was written there too."""
    try:
        names = {NOTE, *json.loads((folder / "report.json").read_text(encoding="utf-8"))["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        names = set()
    return (path for path in sorted(folder.iterdir()) if path.name not in names)


def has_result(folder: Path) -> bool:
    """Whether there is a result in a folder."""
    return (folder / "report.json").is_file()


def is_result_of(folder: Path, inputs: str) -> bool:
    """Whether the result in a folder was made of these inputs (see `fingerprint`)."""
    note = folder / NOTE
    return note.is_file() and note.read_text(encoding="ascii").strip() == inputs


def note_inputs(folder: Path, inputs: str) -> None:
    """Leave beside a result what it was made of.

    Raises:
        OSError: it cannot be written.
    """
    (folder / NOTE).write_text(f"{inputs}\n", encoding="ascii")


def fingerprint(study: PairStudy) -> str:
    """SHA-256 of names, sizes and times of the files of a study: other files, or changed ones, give another.

    Raises:
        OSError: a file cannot be looked at.
    """
    digest = hashlib.sha256()
    for image in (Path(study.mri), Path(study.functional)):
        for file in _files(image):
            facts = file.stat()
            digest.update(f"{file.relative_to(image.parent)}\0{facts.st_size}\0{facts.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def _files(image: Path) -> list[Path]:
    if not image.is_dir():
        return [image]
    below = (path for place in inputs_in(image) for path in (place, *place.rglob("*")))
    return sorted(path for path in below if path.is_file())

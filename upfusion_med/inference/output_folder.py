"""The folder of a result: what in it an earlier run wrote and may be replaced, and what belongs to the user."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

from upfusion_med.core import RuntimeFailure, UsageError
from upfusion_med.io import folder_contents, was_cut_short

#: Written last: where it lies, the result is whole. It lists under "files" what lies beside it.
REPORT = "report.json"
#: Files of a result.
FILES = frozenset(
    {
        *(
            f"{name}.{ending}"
            for name in ("fused_rgb", "fused_luminance", "attribution")
            for ending in ("nii.gz", "nrrd")
        ),
        "fused_multiframe.dcm",
        "luminance_map.dcm",
        "cine.gif",
        "fused.png",
        "contact_sheet.png",
        "mri_to_functional.tfm",
        REPORT,
    }
)
#: Folders of a result, with what their files are called.
FOLDERS = {
    "dicom": re.compile(r"\d{4,}\.dcm"),
    "slices_png": re.compile(r"[a-z]+_\d{4,}\.png"),
    "slices_tiff": re.compile(r"[a-z]+_\d{4,}\.tif"),
}


def check_output(folder: Path, force: bool, inputs: Iterable[object] = (), option: str = "--force") -> None:
    """Refuse a folder that holds something or can never be written, before any work is done.

    What a run left that was killed while it wrote is no hindrance.

    Args:
        folder: Where a result shall lie.
        force: The folder may hold something.
        inputs: Paths that are read; those that would be replaced are refused. Others than paths are passed over.
        option: What sets ``force``, for the message; "" where nothing does.

    Raises:
        UsageError: the folder or one above it is a file, it is not empty and ``force`` is not given, or something in
            it has the name of a file of ours, and no earlier run wrote it.
        RuntimeFailure: the folder, or the one it would be made in, cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"The output {folder} is a file; expected a folder that is empty or does not exist.")
    place = folder if folder.is_dir() else next(parent for parent in folder.absolute().parents if parent.exists())
    if not place.is_dir():
        raise UsageError(f"The output {folder} would lie in {place}, which is a file; choose another folder.")
    if not os.access(place, os.W_OK | os.X_OK | (os.R_OK if place == folder else 0)):
        raise RuntimeFailure(f"The output {folder} cannot be made: {place} cannot be written. Choose another folder.")
    if place != folder:
        return
    if not force and folder_contents(folder) and not _is_unfinished(folder):
        way_out = f"choose another one, or add {option} to write into it" if option else "choose another one"
        raise UsageError(f"The output folder {folder} is not empty; {way_out}.")
    replaced = {path.resolve() for path in written_before(folder)}
    for source in (Path(i) for i in inputs if isinstance(i, str | os.PathLike)):
        if replaced & {source.resolve(), *source.resolve().parents}:
            raise UsageError(
                f"The input {source} is a result in {folder} that would be replaced; choose another folder."
            )


def written_before(folder: Path) -> list[Path]:
    """The files and folders in a folder that an earlier run wrote; empty where there is no such folder.

    Raises:
        UsageError: something has the name of one of them and was not written by an earlier run.
    """
    found = []
    known = _known_names(folder)
    for path in folder_contents(folder) if folder.is_dir() else []:
        if path.name not in FILES and path.name not in FOLDERS:
            continue
        names = FOLDERS.get(path.name)
        foreign = [] if path.name in known and path.is_dir() == (names is not None) else [path]
        if names is not None and not foreign:
            foreign = [file for file in sorted(path.iterdir()) if not names.fullmatch(file.name)]
        if foreign:
            raise UsageError(
                f"{foreign[0]} was not written by an earlier run, and a result would take its place; move it away, or "
                "choose another folder."
            )
        found.append(path)
    return found


def _known_names(folder: Path) -> frozenset[str]:
    """Names that an earlier run wrote according to its report; all, where a run was killed before it wrote that."""
    try:
        return frozenset(json.loads((folder / REPORT).read_text(encoding="utf-8"))["files"])
    except FileNotFoundError:
        return FILES | FOLDERS.keys() if was_cut_short(folder) else frozenset()
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()


def _is_unfinished(folder: Path) -> bool:
    """Whether a folder holds nothing but parts of a result that a killed run left."""
    names = {path.name for path in folder_contents(folder)}
    return was_cut_short(folder) and REPORT not in names and names <= FILES | FOLDERS.keys()

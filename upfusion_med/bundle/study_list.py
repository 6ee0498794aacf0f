"""The studies of one run: one from the command line, or many from a MONAI datalist."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from upfusion_med.bundle.study_settings import as_path
from upfusion_med.core import InputError, UsageError

#: Bytes of a study's name: 255 is what file systems take, and while a result is written 15 more stand around it.
_LONGEST_NAME = 240


def study_list(
    mri: str | None = None,
    functional: str | None = None,
    datalist: str | None = None,
    dataset_dir: str = ".",
    section: str = "testing",
) -> list[dict[str, Any]]:
    """The studies of one run.

    Args:
        mri: One study: file or folder of the MRI.
        functional: One study: file or folder of the functional image.
        datalist: Many studies: MONAI datalist, ``{"testing": [{"mri": ..., "functional": ..., "name": ...}]}``. A study
            may carry ``settings`` of its own.
        dataset_dir: Folder that relative paths of images start from.
        section: Key of the list in the datalist.

    Returns:
        Dictionaries with ``name`` (a folder name; empty for one study), ``mri``, ``functional`` and perhaps
        ``settings``. An entry of a datalist that cannot be used has ``failure`` (the reason) instead of images, so that
        the others can be fused. Nothing was asked for: an empty list.

    Raises:
        UsageError: one image is missing, or both ways of naming studies were used.
        InputError: the datalist cannot be read, or has no studies.
    """
    root, mri, functional = Path(as_path(dataset_dir)), as_path(mri), as_path(functional)
    if datalist is None:
        if not mri and not functional:
            return []  # a configuration can be looked at without data; running it says what is missing
        if not mri or not functional:
            raise UsageError("One image is missing: give --mri FILE and --functional FILE, or --datalist FILE.")
        return [{"name": "", "mri": str(root / mri), "functional": str(root / functional)}]
    if mri or functional:
        raise UsageError("A datalist and a single study were both given; expected one of them.")
    path = Path(as_path(datalist))
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"The datalist {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise InputError(f"The datalist {path} is not JSON: {error}.") from error
    items = content.get(section) if isinstance(content, dict) else None
    if not isinstance(items, list) or not items:
        raise InputError(f'The datalist {path} has no studies under "{section}"; expected a list of them.')
    return _entries(items, root)


def _entries(items: Sequence[Any], root: Path) -> list[dict[str, Any]]:
    taken: set[str] = set()
    return [_entry(item, number, root, taken) for number, item in enumerate(items)]


def _entry(item: Any, number: int, root: Path, taken: set[str]) -> dict[str, Any]:
    place = f"study_{number:05d}"
    if not isinstance(item, dict):
        return {"name": place, "failure": f'It is {json.dumps(item)}; expected {{"mri": ..., "functional": ...}}.'}
    lacking = [key for key in ("mri", "functional") if not isinstance(item.get(key), str) or not item[key]]
    # Without a name of its own a study is called after its images too: another one in its place is not "done".
    images = [str(item.get(key)) for key in ("mri", "functional")]
    name = str(item.get("name") or f"{place}_{hashlib.sha256(json.dumps(images).encode()).hexdigest()[:8]}")
    if lacking:
        return {"name": name, "failure": f"Its entry in the datalist lacks {' and '.join(lacking)}; expected a path."}
    if Path(name).name != name or name in (".", ".."):
        return {"name": place, "failure": f"Its name '{name}' is no folder name; expected one without / and dots."}
    if len(name.encode(errors="surrogatepass")) > _LONGEST_NAME:
        return {"name": place, "failure": f"Its name '{name}' is too long for a folder; expected {_LONGEST_NAME} bytes "
                "or fewer."}  # fmt: skip
    if name in taken:
        return {"name": name, "failure": f"Its name '{name}' is that of an earlier study; expected one of its own."}
    settings = item.get("settings") or {}
    if not isinstance(settings, dict):
        return {"name": name, "failure": f"Its settings are {json.dumps(settings)}; expected an object."}
    taken.add(name)
    return {"name": name, "mri": str(root / item["mri"]), "functional": str(root / item["functional"]),
            "settings": settings}  # fmt: skip

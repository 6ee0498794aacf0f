"""Studies as MONAI data: lists of them, loading and preparing, colouring and saving."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import Transform
from torch.utils.data import Dataset

from upfusion_med.core import (
    Blend,
    Device,
    FuseSettings,
    InputError,
    Modality,
    OutputFormat,
    Pooling,
    Registering,
    SliceAxis,
    UpFusionError,
    UsageError,
    Volume,
)
from upfusion_med.inference.fusion import Study, finish, read_study

log = logging.getLogger(__name__)

_ENUMS: Mapping[str, Callable[[str], Any]] = {
    "modality": Modality,
    "device": Device,
    "axis": SliceAxis,
    "pooling": Pooling,
    "register": Registering,
    "blend": Blend,
}
#: Written last into the folder of a study: where it lies, the study is done.
DONE_FILE = "report.json"


def fuse_settings(values: Mapping[str, Any]) -> FuseSettings:
    """Settings from JSON values: enums by their words, pairs as lists; None keeps a default.

    Raises:
        UsageError: an unknown setting or word.
    """
    known = {field.name for field in fields(FuseSettings)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise UsageError(f"There is no setting {', '.join(unknown)}; expected some of {', '.join(sorted(known))}.")
    given: dict[str, Any] = {}
    for name, value in values.items():
        if value is None:
            continue
        try:
            given[name] = _ENUMS[name](value) if name in _ENUMS else tuple(value) if isinstance(value, list) else value
        except ValueError as error:
            raise UsageError(f"The setting {name} is '{value}', which is no {name}.") from error
    return FuseSettings(**given)


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
        dataset_dir: Folder that relative paths start from.
        section: Key of the list in the datalist.

    Returns:
        Dictionaries with ``name`` (unique, a folder name), ``mri``, ``functional`` and perhaps ``settings``.

    Raises:
        UsageError: one image is missing, or both ways of naming studies were used.
        InputError: the datalist cannot be used; every study that is wrong is named.
    """
    root = Path(dataset_dir)
    if datalist is None:
        if not mri and not functional:
            return []  # a configuration can be looked at without data; running it says what is missing
        if not mri or not functional:
            raise UsageError("One image is missing: give --mri FILE and --functional FILE, or --datalist FILE.")
        return [{"name": "", "mri": str(root / mri), "functional": str(root / functional)}]
    if mri or functional:
        raise UsageError("A datalist and a single study were both given; expected one of them.")
    path = Path(datalist)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"The datalist {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise InputError(f"The datalist {path} is not JSON: {error}.") from error
    items = content.get(section) if isinstance(content, dict) else None
    if not isinstance(items, list) or not items:
        raise InputError(f'The datalist {path} has no studies under "{section}"; expected a list of them.')
    return _checked(items, root, path)


def _checked(items: Sequence[Any], root: Path, path: Path) -> list[dict[str, Any]]:
    wrong, names, studies = [], set(), []
    for number, item in enumerate(items):
        lacking = [k for k in ("mri", "functional") if not isinstance(item, dict) or not item.get(k)]
        if lacking:
            wrong.append(f"study {number} lacks {' and '.join(lacking)}")
            continue
        name = str(item.get("name") or f"study_{number:05d}")
        if name in names or Path(name).name != name or name in (".", ".."):
            wrong.append(f"study {number} has the name '{name}', which is taken or is no folder name")
            continue
        names.add(name)
        given = {k: str(root / item[k]) for k in ("mri", "functional")}
        studies.append({"name": name, **given, "settings": dict(item.get("settings") or {})})
    if wrong:
        raise InputError(f"The datalist {path} cannot be used: {'; '.join(wrong[:10])}.")
    return studies


class StudyDataset(Dataset[dict[str, Any]]):
    """Studies one by one; one that cannot be loaded becomes a failure instead of the end of the run.

    Args:
        data: From `study_list`.
        transform: Applied to each study.
        output_dir: Studies that are done there (their report exists) are left out, so that a run can be resumed.
        redo: Do all studies again.
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        transform: Callable[[dict[str, Any]], dict[str, Any]],
        output_dir: str | None = None,
        redo: bool = False,
    ) -> None:
        self.all = [dict(item) for item in data]
        self.transform = transform
        done = Path(output_dir) if output_dir is not None and not redo else None
        self.data = [s for s in self.all if done is None or not (done / s.get("name", "") / DONE_FILE).is_file()]

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The transformed study, or ``name`` and ``failure``."""
        item = dict(self.data[index])
        try:
            return self.transform(item)
        except Exception as error:
            return {"name": item.get("name", ""), "failure": reason_of(error)}


def reason_of(error: BaseException) -> str:
    """Why a study failed: the message of this package's error that lies behind MONAI's, or of the error itself."""
    behind: BaseException | None = error
    while behind is not None:
        if isinstance(behind, UpFusionError):
            return str(behind)
        behind = behind.__cause__
    log.error("Unexpected error.", exc_info=error)
    return f"{type(error).__name__}: {error}"


class LoadStudyd(Transform):
    """Read and prepare a study: DICOM, NIfTI, NRRD, MHA or pictures; SUV, alignment, windows, colour.

    It adds ``study`` (`upfusion_med.inference.fusion.Study`) and ``image``, a MetaTensor (2, X, Y, Z) in 0..1 on the
    MRI's grid: what the network sees of the functional image and of the MRI. The affine is RAS+ millimetres.

    Args:
        settings: As `fuse_settings` takes them; a study's own ``settings`` come on top.
    """

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        self.settings = dict(settings or {})

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Add ``study`` and ``image``."""
        if "study" in data:  # in memory already
            study: Study = data["study"]
        else:
            settings = fuse_settings({**self.settings, **(data.get("settings") or {})})
            study = read_study(_source(data["mri"]), _source(data["functional"]), settings)
        image = np.stack([study.prepared.functional, study.display_mri])
        return {
            **data,
            "study": study,
            "image": MetaTensor(torch.from_numpy(image), affine=torch.from_numpy(study.mri.affine.copy())),
        }


def _source(value: Any) -> Any:
    """A path as it is; a (1, X, Y, Z) tensor in memory as a volume, at the place of its affine (identity without)."""
    if not isinstance(value, torch.Tensor):
        return value
    if value.ndim != 4 or value.shape[0] != 1:
        raise InputError(f"An image in memory has shape {tuple(value.shape)}; expected (1, X, Y, Z).")
    affine = np.asarray(value.affine, np.float64) if isinstance(value, MetaTensor) else np.eye(4)
    array = np.array(torch.as_tensor(value)[0].cpu().numpy(), np.float32)
    meta = value.meta if isinstance(value, MetaTensor) else {}
    return Volume(array, affine, str(meta.get("units", "")), Modality(meta.get("modality", "unknown")))


class FinishStudyd(Transform):
    """Colours and report of a fused luminance: adds ``fusion``, an `upfusion_med.inference.FusionResult`."""

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Uses ``study``, ``pred`` (1, 1, X, Y, Z) and ``network`` (facts for the report)."""
        luminance = np.ascontiguousarray(torch.as_tensor(data["pred"])[0, 0].cpu().numpy())
        return {**data, "fusion": finish(data["study"], luminance, data.get("network") or {})}


class SaveStudyd(Transform):
    """Write ``fusion`` into a folder of the study's name; whole or not at all.

    Args:
        output_dir: Where to; None: nothing is written.
        formats: Words of `upfusion_med.core.OutputFormat`.
        deidentify: Remove what identifies the patient from DICOM output.
        redo: Replace what an earlier run wrote.
    """

    def __init__(
        self,
        output_dir: str | None,
        formats: Sequence[str] = ("nifti", "nrrd", "png"),
        deidentify: bool = False,
        redo: bool = False,
    ) -> None:
        try:
            self.formats = tuple(OutputFormat(word) for word in formats)
        except ValueError as error:
            known = ", ".join(f.value for f in OutputFormat)
            raise UsageError(f"The formats {list(formats)} are not all known; expected some of {known}.") from error
        self.output_dir, self.deidentify, self.redo = output_dir, deidentify, redo

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Adds ``files``, the written paths."""
        if self.output_dir is None:
            return dict(data)
        folder = Path(self.output_dir) / data.get("name", "")
        files = data["fusion"].save(folder, self.formats, force=self.redo, deidentify=self.deidentify)
        return {**data, "files": [str(file) for file in files]}

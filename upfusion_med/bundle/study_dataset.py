"""Studies as a data set from which one bad study does not drop out with the rest."""

from __future__ import annotations

import copyreg
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from torch.utils.data import Dataset

from upfusion_med.bundle.study_settings import as_bool, as_path
from upfusion_med.core import InputError, RuntimeFailure, UpFusionError
from upfusion_med.inference.output_folder import REPORT, check_output

log = logging.getLogger(__name__)


def _read_only(values: Mapping[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(dict(values))


# Volumes keep their notes in a read-only view, which Python does not send to other processes by itself.
copyreg.pickle(MappingProxyType, lambda view: (_read_only, (dict(view),)))


@dataclass(frozen=True)
class Failure:
    """Why a study was not fused, and who has to act (exit code: 2 the call, 3 the input, 4 the machine)."""

    reason: str
    exit_code: int


def failure_of(error: BaseException) -> Failure:
    """The error of this package that lies behind MONAI's, or else the first one of all."""
    first = error
    while not isinstance(first, UpFusionError) and first.__cause__ is not None:
        first = first.__cause__
    if isinstance(first, UpFusionError):
        return Failure(str(first), first.exit_code)
    log.error("Unexpected error.", exc_info=error)
    if isinstance(first, MemoryError):
        return Failure(f"There is not enough memory for it ({first or 'all is taken'}).", RuntimeFailure.exit_code)
    return Failure(f"{type(first).__name__}: {first}", UpFusionError.exit_code)


class StudyDataset(Dataset[dict[str, Any]]):
    """Studies one by one; one that cannot be loaded becomes a `Failure` instead of the end of the run.

    Args:
        data: From `study_list`.
        transform: Applied to each study.
        output_dir: Where results will be written; empty or None: nowhere. Named studies that are done there (their
            report, which is written last, exists) are left out, so that a run can be resumed; a place that cannot be
            written is found before any work is done.
        redo: Do all studies again; a truth value, or the word for it.
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        transform: Callable[[dict[str, Any]], dict[str, Any]],
        output_dir: str | None = None,
        redo: bool | str = False,
    ) -> None:
        self.transform, self.redo = transform, as_bool("redo", redo)
        place = as_path(output_dir)
        self.output_dir = Path(place) if place else None
        studies = [dict(item) for item in data]
        done = [self.is_done(study) for study in studies]
        self.data = [study for study, is_done in zip(studies, done, strict=True) if not is_done]
        #: Names of the studies that an earlier run did.
        self.done = [study["name"] for study, is_done in zip(studies, done, strict=True) if is_done]

    def is_done(self, study: Mapping[str, Any]) -> bool:
        """Whether a named study has a result by now; with ``redo`` none has."""
        name = study.get("name")
        if self.output_dir is None or self.redo or not name or "failure" in study:
            return False
        return (self.output_dir / name / REPORT).is_file()

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The transformed study, or ``name`` and ``failure``, or ``name`` and ``done`` (by another run, meanwhile)."""
        item = dict(self.data[index])
        name = item.get("name", "")
        if "failure" in item:
            return {"name": name, "failure": Failure(item["failure"], InputError.exit_code)}
        if self.is_done(item):
            return {"name": name, "done": True}
        try:
            if self.output_dir is not None:
                inputs = (item.get("mri"), item.get("functional"))
                check_output(self.output_dir / name, self.redo, inputs, "--redo True")
            return self.transform(item)
        except Exception as error:
            return {"name": name, "failure": failure_of(error)}

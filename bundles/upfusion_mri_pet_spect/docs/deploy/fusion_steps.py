"""What the operators of the example do; needs upfusion-med and no SDK. Not for diagnostic use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from upfusion_med.core import FuseSettings, InputError, OutputFormat
from upfusion_med.inference import fuse
from upfusion_med.inference.result import FusionResult
from upfusion_med.io import SeriesSummary, describe_study


@dataclass(frozen=True)
class Selection:
    """The two series of a study that are fused.

    Attributes:
        study: The DICOM folder.
        mri: Key of the MR series, as `upfusion inspect` lists it.
        functional: Key of the functional series.
    """

    study: Path
    mri: str
    functional: str


def select_series(study: Path, rules: Mapping[str, Any]) -> Selection:
    """Choose the two series by rules in the form of MONAI Deploy's series selector.

    Args:
        study: DICOM folder, any file names, any number of series.
        rules: ``{"selections": [{"name": "mri" or "functional", "conditions": {...}}, ...]}``. A condition is a regular
            expression on ``Modality``, ``SeriesDescription`` or ``Orientation``. Several selections of one name are
            tried in their order; the first that fits any series decides.

    Raises:
        InputError: no series or several fit a name; the message lists what is there.
    """
    series = describe_study(study).series
    return Selection(study, *(_one(series, rules["selections"], name).key for name in ("mri", "functional")))


def _one(series: Sequence[SeriesSummary], selections: Sequence[Mapping[str, Any]], name: str) -> SeriesSummary:
    for selection in selections:
        if selection["name"] != name:
            continue
        found = [s for s in series if not s.problem and _fits(s, selection["conditions"])]
        if len(found) == 1:
            return found[0]
        if found:
            raise InputError(
                f"{len(found)} series fit the rule for '{name}': {_listed(found)}; expected one. Narrow it."
            )
    raise InputError(f"No series fits the rules for '{name}'; the study holds {_listed(series)}.")


def _fits(series: SeriesSummary, conditions: Mapping[str, str]) -> bool:
    values = {
        "Modality": series.modality,
        "SeriesDescription": series.description,
        "Orientation": series.orientation,
    }
    return all(re.search(pattern, values[field]) for field, pattern in conditions.items())


def _listed(series: Sequence[SeriesSummary]) -> str:
    return ", ".join(f"{s.modality} '{s.description}'" for s in series)


def fuse_series(selection: Selection, settings: FuseSettings | None = None) -> FusionResult:
    """Fuse the two series.

    Raises:
        InputError: what `upfusion fuse` refuses, with its reason.
    """
    chosen = replace(settings or FuseSettings(), mri_series=selection.mri, functional_series=selection.functional)
    return fuse(selection.study, selection.study, chosen)


def write_captures(result: FusionResult, output: Path) -> list[Path]:
    """Write the Secondary Capture series (``dicom/``), the contact sheet and the report.

    Raises:
        UsageError: the folder is not empty.
        RuntimeFailure: it cannot be written.
    """
    return result.save(output, (OutputFormat.DICOM, OutputFormat.PNG))

"""What was done to a study, as plain JSON: enough to repeat it, nothing about the patient."""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath
from typing import Any

import numpy as np

from upfusion_med import __version__
from upfusion_med.core import NOT_FOR_DIAGNOSTIC_USE, FuseSettings, Volume
from upfusion_med.inference.modality_choice import ModalityChoice
from upfusion_med.io import SourceStudy

#: Packages whose version can change a result.
_PACKAGES = ("numpy", "scipy", "pydicom", "SimpleITK", "nibabel")
_UID = re.compile(r"\d+(\.\d+){3,}")


def geometry_facts(volume: Volume) -> dict[str, Any]:
    """Shape, spacing, orientation and affine of a volume."""
    grid = volume.geometry
    return {
        "shape": list(grid.shape),
        "spacing_mm": [round(s, 6) for s in grid.spacing_mm],
        "orientation": "".join(grid.axis_codes),
        "affine_ras_mm": grid.affine.tolist(),
        "units": volume.units,
        "colour": volume.is_rgb,
        "picture": volume.is_picture,
        "notes": plain(volume.notes),
    }


def build_report(
    settings: FuseSettings,
    choice: ModalityChoice,
    facts: Mapping[str, Any],
    backend: Mapping[str, Any],
    mri: Volume,
    functional: Volume,
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """The report of one fusion, ready for ``json.dumps``."""
    warnings = list(facts["warnings"])
    if not choice.certain:
        warnings.append(f"Modality {choice.modality.value}: {choice.reason}. State it with --modality to be sure.")
    if choice.doubt:
        warnings.append(f"Modality {choice.modality.value}: {choice.reason}, but {choice.doubt}; check --modality.")
    return {
        "notice": NOT_FOR_DIAGNOSTIC_USE,
        "software": {"upfusion_med": __version__, "python": platform.python_version(), **_versions()},
        "network": dict(backend),
        "settings": settings_facts(settings),
        "modality": {"value": choice.modality.value, "how": choice.reason},
        "alignment": plain(facts["alignment"]),
        "bias_correction": facts["bias_correction"],
        "windows": {"mri": plain(facts["mri_window"]), "functional": plain(facts["functional_window"])},
        "colour": facts["colour"],
        "functional_colours": facts.get("functional_colours"),
        "mri_brightness": facts["mri_brightness"],
        "functional_inside_field_of_view": round(facts["functional_inside_field_of_view"], 6),
        "mri": geometry_facts(mri),
        "functional": geometry_facts(functional),
        "uids": {name: uids(study, as_they_are=settings.report_uids) for name, study in facts["uids"].items()},
        "seconds": dict(seconds),
        "warnings": warnings,
    }


def uids(study: SourceStudy | None, *, as_they_are: bool) -> dict[str, str] | None:
    """UIDs of a DICOM series, hashed unless asked for; None where there was no DICOM.

    A hash tells whether two reports are about one series; it does not lead to it.
    """
    if study is None or not study.series_instance_uid:
        return None
    found = {
        "study_instance": study.study_instance_uid,
        "series_instance": study.series_instance_uid,
        "frame_of_reference": study.frame_of_reference_uid,
    }
    return found if as_they_are else {name: _hashed(uid) for name, uid in found.items()}


def settings_facts(settings: FuseSettings) -> dict[str, Any]:
    """What the user chose, without folders (their names can be those of patients) and with hashed UIDs."""
    facts: dict[str, Any] = plain(asdict(settings))
    facts["model"] = PurePath(settings.model).name
    facts["transform"] = None if settings.transform is None else f"a {PurePath(settings.transform).suffix} file"
    if not settings.report_uids:
        for name in ("mri_series", "functional_series"):
            chosen = facts[name]
            facts[name] = _hashed(chosen) if chosen is not None and _UID.fullmatch(chosen) else chosen
    return facts


def _hashed(uid: str) -> str:
    return f"sha256:{hashlib.sha256(uid.encode()).hexdigest()[:16]}"


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package.lower()] = version(package)
        except PackageNotFoundError:
            continue  # a frozen build has no metadata
    return found


def plain(value: Any) -> Any:
    """``value`` in JSON's own types."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)

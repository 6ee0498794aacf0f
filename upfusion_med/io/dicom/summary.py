"""What a study holds, for listings and for the choice of a series."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from upfusion_med.core import RAS_FROM_LPS, Geometry, InputError, Modality
from upfusion_med.io.dicom.enhanced_pet import enhanced_units
from upfusion_med.io.dicom.header import uid_digest
from upfusion_med.io.dicom.scan import open_study
from upfusion_med.io.dicom.stack import Stack, find_stacks, patient_digest
from upfusion_med.io.dicom.suv import suv_scale
from upfusion_med.io.units import ACTIVITY_UNITS, ARBITRARY_UNITS, COUNT_UNITS, HOUNSFIELD_UNITS, SUV_UNITS

_PLANES = {"S": "axial", "I": "axial", "R": "sagittal", "L": "sagittal", "A": "coronal", "P": "coronal"}
#: Cosine of the slice normal with its closest axis below which a stack is called oblique (about 2.5 degrees).
_OBLIQUE = 0.999


@dataclass(frozen=True)
class SeriesSummary:
    """One volume of a study, as a listing shows it. Holds no name, number or date of the patient.

    Attributes:
        key: What ``series=`` takes to choose it.
        modality: DICOM modality as the file states it, such as ``PT``.
        description: Series Description.
        number: Series Number, or None.
        part: What tells it from other volumes of the same series; empty when it is the only one.
        images: Number of slices over all frames.
        size: Columns, rows, slices of one frame; None when it could not be sorted.
        frames: Number of volumes in time (1 for a plain volume).
        frame_name: What separates the frames; empty for one frame.
        spacing_mm: Along columns, rows and slices; None when there is no grid.
        orientation: ``axial``, ``sagittal`` or ``coronal``, with ``oblique`` before it where it applies.
        axis_codes: Anatomical directions that the three index axes grow to, such as ``LPS``.
        series_digest: Short digest of the Series Instance UID.
        frame_of_reference: Short digest of the Frame of Reference UID; equal digests mean one space.
        units: Unit of the values as stored.
        suv: For PET, the rule of its conversion to SUV or why there is none; empty for other modalities.
        is_suv_possible: Whether PET can be converted.
        problem: Why it is no volume; empty when it is one.
        warnings: What was put up with.
    """

    key: str
    modality: str
    description: str
    number: int | None
    part: str
    images: int
    size: tuple[int, int, int] | None
    frames: int
    frame_name: str
    spacing_mm: tuple[float, float, float] | None
    orientation: str
    axis_codes: str
    series_digest: str
    frame_of_reference: str
    units: str
    suv: str
    is_suv_possible: bool
    problem: str
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class StudySummary:
    """What a DICOM file, folder or archive holds.

    Attributes:
        series: Its volumes.
        other_objects: Kinds of DICOM objects without pixels, such as reports.
        problems: Sentences about files that cannot be read; while there are any, nothing can be loaded.
        patients: How many different patients its images are of; of several, a series must be chosen.
    """

    series: tuple[SeriesSummary, ...]
    other_objects: tuple[str, ...]
    problems: tuple[str, ...]
    patients: int


def describe_study(path: str | os.PathLike[str]) -> StudySummary:
    """What a DICOM file, folder or zip archive holds, without reading any pixels.

    Raises:
        InputError: there is no DICOM image at the path.
    """
    with open_study(path) as study:
        stacks = find_stacks(study.images, study.shown)
        patients = len({patient_digest(header) for header in study.images})
        return StudySummary(tuple(summary_of(stack) for stack in stacks), study.others, study.problems, patients)


def list_series(path: str | os.PathLike[str]) -> list[SeriesSummary]:
    """The volumes of a DICOM file, folder or zip archive; see `describe_study`."""
    return list(describe_study(path).series)


def stored_units(stack: Stack) -> str:
    """The unit of the rescaled values of a volume, before any conversion to SUV."""
    first = stack.series.first
    if stack.series.modality is Modality.CT:
        return HOUNSFIELD_UNITS if first.text("RescaleType").upper() in ("", "HU") else first.text("RescaleType")
    if stack.series.modality is Modality.SPECT:
        return COUNT_UNITS
    if stack.series.modality is Modality.PET:
        units = first.text("Units").upper()
        if not units and stack.frames and stack.frames[0][0].frame is not None:
            return enhanced_units(stack.frames[0][0])
        if units == "GML" and first.text("SUVType").upper() in ("", "BW"):
            return SUV_UNITS
        names = {
            "BQML": ACTIVITY_UNITS,
            "CNTS": COUNT_UNITS,
            "GML": f"SUV ({first.text('SUVType')})",
            "CM2ML": "SUV (BSA)",
        }
        return names.get(units, units or ARBITRARY_UNITS)
    return ARBITRARY_UNITS


def summary_of(stack: Stack) -> SeriesSummary:
    """The summary of one volume."""
    first = stack.series.first
    planes = stack.frames[0] if stack.frames else ()
    geometry = None
    if stack.geometry is not None:
        size = (planes[0].columns, planes[0].rows, len(planes))
        geometry = Geometry(size, RAS_FROM_LPS @ stack.geometry.affine_lps)
    suv, possible, suv_warnings = _suv_of(stack)
    return SeriesSummary(
        key=stack.key,
        modality=_safe(lambda: first.text("Modality")),
        description=_safe(lambda: first.text("SeriesDescription")),
        number=series_number(stack),
        part=stack.part,
        images=sum(len(frame) for frame in stack.frames) or len(stack.series.headers),
        size=(planes[0].columns, planes[0].rows, len(planes)) if planes else None,
        frames=max(1, len(stack.frames)),
        frame_name=stack.frame_name,
        spacing_mm=geometry.spacing_mm if geometry else None,
        orientation=_orientation(geometry) if geometry else "",
        axis_codes="".join(geometry.axis_codes) if geometry else "",
        series_digest=_safe(lambda: uid_digest(first.text("SeriesInstanceUID"))),
        frame_of_reference=_safe(lambda: uid_digest(first.text("FrameOfReferenceUID"))),
        units=_safe(lambda: stored_units(stack)),
        suv=suv,
        is_suv_possible=possible,
        problem=stack.problem,
        warnings=stack.series.warnings + (stack.geometry.warnings if stack.geometry else ()) + suv_warnings,
    )


def _suv_of(stack: Stack) -> tuple[str, bool, tuple[str, ...]]:
    """The rule or why there is none, whether there is one, and what it puts up with."""
    if stack.series.modality is not Modality.PET or not stack.frames:
        return "", False, ()
    try:
        scale = suv_scale(stack.frames[0], stack.series.headers)
    except InputError as error:
        return f"not possible: {error}", False, ()
    return scale.rule, True, scale.warnings


def _orientation(geometry: Geometry) -> str:
    normal = geometry.affine[:3, 2] / geometry.spacing_mm[2]
    name = _PLANES[geometry.axis_codes[2]]
    return name if float(abs(normal).max()) >= _OBLIQUE else f"oblique {name}"


def series_number(stack: Stack) -> int | None:
    """Series Number, or None where it is absent or malformed."""
    try:
        return stack.series.first.count("SeriesNumber")
    except InputError:
        return None


def _safe(read: Callable[[], str]) -> str:
    try:
        return read()
    except InputError:
        return "unreadable"

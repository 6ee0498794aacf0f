"""The images that a fusion was made from: what its DICOM output takes over from them, and how it refers to them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from upfusion_med.core import RAS_FROM_LPS, FrameChoice, Geometry, InputError, Modality, UsageError
from upfusion_med.io.dicom.choice import choose_stack
from upfusion_med.io.dicom.header import Header
from upfusion_med.io.dicom.plane import Plane
from upfusion_med.io.dicom.scan import Study, open_study
from upfusion_med.io.dicom.stack import Stack, find_stacks
from upfusion_med.io.dicom.study_elements import OPTIONAL, REQUIRED, clean_elements, clean_text, raw_elements
from upfusion_med.io.file_kind import FileKind, describe_kind
from upfusion_med.io.frames import FrameChoiceError, check_frame
from upfusion_med.io.slice_stack import SliceStack, normal_of

#: Part of a slice step by which two planes may miss each other and still count as one.
_SAME_PLACE = 1e-3
_LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")


@dataclass(frozen=True)
class SliceReference:
    """One stored slice.

    Attributes:
        sop_class_uid: SOP Class UID of its file.
        sop_instance_uid: SOP Instance UID of its file.
        frame: Its number in the file from 1; None for a file of one frame.
        height_mm: Where it lies along the normal of its stack.
    """

    sop_class_uid: str
    sop_instance_uid: str
    frame: int | None
    height_mm: float


@dataclass(frozen=True, eq=False)
class SourceStudy:
    """A series and the study it belongs to.

    Attributes:
        study_instance_uid: Of the study.
        frame_of_reference_uid: The space of the patient.
        series_instance_uid: Of the series; empty when there was no DICOM.
        modality: As the file states it, such as ``MR``; empty when there was no DICOM.
        elements: Patient and study elements by keyword, valid; never shown.
        slices: The slices in the order of the volume that the reader gives (slice axis last).
        grid: Voxels of the volume that the reader gives; None when there was no DICOM.
        orientation: Cosines of row and column direction (LPS); None when there was no DICOM.
        step_mm: Distance between slices; None when there was no DICOM.
        thickness_mm: Slice Thickness, or None.
        series_numbers: Series numbers that are in use in the study, as far as its files were seen.
        lossy: Compression ratio and method (may be empty) where the pixels were compressed with loss, or None.
    """

    study_instance_uid: str
    frame_of_reference_uid: str
    series_instance_uid: str = ""
    modality: str = ""
    elements: Mapping[str, Any] = field(default_factory=dict, repr=False)
    slices: tuple[SliceReference, ...] = field(default=(), repr=False)
    grid: Geometry | None = None
    orientation: tuple[float, ...] | None = None
    step_mm: float | None = None
    thickness_mm: float | None = None
    series_numbers: frozenset[int] = frozenset()
    lossy: tuple[str, ...] | None = None

    def is_same_patient(self, other: SourceStudy) -> bool:
        """Whether nothing says that the other study is of another patient.

        Patient IDs say it, or, where one is empty, names and birth dates. What is empty in one of the two says nothing.
        """
        ids, names, births = (
            [str(study.elements.get(keyword, "")) for study in (self, other)]
            for keyword in ("PatientID", "PatientName", "PatientBirthDate")
        )
        if all(ids):
            return ids[0] == ids[1]
        names = [name.rstrip("^= ") for name in names]  # empty components may be written or not
        return all(first == second or not (first and second) for first, second in (names, births))

    def near(self, stack: SliceStack, number: int, *, in_same_space: bool = True) -> tuple[SliceReference, ...]:
        """The slices that a linear interpolation onto one slice of ``stack`` draws from.

        Args:
            stack: Output slices.
            number: Which of them.
            in_same_space: Whether positions can be compared; if not, every slice is given.
        """
        if self.orientation is None or self.step_mm is None or not in_same_space:
            return self.slices
        columns, rows = stack.pixels.shape[2] - 1, stack.pixels.shape[1] - 1
        corners = np.array([(c, r, number, 1.0) for c in (0, columns) for r in (0, rows)]).T
        heights = normal_of(self.orientation) @ (stack.affine_lps @ corners)[:3]
        reach = self.step_mm * (1 - _SAME_PLACE)
        low, high = float(heights.min()) - reach, float(heights.max()) + reach
        return tuple(s for s in self.slices if low < s.height_mm < high)

    def has_planes_of(self, stack: SliceStack) -> bool:
        """Whether the slices of ``stack`` are parallel to these and as far apart."""
        if self.orientation is None or self.step_mm is None:
            return False
        aligned = float(normal_of(self.orientation) @ stack.normal)
        return aligned > 1 - 1e-6 and abs(stack.spacing_mm[2] - self.step_mm) < _SAME_PLACE * self.step_mm


def read_source_study(
    path: str | os.PathLike[str],
    *,
    series: str | None = None,
    modality: Modality | str | None = None,
    frame: FrameChoice = None,
) -> SourceStudy | None:
    """What DICOM output needs to know about an image that was loaded from ``path``; reads no pixels.

    Args:
        path: What was given to `load_volume`.
        series: The same choice of a series.
        modality: The same modality.
        frame: The same choice of a frame; for ``"mean"`` the slices of all frames are referred to.

    Returns:
        The study, or None where the path is no DICOM.

    Raises:
        InputError: as `read_dicom`.
        UsageError: ``series`` or ``frame`` does not exist.
    """
    if describe_kind(path) is not FileKind.DICOM:
        return None
    with open_study(path) as study:
        stack = choose_stack(
            find_stacks(study.images, study.shown), study, series, None if modality is None else Modality(modality)
        )
        return source_study_of(stack, study, frame)


def source_study_of(stack: Stack, study: Study, frame: FrameChoice) -> SourceStudy:
    """The facts about a stack that was chosen; see `read_source_study`."""
    if stack.geometry is None:
        raise InputError(stack.problem)
    plane = stack.frames[0][0]
    first = plane.header
    raw = raw_elements(first.path, "StudyInstanceUID", "SliceThickness", *_LOSSY)
    return SourceStudy(
        study_instance_uid=_uid_or_new(str(raw.get("StudyInstanceUID", ""))),
        frame_of_reference_uid=_uid_or_new(first.text("FrameOfReferenceUID")),
        series_instance_uid=_uid_or_new(first.text("SeriesInstanceUID")),
        modality=clean_text("Modality", first.text("Modality")),
        elements=clean_elements(raw),
        slices=_references(stack, frame, study.shown),
        grid=Geometry((plane.columns, plane.rows, len(stack.frames[0])), RAS_FROM_LPS @ stack.geometry.affine_lps),
        orientation=plane.orientation,
        step_mm=float(np.linalg.norm(stack.geometry.affine_lps[:3, 2])),
        thickness_mm=_thickness(raw.get("SliceThickness"), first),
        series_numbers=frozenset(n for n in map(_series_number, study.images) if n is not None),
        lossy=_lossy(raw),
    )


def new_source_study(elements: Mapping[str, str] | None = None) -> SourceStudy:
    """A study of its own, for images that did not come from DICOM: new Study UID, new frame of reference.

    Args:
        elements: Patient and study elements by keyword, such as ``{"PatientID": "P07"}``; the rest is left empty.

    Raises:
        UsageError: a keyword is none of those elements, or its value is not valid.
    """
    given = dict(elements or {})
    unknown = sorted(set(given) - {*REQUIRED, *OPTIONAL})
    if unknown:
        raise UsageError(
            f"The element {unknown[0]} cannot be given; expected one of {', '.join((*REQUIRED, *OPTIONAL))}."
        )
    cleaned = clean_elements(given)
    for keyword, value in given.items():
        if cleaned.get(keyword, "") != value:
            raise UsageError(f"The value of {keyword} is not valid in DICOM (type or length); give another one.")
    return SourceStudy(_uid_or_new(""), _uid_or_new(""), elements=cleaned)


def new_uid() -> str:
    """A UID that no other object has, made from a random UUID (PS3.5 B.2), so that no organisation is named by it."""
    from pydicom.uid import generate_uid

    return str(generate_uid(prefix=None))


def _uid_or_new(text: str) -> str:
    return text if _is_uid(text) else new_uid()


def _is_uid(text: str) -> bool:
    from pydicom.config import IGNORE
    from pydicom.uid import UID

    return bool(text) and UID(text, validation_mode=IGNORE).is_valid


def _references(stack: Stack, frame: FrameChoice, shown: str) -> tuple[SliceReference, ...]:
    frames = stack.frames
    if frame is not None and frame != "mean":
        check_frame(frame, len(frames), shown)
        frames = (frames[int(frame)],)
    elif frame is None and len(frames) > 1:
        raise FrameChoiceError(
            f"Series {stack.key} of {shown} is a series of {len(frames)} volumes; expected the choice of one. "
            "Give the same frame as for loading.",
            len(frames),
        )
    found = (_reference(plane) for planes in frames for plane in planes)
    return tuple(reference for reference in found if reference is not None)


def _reference(plane: Plane) -> SliceReference | None:
    sop_class, instance = str(plane.header.sop_class), plane.header.text("SOPInstanceUID")
    if not (_is_uid(sop_class) and _is_uid(instance)) or plane.position_mm is None or plane.orientation is None:
        return None
    height = float(normal_of(plane.orientation) @ np.array(plane.position_mm))
    return SliceReference(sop_class, instance, None if plane.frame is None else plane.frame + 1, height)


def _thickness(raw: Any, header: Header) -> float | None:
    """Slice Thickness of the file, or of all frames of a multi-frame file; None when it is no positive number."""
    try:
        shared = header.item("SharedFunctionalGroupsSequence")
        measures = shared.item("PixelMeasuresSequence") if shared is not None else None
        thickness = measures.number("SliceThickness") if measures is not None else float(raw)
    except (InputError, TypeError, ValueError):
        return None
    return thickness if thickness is not None and np.isfinite(thickness) and thickness > 0 else None


def _lossy(raw: Mapping[str, Any]) -> tuple[str, ...] | None:
    if clean_text(_LOSSY[0], raw.get(_LOSSY[0])) != "01":
        return None
    return tuple(clean_text(keyword, raw.get(keyword)) for keyword in _LOSSY[1:])


def _series_number(header: Header) -> int | None:
    try:
        return header.count("SeriesNumber")
    except InputError:
        return None

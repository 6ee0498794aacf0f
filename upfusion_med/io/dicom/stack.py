"""Sorting the slices of a series into the volumes that they make."""

from __future__ import annotations

import filecmp
from collections.abc import Iterable
from dataclasses import dataclass, replace

from upfusion_med.core import InputError, Modality
from upfusion_med.io.dicom import sop_class
from upfusion_med.io.dicom.geometry import StackGeometry, capitalised, goes_on_at, stack_geometry
from upfusion_med.io.dicom.header import Header, uid_digest
from upfusion_med.io.dicom.multiframe import enhanced_planes
from upfusion_med.io.dicom.no_volume import NoVolumeError
from upfusion_med.io.dicom.nuclear import nuclear_planes
from upfusion_med.io.dicom.partition import frames_of, labels, missing_in_frames, separate
from upfusion_med.io.dicom.plane import Plane, single_plane


@dataclass(frozen=True, eq=False)
class Series:
    """The files with one Series Instance UID.

    Attributes:
        headers: Their headers.
        modality: By SOP class and Modality tag together.
        warnings: What was noticed about the series as a whole.
    """

    headers: tuple[Header, ...]
    modality: Modality
    warnings: tuple[str, ...] = ()

    @property
    def first(self) -> Header:
        """The header that speaks for the series."""
        return self.headers[0]


@dataclass(frozen=True, eq=False)
class Stack:
    """One volume (or one time series of volumes) of a series: what can be chosen.

    Attributes:
        key: Its name in a listing, such as ``s2`` or ``s2b``.
        series: Where it belongs.
        part: What tells it from the other volumes of the same series; empty when it is the only one.
        frames: Slices of each frame, sorted along the normal; empty when the series could not be sorted.
        frame_values: Value of each frame by what separates the frames.
        frame_name: What separates the frames, such as ``frame reference time``; empty for one frame.
        geometry: The grid; None when there is a problem.
        problem: Why it is no volume; empty when it is one.
        is_damaged: Whether there is a problem although its images are of a kind that makes volumes.
        is_screen_capture: Whether it is a picture of a screen, which is never a candidate.
    """

    key: str
    series: Series
    part: str = ""
    frames: tuple[tuple[Plane, ...], ...] = ()
    frame_values: tuple[str, ...] = ()
    frame_name: str = ""
    geometry: StackGeometry | None = None
    problem: str = ""
    is_damaged: bool = False
    is_screen_capture: bool = False


def find_stacks(headers: Iterable[Header], place: str, *, accept_tilt: bool = False) -> tuple[Stack, ...]:
    """All volumes of a study, ordered by series number.

    Args:
        headers: The files that hold pixels.
        place: Where they were found, for messages.
        accept_tilt: Take tilted stacks as the sheared grids that they are.

    A series that makes no volume is in the list as well, with the reason in ``problem``.
    """
    by_uid: dict[str, list[Header]] = {}
    for header in headers:
        by_uid.setdefault(header.text("SeriesInstanceUID"), []).append(header)
    ordered = sorted(by_uid.items(), key=lambda item: (_series_number(item[1][0]), item[0]))
    stacks: list[Stack] = []
    for number, (_, members) in enumerate(ordered, start=1):
        stacks.extend(_stacks_of(members, f"s{number}", place, accept_tilt))
    return tuple(stacks)


def _stacks_of(headers: list[Header], key: str, place: str, accept_tilt: bool) -> list[Stack]:
    modality, warning = sop_class.modality_of(headers[0])
    headers, copies = _without_copies(headers)
    warnings = [warning] if warning else []
    if copies:
        warnings.append(f"{copies} file{'s are copies' if copies > 1 else ' is a copy'} of another one; left out.")
    series = Series(tuple(headers), modality, tuple(warnings))
    shown = f"series {key} of {place}"
    try:
        if len({patient_digest(header) for header in headers}) > 1:
            raise InputError(
                f"{capitalised(shown)} holds images of more than one patient. Separate the patients first."
            )
        units = {header.text("Units").upper() for header in headers} if modality is Modality.PET else set()
        if len(units) > 1:
            raise InputError(
                f"Units (0054,1001) differ between slices of {shown}: {', '.join(sorted(u or 'none' for u in units))}. "
                "Expected one unit. Export the series again."
            )
        if all(_is_screen_capture(header) for header in headers):
            return [Stack(key, series, problem=_capture_problem(shown, headers[0]), is_screen_capture=True)]
        planes = [plane for header in headers for plane in _planes_of(header)]
        groups = separate(planes)
    except InputError as error:
        return [Stack(key, series, problem=str(error), is_damaged=not isinstance(error, NoVolumeError))]
    parts: list[tuple[str, list[Plane], str, list[tuple[str, list[Plane]]]]] = []
    for group, label in zip(groups, labels(groups), strict=True):
        name, frames, are_frames = frames_of(group)
        if are_frames:
            parts.append((label, group, name, frames))
        else:
            parts.extend((_joined(label, f"{name} {value}"), members, "", [("", members)]) for value, members in frames)
    several = len(parts) > 1
    stacks = []
    for number, (label, _, name, frames) in enumerate(parts):
        own_key = f"{key}{_letters(number)}" if several else key
        stacks.append(_stack(own_key, series, label, name, frames, place, accept_tilt))
    return [_beside_its_volume(stack, stacks, place) for stack in stacks]


def _beside_its_volume(stack: Stack, parts: list[Stack], place: str) -> Stack:
    """A part as it is; one of a single slice counts as damaged where another part goes on at its place."""
    if len(stack.frames) != 1 or len(stack.frames[0]) != 1:
        return stack
    (plane,) = stack.frames[0]
    for part in parts:
        if part.geometry is not None and goes_on_at(plane, part.frames[0], part.geometry):
            problem = (
                f"Series {stack.key} of {place} ({stack.part}) is one slice that lies where series {part.key} "
                f"({part.part}) goes on; expected the same tags on all slices of a volume. Export the series again, "
                "or correct the tag that differs."
            )
            return replace(stack, problem=problem, is_damaged=True)
    return stack


def _without_copies(headers: list[Header]) -> tuple[list[Header], int]:
    """The headers without files that are byte for byte copies, and how many were left out."""
    kept: dict[str, list[Header]] = {}
    for header in headers:
        same = kept.setdefault(header.text("SOPInstanceUID"), [])
        if not any(filecmp.cmp(header.path, other.path, shallow=False) for other in same):
            same.append(header)
    left = [header for same in kept.values() for header in same]
    return left, len(headers) - len(left)


def _stack(
    key: str,
    series: Series,
    part: str,
    name: str,
    frames: list[tuple[str, list[Plane]]],
    place: str,
    accept_tilt: bool,
) -> Stack:
    shown = f"series {key} of {place}" + (f" ({part})" if part else "")
    ordered: list[tuple[Plane, ...]] = []
    geometry: StackGeometry | None = None
    problem, is_damaged = "", False
    try:
        missing = missing_in_frames(frames[0][1])
        if missing:
            raise InputError(f"{capitalised(shown)} {missing}. Copy the whole series.")
        for _, planes in frames:
            found = stack_geometry(planes, shown, accept_tilt=accept_tilt)
            ordered.append(tuple(planes[k] for k in found.order))
            geometry = geometry or found
    except InputError as error:
        geometry, problem, is_damaged = None, str(error), not isinstance(error, NoVolumeError)
        ordered = [tuple(planes) for _, planes in frames]
    values = tuple(value for value, _ in frames) if name else ()
    return Stack(key, series, part, tuple(ordered), values, name, geometry, problem, is_damaged)


def _planes_of(header: Header) -> tuple[Plane, ...]:
    uid = header.text("SOPClassUID")
    if uid in (sop_class.SEGMENTATION, sop_class.RT_DOSE):
        kind = "a segmentation" if uid == sop_class.SEGMENTATION else "a radiotherapy dose"
        raise NoVolumeError(f"{header.shown} is {kind} and no image; expected MR, PET, CT or NM images.")
    if "MOSAIC" in header.texts("ImageType"):
        raise NoVolumeError(
            f"{header.shown} is a mosaic: all slices of a volume tiled into one picture; expected one slice a file or "
            "a multi-frame file. Export it in another form, or convert it to NIfTI."
        )
    if uid == sop_class.NUCLEAR_MEDICINE:
        return nuclear_planes(header)
    if _frames(header) > 1 or header.items("PerFrameFunctionalGroupsSequence"):
        return enhanced_planes(header)
    return (single_plane(header),)


def _frames(header: Header) -> int:
    frames = header.count("NumberOfFrames")
    return 0 if frames is None else frames


def _is_screen_capture(header: Header) -> bool:
    """Whether it is a Secondary Capture that does not say where it lies."""
    placed = header.numbers("ImagePositionPatient") or header.items("PerFrameFunctionalGroupsSequence")
    return sop_class.is_secondary_capture(header) and not placed


def _capture_problem(shown: str, header: Header) -> str:
    return (
        f"{capitalised(shown)} is a Secondary Capture (Modality says '{header.text('Modality')}') without geometry: "
        "a picture of a screen and not a volume. Choose the series of images that it was made from."
    )


def _joined(*texts: str) -> str:
    return ", ".join(text for text in texts if text)


def _letters(number: int) -> str:
    letters = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("a") + rest) + letters
    return letters


def _series_number(header: Header) -> float:
    try:
        return header.number("SeriesNumber") or 0.0
    except InputError:
        return 0.0


def patient_digest(header: Header) -> str:
    """A digest that tells patients apart; it is compared and never shown."""
    identity = header.text("PatientID") or header.text("PatientName") + header.text("PatientBirthDate")
    return uid_digest(identity)

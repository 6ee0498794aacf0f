"""Which slices of a series belong together: into volumes by what they show, into frames by when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from upfusion_med.core import InputError
from upfusion_med.io.dicom.geometry import SAME_PLACE_MM
from upfusion_med.io.dicom.header import uid_digest
from upfusion_med.io.dicom.plane import PARTS, Plane

#: Largest difference of direction cosines inside one volume.
_SAME_DIRECTION = 1e-4
#: Relative difference up to which two numbers (echo time, b-value) count as equal.
_SAME_NUMBER = 1e-2
#: A series that falls into more volumes than this is none that can be listed or chosen from.
MAX_PARTS = 256
#: Largest difference of pixel spacings inside one volume.
_SAME_SPACING_MM = 1e-4


def separate(planes: Sequence[Plane]) -> list[list[Plane]]:
    """Groups of planes that may make one volume.

    Raises:
        InputError: there are more than `MAX_PARTS` of them.
    """
    groups: list[list[Plane]] = []
    for plane in planes:
        for group in groups:
            if _belong_together(group[0], plane):
                group.append(plane)
                break
        else:
            groups.append([plane])
            if len(groups) > MAX_PARTS:
                raise InputError(
                    f"The series of {plane.header.shown} falls into more than {MAX_PARTS} volumes by image type, "
                    "orientation, spacing, echo time and the like; expected the slices of a few. Export one of them."
                )
    return groups


def _belong_together(a: Plane, b: Plane) -> bool:
    return (
        (a.rows, a.columns) == (b.rows, b.columns)
        and _frame_of_reference(a) == _frame_of_reference(b)
        and _close(a.orientation, b.orientation, _SAME_DIRECTION)
        and _close(a.spacing_mm, b.spacing_mm, _SAME_SPACING_MM)
        and all(_same_value(a.separating.get(k), b.separating.get(k)) for k in {**a.separating, **b.separating})
    )


def _frame_of_reference(plane: Plane) -> str:
    return plane.header.text("FrameOfReferenceUID")


def _close(a: tuple[float, ...] | None, b: tuple[float, ...] | None, tolerance: float) -> bool:
    if a is None or b is None:
        return True  # a missing tag is named by the geometry check, not hidden in a part of its own
    return a == b or bool(np.abs(np.subtract(a, b)).max() <= tolerance)


def _same_value(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return abs(a - b) <= _SAME_NUMBER * max(abs(a), abs(b))
    return bool(a == b)


def frames_of(planes: list[Plane]) -> tuple[str, list[tuple[str, list[Plane]]], bool]:
    """What separates the slices that lie at one place: (name, [(value, slices)], whether they are frames).

    They are frames of a time series when every value has the same places; with the acquisition number they may also be
    volumes of their own. Without any such value everything stays in one group.
    """
    one = ("", [("", planes)], True)
    if not _coincide(planes):
        return one
    names = _framing_names(planes)
    fallback = None
    for chosen in (*((name,) for name in names), *combinations(names, 2)):
        groups = _groups_by(chosen, planes)
        if len(groups) < 2 or any(_coincide(group) for group in groups.values()):
            continue
        name, frames = PARTS.join(chosen), sorted(groups.items(), key=lambda item: _sort_key(item[0]))
        if len({frozenset(_place(plane) for plane in group) for group in groups.values()}) == 1:
            return name, frames, True
        if chosen == ("acquisition number",):
            fallback = name, frames, False
    return fallback or one


def missing_in_frames(planes: Sequence[Plane]) -> str:
    """Why slices at one place are no whole frames of a time series: some lack slices; empty where it is not that."""
    if not _coincide(planes):
        return ""
    for name in _framing_names(planes):
        groups = _groups_by((name,), planes).values()
        places = [{_place(plane) for plane in group} for group in groups]
        most = max(places, key=len)
        lacking = [place for place in places if place < most]
        is_whole = all(place <= most for place in places) and len(most) > 1
        if lacking and is_whole and not any(_coincide(group) for group in groups):
            return (
                f"is a series of {len(places)} volumes by {name}, and {len(lacking)} of them without all slices: "
                f"{min(map(len, lacking))} instead of {len(most)}"
            )
    return ""


def _framing_names(planes: Sequence[Plane]) -> list[str]:
    return list(dict.fromkeys(name for plane in planes for name in plane.framing))


def _groups_by(names: Sequence[str], planes: Sequence[Plane]) -> dict[str, list[Plane]]:
    groups: dict[str, list[Plane]] = {}
    for plane in planes:
        groups.setdefault(PARTS.join(str(plane.framing.get(name, "")) for name in names), []).append(plane)
    return groups


def _coincide(planes: Sequence[Plane]) -> bool:
    places = [_place(plane) for plane in planes]
    return None not in places and len(set(places)) < len(places)


def _place(plane: Plane) -> tuple[int, ...] | None:
    if plane.position_mm is None:
        return None
    return tuple(round(value / SAME_PLACE_MM) for value in plane.position_mm)


def _sort_key(value: str) -> tuple[tuple[int, float, str], ...]:
    parts = []
    for part in value.split(PARTS):
        try:
            parts.append((0, float(part), part))
        except ValueError:
            parts.append((1, 0.0, part))
    return tuple(parts)


def labels(groups: Sequence[Sequence[Plane]]) -> list[str]:
    """For each group, the values by which it differs from the others."""
    facts = [_facts(group[0]) for group in groups]
    differing = [k for k in facts[0] if any(not _same_value(fact.get(k), facts[0].get(k)) for fact in facts)]
    return [", ".join(f"{name} {_plain(fact.get(name))}" for name in differing) for fact in facts]


def _facts(plane: Plane) -> Mapping[str, Any]:
    return {
        **plane.separating,
        "matrix": f"{plane.columns}x{plane.rows}",
        "orientation": _direction(plane.orientation),
        "pixel spacing": _rounded(plane.spacing_mm, 4),
        "frame of reference": uid_digest(_frame_of_reference(plane)),
    }


def _direction(orientation: tuple[float, ...] | None) -> str:
    if orientation is None:
        return "unknown"
    normal = np.abs(np.cross(orientation[:3], orientation[3:]))
    return f"{('sagittal', 'coronal', 'axial')[int(np.argmax(normal))]} ({_rounded(orientation, 3)})"


def _rounded(values: tuple[float, ...] | None, digits: int) -> str:
    return "unknown" if values is None else "\\".join(f"{round(value, digits) + 0.0:g}" for value in values)


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return "\\".join(str(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)

"""Which volume of a study was meant; never guessed where several could be."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from upfusion_med.core import InputError, Modality, UsageError
from upfusion_med.io.dicom.header import uid_digest
from upfusion_med.io.dicom.scan import Study
from upfusion_med.io.dicom.stack import Stack, patient_digest
from upfusion_med.io.dicom.summary import SeriesSummary, series_number, summary_of

_LISTED = 12


#: Groups of DICOM modalities that can play a role, the likelier group first, such as ``(("PT", "NM"), ("CT",))``.
Roles = Sequence[Sequence[str]]


def choose_stack(
    stacks: Sequence[Stack], study: Study, series: str | None, modality: Modality | None, roles: Roles = ()
) -> Stack:
    """The one volume that was meant.

    Args:
        stacks: All volumes of the study.
        study: Where they were found.
        series: Key, series number, UID or its digest, or a part of the description; None when nothing was chosen.
        modality: A stated modality narrows the candidates when nothing was chosen.
        roles: So do the modalities that can play a role: the first group of which there is anything decides.

    Raises:
        InputError: a file of the study is damaged, there are several patients or several candidates, the one
            candidate is no volume, or a candidate that can play the role is damaged.
        UsageError: nothing fits ``series``.
    """
    if study.problems:
        more = f" ({len(study.problems) - 1} more files like it.)" if len(study.problems) > 1 else ""
        raise InputError(f"{study.problems[0]} It may belong to the wanted series, so nothing was read.{more}")
    candidates = list(stacks)
    if series is not None:
        candidates = _matching(stacks, series)
        if not candidates:
            raise UsageError(f"No series of {study.shown} fits '{series}'. There are: {_listing(stacks)}")
    else:
        if len({patient_digest(header) for header in study.images}) > 1:
            raise InputError(
                f"{study.shown} holds images of more than one patient; expected one. Give the folder of one patient, "
                f"or choose a series: {_listing(stacks)}"
            )
        pictures = [stack for stack in candidates if not stack.is_screen_capture]
        candidates = pictures or candidates
        if modality is not None and len(candidates) > 1:
            candidates = [stack for stack in candidates if stack.series.modality is modality] or candidates
        if len(candidates) > 1:
            candidates = _in_role(candidates, roles) or candidates
    if len(candidates) > 1:
        raise InputError(
            f"{study.shown} holds {len(candidates)} volumes that could be meant; expected one. "
            f"Choose one with series=KEY (--mri-series or --functional-series KEY): {_listing(candidates)}"
        )
    chosen = candidates[0]
    if chosen.problem:
        raise InputError(chosen.problem)
    return chosen


def _in_role(candidates: Sequence[Stack], roles: Roles) -> list[Stack]:
    """The volumes of the first group of modalities of which there is anything.

    Raises:
        InputError: one of that group is damaged, or none of it is a volume; what is whole may not be what was meant.
    """
    for group in roles:
        found = [s for s in candidates if s.series.first.text("Modality").upper() in group]
        volumes = [s for s in found if not s.problem]
        damaged = [s for s in found if s.is_damaged]
        if damaged or (found and not volumes):
            raise InputError(
                f"{(damaged or found)[0].problem} Nothing else was taken in its place. To take another one, choose it "
                f"with series=KEY (--mri-series or --functional-series KEY): {_listing(candidates)}"
            )
        if volumes:
            return volumes
    return []


def _matching(stacks: Sequence[Stack], series: str) -> list[Stack]:
    wanted = series.strip()
    folded = wanted.casefold()
    rules: tuple[Callable[[Stack], bool], ...] = (
        lambda s: s.key == folded,
        lambda s: re.sub(r"[a-z]+$", "", s.key) == folded,
        lambda s: s.series.first.text("SeriesInstanceUID") == wanted,
        lambda s: len(wanted) >= 6 and uid_digest(s.series.first.text("SeriesInstanceUID")).startswith(folded),
        lambda s: str(series_number(s)) == wanted,
        lambda s: s.series.first.text("Modality").casefold() == folded or s.series.modality.value == folded,
        lambda s: bool(folded) and folded in s.series.first.text("SeriesDescription").casefold(),
    )
    for rule in rules:
        found = [stack for stack in stacks if rule(stack)]
        if found:
            return found
    return []


def _listing(stacks: Sequence[Stack]) -> str:
    lines = [_line(summary_of(stack)) for stack in stacks[:_LISTED]]
    if len(stacks) > _LISTED:
        lines.append(f"and {len(stacks) - _LISTED} more")
    return "; ".join(lines) + "."


def _line(summary: SeriesSummary) -> str:
    parts = [f"{summary.key} = {summary.modality or 'no modality'}"]
    if summary.description:
        parts.append(f"'{summary.description}'")
    if summary.part:
        parts.append(summary.part)
    parts.append("x".join(map(str, summary.size)) if summary.size else f"{summary.images} images")
    if summary.frames > 1:
        parts.append(f"{summary.frames} frames by {summary.frame_name}")
    if summary.problem:
        parts.append("no volume")
    return ", ".join(parts)

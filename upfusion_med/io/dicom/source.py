"""One volume of a DICOM study together with what DICOM output needs to know about it, read in one go."""

from __future__ import annotations

import os

from upfusion_med.core import FrameChoice, Volume
from upfusion_med.io.dicom.choice import Roles, choose_stack
from upfusion_med.io.dicom.reading import stack_volume
from upfusion_med.io.dicom.scan import open_study
from upfusion_med.io.dicom.source_study import SourceStudy, source_study_of
from upfusion_med.io.dicom.stack import find_stacks


def load_dicom_source(
    path: str | os.PathLike[str],
    *,
    series: str | None = None,
    roles: Roles = (),
    quantity: str | None = None,
    frame: FrameChoice = None,
    accept_tilt: bool = False,
) -> tuple[Volume, SourceStudy]:
    """The volume and the facts of its series; the files are opened and sorted once.

    Args:
        path: File, folder or archive.
        series: As `read_dicom`.
        roles: Where several volumes could be meant: groups of DICOM modalities, the first group of which there is
            anything decides, and one volume of it must be there.
        quantity: As `read_dicom`.
        frame: As `read_dicom`.
        accept_tilt: As `read_dicom`.

    Raises:
        InputError: as `read_dicom`.
        UsageError: as `read_dicom`.
    """
    with open_study(path) as study:
        stacks = find_stacks(study.images, study.shown, accept_tilt=accept_tilt)
        stack = choose_stack(stacks, study, series, None, roles)
        return stack_volume(stack, study.shown, quantity, frame), source_study_of(stack, study, frame)

"""One volume out of a DICOM study."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import RAS_FROM_LPS, FrameChoice, InputError, Modality, Volume
from upfusion_med.io.channels import settle_channels
from upfusion_med.io.dicom.choice import choose_stack
from upfusion_med.io.dicom.header import uid_digest
from upfusion_med.io.dicom.pixels import stack_values
from upfusion_med.io.dicom.plane import Plane
from upfusion_med.io.dicom.scan import open_study
from upfusion_med.io.dicom.stack import Stack, find_stacks
from upfusion_med.io.dicom.summary import stored_units
from upfusion_med.io.dicom.suv import suv_scale, unusual_maximum
from upfusion_med.io.dicom.suv_refusal import SuvRefusedError
from upfusion_med.io.dicom.suv_scale import SuvScale, span
from upfusion_med.io.frames import FrameChoiceError, check_frame, how_to_choose
from upfusion_med.io.units import SUV_UNITS


def read_dicom(
    path: str | os.PathLike[str],
    *,
    series: str | None = None,
    quantity: str | None = None,
    modality: Modality | None = None,
    frame: FrameChoice = None,
    accept_tilt: bool = False,
) -> Volume:
    """Read one volume from a DICOM file, a folder with its subfolders, or a zip archive.

    Args:
        path: File, folder or archive.
        series: Which volume, see `list_series`.
        quantity: None or ``"suv"`` for SUVbw in PET, ``"raw"`` for the rescaled values.
        modality: Narrows the choice when there are several volumes.
        frame: For a time series: number of the frame (from 0) or ``"mean"``.
        accept_tilt: Take a tilted stack (CT with a tilted gantry) as the sheared grid that it is.

    Returns:
        Values in (X, Y, Z), slices along the normal; ``notes["dicom"]`` and, for PET, ``notes["suv"]`` say how they
        came to be, without facts about the patient.

    Raises:
        InputError: not readable, no regular grid, or ambiguous.
        SuvRefusedError: PET that cannot become SUV, unless ``quantity`` is ``"raw"``.
        UsageError: ``series`` or ``frame`` does not exist.
    """
    with open_study(path) as study:
        stacks = find_stacks(study.images, study.shown, accept_tilt=accept_tilt)
        stack = choose_stack(stacks, study, series, modality)
        return stack_volume(stack, study.shown, quantity, frame)


def stack_volume(stack: Stack, shown: str, quantity: str | None, frame: FrameChoice) -> Volume:
    """The volume of a stack that was chosen; see `read_dicom`."""
    chosen = _chosen_frames(stack, frame, shown)
    scale = _suv(stack, quantity, shown)
    arrays, padded = zip(*(_values(planes, stack, scale) for planes in chosen), strict=True)
    array = arrays[0]
    if len(arrays) > 1:
        array = np.asarray(np.mean(np.stack(arrays), axis=0, dtype=np.float64), dtype=np.float32)
    if stack.geometry is None:
        raise InputError(stack.problem)
    warnings = [*stack.series.warnings, *stack.geometry.warnings]
    notes: dict[str, Any] = {"format": "DICOM", "dicom": _facts(stack, frame)}
    if any(padded):
        notes["dicom"]["padding_voxels"] = sum(padded)
    units = stored_units(stack)
    if array.ndim == 4:
        array, units, more = settle_channels(array)
        warnings.extend(more)
    if scale is not None:
        units = SUV_UNITS
        more_warnings = [text for text in (*scale.warnings, unusual_maximum(float(np.nanmax(array)))) if text]
        warnings.extend(more_warnings)
        notes["suv"] = {
            "rule": scale.rule,
            "factor": span(scale.factors),
            **scale.steps,
            "warnings": tuple(more_warnings),
        }
    if warnings:
        notes["warnings"] = tuple(warnings)
    return Volume(
        array=array,
        affine=RAS_FROM_LPS @ stack.geometry.affine_lps,
        units=units,
        modality=stack.series.modality,
        frame_of_reference_uid=stack.series.first.text("FrameOfReferenceUID") or None,
        notes=notes,
    )


def _chosen_frames(stack: Stack, frame: FrameChoice, shown: str) -> tuple[tuple[Plane, ...], ...]:
    if len(stack.frames) == 1 and frame is None:
        return stack.frames
    if frame is None:
        raise FrameChoiceError(
            f"Series {stack.key} of {shown} is a series of {len(stack.frames)} volumes by {stack.frame_name}; "
            f"expected one volume. {how_to_choose(len(stack.frames))}",
            len(stack.frames),
        )
    if frame == "mean":
        return stack.frames
    check_frame(frame, len(stack.frames), shown)
    return (stack.frames[int(frame)],)


def _suv(stack: Stack, quantity: str | None, shown: str) -> SuvScale | None:
    """The scale to SUV of all slices of all frames, or None when the values stay as they are."""
    if quantity == "raw":
        return None
    if stack.series.modality is not Modality.PET:
        if quantity == "suv":
            raise InputError(
                f"Series {stack.key} of {shown} has modality {stack.series.modality.value}; SUV exists for PET only. "
                "Choose the PET series, or leave the quantity out."
            )
        return None
    try:
        return suv_scale([plane for planes in stack.frames for plane in planes], stack.series.headers)
    except InputError as error:  # a rule refused it, or a tag that a rule needs is malformed
        raise SuvRefusedError(
            f"The PET series {stack.key} of {shown} cannot be converted to SUV by body weight: "
            f"{str(error).rstrip('.')}. Correct the header, or go on with the stored values ({stored_units(stack)}): "
            "quantity='raw' (--quantity raw)."
        ) from error


def _values(planes: tuple[Plane, ...], stack: Stack, scale: SuvScale | None) -> tuple[NDArray[np.float32], int]:
    if scale is None:
        return stack_values(planes)
    every = [plane for frame in stack.frames for plane in frame]
    factors = {id(plane): factor for plane, factor in zip(every, scale.factors, strict=True)}
    return stack_values(planes, [factors[id(plane)] for plane in planes])


def _facts(stack: Stack, frame: FrameChoice) -> dict[str, Any]:
    planes = stack.frames[0]
    facts: dict[str, Any] = {
        "modality": stack.series.first.text("Modality"),
        "series": uid_digest(stack.series.first.text("SeriesInstanceUID")),
        "slices": len(planes),
        "photometric_interpretation": stack.series.first.text("PhotometricInterpretation"),
        "rescale_slope": span([plane.slope for plane in planes]),
        "rescale_intercept": span([plane.intercept for plane in planes]),
    }
    if stack.part:
        facts["part"] = stack.part
    if len(stack.frames) > 1:
        facts["frame"] = frame
        facts["frames"] = len(stack.frames)
        facts["frames_by"] = stack.frame_name
    return facts

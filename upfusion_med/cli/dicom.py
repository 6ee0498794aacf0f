"""``upfusion dicom``: a fused volume as a DICOM series, for programs that keep it as a volume meanwhile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from upfusion_med.core import GREY_LEVELS, InputError, Modality, UsageError

if TYPE_CHECKING:
    from upfusion_med.core import FrameChoice, Geometry
    from upfusion_med.io import SourceStudy


def dicom(
    fused: Annotated[Path, typer.Argument(help="Fused colour volume: fused_rgb.nrrd or fused_rgb.nii.gz.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the series; must not hold anything.")],
    study: Annotated[
        Optional[Path],  # noqa: UP045 (typer reads it)
        typer.Option(help="DICOM of the MRI that was fused; the result joins its study and frame of reference."),
    ] = None,
    mri_series: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Series of that study that is the MRI, as for the fusion. Default: its one MR series."),
    ] = None,
    mri_frame: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Frame of an MRI of several volumes, as for the fusion: a number from 0, or mean."),
    ] = None,
    report: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="report.json of the fusion; says what was fused and how."),
    ] = None,
    deidentify: Annotated[bool, typer.Option("--deidentify", help="Remove what identifies the patient.")] = False,
    burn_in_note: Annotated[
        bool, typer.Option("--burn-in-note", help="Draw 'Not for diagnostic use' into the pixels.")
    ] = False,
) -> None:
    """Write a fused volume as RGB Secondary Capture, one file a slice."""
    import numpy as np

    from upfusion_med.cli.fuse import parse_frame
    from upfusion_med.inference.output_folder import check_output
    from upfusion_med.io import Deidentifier, load_volume, save_colour_series

    frame = parse_frame(mri_frame)
    if study is None and (mri_series is not None or mri_frame is not None):
        raise UsageError("--mri-series and --mri-frame choose from a study, and none is given; add --study.")
    check_output(output, force=False, option="")
    volume = load_volume(fused)
    # a file of colours that are all grey, as a fused CT's are, is read as one channel of grey levels
    if not (volume.is_rgb or volume.units == GREY_LEVELS) or volume.is_picture:
        raise InputError(f"{fused} is no colour volume; expected fused_rgb.nrrd or fused_rgb.nii.gz of a fusion.")
    levels = volume.array.astype(np.uint8)
    facts = _facts(report)
    files = save_colour_series(
        output,
        levels if volume.is_rgb else np.repeat(levels[..., None], 3, axis=3),
        volume.affine,
        study=None if study is None else _mri_study(study, mri_series, frame, fused, volume.geometry),
        description=facts["description"],
        derivation=facts["derivation"],
        deidentifier=Deidentifier() if deidentify else None,
        burn_in_note=burn_in_note,
    )
    typer.echo(f"{len(files)} files in {output}. Not for diagnostic use.")


def _mri_study(path: Path, series: str | None, frame: FrameChoice, fused: Path, grid: Geometry) -> SourceStudy:
    from upfusion_med.io import read_source_study

    found = read_source_study(path, series=series, modality=Modality.MR, frame=frame)
    if found is None:
        raise InputError(f"{path} is no DICOM; expected the DICOM series of the MRI. Leave --study out otherwise.")
    if found.grid is None or not grid.is_part_of(found.grid):
        raise InputError(
            f"The voxels of {fused} are not voxels of the DICOM series {path}: another grid, or another place in the "
            "patient. Expected the series of the MRI that it was fused with. Give that one, or leave --study out for a "
            "study of its own."
        )
    return found


def _facts(report: Path | None) -> dict[str, str]:
    """Description and derivation, in the words of ``upfusion fuse --format dicom``."""
    if report is None:
        return {"description": "UP-Fusion", "derivation": ""}
    try:
        told: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        modality, model, colour = told["modality"]["value"].upper(), told["network"].get("model", ""), told["colour"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{report} is no report of a fusion; expected the report.json that stands beside it."
        ) from error
    derivation = f"MRI and {modality} fused by {model}; colour: {colour}"
    return {"description": f"UP-Fusion MRI + {modality}", "derivation": derivation}

"""``upfusion fuse``: the main job."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Optional

import typer

from upfusion_med.core.errors import UsageError
from upfusion_med.core.modality import Modality
from upfusion_med.core.settings import Device, FuseSettings, OutputFormat, Pooling, SliceAxis


class ModalityOption(str, Enum):
    """What can be said about the functional image."""

    AUTO = "auto"
    PET = "pet"
    SPECT = "spect"
    CT = "ct"
    INFRARED = "infrared"


def parse_formats(text: str) -> tuple[OutputFormat, ...]:
    """The formats of a comma-separated list.

    Raises:
        UsageError: an unknown format.
    """
    try:
        return tuple(OutputFormat(word.strip().lower()) for word in text.split(",") if word.strip())
    except ValueError as error:
        known = ",".join(f.value for f in OutputFormat)
        raise UsageError(f"The formats '{text}' are not all known; expected a list out of {known}.") from error


def fuse(
    mri: Annotated[
        Path,
        typer.Argument(
            help="MRI: NIfTI, NRRD, MHA, DICOM folder or zip, or a picture (--modality infrared: the visible one)."
        ),
    ],
    functional: Annotated[
        Path, typer.Argument(help="PET, SPECT, CT or infrared image, in any of these formats; resampled onto the MRI.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the result; made if it does not exist.")],
    modality: Annotated[
        ModalityOption, typer.Option(help="What FUNCTIONAL is; auto: from DICOM, the file name or the values.")
    ] = ModalityOption.AUTO,
    model: Annotated[str, typer.Option(help="Model name (see: upfusion info) or a .safetensors file.")] = "upfusion",
    device: Annotated[
        Device, typer.Option(help="Where the network runs; auto takes a GPU if there is one.")
    ] = Device.AUTO,
    lut: Annotated[
        Optional[str],  # noqa: UP045 (typer reads it)
        typer.Option(
            help="Colour table of scalar uptake (see: upfusion info). Default: ember for PET and SPECT, grey for CT."
        ),
    ] = None,
    prompt: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Named prompt (see: upfusion info) or a free text. Default: the prompt of the modality."),
    ] = None,
    axis: Annotated[SliceAxis, typer.Option(help="Direction of the slices that the network sees.")] = SliceAxis.AXIAL,
    batch_size: Annotated[int, typer.Option(help="Slices at once; fewer need less memory.")] = 8,
    pooling: Annotated[
        Pooling, typer.Option(help="Decide the network's global statistics once per volume, or for each slice.")
    ] = Pooling.VOLUME,
    mri_window: Annotated[
        Optional[tuple[float, float]],  # noqa: UP045
        typer.Option(help="Display window of the MRI, LOW HIGH in its units. Default: robust percentiles."),
    ] = None,
    window: Annotated[
        Optional[tuple[float, float]],  # noqa: UP045
        typer.Option(help="Display window of the functional image, LOW HIGH, for instance 0 10 for SUV."),
    ] = None,
    mri_brightness: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Level of the brightest MRI tissue, 0 to 1. Default: 0.7 under coloured uptake, else 1."),
    ] = None,
    mri_series: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="Series of a DICOM study that is the MRI (see: upfusion inspect). Default: its one MR series."
        ),
    ] = None,
    functional_series: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Series that is the functional image. Default: the one PT or NM series, else the one CT."),
    ] = None,
    quantity: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="PET in DICOM: suv or raw. Default: SUV, refused where the file does not allow it."),
    ] = None,
    formats: Annotated[
        str, typer.Option("--format", help="Files to write, comma-separated: nifti, nrrd, dicom, png.")
    ] = "nifti,nrrd,png",
    deidentify: Annotated[
        bool, typer.Option("--deidentify", help="Remove what identifies the patient from DICOM output.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that is not empty.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar, no summary.")] = False,
) -> None:
    """Fuse an MRI with a PET, SPECT or CT study, or a visible with an infrared picture.

    The functional image is resampled onto the grid of the MRI; both are taken to lie in one space. Written are the
    fused colour volume, the fused luminance, a contact sheet and report.json.

    Examples:
      upfusion fuse T1.nii.gz PET.nii.gz -o fused
      upfusion fuse MR_folder PET_folder -o fused --window 0 10 --lut hot_iron
      upfusion fuse T1.nii.gz CT.nii.gz -o fused --modality ct
      upfusion fuse visible.png infrared.png -o fused --modality infrared
    """
    settings = FuseSettings(
        modality=None if modality is ModalityOption.AUTO else Modality(modality.value),
        model=model,
        device=device,
        lut=lut,
        prompt=prompt,
        axis=axis,
        batch_size=batch_size,
        pooling=pooling,
        mri_window=mri_window,
        functional_window=window,
        mri_brightness=mri_brightness,
        mri_series=mri_series,
        functional_series=functional_series,
        quantity=quantity,
    )
    run(mri, functional, settings, output, parse_formats(formats), force, quiet, deidentify)


def run(
    mri: object, functional: object, settings: FuseSettings, output: Path,
    formats: tuple[OutputFormat, ...], force: bool, quiet: bool,
    deidentify: bool = False,
) -> None:  # fmt: skip
    """Fuse, save, and say what was done."""
    from upfusion_med.cli.progress import TerminalProgress
    from upfusion_med.inference import fuse as fuse_study
    from upfusion_med.inference.result import check_output

    check_output(output, force)
    with TerminalProgress(quiet) as progress:
        result = fuse_study(mri, functional, settings, progress=progress)  # type: ignore[arg-type]
        progress.stage("writing", 1)
        files = result.save(output, formats, force=force, deidentify=deidentify)
        progress.advance()
    if quiet:
        return
    report = result.report
    typer.echo(f"{report['modality']['value'].upper()} fused onto the MRI ({report['modality']['how']}).")
    typer.echo(
        f"Colour: {report['colour']}. Network: {report['network'].get('model')}, {report['seconds']['network']} s."
    )
    for warning in report["warnings"]:
        typer.secho(f"Warning: {warning}", fg="yellow", err=True)
    typer.echo("\n".join(str(f) for f in files))
    typer.secho("Not for diagnostic use.", bold=True)

"""``upfusion fuse``: the main job."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from upfusion_med.cli.progress import ProgressOption
from upfusion_med.core.errors import UsageError
from upfusion_med.core.modality import Modality
from upfusion_med.core.settings import (
    Blend,
    Device,
    FrameChoice,
    FuseSettings,
    OutputFormat,
    Pooling,
    Registering,
    SliceAxis,
)

if TYPE_CHECKING:
    from upfusion_med.inference.fusion import Source

#: What was done, where the images are pictures of no patient, or nobody knows what they are.
_FUSED_PICTURES = {
    "infrared": "Infrared fused onto the visible picture",
    "unknown": "The second picture fused onto the first",
}
_INPUT, _ALIGNMENT, _APPEARANCE, _NETWORK, _OUTPUT = "Input", "Alignment", "Appearance", "Network", "Output"


class ModalityOption(str, Enum):
    """What can be said about the functional image."""

    AUTO = "auto"
    PET = "pet"
    SPECT = "spect"
    CT = "ct"
    INFRARED = "infrared"


def parse_frame(text: str | None) -> FrameChoice:
    """A frame's number, ``"mean"``, or None where nothing was said.

    Raises:
        UsageError: it is neither.
    """
    if text is None:
        return None
    word = text.strip().lower()
    if word == "mean":
        return "mean"
    if not word.isdecimal():
        raise UsageError(f"The frame '{text}' is no frame; expected a number from 0, or 'mean'.")
    return int(word)


def fuse(
    mri: Annotated[
        str,
        typer.Argument(
            help="MRI: NIfTI, NRRD, MHA, DICOM folder or zip, or a picture (--modality infrared: the visible one)."
        ),
    ],
    functional: Annotated[
        str, typer.Argument(help="PET, SPECT, CT or infrared image, in any of these formats; resampled onto the MRI.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the result; made if it does not exist.")],
    modality: Annotated[
        ModalityOption,
        typer.Option(help="What FUNCTIONAL is; auto: from DICOM, the file name or the values.", rich_help_panel=_INPUT),
    ] = ModalityOption.AUTO,
    model: Annotated[
        str,
        typer.Option(
            help="Model name (see: upfusion info), a .safetensors file, or the folder of an exported model (see: "
            "upfusion weights export).",
            rich_help_panel=_NETWORK,
        ),
    ] = "upfusion",
    device: Annotated[
        Device, typer.Option(help="Where the network runs; auto takes a GPU if there is one.", rich_help_panel=_NETWORK)
    ] = Device.AUTO,
    lut: Annotated[
        Optional[str],  # noqa: UP045 (typer reads it)
        typer.Option(
            help="Colour table of scalar uptake (see: upfusion info). Default: ember for PET and SPECT, dawn for "
            "uptake that was read from the colours of a picture, grey for CT.",
            rich_help_panel=_APPEARANCE,
        ),
    ] = None,
    prompt: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="Named prompt (see: upfusion info) or a free text. Default: the prompt of the modality.",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    axis: Annotated[
        SliceAxis, typer.Option(help="Direction of the slices that the network sees.", rich_help_panel=_NETWORK)
    ] = SliceAxis.AXIAL,
    batch_size: Annotated[
        int,
        typer.Option(
            help="Slices at once (of more than 256 x 256 pixels fewer); fewer need less memory.",
            rich_help_panel=_NETWORK,
        ),
    ] = 8,
    pooling: Annotated[
        Pooling,
        typer.Option(
            help="Decide the network's global statistics once per volume, and let nothing flicker from slice to "
            "slice; or fuse every slice for itself.",
            rich_help_panel=_NETWORK,
        ),
    ] = Pooling.VOLUME,
    mri_window: Annotated[
        Optional[tuple[float, float]],  # noqa: UP045
        typer.Option(
            help="Display window of the MRI, LOW HIGH in its units. Default: robust percentiles.",
            rich_help_panel=_APPEARANCE,
        ),
    ] = None,
    window: Annotated[
        Optional[tuple[float, float]],  # noqa: UP045
        typer.Option(
            help="Display window of the functional image, LOW HIGH, for instance 0 10 for SUV.",
            rich_help_panel=_APPEARANCE,
        ),
    ] = None,
    mri_brightness: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(
            help="Level of the brightest MRI tissue, 0 to 1. Default: 1 (0.7 with --blend exact under colours).",
            rich_help_panel=_APPEARANCE,
        ),
    ] = None,
    mri_series: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="Series of a DICOM study that is the MRI (see: upfusion inspect). Default: its one MR series.",
            rich_help_panel=_INPUT,
        ),
    ] = None,
    functional_series: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="Series that is the functional image. Default: the one PT or NM series, else the one CT.",
            rich_help_panel=_INPUT,
        ),
    ] = None,
    quantity: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="PET in DICOM: suv or raw. Default: SUV, refused where the file does not allow it.",
            rich_help_panel=_INPUT,
        ),
    ] = None,
    frame: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="Frame of a dynamic or gated functional series: a number from 0, or mean.", rich_help_panel=_INPUT
        ),
    ] = None,
    mri_frame: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="The same for an MRI of several volumes.", rich_help_panel=_INPUT),
    ] = None,
    accept_tilt: Annotated[
        bool,
        typer.Option(
            "--accept-tilt",
            help="Take tilted DICOM slices (CT) where they lie, instead of refusing them.",
            rich_help_panel=_INPUT,
        ),
    ] = False,
    register: Annotated[
        Registering,
        typer.Option(
            help="auto: positions in the files, rigid registration where the frames of reference are known to differ; "
            "never: positions in the files; rigid: register. A registration that cannot be trusted is refused.",
            rich_help_panel=_ALIGNMENT,
        ),
    ] = Registering.AUTO,
    transform: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            help="ITK transform file (.tfm, .txt, .h5) from points of the MRI to points of FUNCTIONAL, as registration "
            "programs and 3D Slicer save it (fixed to moving).",
            rich_help_panel=_ALIGNMENT,
        ),
    ] = None,
    bias_correction: Annotated[
        bool,
        typer.Option(
            "--bias-correction", help="Correct the MRI's uneven brightness first (N4).", rich_help_panel=_APPEARANCE
        ),
    ] = False,
    functional_colours: Annotated[
        str,
        typer.Option(
            help="A PET or SPECT picture that comes in colours: auto turns a known palette back into uptake, which is "
            "fused and shown through --lut; rainbow, warm or a colour table's name say which palette it is "
            "(hot_iron_inverted: drawn upside down); keep keeps its colours.",
            rich_help_panel=_APPEARANCE,
        ),
    ] = "auto",
    blend: Annotated[
        Blend,
        typer.Option(
            help="neural: fused luminance as far as the colours of the uptake stay readable; exact: the fused "
            "luminance exactly, colours paler where needed; alpha: classic blending, for comparison.",
            rich_help_panel=_APPEARANCE,
        ),
    ] = Blend.NEURAL,
    alpha: Annotated[
        float, typer.Option(help="Share of FUNCTIONAL in alpha blending, 0 to 1.", rich_help_panel=_APPEARANCE)
    ] = 0.5,
    opacity: Annotated[
        Optional[tuple[float, float]],  # noqa: UP045
        typer.Option(
            help="LOW HIGH, shares of the window: uptake below LOW leaves the MRI untouched, from HIGH on it shows "
            "fully. For instance 0.05 0.3. Default: uptake always shows.",
            rich_help_panel=_APPEARANCE,
        ),
    ] = None,
    attribution: Annotated[
        bool,
        typer.Option(
            "--attribution",
            help="Also write where the fused detail comes from: 1 the MRI, 0 FUNCTIONAL; and show it.",
            rich_help_panel=_OUTPUT,
        ),
    ] = False,
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help=f"Files to write, comma-separated: {', '.join(f.value for f in OutputFormat)}.",
            rich_help_panel=_OUTPUT,
        ),
    ] = "nifti,nrrd,png",
    deidentify: Annotated[
        bool,
        typer.Option(
            "--deidentify", help="Remove what identifies the patient from DICOM output.", rich_help_panel=_OUTPUT
        ),
    ] = False,
    burn_in_note: Annotated[
        bool,
        typer.Option(
            "--burn-in-note", help="Draw 'Not for diagnostic use' into DICOM pixels.", rich_help_panel=_OUTPUT
        ),
    ] = False,
    report_uids: Annotated[
        bool,
        typer.Option(
            "--report-uids", help="Write DICOM UIDs into the report; otherwise their hashes.", rich_help_panel=_OUTPUT
        ),
    ] = False,
    progress: Annotated[
        ProgressOption,
        typer.Option(
            help="auto: a bar on a terminal; json: one JSON object a line on the output stream, for programs; none.",
            rich_help_panel=_OUTPUT,
        ),
    ] = ProgressOption.AUTO,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Write into a folder that is not empty; the result of an earlier run there is replaced."
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar, no summary.")] = False,
) -> None:
    """Fuse an MRI with a PET, SPECT or CT study, or a visible with an infrared picture.

    The functional image is brought onto the grid of the MRI (see Alignment). Written are the fused colour volume, the
    fused luminance, a contact sheet and report.json.

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
        functional_frame=parse_frame(frame),
        mri_frame=parse_frame(mri_frame),
        accept_tilt=accept_tilt,
        register=register,
        transform=None if transform is None else str(transform),
        bias_correction=bias_correction,
        functional_colours=functional_colours,
        blend=blend,
        alpha=alpha,
        opacity=opacity,
        attribution=attribution,
        report_uids=report_uids,
    )
    wanted = OutputFormat.named(formats)
    run(mri, functional, settings, output, wanted, force, quiet, deidentify, burn_in_note, progress)


def run(
    mri: Source, functional: Source, settings: FuseSettings, output: Path,
    formats: tuple[OutputFormat, ...], force: bool, quiet: bool,
    deidentify: bool = False, burn_in_note: bool = False, told: ProgressOption = ProgressOption.AUTO,
) -> None:  # fmt: skip
    """Fuse, save, and say what was done."""
    from upfusion_med.cli.progress import JsonProgress, TerminalProgress
    from upfusion_med.core.notice import NOT_FOR_DIAGNOSTIC_USE
    from upfusion_med.inference import fuse as fuse_study
    from upfusion_med.inference.output_folder import check_output

    check_output(output, force, (mri, functional))
    as_json = told is ProgressOption.JSON
    with JsonProgress() if as_json else TerminalProgress(quiet or told is ProgressOption.NONE) as progress:
        result = fuse_study(mri, functional, settings, progress=progress, formats=formats)
        progress.stage("writing", 1)
        files = result.save(output, formats, force=force, deidentify=deidentify, burn_in_note=burn_in_note)
        progress.advance()
    report = result.report
    idle = result.idle_options(formats, deidentify=deidentify, burn_in_note=burn_in_note)
    warnings = [*report["warnings"], *idle]
    if isinstance(progress, JsonProgress):
        for warning in warnings:
            progress.tell("warning", text=warning)
        progress.tell("result", files=[str(file) for file in files], notice=NOT_FOR_DIAGNOSTIC_USE)
        return
    if quiet:
        return
    kind = report["modality"]["value"]
    done = _FUSED_PICTURES.get(kind, f"{kind.upper()} fused onto the MRI")
    typer.echo(f"{done} ({report['modality']['how']}).")
    typer.echo(f"Alignment: {report['alignment']['how']}.")
    took = f", {report['seconds']['network']} s" if "network" in report["seconds"] else ""
    typer.echo(f"Colour: {report['colour']}. Network: {report['network'].get('model')}{took}.")
    for warning in warnings:
        typer.secho(f"Warning: {warning}", fg="yellow", err=True)
    typer.echo("\n".join(str(f) for f in files))
    typer.secho("Not for diagnostic use.", bold=True)

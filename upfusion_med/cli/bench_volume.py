"""``upfusion bench volume``: what it changes that a volume is decided once, and not slice by slice."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from upfusion_med.cli.bench_options import ModelOption
from upfusion_med.cli.fuse import ModalityOption
from upfusion_med.core import Device, FuseSettings, Modality, SliceAxis, UsageError

if TYPE_CHECKING:
    from upfusion_med.evaluation.volume_ways import VolumeComparison
    from upfusion_med.inference.fusion import Study


def volume(
    mri: Annotated[Optional[str], typer.Argument(help="MRI volume. Default: the built-in phantom.")] = None,  # noqa: UP045
    functional: Annotated[Optional[str], typer.Argument(help="PET, SPECT or CT volume.")] = None,  # noqa: UP045
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--output", "-o", help="Folder for ways.csv, slices.csv and cuts.png; default: nothing is written."
        ),
    ] = None,
    modality: Annotated[ModalityOption, typer.Option(help="What FUNCTIONAL is.")] = ModalityOption.AUTO,
    model: ModelOption = "upfusion",
    axis: Annotated[SliceAxis, typer.Option(help="Direction of the slices.")] = SliceAxis.AXIAL,
    transform: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="File with an ITK transform from the MRI's space to the functional image's."),
    ] = None,
    every: Annotated[int, typer.Option(help="Score every n-th slice; flicker is taken over all.")] = 1,
    device: Annotated[Device, typer.Option(help="Where the network runs.")] = Device.AUTO,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Fuse a volume under decisions made once and slice by slice; measure flicker, scores and time of both.

    Examples:
      upfusion bench volume -o phantom
      upfusion bench volume t1.nii.gz pet.nii.gz -o study
    """
    from upfusion_med.cli.progress import TerminalProgress
    from upfusion_med.evaluation.volume_ways import compare_ways
    from upfusion_med.inference.backends.choice import backend_for
    from upfusion_med.inference.fusion import read_study
    from upfusion_med.io.output_place import check_output_folder

    if output is not None:
        check_output_folder(output)
    if (mri is None) != (functional is None):
        raise UsageError("One volume was given; expected an MRI and a functional volume, or none for the phantom.")
    if every < 1:
        raise UsageError(f"Every {every}th slice was asked for; expected a number of 1 or more.")
    stated = None if modality is ModalityOption.AUTO else Modality(modality.value)
    with TerminalProgress(quiet) as progress:
        if mri is None or functional is None:
            from upfusion_med.inference.demo_study import demo_study

            phantom = demo_study()
            name = "phantom"
            settings = FuseSettings(modality=Modality.PET, model=model, axis=axis, device=device)
            study = read_study(phantom.mri, phantom.functional, settings, progress=progress)
        else:
            name = f"{Path(mri).name} + {Path(functional).name}"
            settings = FuseSettings(modality=stated, model=model, axis=axis, device=device, transform=transform)
            study = read_study(mri, functional, settings, progress=progress)
        backend = backend_for(settings, study.choice.modality)
        comparison = compare_ways(study, backend, every=every, name=name, progress=progress)
    show(study, comparison, name)
    if output is not None:
        write(study, comparison, name, output)


def show(study: Study, comparison: VolumeComparison, name: str) -> None:
    """Print the ways side by side."""
    from rich.console import Console
    from rich.table import Table

    from upfusion_med.evaluation.volume_ways import STEP_LEVELS, Way

    shape, spacing = study.mri.geometry.shape, study.mri.geometry.spacing_mm
    console = Console(markup=False, emoji=False)
    console.print(
        f"{name}: {'x'.join(map(str, shape))} voxels, slices {spacing[study.axis]:.3g} mm apart, "
        f"{len(comparison.slices)} of them scored",
        style="italic", soft_wrap=True,
    )  # fmt: skip
    steps = Table("way")
    scores = Table("way")
    for head in ("flicker", "in the body", f"steps > {STEP_LEVELS:g}, %", "largest", "s", "CPU s"):
        steps.add_column(head, justify="right")
    for head in ("Q_P", "VIF", "VIF_a", "VIF_b", "Q_ABF", "SSIM", "one-sided?"):
        scores.add_column(head, justify="right", no_wrap=True)
    for score in comparison.scores:
        timed = not math.isnan(score.seconds)
        steps.add_row(
            score.name, f"{score.flicker:.3f}", f"{score.flicker_in_body:.3f}", f"{100 * score.stepping:.2f}",
            f"{score.largest:.0f}", *(f"{x:.1f}" if timed else "" for x in (score.seconds, score.cpu_seconds)),
        )  # fmt: skip
        scores.add_row(score.name, *(f"{v:.3f}" for v in score.metrics.values()), score.side.value)
    console.print(steps)
    console.print(scores)
    for way in Way:
        console.print(f"{way.value}: {way.meaning}.", style="dim", soft_wrap=True)


def write(study: Study, comparison: VolumeComparison, name: str, output: Path) -> None:
    """Write ``ways.csv``, ``slices.csv`` and ``cuts.png``."""
    from upfusion_med.evaluation.volume_picture import draw_cuts
    from upfusion_med.evaluation.volume_ways import slices_csv, ways_csv

    output.mkdir(parents=True, exist_ok=True)
    (output / "ways.csv").write_text(ways_csv(comparison), encoding="utf-8")
    (output / "slices.csv").write_text(slices_csv(comparison), encoding="utf-8")
    draw_cuts(study, comparison, f"Cuts across the slices: {name}").save(output / "cuts.png")
    typer.echo(f"Written to {output}")

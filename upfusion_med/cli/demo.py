"""``upfusion demo``: the main job on a brain that needs no download."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from upfusion_med.core.errors import UsageError
from upfusion_med.core.modality import Modality
from upfusion_med.core.settings import Device, FuseSettings, OutputFormat

if TYPE_CHECKING:
    from upfusion_med.inference.demo_study import DemoStudy

_INPUTS = ("mri.nii.gz", "simulated_pet.nii.gz")


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the result.")] = Path("upfusion-demo"),
    model: Annotated[str, typer.Option(help="Model name or a .safetensors file.")] = "upfusion",
    device: Annotated[Device, typer.Option(help="Where the network runs.")] = Device.AUTO,
    lut: Annotated[str, typer.Option(help="Colour table of the uptake (see: upfusion info).")] = "ember",
    inputs: Annotated[
        Optional[Path],  # noqa: UP045 (typer reads it)
        typer.Option(
            help="Write the two images into this folder as well: mri.nii.gz, simulated_pet.nii.gz. Files of these "
            "names are replaced only with --force."
        ),
    ] = None,
    formats: Annotated[str, typer.Option("--format", help="Files to write, comma-separated.")] = "nifti,nrrd,png",
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Write into a folder that is not empty; the result of an earlier run there is replaced."
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar, no summary.")] = False,
) -> None:
    """Fuse a template MRI with a SIMULATED FDG-PET: try everything before you have a study at hand.

    The MRI is the MNI152 template that nilearn ships; the PET is simulated from its tissue maps and says so.
    """
    from upfusion_med.cli.fuse import run
    from upfusion_med.inference.demo_study import demo_study
    from upfusion_med.inference.output_folder import check_output

    wanted = OutputFormat.named(formats)
    check_output(output, force)
    if inputs is not None:
        _check_inputs(inputs, force)
    study = demo_study()
    if not quiet:
        typer.echo(study.description)
    settings = FuseSettings(modality=Modality.PET, model=model, device=device, lut=lut)
    run(study.mri, study.functional, settings, output, wanted, force, quiet)
    if inputs is not None:
        _save_inputs(study, inputs)


def _check_inputs(folder: Path, force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; expected a folder for the two images.")
    there = [name for name in _INPUTS if (folder / name).exists()]
    if there and not force:
        raise UsageError(f"{folder / there[0]} exists; choose another folder for the inputs, or add --force.")


def _save_inputs(study: DemoStudy, folder: Path) -> None:
    import numpy as np

    from upfusion_med.io import save_scalar_nifti

    folder.mkdir(parents=True, exist_ok=True)
    for name, image in zip(_INPUTS, (study.mri, study.functional), strict=True):
        save_scalar_nifti(folder / name, image.array.astype(np.float32), image.affine)

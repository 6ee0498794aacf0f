"""``upfusion train``: run a training configuration to its end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer


def train(
    config: Annotated[Path, typer.Argument(help="JSON file with the fields of TrainingConfig.")],
    export: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Write the averaged weights of the finished run to this .safetensors file."),
    ] = None,
    gradients: Annotated[
        bool, typer.Option("--gradients", help="Only show the gradient norms of each part at the last checkpoint.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Train a network on infrared-visible pairs; an interrupted run continues where it stopped.

    Losses and validations go to log.jsonl in the configuration's output folder, the state to checkpoint.pt beside it.
    """
    from upfusion_med.cli.progress import TerminalProgress
    from upfusion_med.training.trainer import Trainer, read_config

    trainer = Trainer(read_config(config))
    if gradients:
        from upfusion_med.training.gradient_flow import gradient_norms

        typer.echo(f"Gradient norms at step {trainer.step}:")
        for part, norm in gradient_norms(trainer).items():
            typer.echo(f"  {part:<28} {norm:.3e}")
        return
    with TerminalProgress(quiet) as progress:
        checkpoint = trainer.run(progress)
    typer.echo(f"Finished at step {trainer.step}: {checkpoint}")
    if export is not None:
        from upfusion_med.training.export import export_weights

        typer.echo(f"{export}: sha256 {export_weights(trainer, export)}")

"""``upfusion train``: run a training configuration to its end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

if TYPE_CHECKING:
    from upfusion_med.training.trainer import Trainer


def train(
    config: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Argument(help="JSON file with the fields of a configuration (see --fields)."),
    ] = None,
    export: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Write the weights of the finished run to this .safetensors file."),
    ] = None,
    gradients: Annotated[
        bool, typer.Option("--gradients", help="Only show the gradient norms of each part at the last checkpoint.")
    ] = False,
    validate: Annotated[
        bool, typer.Option("--validate", help="Only score all held-out pairs at the last checkpoint.")
    ] = False,
    fields: Annotated[bool, typer.Option("--fields", help="Only list the fields of a configuration.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Train a network on infrared-visible pairs.

    The configuration's output folder gets checkpoint.pt (the whole state), log.jsonl (losses, metrics of held-out
    scenes, seconds a step and the share of them spent waiting for data), pictures/ (held-out pairs and their fusions,
    at steps 10, 50 and every validation), and with "tensorboard": true event files.

    Give the same command again to continue: an interrupted run goes on at its last checkpoint and ends with the same
    weights as one that never stopped, the best ones ("keep_best") too. Ctrl-C or SIGTERM finishes the step and writes a
    checkpoint first. A changed configuration is refused; choose another output folder for it. Paths in a configuration
    start at the folder where the command runs.

    Several GPUs or processes share the batches of a step ("microbatches"), and give the same weights as one:
      torchrun --nproc-per-node 4 -m upfusion_med.cli.main train CONFIG

    Examples:
      upfusion train docs/recipes/upfusion-tiny-phase1.json --export tiny.safetensors
      upfusion train docs/recipes/released-llvip.json
    """
    from upfusion_med.cli.progress import TerminalProgress
    from upfusion_med.core import UsageError
    from upfusion_med.training.configuration import described_fields, read_config

    if fields:
        show_fields(described_fields())
        return
    if config is None:
        raise UsageError("There is no configuration; expected the path of a JSON file, such as one of docs/recipes.")
    read = read_config(config)
    from upfusion_med.training.trainer import Trainer

    trainer = Trainer(read)
    if gradients:
        show_gradients(trainer)
    if validate:
        show_validation(trainer)
    if gradients or validate:
        return
    with TerminalProgress(quiet or not trainer.processes.is_first) as progress:
        checkpoint = trainer.run(progress)
    trainer.processes.leave(trainer.parallel)
    if not trainer.processes.is_first:
        return
    if trainer.step < trainer.length:
        typer.echo(f"Stopped at step {trainer.step} of {trainer.length}: {checkpoint}. The same command goes on.")
        raise typer.Exit(130)
    typer.echo(f"Finished at step {trainer.step}: {checkpoint}")
    if export is not None:
        from upfusion_med.training.export import export_weights

        typer.echo(f"{export}: sha256 {export_weights(trainer, export)}")


def show_gradients(trainer: Trainer) -> None:
    """Print the mean gradient norm of each part."""
    from upfusion_med.training.gradient_flow import gradient_norms

    typer.echo(f"Gradient norms at step {trainer.step}:")
    for part, norm in gradient_norms(trainer).items():
        typer.echo(f"  {part:<28} {norm:.3e}")


def show_validation(trainer: Trainer) -> None:
    """Print the mean scores of the held-out pairs.

    Raises:
        UsageError: no scene is held out.
    """
    from upfusion_med.core import UsageError
    from upfusion_med.training.validation import validation_metrics

    if not trainer.validation:
        raise UsageError("No scene is held out by this configuration; set 'validation_share' above 0.")
    with trainer.averaged() as network:
        scores = validation_metrics(network, trainer.validation, trainer.codes, trainer.device)
    typer.echo(f"Mean over {len(trainer.validation)} held-out pairs at step {trainer.step}:")
    for name, score in scores.items():
        typer.echo(f"  {name:<8} {score:.4f}")


def show_fields(meanings: dict[str, str]) -> None:
    """Print every field of a configuration with its default and meaning."""
    from dataclasses import MISSING
    from dataclasses import fields as fields_of

    from rich.console import Console
    from rich.table import Table

    from upfusion_med.training.configuration import TrainingConfig

    table = Table("field", "default", "meaning")
    for field in fields_of(TrainingConfig):
        value = field.default if field.default_factory is MISSING else field.default_factory()
        table.add_row(field.name, "required" if value is MISSING else str(value), meanings[field.name])
    Console().print(table)

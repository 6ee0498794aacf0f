"""``upfusion weights``: what is done with files of network weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

if TYPE_CHECKING:
    from upfusion_med.weights.conversion import ConversionReport

app = typer.Typer(no_args_is_help=True, help="Files of network weights.")


@app.callback()
def weights() -> None:
    """Files of network weights."""


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="The authors' checkpoint (.pth or .pt).")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DST", help="File to write (.safetensors).")],
    model: Annotated[str, typer.Option(help="Network that the checkpoint belongs to.")] = "upfusion-paper",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing output.")] = False,
) -> None:
    """Convert the authors' checkpoint to this package's format."""
    from upfusion_med.weights.conversion import convert_checkpoint

    show(convert_checkpoint(source, output, model, force=force))


@app.command()
def export(
    model: Annotated[str, typer.Argument(help="Model name (see: upfusion info) or a .safetensors file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the two graphs and model.json.")],
    force: Annotated[bool, typer.Option("--force", help="Replace an exported model in that folder.")] = False,
) -> None:
    """Write a model as ONNX graphs: `upfusion fuse --model FOLDER` then needs onnxruntime, not PyTorch."""
    from upfusion_med.weights import load_checkpoint
    from upfusion_med.weights.onnx_export import export_onnx

    for file in export_onnx(load_checkpoint(model), output, force=force):
        typer.echo(f"{file} ({file.stat().st_size / 1e6:.1f} MB)")


@app.command()
def average(
    sources: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Weights files of one network.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DST", help="File to write (.safetensors).")],
    share: Annotated[
        Optional[list[float]],  # noqa: UP045
        typer.Option(help="What a file counts; once for each file, in their order. Default: all alike."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing output.")] = False,
) -> None:
    """Write the mean of several runs' weights.

    Example: upfusion weights average run-a.safetensors run-b.safetensors --share 3 --share 2 -o mean.safetensors
    """
    from upfusion_med.weights.averaging import average_weights

    sha256 = average_weights(sources, output, share or (), force=force)
    typer.echo(f"{output} ({output.stat().st_size / 1e6:.1f} MB), SHA-256 {sha256}")


@app.command()
def bundle(
    folder: Annotated[Path, typer.Argument(help="Root of a MONAI bundle (it has configs/metadata.json).")],
    model: Annotated[str, typer.Option(help="Model name (see: upfusion info) or a .safetensors file.")] = "upfusion",
) -> None:
    """Write models/model.pt of a MONAI bundle: the weights as a plain state dict."""
    from upfusion_med.bundle import save_bundle_weights
    from upfusion_med.core import UsageError

    if not (folder / "configs" / "metadata.json").is_file():
        raise UsageError(f"{folder} is no MONAI bundle: it has no configs/metadata.json.")
    file = save_bundle_weights(folder / "models" / "model.pt", model)
    typer.echo(f"{file} ({file.stat().st_size / 1e6:.1f} MB)")


def show(report: ConversionReport) -> None:
    """Print a report as a table of two columns."""
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    dead = f"{report.dropped_tensors} tensors, {report.dropped_parameters:,} parameters"
    expected = "" if report.alpha == 1.0 else "; the released training leaves it at exactly 1"
    for name, value in (
        ("network", report.model),
        ("state dict under", report.wrapper or "(bare)"),
        ("prefix stripped", report.prefix or "(none)"),
        ("ignored beside it", ", ".join(report.ignored_entries) or "(nothing)"),
        ("dropped, never called", dead),
        ("kept", f"{report.kept_tensors} tensors, {report.kept_parameters:,} parameters"),
        ("alpha", f"{report.alpha:g}{expected}"),
        ("written to", str(report.destination)),
        ("SHA-256", report.sha256),
        ("SHA-256 of the source", report.source_sha256),
    ):
        table.add_row(name, value)

    Console().print(table)

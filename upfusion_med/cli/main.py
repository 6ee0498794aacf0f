"""The command ``upfusion``: mounts the commands, prints errors without a traceback, sets the exit code."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from upfusion_med import __version__
from upfusion_med.cli import (
    ablate,
    bench,
    benchmark,
    demo,
    dicom,
    downstream,
    evaluate,
    fuse,
    info,
    inspect,
    train,
    weights,
)
from upfusion_med.core.errors import UpFusionError

EPILOG = "Exit codes: 0 done, 2 wrong call, 3 wrong input, 4 the machine failed. Not for diagnostic use."

app = typer.Typer(
    name="upfusion",
    help="Fuse MRI with PET, SPECT or CT (or visible with infrared pictures) into one colour volume. "
    "Start with: upfusion demo --output demo",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"upfusion-med {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Options that stand before the command."""


app.command("fuse", epilog=EPILOG, no_args_is_help=True)(fuse.fuse)
app.command("demo", epilog=EPILOG)(demo.demo)
app.command("dicom", no_args_is_help=True)(dicom.dicom)
app.command("info")(info.info)
app.command("inspect", no_args_is_help=True)(inspect.inspect)
app.command("evaluate", no_args_is_help=True)(evaluate.evaluate)
app.command("benchmark", no_args_is_help=True)(benchmark.benchmark)
app.add_typer(
    downstream.app,
    name="downstream",
    help="Score what a segmenter or detector made of fused pictures.",
    no_args_is_help=True,
)
app.command("train", no_args_is_help=True)(train.train)
app.command("ablate", no_args_is_help=True)(ablate.ablate)
app.add_typer(weights.app, name="weights", help="Convert published weights, export models.", no_args_is_help=True)
app.add_typer(
    bench.app, name="bench", help="Measure this package: speed, metrics, networks, volumes.", no_args_is_help=True
)


def main() -> None:
    """Run the command line; the entry point of the script ``upfusion``."""
    try:
        app()
    except UpFusionError as error:
        if "--debug" in sys.argv:
            raise
        typer.secho("Error: ", fg="red", bold=True, nl=False, err=True)
        typer.echo(str(error), err=True)
        sys.exit(error.exit_code)
    except MemoryError:
        if "--debug" in sys.argv:
            raise
        typer.secho("Error: ", fg="red", bold=True, nl=False, err=True)
        typer.echo(
            "There is not enough memory for these images; nothing was written. Close other programs, crop or resample "
            "the images, or fuse fewer slices at once (--batch-size 1).",
            err=True,
        )
        sys.exit(4)
    except KeyboardInterrupt:
        typer.echo("Interrupted; no output was finished.", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()

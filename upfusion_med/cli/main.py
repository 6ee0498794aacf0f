"""The command ``upfusion``: mounts the commands, prints errors without a traceback, sets the exit code."""

from __future__ import annotations

import inspect as inspection
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from types import FrameType
from typing import Annotated, NoReturn

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
from upfusion_med.core.errors import RuntimeFailure, UpFusionError

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


def _let_help_flow(commands: typer.Typer) -> None:
    """Take the line breaks of the source out of the help, which Rich would keep; indented lines are examples."""
    for command in commands.registered_commands:
        if command.callback is not None:
            words = inspection.cleandoc(command.help or command.callback.__doc__ or "")
            command.help = re.sub(r"(?<=\S)\n(?=\S)", " ", words)
    for group in commands.registered_groups:
        if group.typer_instance is not None:
            _let_help_flow(group.typer_instance)


_let_help_flow(app)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM, by which Slicer and batch systems cancel, ends a command as Ctrl-C does: what was begun is cleaned up.

    ``upfusion train`` puts its own answer in this one's place while it trains.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _refuse(message: str, exit_code: int) -> NoReturn:
    typer.secho("Error: ", fg="red", bold=True, nl=False, err=True)
    typer.echo(message, err=True)
    sys.exit(exit_code)


def main() -> None:
    """Run the command line; the entry point of the script ``upfusion``."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as standard error has it: paths may hold any letter
    try:
        with _terminated_as_interrupted():
            app()
    except UpFusionError as error:
        if "--debug" in sys.argv:
            raise
        _refuse(str(error), error.exit_code)
    except MemoryError:
        if "--debug" in sys.argv:
            raise
        _refuse(
            "There is not enough memory for these images; nothing was written. Close other programs, crop or resample "
            "the images, or fuse fewer slices at once (--batch-size 1).",
            RuntimeFailure.exit_code,
        )
    except OSError as error:
        if "--debug" in sys.argv:
            raise
        place = "" if error.filename is None else f" ({error.filename})"
        _refuse(
            f"The system refused to read or write a file: {error.strerror or type(error).__name__}{place}. Check its "
            "rights and the free space, or choose another place.",
            RuntimeFailure.exit_code,
        )
    except KeyboardInterrupt:
        typer.echo("Interrupted; no output was finished.", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()

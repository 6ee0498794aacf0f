"""Options that several of ``upfusion bench`` take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

RootOption = Annotated[Path, typer.Option(help="Root folder of the data set.")]
DataOption = Annotated[str, typer.Option(help="Name of the data set.")]
SplitOption = Annotated[Optional[str], typer.Option(help="Split of the data set. Default: its test pairs.")]  # noqa: UP045
ModelOption = Annotated[str, typer.Option(help="Shipped name, or path of a weights file.")]

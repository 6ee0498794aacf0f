"""``upfusion evaluate``: score finished fused pictures, whoever made them."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Optional

import typer

from upfusion_med.core import Modality


def evaluate(
    fused: Annotated[Path, typer.Option("--fused", help="Folder of fused pictures, named like the sources.")],
    a: Annotated[Path, typer.Option("--a", help="Folder of sources A: visible, PET, SPECT or CT.")],
    b: Annotated[Path, typer.Option("--b", help="Folder of sources B: infrared or MRI.")],
    metrics: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Comma-separated metrics, or all. Default: the headline metrics."),
    ] = None,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--output", "-o", help="Folder for tables and report; without it only a table is printed."),
    ] = None,
    name: Annotated[str, typer.Option(help="The method's name in tables.")] = "fused",
    modality: Annotated[Modality, typer.Option(help="What A is.")] = Modality.INFRARED,
    slices: Annotated[
        bool, typer.Option("--slices", help="Names end in the slice's number; measure flicker (medical pictures).")
    ] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Processes; 0: one per core.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar, no table.")] = False,
) -> None:
    """Score a folder of fused pictures against its two folders of sources; files are matched by name.

    The average rule is scored beside it, because it is the bound for methods that throw one source away.

    Examples:
      upfusion evaluate --fused results --a vi --b ir
      upfusion evaluate --fused results --a PET --b MRI --metrics q_p,vif,q_abf,ssim -o scores
    """
    from upfusion_med.cli.benchmark import finish, run, show
    from upfusion_med.evaluation.datasets import folder_pair
    from upfusion_med.evaluation.methods import FolderMethod, RuleMethod
    from upfusion_med.evaluation.pairs import only_with_result, pairs_of_folders
    from upfusion_med.evaluation.rules import BOUND

    pairs = only_with_result(pairs_of_folders(folder_pair("pairs", modality, slices=slices), a, b), fused)
    methods = [FolderMethod(name, fused, pairs), RuleMethod(BOUND)]
    with TemporaryDirectory() as nowhere:
        place = output if output is not None else Path(nowhere)
        results = run(pairs, methods, metrics, place, name, False, jobs, seed, output is not None, quiet)
        if not quiet:
            show(results, output)
        finish(results, output)

"""``upfusion bench unexplained``: pictures of what fused images show that neither source explains."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from upfusion_med.cli.bench_options import DataOption, ModelOption, RootOption, SplitOption
from upfusion_med.core import Device, UsageError


def unexplained(
    root: RootOption,
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture (PNG) to write.")],
    data: DataOption = "harvard",
    split: SplitOption = None,
    every: Annotated[int, typer.Option(help="Look at every n-th pair of each kind.")] = 1,
    model: ModelOption = "upfusion",
    method: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="Rule to show beside it; may be given several times. Default: max and laplacian."),
    ] = None,
    worst: Annotated[int, typer.Option(help="Pairs of each kind to show.")] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Show the pairs in which a network's result has the largest patches that neither source explains.

    The figures themselves are columns of `upfusion benchmark`: unexplained_structure and unexplained_patch.

    Example: upfusion bench unexplained --root harvard --split dev -o unexplained.png
    """
    from upfusion_med.cli.progress import TerminalProgress
    from upfusion_med.evaluation.datasets import get_data_set
    from upfusion_med.evaluation.influence import every_nth
    from upfusion_med.evaluation.methods import Method, RuleMethod, model_method
    from upfusion_med.evaluation.pair_search import find_pairs
    from upfusion_med.evaluation.unexplained_picture import WHITE_LEVELS, draw_maps, worst_pairs
    from upfusion_med.io.output_place import check_output_folder

    check_output_folder(output.parent)
    if output.is_dir():
        raise UsageError(f"The output {output} is a folder; expected the name of a picture (PNG).")
    if worst < 1:
        raise UsageError(f"The {worst} worst pairs were asked for; expected 1 or more.")
    found = find_pairs(get_data_set(data), root, split)
    rules = ["max", "laplacian"] if method is None else method
    methods: list[Method] = [model_method(model, None, Device.AUTO), *(RuleMethod(name) for name in rules)]
    with TerminalProgress(quiet) as progress:
        shown = worst_pairs(every_nth(found.pairs, every), methods, worst, progress)
    title = (
        f"Largest patches that neither source explains in {model}, {data} {found.split}; maps: white {WHITE_LEVELS:g} "
        "levels and more, red: patches"
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    draw_maps(shown, title).save(output)
    for row in shown:
        figures = ", ".join(f"{name} {x.share:.2f} % / {x.largest_patch} px" for name, _, x in row.results)
        typer.echo(f"{row.pair.id}: {figures}")
    typer.echo(f"Written to {output}")

"""``upfusion bench influence``: what the prompt and the semantic backbone do to the output."""

from __future__ import annotations

from typing import Annotated

import typer

from upfusion_med.cli.bench_options import DataOption, ModelOption, RootOption, SplitOption


def influence(
    root: RootOption,
    data: DataOption = "harvard",
    split: SplitOption = None,
    every: Annotated[int, typer.Option(help="Take every n-th pair of each kind.")] = 10,
    model: ModelOption = "upfusion",
) -> None:
    """Measure how far another prompt, or the semantic descriptor of another pair, moves the fused picture.

    Shown are grey levels of 255 (the mean absolute change over all pixels and pairs, and the largest of any pixel), and
    what the output scores then: a prompt earns its place where its own kind of pairs does better with it.

    Example: upfusion bench influence --root harvard
    """
    from rich.console import Console
    from rich.table import Table

    from upfusion_med.evaluation.datasets import get_data_set
    from upfusion_med.evaluation.influence import METRICS, every_nth, measure_influence
    from upfusion_med.evaluation.pair_search import find_pairs
    from upfusion_med.weights import load_checkpoint

    found = find_pairs(get_data_set(data), root, split)
    rows = measure_influence(load_checkpoint(model), every_nth(found.pairs, every))
    heads = ("mean change", "largest", *METRICS)
    table = Table("pairs", "n", "what is changed", title=f"{model}, {found.split}")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        scores = (f"{row.scores[name]:.3f}" for name in METRICS)
        table.add_row(row.kind, str(row.pairs), row.change, f"{row.mean:.2f}", f"{row.largest:.0f}", *scores)
    Console(width=140).print(table)

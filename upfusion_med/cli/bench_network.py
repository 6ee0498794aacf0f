"""``upfusion bench network``: what the networks cost on this machine."""

from __future__ import annotations

from typing import Annotated, Optional

import typer


def network(
    model: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="Network to measure; may be given several times. Default: upfusion-tiny and upfusion-paper."),
    ] = None,
    side: Annotated[int, typer.Option(help="Side of the square slice in pixels.")] = 256,
    threads: Annotated[
        Optional[list[int]],  # noqa: UP045
        typer.Option(help="CPU threads; may be given several times. Default: 1 and 2."),
    ] = None,
    repeats: Annotated[int, typer.Option(help="Slices timed; the fastest counts.")] = 5,
) -> None:
    """Measure parameters, multiply-accumulates, seconds per slice and peak memory, each in a process of its own."""
    from rich.console import Console
    from rich.table import Table

    from upfusion_med.evaluation.network_cost import measure

    table = Table(
        "network", "threads", "parameters", "of them frozen", "GMAC", "s/slice", "CPU s/slice", "s/slice in a volume",
        "peak MiB", title=f"One {side}x{side} slice on the CPU, float32, fastest of {repeats}",
    )  # fmt: skip
    for name in model or ["upfusion-tiny", "upfusion-paper"]:
        for count in threads or [1, 2]:
            cost = measure(name, side, count, repeats)
            table.add_row(
                cost.model, str(cost.threads), f"{cost.parameters:,}", f"{cost.frozen:,}", f"{cost.gmacs:.2f}",
                f"{cost.seconds:.3f}", f"{cost.cpu_seconds:.3f}", f"{cost.volume_seconds:.3f}", f"{cost.peak_mib:.0f}",
            )  # fmt: skip
    Console(width=140).print(table)

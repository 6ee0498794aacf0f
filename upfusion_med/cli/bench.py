"""``upfusion bench``: what this package costs on this machine, and measurements of its own parts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from upfusion_med.cli import bench_influence, bench_network, bench_unexplained, bench_volume

app = typer.Typer(add_completion=False)
app.command("network")(bench_network.network)
app.command("influence")(bench_influence.influence)
app.command("unexplained")(bench_unexplained.unexplained)
app.command("volume")(bench_volume.volume)


@app.command()
def metrics(
    size: Annotated[int, typer.Option(help="Side of the synthetic pair in pixels, 41 or more.")] = 256,
    repeats: Annotated[int, typer.Option(help="Turns; the fastest run counts.")] = 10,
    image_a: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Visible or functional image to use instead of the synthetic pair."),
    ] = None,
    image_b: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Infrared image or MRI of the same size."),
    ] = None,
) -> None:
    """Time the metrics beside the usual evaluator loop, on one core."""
    from rich.console import Console
    from rich.table import Table

    from upfusion_med.core import UsageError
    from upfusion_med.evaluation.metric_speed import TIMED, measure_metrics, synthetic_pair
    from upfusion_med.metrics.visual_information import SMALLEST_SIDE

    if (image_a is None) != (image_b is None):
        raise UsageError("One of --image-a and --image-b was given; expected both or none.")
    if repeats < 1:
        raise UsageError(f"The number of repeats is {repeats}; expected 1 or more.")
    if image_a is None or image_b is None:
        if size < SMALLEST_SIDE:
            raise UsageError(f"The size is {size}; expected {SMALLEST_SIDE} or more.")
        a, b = synthetic_pair(size)
    else:
        from upfusion_med.evaluation.picture_levels import grey, read_levels

        a, b = (grey(read_levels(path)).astype(float) for path in (image_a, image_b))
    table = Table(
        "metric", "ours, ms", "times faster", "single precision, ms", "times faster", "usual loop, ms",
        title=f"{a.shape[0]}x{a.shape[1]} pair, one core, CPU time, fastest run of {repeats} turns",
    )  # fmt: skip

    def cells(ours: float | None, usual: float | None) -> tuple[str, str]:
        ratio = "" if ours is None or usual is None else f"{usual / ours:.1f}"
        return "" if ours is None else f"{ours:.2f}", ratio

    rows = measure_metrics(a, b, repeats)
    for row in rows:
        usual = "" if row.reference is None else f"{row.reference:.2f}"
        table.add_row(row.name, *cells(row.double, row.reference), *cells(row.single, row.reference), usual)
    console = Console(width=110)
    console.print(table)
    ours, ratio = next(cells(row.double, row.reference) for row in rows if row.name == "together")
    console.print(
        f"{', '.join(TIMED)} together, in double precision: {ours} ms, {ratio} times faster than the usual loop."
    )


@app.command()
def golden(
    golden: Annotated[Path, typer.Option(help="Table of reference values: lines of case, metric, value, origin.")],
    images: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Folder with the cases' pictures, CASE_a.png and so on. Default: images beside the table."),
    ] = None,
) -> None:
    """Print our metrics beside reference values, with the largest relative error of each."""
    from rich.console import Console
    from rich.table import Table

    from upfusion_med.evaluation.golden_values import compare_with_golden

    rows = compare_with_golden(golden, images or golden.parent / "images")
    table = Table("case", "metric", "ours", "reference", "relative error", "allowed", title=f"Against {golden.name}")
    worst: dict[str, tuple[float, str]] = {}
    for row in rows:
        error = "" if row.error is None else f"{row.error:.1e}"
        table.add_row(row.case, row.key, f"{row.ours:.12g}", row.reference, error or row.note, f"{row.tolerance:.0e}")
        if row.error is not None:
            worst[row.key] = max(worst.get(row.key, (0.0, "")), (row.error, row.case))
    summary = Table("metric", "largest relative error", "in case", title="Largest errors")
    for key, (largest, case) in worst.items():
        summary.add_row(key, f"{largest:.1e}", case)
    console = Console(width=160)
    console.print(table)
    console.print(summary)
    beyond = [row for row in rows if row.error is not None and row.error > row.tolerance]
    console.print(f"{len(rows)} values, {len(beyond)} beyond their tolerance.")
    if beyond:
        raise typer.Exit(1)

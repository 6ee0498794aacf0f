"""``upfusion ablate``: what each part of the network is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def ablate(
    config: Annotated[Path, typer.Argument(help="JSON file with the fields of AblationConfig.")],
    plan: Annotated[bool, typer.Option("--plan", help="Only show the variants, their cost and what is done.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar, no table.")] = False,
) -> None:
    """Train the network without each of its parts on infrared-visible pairs, and score every variant on Harvard.

    Variants: the whole network; without SCPM, GAM, TCPM, the channel attention of TCPM, the semantic backbone, the
    channel attention of SCPM; and a plain network of equal cost (multiply-accumulates within 3 %). Every variant has
    the same recipe, crops and number of steps, once per seed. No medical picture is trained on or chooses anything.

    Finished runs are kept: an interrupted ablation goes on where it stopped when the same command is given again.
    Written into the configuration's output folder are ablation.csv (mean, standard deviation, every seed),
    differences.csv (paired over seeds), ablation.md and ablation.tex; the runs lie in runs/.

    Example: upfusion ablate docs/recipes/ablation-tiny.json
    """
    from rich.console import Console
    from rich.table import Table

    from upfusion_med.cli.progress import TerminalProgress
    from upfusion_med.training.ablation.runs import finished, run_ablation
    from upfusion_med.training.ablation.study import read_ablation_config
    from upfusion_med.training.ablation.tables import write_tables
    from upfusion_med.training.ablation.variants import cost_of, variants_of

    study = read_ablation_config(config)
    console = Console(markup=False, emoji=False)
    if plan:
        model = study.training.get("model", "upfusion-tiny")
        table = Table("variant", "name", "GMAC", "trained parameters", "runs done")
        for variant in variants_of(model, study.training.get("overrides", {}), study.variants):
            cost = cost_of(model, variant.overrides)
            done = sum(finished(study, variant, seed) is not None for seed in study.seeds)
            table.add_row(
                variant.label, variant.name, f"{cost.gmacs:.2f}", f"{cost.trained:,}", f"{done}/{len(study.seeds)}"
            )
        console.print(table)
        return
    try:
        with TerminalProgress(quiet) as progress:
            runs = run_ablation(study, progress)
    except KeyboardInterrupt as stop:
        typer.echo(f"Stopped. {stop} Finished runs are kept; the same command goes on.")
        raise typer.Exit(130) from None
    files = write_tables(runs, Path(study.output))
    if not quiet:
        console.print((Path(study.output) / "ablation.md").read_text(), soft_wrap=True)
        console.print(f"Written: {', '.join(str(f) for f in files)}", soft_wrap=True)

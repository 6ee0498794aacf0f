"""The files of an ablation: CSV of every value, Markdown and LaTeX of the table."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from upfusion_med.evaluation.columns import column
from upfusion_med.evaluation.statistics import best_methods
from upfusion_med.evaluation.tables import latex_text
from upfusion_med.training.ablation.runs import AblationRun
from upfusion_med.training.ablation.summary import (
    ALL_KINDS,
    HELD_OUT,
    JUDGES,
    Difference,
    Row,
    differences_of,
    earns_its_place,
    loss_differences_of,
    rows_of,
)
from upfusion_med.training.ablation.variants import FULL, VARIANTS

#: Headings that differ from those of the benchmark.
_LABELS = {"vif_a": "VIF A", "vif_b": "VIF B"}
_PARTS = {v.name: v.part for v in VARIANTS}


def write_tables(runs: Sequence[AblationRun], output: Path) -> list[Path]:
    """Write ablation.csv, differences.csv, ablation.md and ablation.tex; each appears whole or not at all."""
    rows = rows_of(runs)
    differences = differences_of(rows)
    texts = {
        "ablation.csv": values_csv(runs, rows),
        "differences.csv": differences_csv([*differences, *loss_differences_of(runs)]),
        "ablation.md": markdown(runs, rows, differences),
        "ablation.tex": latex(rows),
    }
    output.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        beside = output / f".{name}.part"
        beside.write_text(text, encoding="utf-8")
        beside.replace(output / name)
    return [output / name for name in texts]


def values_csv(runs: Sequence[AblationRun], rows: Sequence[Row]) -> str:
    """One line a variant, split, kind and metric, with the value of every seed."""
    seeds = list(dict.fromkeys(run.seed for run in runs))
    header = ["split", "kind", "variant", "metric", "mean", "sd", *(f"seed{seed}" for seed in seeds)]
    lines = ([r.split, r.kind, r.variant, r.metric, r.mean, r.sd, *r.values] for r in rows)
    return _csv(header, lines)


def differences_csv(differences: Sequence[Difference]) -> str:
    """One line a variant, split and metric: the whole network minus the variant."""
    header = ["split", "variant", "metric", "mean_difference", "low95", "high95", "verdict", "differences"]
    lines = (
        [d.split, d.variant, d.metric, d.mean, d.low, d.high, d.verdict.value, " ".join(f"{v:.6g}" for v in d.values)]
        for d in differences
    )
    return _csv(header, lines)


def _csv(header: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    for line in lines:
        writer.writerow([f"{x:.8g}" if isinstance(x, float) else x for x in line])
    return stream.getvalue()


def _label(metric: str) -> str:
    return _LABELS.get(metric) or column(metric).label


def _shown(row: Row) -> str:
    digits = column(row.metric).decimals
    spread = "" if math.isnan(row.sd) else f" ± {row.sd:.{digits}f}"
    return f"{row.mean:.{digits}f}{spread}"


def _best(rows: Sequence[Row]) -> set[str]:
    """Variants with the best mean of one metric."""
    means = np.array([[row.mean] for row in rows])
    (best,) = best_methods(means, [column(rows[0].metric)], [True] * len(rows))
    return {rows[k].variant for k in best}


def _wish(metrics: Sequence[str]) -> str:
    """Which way is better."""
    others = [f"{_label(m)}: {column(m).wish}" for m in metrics if column(m).better != 1]
    return "higher is better" + (f" ({'; '.join(others)})" if others else "")


def _blocks(rows: Sequence[Row]) -> list[tuple[str, str, list[str], dict[tuple[str, str], Row]]]:
    """Split, kind, variants and cells of every table; the mean of kinds comes first."""
    found = []
    for split in dict.fromkeys(r.split for r in rows):
        kinds = list(dict.fromkeys(r.kind for r in rows if r.split == split))
        for kind in [ALL_KINDS, *(k for k in kinds if k != ALL_KINDS)]:
            own = {(r.variant, r.metric): r for r in rows if r.split == split and r.kind == kind}
            found.append((split, kind, list(dict.fromkeys(v for v, _ in own)), own))
    return found


def markdown(runs: Sequence[AblationRun], rows: Sequence[Row], differences: Sequence[Difference]) -> str:
    """Budget, cost, one table a split and kind, and what each part is worth."""
    metrics = list(runs[0].facts["metrics"])
    seeds = list(dict.fromkeys(run.seed for run in runs))
    training = runs[0].facts["training"]
    counts = ", ".join(f"{len(pairs)} {split}" for split, pairs in runs[0].scores.items())
    minutes = sum(run.cpu_seconds for run in runs) / 60
    lines = [
        f"Budget: {runs[0].steps} steps a run, batch {training.get('batch', 8)}, crops of {training.get('side', 128)}, "
        f"{len(seeds)} seeds, {len(runs)} runs, {minutes:.0f} minutes of processor time for the training. "
        f"Scored pairs: {counts}. Mean ± standard deviation over seeds; {_wish(metrics)}.",
        "",
        "| variant | GMAC (256x256) | trained parameters | loss, held-out infrared-visible crops |",
        "| --- | --- | --- | --- |",
    ]
    for variant in dict.fromkeys(run.variant for run in runs):
        own = [run for run in runs if run.variant == variant]
        losses = np.array([run.validation_loss for run in own])
        spread = f" ± {losses.std(ddof=1):.4f}" if len(own) > 1 else ""
        lines.append(f"| {own[0].label} | {own[0].gmacs:.2f} | {own[0].trained:,} | {losses.mean():.4f}{spread} |")
    for split, kind, variants, cells in _blocks(rows):
        lines += ["", f"### {split}, {kind}", "", "| variant | " + " | ".join(map(_label, metrics)) + " |"]
        lines.append("| --- |" + " --- |" * len(metrics))
        best = {m: _best([cells[v, m] for v in variants]) for m in metrics}
        for variant in variants:
            shown = []
            for m in metrics:
                text = _shown(cells[variant, m])
                shown.append(f"**{text}**" if variant in best[m] else text)
            lines.append(f"| {cells[variant, metrics[0]].label} | " + " | ".join(shown) + " |")
    lines += _worth(differences, loss_differences_of(runs), {r.variant: r.label for r in rows})
    return "\n".join(lines) + "\n"


def _worth(differences: Sequence[Difference], losses: Sequence[Difference], labels: dict[str, str]) -> list[str]:
    judges = [m for m in JUDGES if any(d.metric == m for d in differences)]
    lines: list[str] = []
    if losses:
        lines += ["", f"### What each part is worth, {HELD_OUT}", "", "| without | loss saved |", "| --- | --- |"]
        lines += [
            f"| {_PARTS.get(d.variant) or labels[d.variant]} | {d.mean:+.4f} ({d.verdict.value}) |" for d in losses
        ]
    for split in dict.fromkeys(d.split for d in differences):
        lines += ["", f"### What each part is worth, {split}", ""]
        lines.append("| without | " + " | ".join(map(_label, judges)) + " | earns its place |")
        lines.append("| --- |" + " --- |" * (len(judges) + 1))
        for variant in dict.fromkeys(d.variant for d in differences):
            own = {d.metric: d for d in differences if d.split == split and d.variant == variant}
            cells = [f"{own[m].mean:+.4f} ({own[m].verdict.value})" for m in judges]
            word = earns_its_place(differences, variant, split)
            lines.append(f"| {_PARTS.get(variant) or labels[variant]} | " + " | ".join(cells) + f" | {word} |")
    lines += [
        "",
        "Differences are the whole network minus the variant, mean of the kinds of pairs, paired over seeds. A part "
        "*helps* or *hurts* where the 95 % interval (Student's t) leaves out 0; it *leans* where all seeds agree.",
    ]
    return lines


def latex(rows: Sequence[Row]) -> str:
    """One booktabs table a split: the mean of kinds."""
    lines: list[str] = []
    for split, kind, variants, cells in _blocks(rows):
        if kind != ALL_KINDS:
            continue
        metrics = list(dict.fromkeys(m for _, m in cells))
        best = {m: _best([cells[v, m] for v in variants]) for m in metrics}
        heads = " & ".join(_latex_label(m) for m in metrics)
        lines += [
            rf"% {split}, {kind}, mean and standard deviation over seeds",
            r"\begin{tabular}{l" + "c" * len(metrics) + "}",
            r"\toprule",
            f"Variant & {heads} \\\\",
            r"\midrule",
        ]
        for variant in variants:
            shown = []
            for m in metrics:
                text = _shown(cells[variant, m]).replace(" ± ", r" \pm ")
                shown.append(rf"$\mathbf{{{text}}}$" if variant in best[m] else f"${text}$")
            name = cells[variant, metrics[0]].label
            lines.append(f"{name} & " + " & ".join(shown) + r" \\")
            if variant == FULL:
                lines.append(r"\midrule")
        lines += [r"\bottomrule", r"\end{tabular}", ""]
    return "\n".join(lines)


def _latex_label(metric: str) -> str:
    label = _label(metric)
    return f"$Q_{{{label[2:]}}}$" if re.fullmatch("Q_[A-Z]+", label) else latex_text(label)

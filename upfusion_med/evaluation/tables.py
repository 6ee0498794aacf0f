"""The files of a run that people open in a spreadsheet, a paper or an issue: CSV, Markdown, LaTeX."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from upfusion_med.evaluation.columns import Column
from upfusion_med.evaluation.published import PublishedRow
from upfusion_med.evaluation.results import Block, Line, Results, Section
from upfusion_med.evaluation.statistics import CONFIDENCE

UNDEFINED = "–"


def write_tables(results: Results, output: Path) -> list[Path]:
    """Write every table of a run; each file appears whole or not at all.

    Returns:
        The files: per_pair.csv, summary.csv, summary.md, summary.tex, lines.csv, tests.csv and, where something failed,
        failures.csv.
    """
    output.mkdir(parents=True, exist_ok=True)
    texts = {
        "per_pair.csv": per_pair_csv(results),
        "summary.csv": summary_csv(results),
        "summary.md": markdown(results),
        "summary.tex": latex(results),
        "lines.csv": lines_csv(results),
        "tests.csv": tests_csv(results),
        "failures.csv": failures_csv(results),
    }
    written = []
    for name, text in texts.items():
        path = output / name
        if name == "failures.csv" and not results.table.failures:
            path.unlink(missing_ok=True)
            continue
        beside = output / f".{name}.part"
        beside.write_text(text, encoding="utf-8", errors="backslashreplace")
        beside.replace(path)
        written.append(path)
    return written


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]], digits: int = 10) -> str:
    """Rows below a header as CSV; floats with so many digits, enough to compute on, and empty where undefined."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(x, digits) if isinstance(x, float) else x for x in row] for row in rows)
    return stream.getvalue()


def _cell(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}g}"


def per_pair_csv(results: Results) -> str:
    """One line per pair and method."""
    table = results.table
    rows = (
        [p.group, p.name, p.case, name, *table.values[m, k]]
        for k, p in enumerate(table.pairs)
        for m, name in enumerate(table.methods)
        if table.scored[m, k]
    )
    return csv_text(["group", "name", "case", "method", *table.metrics], rows)


def summary_csv(results: Results) -> str:
    """One line per part of the run, method and metric."""
    level = f"{CONFIDENCE:.0%}".rstrip("%")
    header = ["section", "method", "kind", "one_sided", "metric", "n", "cases", "mean", "sd"]
    header += [f"low{level}", f"high{level}", "rank"]
    rows = []
    for section in results.sections:
        summary = section.summary
        for m, name in enumerate(results.table.methods):
            for k, key in enumerate(results.table.metrics):
                numbers = (summary.mean, summary.sd, summary.low, summary.high, section.ranks)
                who = (section.name, name, results.table.kinds[m].value, section.sides[m].value)
                rows.append([*who, key, summary.count[m, k], summary.cases, *(x[m, k] for x in numbers)])
    return csv_text(header, rows)


def lines_csv(results: Results) -> str:
    """One line per part of the run and metric: the best value, and who has it."""
    rows = [
        [section.name, line.name, key, value, holders]
        for section in results.sections
        for line in section.lines
        for key, value, holders in zip(results.table.metrics, line.values, line.holders, strict=True)
        if holders
    ]
    return csv_text(["section", "line", "metric", "value", "methods"], rows)


def tests_csv(results: Results) -> str:
    """One line per comparison with the reference method."""
    header = ["section", "reference", "method", "metric", "pairs", "cases", "difference", "low95", "high95"]
    header += ["p_pairs", "p_pairs_holm", "better_cases", "p_cases"]
    rows = []
    for section in results.sections:
        for c in section.comparisons:
            who = (section.name, results.reference, c.method, c.metric, c.pairs, c.cases)
            rows.append([*who, c.difference, c.low, c.high, c.p, c.p_holm, c.better_cases, c.p_cases])
    return csv_text(header, rows)


def failures_csv(results: Results) -> str:
    """One line per pair, or pair and method, that could not be scored."""
    return csv_text(
        ["group", "name", "method", "reason"], ([f.group, f.name, f.method, f.reason] for f in results.table.failures)
    )


def shown(value: float, column: Column) -> str:
    """A value with the digits of its column."""
    return UNDEFINED if math.isnan(value) else f"{value:.{column.decimals}f}"


def _cells(
    section: Section, columns: Sequence[tuple[int, Column]], m: int, bold: tuple[str, str], plus: str
) -> list[str]:
    cells = []
    for k, column in columns:
        text = shown(section.summary.mean[m, k], column)
        if not math.isnan(section.summary.sd[m, k]):
            text += f" {plus} {shown(section.summary.sd[m, k], column)}"
        best = m in section.best[k]
        cells.append(f"{bold[0]}{text}{bold[1]}" if best else text)
    return cells


def _label(results: Results, section: Section, m: int) -> str:
    """The method's name, with the number of pairs where it did not run on all."""
    name = results.table.methods[m]
    there, total = section.scored[m], section.pairs
    return name if there == total else f"{name} ({there} of {total} pairs)"


def markdown(results: Results) -> str:
    """All sections as Markdown tables, mean ± standard deviation."""
    lines = [f"# {results.title}", "", *(f"{line}  " for line in results.protocol), ""]
    for section in results.sections:
        lines += [f"## {section.name}", "", f"{section.about}", ""]
        lines += [f"*{line.name}*: {line.meaning}.  " for line in section.lines if any(line.holders)]
        lines.append("")
        for block in results.blocks(section):
            heads = ["method", *(c.label for _, c in block.columns), "one-sided?"]
            lines += ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
            for m in range(len(results.table.methods)):
                cells = _cells(section, block.columns, m, ("**", "**"), "±")
                label = _label(results, section, m).replace("|", r"\|")
                lines.append(f"| {label} | {' | '.join(cells)} | {section.sides[m].value} |")
            for line in lines_of(section, block):
                held = [f"{value} ({who})" if who else "" for value, who in held_values(line, block)]
                held = [cell.replace("|", r"\|") for cell in held]
                lines.append(f"| *{line.name}* | {' | '.join(held)} | |")
            for row in _rows_for(section.published, block):
                lines.append(f"| *{row.method}* ({row.mark}) | {' | '.join(_published(row, block.columns))} | |")
            lines.append("")
    lines += _failure_lines(results)
    return "\n".join(lines) + "\n"


def lines_of(section: Section, block: Block) -> list[Line]:
    """Lines that hold a value of the block's columns."""
    return [line for line in section.lines if any(line.holders[k] for k, _ in block.columns)]


def held_values(line: Line, block: Block) -> list[tuple[str, str]]:
    """Value as shown, and who has it, of the block's columns."""
    return [(shown(line.values[k], column), line.holders[k]) for k, column in block.columns]


def _rows_for(rows: Sequence[PublishedRow], block: Block) -> list[PublishedRow]:
    """Published rows that hold a value of the block's columns."""
    keys = {c.key for _, c in block.columns}
    return [row for row in rows if keys & set(row.values)]


def _published(row: PublishedRow, columns: Sequence[tuple[int, Column]]) -> list[str]:
    return [shown(row.values[c.key], c) if c.key in row.values else "" for _, c in columns]


def _failure_lines(results: Results) -> list[str]:
    failures = results.table.failures
    if not failures:
        return []
    lines = [f"## Not scored ({len(failures)})", ""]
    return lines + [f"- {f.group}/{f.name}{f' ({f.method})' if f.method else ''}: {f.reason}" for f in failures]


_LATEX = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}", "±": r"$\pm$", "–": "--",
          "Δ": r"$\Delta$", "°": r"$^\circ$", "\\": r"\textbackslash{}", "^": r"\^{}", "~": r"\~{}"}  # fmt: skip


def latex_text(text: str) -> str:
    """A text with what LaTeX would take for commands escaped."""
    return "".join(_LATEX.get(c, c) for c in text)


def latex(results: Results) -> str:
    """All sections as booktabs tables, mean ± standard deviation."""
    lines = [f"% {results.title}", *(f"% {line}" for line in results.protocol), ""]
    for section in results.sections:
        for block in results.blocks(section):
            lines += _latex_table(results, section, block)
    return "\n".join(lines)


def _latex_table(results: Results, section: Section, block: Block) -> list[str]:
    caption = f"{results.title}, {section.name}: {block.name}. {section.about}"
    heads = ["method", *(c.label for _, c in block.columns), "one-sided"]
    lines = [
        r"\begin{table}[t]",
        r"\centering",
        rf"\caption{{{latex_text(caption)}}}",
        rf"\begin{{tabular}}{{l{'c' * len(block.columns)}l}}",
        r"\toprule",
        " & ".join(map(latex_text, heads)) + r" \\",
        r"\midrule",
    ]
    for m in range(len(results.table.methods)):
        cells = _cells(section, block.columns, m, (r"\textbf{", "}"), r"$\pm$")
        label = latex_text(_label(results, section, m))
        row = [label, *(c.replace(UNDEFINED, "--") for c in cells), latex_text(section.sides[m].value)]
        lines.append(" & ".join(row) + r" \\")
    best = lines_of(section, block)
    lines += [r"\midrule"] if best else []
    for line in best:
        held = [f"{value} ({who})" if who else "" for value, who in held_values(line, block)]
        lines.append(" & ".join([rf"\textit{{{latex_text(line.name)}}}", *map(latex_text, held), ""]) + r" \\")
    published = _rows_for(section.published, block)
    lines += [r"\midrule"] if published else []
    for paper in published:
        who = rf"\textit{{{latex_text(paper.method)}}} ({latex_text(paper.mark)})"
        cells = [who, *_published(paper, block.columns), ""]
        lines.append(" & ".join(cells) + r" \\")
    return [*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""]

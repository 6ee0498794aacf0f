"""A finished run: scores, what follows from them section by section, and how they were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from upfusion_med.core import UsageError
from upfusion_med.evaluation import source_colours
from upfusion_med.evaluation.columns import HEADLINE, READER_KEYS, Column, column
from upfusion_med.evaluation.comparison import Comparison, compare
from upfusion_med.evaluation.methods import Kind
from upfusion_med.evaluation.one_sidedness import THROWN_AWAY, Side, one_sided, weaker_source
from upfusion_med.evaluation.pairs import PairList
from upfusion_med.evaluation.published import PublishedRow
from upfusion_med.evaluation.reader_measures import Composition
from upfusion_med.evaluation.score_table import FloatArray, ScoreTable
from upfusion_med.evaluation.statistics import Summary, best_methods, ranks, summarise, summarise_over_groups
from upfusion_med.inference.functional_colours import KEEP

#: Names of the sections over several groups.
POOLED_PAIRS = "pooled over pairs"
POOLED_GROUPS = "pooled over modalities"
#: More columns than these do not fit a page; Markdown and LaTeX then show the headline columns only.
WIDEST_TABLE = 12
LINE_MEANING = "best value over the methods that are not one-sided and ran on all pairs; no copies"
NETWORK_LINE_MEANING = (
    "the same over networks and finished results, no rules; their weaker source keeps at least 60 % of the VIF that "
    "the average rule gives it; * one-sided"
)


@dataclass(frozen=True)
class Line:
    """The best value of every metric over some of the methods: what a new method has to beat.

    Attributes:
        name: Heading of the row.
        meaning: Which methods count.
        values: For each metric the value; NaN where there is none.
        holders: For each metric the methods that have it, joined by commas; a star marks a one-sided one.
    """

    name: str
    meaning: str
    values: tuple[float, ...]
    holders: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Section:
    """One part of a run: a group, or all groups pooled.

    Attributes:
        name: Heading.
        about: Number of pairs and cases, and how means were taken, in one sentence.
        pairs: Number of pairs.
        scored: For each method the number of pairs it has results for.
        summary: Means, intervals.
        sides: One-sidedness of each method.
        ranks: (methods, metrics); copies are not ranked.
        best: For each metric the methods that may be called best; several where they agree as far as is printed.
        lines: Rows of best values.
        comparisons: Reference against the others; none in sections that pool means.
        published: Published rows to show beside.
    """

    name: str
    about: str
    pairs: int
    scored: tuple[int, ...]
    summary: Summary
    sides: tuple[Side, ...]
    ranks: FloatArray
    best: tuple[frozenset[int], ...]
    lines: tuple[Line, ...]
    comparisons: tuple[Comparison, ...] = ()
    published: tuple[PublishedRow, ...] = ()


@dataclass(frozen=True)
class Block:
    """Columns that stand in one table.

    Attributes:
        name: What they have in common.
        columns: Index within the metrics, and the column.
    """

    name: str
    columns: list[tuple[int, Column]]


@dataclass(frozen=True, eq=False)
class Results:
    """Everything that the files of a run are written from.

    Attributes:
        title: Heading of the run.
        protocol: How it was measured, line by line.
        table: The scores.
        columns: One for each metric of the table.
        reference: The method that others are compared with.
        sections: Parts of the run.
        pairs: What was fused.
        facts: Versions, methods and settings for the record.
    """

    title: str
    protocol: tuple[str, ...]
    table: ScoreTable
    columns: tuple[Column, ...]
    reference: str
    sections: tuple[Section, ...]
    pairs: PairList
    facts: Mapping[str, Any] = field(default_factory=dict)

    def blocks(self, section: Section) -> list[Block]:
        """The tables of a section on paper: fusion metrics, then what a reader sees; without columns that are empty."""
        there = [(k, c) for k, c in enumerate(self.columns) if np.isfinite(section.summary.mean[:, k]).any()]
        metrics = [(k, c) for k, c in there if c.key not in READER_KEYS]
        if len(metrics) > WIDEST_TABLE:
            beside = {key for row in section.published for key in row.values}
            metrics = [(k, c) for k, c in metrics if c.key in HEADLINE or c.key in beside]
        seen = [(k, c) for k, c in there if c.key in READER_KEYS]
        return [Block(*b) for b in (("fusion metrics", metrics), ("what a reader sees", seen)) if b[1]]


def choose_reference(table: ScoreTable, wanted: str | None) -> str:
    """The method to compare with: as asked for, else the first network, else the first folder, else the first method.

    Raises:
        UsageError: no method has this name.
    """
    if wanted is not None:
        if wanted not in table.methods:
            raise UsageError(f"There is no method '{wanted}' in this run; expected one of {', '.join(table.methods)}.")
        return wanted
    for kind in (Kind.MODEL, Kind.FOLDER):
        if kind in table.kinds:
            return table.methods[table.kinds.index(kind)]
    return table.methods[0]


def build_results(
    table: ScoreTable,
    pairs: PairList,
    *,
    title: str,
    reference: str | None = None,
    published: Sequence[PublishedRow] = (),
    facts: Mapping[str, Any] | None = None,
    seed: int = 0,
    composition: Composition = Composition.LEGIBLE,
) -> Results:
    """Work out every section of a run.

    Args:
        table: The scores.
        pairs: What was fused.
        title: Heading.
        reference: Method that the others are tested against.
        published: Rows of papers, shown beside the pooled section, or the only one.
        facts: For the record.
        seed: Of the bootstrap; the same seed gives the same intervals.
        composition: How fused pictures got their colour.
    """
    chosen = choose_reference(table, reference)
    columns = tuple(column(key) for key in table.metrics)
    several = len(table.groups) > 1
    rows = tuple(published)
    sections = []
    for group in table.groups:
        part = table.of_group(group)
        means = summarise(part, seed)
        tests = compare(part, chosen, columns, seed)
        sections.append(_section(group, "mean ± sd over pairs", part, means, columns, tests, () if several else rows))
    if several:
        means = summarise(table, seed)
        tests = compare(table, chosen, columns, seed)
        sections.append(_section(POOLED_PAIRS, "mean ± sd over all pairs", table, means, columns, tests, rows))
        means = summarise_over_groups(table, seed)
        how = "mean ± sd of the groups' means, each group with equal weight"
        sections.append(_section(POOLED_GROUPS, how, table, means, columns, (), rows))
    protocol = protocol_of(pairs)
    if pairs.colours != KEEP:
        protocol = (*protocol, source_colours.sentence(pairs.colours))
    if any(c.key in READER_KEYS for c in columns):
        protocol = (*protocol, f"Colour pictures: {composition.sentence}.")
    return Results(title, protocol, table, columns, chosen, tuple(sections), pairs, dict(facts or {}))


def _section(
    name: str,
    how: str,
    table: ScoreTable,
    summary: Summary,
    columns: Sequence[Column],
    comparisons: Sequence[Comparison],
    published: tuple[PublishedRow, ...],
) -> Section:
    by_group = name == POOLED_GROUPS
    sides = tuple(one_sided(table, by_group=by_group))
    scored = tuple(int(n) for n in table.scored.sum(axis=1))
    total = len(table.pairs)
    # A pair that no method has a result for (its pictures cannot be read) leaves the others comparable.
    complete = [n == table.scored.any(axis=0).sum() for n in scored]
    takes_part = [kind is not Kind.COPY and c for kind, c in zip(table.kinds, complete, strict=True)]
    allowed = [part and side.keeps_both for part, side in zip(takes_part, sides, strict=True)]
    best = best_methods(summary.mean, columns, allowed)
    weaker = weaker_source(table, by_group=by_group)
    kept = [own >= THROWN_AWAY * bound for _, own, bound in weaker]
    networks = [
        part and keeps and kind is not Kind.RULE
        for part, keeps, kind in zip(takes_part, kept, table.kinds, strict=True)
    ]
    of_networks = best_methods(summary.mean, columns, networks)
    return Section(
        name=name,
        about=f"{_counted(total, 'pair')} of {_counted(summary.cases, 'independent case')}; {how}.",
        pairs=total,
        scored=scored,
        summary=summary,
        sides=sides,
        ranks=ranks(summary.mean, columns, takes_part),
        best=tuple(best),
        lines=(
            _line("the line", LINE_MEANING, table, summary, best, sides),
            _line("the network line", NETWORK_LINE_MEANING, table, summary, of_networks, sides),
        ),
        comparisons=tuple(comparisons),
        published=published,
    )


def _line(
    name: str,
    meaning: str,
    table: ScoreTable,
    summary: Summary,
    best: Sequence[frozenset[int]],
    sides: Sequence[Side],
) -> Line:
    names = [name if side.keeps_both else f"{name}*" for name, side in zip(table.methods, sides, strict=True)]
    values = [float(summary.mean[min(b), k]) if b else float("nan") for k, b in enumerate(best)]
    return Line(name, meaning, tuple(values), tuple(", ".join(names[m] for m in sorted(b)) for b in best))


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def protocol_of(pairs: PairList) -> tuple[str, ...]:
    """How the run was measured, in sentences."""
    data = pairs.data
    counts = {g: sum(p.group == g for p in pairs.pairs) for g in pairs.groups}
    return (
        f"Data: {data.title} ({data.source}); pairs: {pairs.split}, "
        + ", ".join(f"{n} {g}" for g, n in counts.items())
        + ".",
        f"A is {data.a}, B is {data.b}. Colour: {data.colour.rstrip('.')}.",
        "Two-source metrics are means over A and B; _a and _b are the halves. Rules: maximum and average per pixel; "
        "Laplacian pyramid with 4 levels. Copies of A and of B are no fusion: they show what a metric pays for "
        "throwing a source away, and are neither ranked nor bold.",
        "One-sided: the source with the lower VIF keeps less of it than the average rule leaves (barely: less than 5 % "
        "below); the letter names the source that is lost. Bold: best of the methods that are not one-sided.",
        "Intervals: 95 % percentile bootstrap that draws whole cases. Tests: Wilcoxon signed-rank over pairs with "
        "Holm's correction over all methods and metrics of a section; slices of one patient are not independent, so "
        "read the interval by case first.",
        *pairs.notes,
    )

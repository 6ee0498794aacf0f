"""Pairs that are neighbouring slices of one stack, and how a method's results flicker from one to the next."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from upfusion_med.evaluation.methods import Method
from upfusion_med.evaluation.pairs import Pair
from upfusion_med.evaluation.picture_levels import Levels, grey
from upfusion_med.evaluation.score_table import ScoreTable
from upfusion_med.evaluation.source_colours import read_pair

FLICKER = "slice_flicker"


def neighbours(pairs: Sequence[Pair]) -> list[tuple[int, int]]:
    """Places of pairs whose slices touch: same group, same beginning of the name, numbers that differ by one."""
    place: dict[tuple[str, str, int], int] = {}
    for index, pair in enumerate(pairs):
        parts = re.fullmatch(r"(.*?)(\d{1,3})", pair.name)
        if parts is not None:
            place[pair.group, parts.group(1), int(parts.group(2))] = index
    return [
        (index, place[group, stack, number + 1])
        for (group, stack, number), index in place.items()
        if (group, stack, number + 1) in place
    ]


def with_flicker(
    table: ScoreTable, methods: Sequence[Method], fused_by: Callable[[Method, Pair, Levels, Levels], Levels]
) -> ScoreTable:
    """The table with ``slice_flicker`` filled in: at each pair, the change to the next slice beyond the sources' own.

    Args:
        table: Scores of a run whose pairs are slices; unchanged where the metric was not asked for.
        methods: What was compared, in the order of the table.
        fused_by: Gives a method's grey result for a pair (method, pair, a, b).

    Returns:
        The same table; NaN at the last slice of a stack, and where a slice or its neighbour has no result.
    """
    if FLICKER not in table.metrics:
        return table
    from upfusion_med.metrics.reader import slice_flicker

    values = table.values.copy()
    column = table.metrics.index(FLICKER)
    kept: dict[int, _Slice] = {}
    for first, second in sorted(neighbours(table.pairs)):
        for index in [k for k in kept if k < first]:
            del kept[index]
        common = table.scored[:, first] & table.scored[:, second]
        if not common.any():
            continue
        for index in (first, second):
            if index not in kept:
                kept[index] = _slice(table.pairs[index], methods, table.scored[:, index].tolist(), fused_by)
        here, there = kept[first], kept[second]
        if here.a.shape != there.a.shape:
            continue
        a, b = np.stack((here.a, there.a)), np.stack((here.b, there.b))
        for m in here.fused.keys() & there.fused.keys():
            values[m, first, column] = slice_flicker(np.stack((here.fused[m], there.fused[m])), a, b, axis=0)
    return replace(table, values=values)


class _Slice(NamedTuple):
    """Grey levels of A and B, and of the methods that have a result, by their number."""

    a: Levels
    b: Levels
    fused: dict[int, Levels]


def _slice(
    pair: Pair,
    methods: Sequence[Method],
    scored: Sequence[bool],
    fused_by: Callable[[Method, Pair, Levels, Levels], Levels],
) -> _Slice:
    a, b = read_pair(pair)
    luma = grey(a)
    return _Slice(luma, b, {m: fused_by(x, pair, luma, b) for m, x in enumerate(methods) if scored[m]})

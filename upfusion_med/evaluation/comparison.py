"""One method against the others, pair by pair: signed-rank tests with Holm's correction, intervals by case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from upfusion_med.evaluation.columns import Column
from upfusion_med.evaluation.methods import Kind
from upfusion_med.evaluation.score_table import FloatArray, ScoreTable
from upfusion_med.evaluation.statistics import interval, resampled_means

#: Fewer cases than this cannot give p < 0.05 in a two-sided signed-rank test (2 / 2^5 = 0.0625).
FEWEST_CASES = 6
#: Differences up to which the signed-rank test is exact.
MOST_EXACT = 50


@dataclass(frozen=True)
class Comparison:
    """One method against the reference on one metric.

    Attributes:
        method: The other method.
        metric: Key.
        pairs: Pairs on which both are defined.
        difference: Mean of reference − other.
        low: Lower end of the interval of the difference by case; NaN with fewer than two cases.
        high: Upper end.
        p: Two-sided signed-rank test over pairs, which takes every pair as independent.
        p_holm: The same, corrected over all comparisons of the family.
        cases: Cases on which both are defined.
        better_cases: Cases in which the reference has the better mean.
        p_cases: Signed-rank test over the means of cases; NaN with fewer than `FEWEST_CASES`.
    """

    method: str
    metric: str
    pairs: int
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    cases: int
    better_cases: int
    p_cases: float


def compare(table: ScoreTable, reference: str, columns: Sequence[Column], seed: int = 0) -> list[Comparison]:
    """The reference against every method but the copies, on every ranked metric; Holm over all of them together."""
    cases = np.array([p.case for p in table.pairs])
    own = table.values[table.row(reference)]
    found: list[Comparison] = []
    for m, name in enumerate(table.methods):
        if name == reference or table.kinds[m] is Kind.COPY:
            continue
        for k, column in enumerate(columns):
            gap = own[:, k] - table.values[m, :, k]
            there = np.isfinite(gap)
            if column.is_ranked and there.any():
                found.append(_compare_one(name, column, own[there, k], table.values[m, there, k], cases[there], seed))
    corrected = holm([c.p for c in found])
    return [Comparison(**{**c.__dict__, "p_holm": p}) for c, p in zip(found, corrected, strict=True)]


def _compare_one(
    name: str, column: Column, own: FloatArray, other: FloatArray, cases: NDArray[np.str_], seed: int
) -> Comparison:
    gap = own - other
    merit = np.array([column.merit(x) - column.merit(y) for x, y in zip(own, other, strict=True)])
    names = sorted(set(cases.tolist()))
    by_case = np.array([merit[cases == c].mean() for c in names])
    drawn = resampled_means(gap[None, :, None], cases.tolist(), np.random.default_rng(seed))
    low, high = interval(drawn, (1, 1))
    return Comparison(
        method=name,
        metric=column.key,
        pairs=len(gap),
        difference=float(gap.mean()),
        low=float(low[0, 0]),
        high=float(high[0, 0]),
        p=signed_rank(merit),
        p_holm=np.nan,
        cases=len(names),
        better_cases=int((by_case > 0).sum()),
        p_cases=signed_rank(by_case) if len(names) >= FEWEST_CASES else np.nan,
    )


def signed_rank(differences: FloatArray) -> float:
    """The p of Wilcoxon's two-sided signed-rank test (1945); zeros are left out, and p is 1 where nothing differs.

    Exact up to `MOST_EXACT` differences, tied ones (which share the mean of their ranks) too; the normal law beyond.
    """
    from scipy.stats import rankdata, wilcoxon

    rest = differences[differences != 0]
    if rest.size == 0:
        return 1.0
    if rest.size > MOST_EXACT:
        return float(wilcoxon(rest, method="approx").pvalue)
    doubled = np.rint(2.0 * rankdata(np.abs(rest))).astype(np.int64)  # whole numbers, as shared ranks are halves
    ways = np.ones(1)  # in how many of the 2^n signings the positive ranks add up to 0, 1, 2 …
    for rank in doubled:
        ways = np.pad(ways, (0, rank)) + np.pad(ways, (rank, 0))
    smaller = min(doubled[rest > 0].sum(), doubled[rest < 0].sum())
    return min(1.0, float(2.0 * ways[: smaller + 1].sum() / 2.0**rest.size))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979): p_(i) · (m − i + 1), never falling, at most 1."""
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    largest = 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - place) * p[index]))
        corrected[index] = largest
    return corrected.tolist()

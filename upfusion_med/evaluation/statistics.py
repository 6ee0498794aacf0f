"""What a table may say: means with intervals by case, paired tests with Holm's correction, ranks, one-sidedness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from upfusion_med.evaluation.columns import Column
from upfusion_med.evaluation.methods import Kind
from upfusion_med.evaluation.rules import BOUND
from upfusion_med.evaluation.score_table import FloatArray, ScoreTable

#: Resamples of the bootstrap, and the share of them inside the interval.
RESAMPLES = 2000
CONFIDENCE = 0.95
#: A source's VIF may lie this far below the average rule's before the method counts as one-sided …
TOLERANCE = 0.0005
#: … and this far, relatively, to count as barely one-sided (baseline, section 1).
BARELY = 0.05
#: A network whose weaker source keeps less than this share of the average rule's VIF throws it away (baseline 8).
THROWN_AWAY = 0.60
#: Fewer cases than this cannot give p < 0.05 in a two-sided signed-rank test (2 / 2^5 = 0.0625).
FEWEST_CASES = 6
#: Differences up to which the signed-rank test is exact.
MOST_EXACT = 50


@dataclass(frozen=True, eq=False)
class Summary:
    """Means of one part of a run.

    Attributes:
        mean: (methods, metrics); NaN where nothing was defined.
        sd: Standard deviation with n − 1; NaN for n < 2.
        count: Number of values behind the mean.
        low: Lower end of the bootstrap interval of the mean; NaN with fewer than two cases.
        high: Upper end.
        cases: Number of independent cases.
    """

    mean: FloatArray
    sd: FloatArray
    count: NDArray[np.int64]
    low: FloatArray
    high: FloatArray
    cases: int


def _moments(values: FloatArray) -> tuple[FloatArray, FloatArray, NDArray[np.int64]]:
    """Mean, standard deviation and count of (M, P, K) over P, NaN left out."""
    there = np.isfinite(values)
    count = there.sum(axis=1)
    filled = np.where(there, values, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = filled.sum(axis=1) / count
        squares = np.where(there, (filled - mean[:, None]) ** 2, 0.0).sum(axis=1)
        sd = np.sqrt(np.where(count > 1, squares / (count - 1), np.nan))
    return mean, sd, count


def _resampled_means(values: FloatArray, cases: Sequence[str], rng: np.random.Generator) -> FloatArray | None:
    """(RESAMPLES, M, K) means over pairs when whole cases are drawn with replacement; None with fewer than two."""
    names = sorted(set(cases))
    if len(names) < 2:
        return None
    member = np.array([[c == name for c in cases] for name in names], dtype=np.float64)
    there = np.isfinite(values)
    sums = np.einsum("cp,mpk->cmk", member, np.where(there, values, 0.0))
    counts = np.einsum("cp,mpk->cmk", member, there.astype(np.float64))
    drawn = rng.integers(0, len(names), size=(RESAMPLES, len(names)))
    times = np.stack([np.bincount(row, minlength=len(names)) for row in drawn]).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.einsum("rc,cmk->rmk", times, sums) / np.einsum("rc,cmk->rmk", times, counts)


def _interval(means: FloatArray | None, shape: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
    if means is None:
        return np.full(shape, np.nan), np.full(shape, np.nan)
    tail = (1.0 - CONFIDENCE) / 2.0
    undefined = np.isnan(means).all(axis=0)
    filled = np.where(undefined, 0.0, means)
    low, high = np.nanquantile(filled, (tail, 1.0 - tail), axis=0)
    return np.where(undefined, np.nan, low), np.where(undefined, np.nan, high)


def summarise(table: ScoreTable, seed: int = 0) -> Summary:
    """Mean, standard deviation and interval over the pairs of a table.

    The interval is the percentile bootstrap that draws whole cases: slices of one patient are not independent.
    """
    cases = [p.case for p in table.pairs]
    mean, sd, count = _moments(table.values)
    low, high = _interval(_resampled_means(table.values, cases, np.random.default_rng(seed)), mean.shape)
    return Summary(mean, sd, count, low, high, len(set(cases)))


def summarise_over_groups(table: ScoreTable, seed: int = 0) -> Summary:
    """Mean of the groups' means, each group with equal weight; the standard deviation is that of the group means.

    The interval draws cases within each group; it is absent where a group has fewer than two.
    """
    parts = [table.of_group(g) for g in table.groups]
    means = np.stack([_moments(p.values)[0] for p in parts], axis=1)
    mean, sd, count = _moments(means)
    complete = count == len(parts)
    rng = np.random.default_rng(seed)
    draws = [_resampled_means(p.values, [q.case for q in p.pairs], rng) for p in parts]
    whole = [d for d in draws if d is not None]
    drawn = np.mean(np.stack(whole), axis=0) if len(whole) == len(parts) else None
    low, high = _interval(drawn, mean.shape)
    return Summary(
        np.where(complete, mean, np.nan),
        np.where(complete, sd, np.nan),
        count,
        np.where(complete, low, np.nan),
        np.where(complete, high, np.nan),
        len({p.case for p in table.pairs}),
    )


def ranks(mean: FloatArray, columns: Sequence[Column], takes_part: Sequence[bool]) -> FloatArray:
    """Rank of each method in each metric, 1 = best; ties share the mean of their ranks; NaN where not ranked."""
    from scipy.stats import rankdata

    result = np.full(mean.shape, np.nan)
    for k, column in enumerate(columns):
        rows = [m for m, part in enumerate(takes_part) if part and np.isfinite(mean[m, k])]
        if column.is_ranked and rows:
            result[rows, k] = rankdata([-column.merit(mean[m, k]) for m in rows])
    return result


class Side(str, Enum):
    """Whether a method throws one source away."""

    BOTH = "no"
    BARELY_A = "barely (A)"
    BARELY_B = "barely (B)"
    LOSES_A = "yes (A)"
    LOSES_B = "yes (B)"
    UNKNOWN = "not judged"

    @property
    def keeps_both(self) -> bool:
        """Whether the method may be called best."""
        return self in (Side.BOTH, Side.UNKNOWN)


def weaker_source(table: ScoreTable, *, by_group: bool = False) -> list[tuple[int, float, float]]:
    """For each method its weaker source (0: A, 1: B), the VIF of it, and the average rule's VIF of the same source.

    Means over the pairs that the method and the average rule have in common; NaN where VIF or the average rule is
    missing.

    Args:
        table: The scores.
        by_group: Take means of the groups' means, as `summarise_over_groups` does; NaN where a group has none.
    """
    if BOUND not in table.methods or not {"vif_a", "vif_b"} <= set(table.metrics):
        return [(0, np.nan, np.nan)] * len(table.methods)
    parts = [table.of_group(g) for g in table.groups] if by_group else [table]
    found = []
    for own, bound in np.mean([_kept_and_bound(part) for part in parts], axis=0):
        weak = int(own[1] < own[0])
        found.append((weak, float(own[weak]), float(bound[weak])))
    return found


def _kept_and_bound(table: ScoreTable) -> FloatArray:
    """(methods, 2, 2) mean VIF of A and B, of the method and of the average rule, over the pairs that both have."""
    own = np.stack([table.of_metric("vif_a"), table.of_metric("vif_b")], axis=-1)
    bound = np.broadcast_to(own[table.row(BOUND)], own.shape)
    common = np.isfinite(own + bound).all(axis=-1, keepdims=True)
    return np.stack([_moments(np.where(common, values, np.nan))[0] for values in (own, bound)], axis=1)


def one_sided(table: ScoreTable, *, by_group: bool = False) -> list[Side]:
    """For each method whether its weaker source keeps less VIF than the average rule leaves it.

    The weaker source is the one with the lower VIF. The letter names the source that is lost. Not judged where VIF or
    the average rule is missing. Means are those of `weaker_source`.
    """
    return [_verdict(*row) for row in weaker_source(table, by_group=by_group)]


def _verdict(weak: int, own: float, bound: float) -> Side:
    if np.isnan(own):
        return Side.UNKNOWN
    if own >= bound - TOLERANCE:
        return Side.BOTH
    if own > bound * (1.0 - BARELY):
        return (Side.BARELY_A, Side.BARELY_B)[weak]
    return (Side.LOSES_A, Side.LOSES_B)[weak]


def best_methods(mean: FloatArray, columns: Sequence[Column], allowed: Sequence[bool]) -> list[frozenset[int]]:
    """For each metric the best of the methods that are allowed.

    Several where they agree in the digits that are printed; none for metrics that are not ranked.
    """
    best: list[frozenset[int]] = []
    for k, column in enumerate(columns):
        merits = {
            m: column.merit(round(float(mean[m, k]), column.decimals))
            for m, ok in enumerate(allowed)
            if ok and np.isfinite(mean[m, k])
        }
        top = max(merits.values(), default=0.0)
        best.append(frozenset(m for m, merit in merits.items() if merit == top) if column.is_ranked else frozenset())
    return best


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
    drawn = _resampled_means(gap[None, :, None], cases.tolist(), np.random.default_rng(seed))
    low, high = _interval(drawn, (1, 1))
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

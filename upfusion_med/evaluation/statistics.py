"""What a table may say: means with intervals by case, ranks, the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from upfusion_med.evaluation.columns import Column
from upfusion_med.evaluation.score_table import FloatArray, ScoreTable

#: Resamples of the bootstrap, and the share of them inside the interval.
RESAMPLES = 2000
CONFIDENCE = 0.95


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


def moments(values: FloatArray) -> tuple[FloatArray, FloatArray, NDArray[np.int64]]:
    """Mean, standard deviation (n − 1) and count of (M, P, K) over P, (M, K) each, NaN left out."""
    there = np.isfinite(values)
    count = there.sum(axis=1)
    filled = np.where(there, values, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = filled.sum(axis=1) / count
        squares = np.where(there, (filled - mean[:, None]) ** 2, 0.0).sum(axis=1)
        sd = np.sqrt(np.where(count > 1, squares / (count - 1), np.nan))
    return mean, sd, count


def resampled_means(values: FloatArray, cases: Sequence[str], rng: np.random.Generator) -> FloatArray | None:
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


def interval(means: FloatArray | None, shape: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
    """Both ends of the `CONFIDENCE` interval of resampled means, of the shape of one; NaN where there is none."""
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
    mean, sd, count = moments(table.values)
    low, high = interval(resampled_means(table.values, cases, np.random.default_rng(seed)), mean.shape)
    return Summary(mean, sd, count, low, high, len(set(cases)))


def summarise_over_groups(table: ScoreTable, seed: int = 0) -> Summary:
    """Mean of the groups' means, each group with equal weight; the standard deviation is that of the group means.

    The interval draws cases within each group; it is absent where a group has fewer than two.
    """
    parts = [table.of_group(g) for g in table.groups]
    means = np.stack([moments(p.values)[0] for p in parts], axis=1)
    mean, sd, count = moments(means)
    complete = count == len(parts)
    rng = np.random.default_rng(seed)
    draws = [resampled_means(p.values, [q.case for q in p.pairs], rng) for p in parts]
    whole = [d for d in draws if d is not None]
    drawn = np.mean(np.stack(whole), axis=0) if len(whole) == len(parts) else None
    low, high = interval(drawn, mean.shape)
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

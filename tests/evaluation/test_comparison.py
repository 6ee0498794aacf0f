from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from tests.evaluation.score_tables import table_of
from upfusion_med.evaluation.columns import column
from upfusion_med.evaluation.comparison import compare, holm, signed_rank


def test_holm_steps_down_as_in_the_textbook() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_lies_between_the_value_and_bonferroni(p: list[float]) -> None:
    corrected = holm(p)
    assert all(x <= y <= min(1.0, len(p) * x) + 1e-12 for x, y in zip(p, corrected, strict=True))
    order = np.argsort(p, kind="stable")
    assert (np.diff(np.array(corrected)[order]) >= 0).all()


def test_signed_rank_has_its_known_smallest_values() -> None:
    assert signed_rank(np.array([0.1, 0.2, 0.3, 0.4, 0.5])) == pytest.approx(2 / 2**5)
    assert signed_rank(np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])) == pytest.approx(2 / 2**6)
    assert signed_rank(np.zeros(4)) == 1.0


def test_signed_rank_of_few_tied_differences_is_exact() -> None:
    assert signed_rank(np.ones(4)) == 2 / 2**4
    differences = np.array([1.0, 1.0, 2.0, -2.0, 3.0, -1.0, 3.0])
    ranks = np.array([2.0, 2.0, 4.5, 4.5, 6.5, 2.0, 6.5])
    sums = [ranks[list(signs)].sum() for signs in product((False, True), repeat=7)]
    assert signed_rank(differences) == pytest.approx(2 * np.mean(np.array(sums) <= 4.5 + 2.0))


@pytest.mark.parametrize("count", [3, 20, 50, 51])
def test_signed_rank_without_ties_is_that_of_scipy(count: int) -> None:
    differences = np.random.default_rng(count).normal(0.2, 1.0, count)
    expected = wilcoxon(differences, method="exact" if count <= 50 else "approx").pvalue
    assert signed_rank(differences) == pytest.approx(expected, rel=1e-12)


def test_signed_rank_does_not_see_zeros() -> None:
    differences = np.array([0.3, -0.1, 0.5, 0.7, 0.2])
    assert signed_rank(np.append(differences, [0, 0])) == signed_rank(differences)


def test_a_comparison_counts_cases_and_not_only_slices() -> None:
    own = [0.5, 0.6, 0.7, 0.4]
    other = [0.4, 0.5, 0.6, 0.5]
    table = table_of([[[v] for v in own], [[v] for v in other], [[1.0]] * 4], list("xxxy"), ("net", "max", "copy-a"))
    (found,) = compare(table, "net", [column("vif")])
    assert (found.method, found.pairs, found.cases, found.better_cases) == ("max", 4, 2, 1)
    assert found.difference == pytest.approx(0.05)
    assert found.low == pytest.approx(-0.1)
    assert found.high == pytest.approx(0.1)
    assert np.isnan(found.p_cases)


def test_comparisons_are_those_of_common_pairs_and_ranked_metrics_and_are_corrected_together() -> None:
    rng = np.random.default_rng(11)
    cases = list("abbcccdddeeefffff")
    values = rng.normal(size=(3, len(cases), 3))
    values[1, [4, 9], 0] = np.nan
    values[2, :, 2] = np.nan
    values[:, 0, 0] = 0.25  # in case a nothing differs
    values[:2, 5, 2] = np.nan
    table = table_of(values, cases, ("net", "max", "average"), ("vif", "en", "mse"))
    found = compare(table, "net", [column(k) for k in table.metrics])
    assert [(c.method, c.metric, c.pairs) for c in found] == [
        ("max", "vif", 15), ("max", "mse", 16), ("average", "vif", 17),
    ]  # fmt: skip
    for c in found:
        gap = (
            values[0, :, table.metrics.index(c.metric)] - values[table.row(c.method), :, table.metrics.index(c.metric)]
        )
        there = np.isfinite(gap)
        merit = -gap if c.metric == "mse" else gap
        means = [np.nanmean(merit[[p for p, case in enumerate(cases) if case == name]]) for name in "abcdef"]
        assert c.difference == pytest.approx(gap[there].mean())
        assert c.low < c.difference < c.high
        assert c.p == pytest.approx(signed_rank(merit[there]))
        assert (c.cases, c.better_cases) == (6, sum(m > 0 for m in means))
        assert c.p_cases == pytest.approx(signed_rank(np.array(means)))
    assert [c.p_holm for c in found] == pytest.approx(holm([c.p for c in found]))


def test_six_cases_are_tested_over_cases() -> None:
    values = np.linspace(0.1, 0.6, 6)
    table = table_of([(values + 0.1 + values / 9)[:, None], values[:, None]], list("abcdef"), ("net", "max"))
    (found,) = compare(table, "net", [column("vif")])
    assert found.p_cases == pytest.approx(2 / 2**6)


def test_lower_is_better_turns_the_count_of_cases() -> None:
    table = table_of([[[0.1], [0.2]], [[0.3], [0.4]]], list("ab"), ("net", "max"), ("mse",))
    (found,) = compare(table, "net", [column("mse")])
    assert found.better_cases == 2
    assert found.difference == pytest.approx(-0.2)

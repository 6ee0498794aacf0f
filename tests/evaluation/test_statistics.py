from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from upfusion_med.core import Modality
from upfusion_med.evaluation import statistics
from upfusion_med.evaluation.columns import column
from upfusion_med.evaluation.methods import Kind
from upfusion_med.evaluation.pairs import Pair
from upfusion_med.evaluation.score_table import ScoreTable
from upfusion_med.evaluation.statistics import Side


def table_of(
    values: list, cases: list[str], methods: tuple[str, ...] = (), metrics: tuple[str, ...] = ("vif",), groups: str = ""
) -> ScoreTable:
    """Values (methods, pairs, metrics) as a table; one letter per pair names its group."""
    cube = np.array(values, dtype=float)
    names = methods or tuple(f"m{k}" for k in range(len(cube)))
    pairs = tuple(
        Pair(group, str(k), case, Path("a"), Path("b"), Modality.CT)
        for k, (case, group) in enumerate(zip(cases, groups or "G" * len(cases), strict=True))
    )
    kinds = tuple(Kind.COPY if n.startswith("copy") else Kind.RULE for n in names)
    return ScoreTable(names, kinds, pairs, metrics, cube, np.isfinite(cube).any(axis=2))


def test_mean_and_deviation_leave_undefined_values_out() -> None:
    summary = statistics.summarise(table_of([[[1.0], [2.0], [6.0], [np.nan]]], ["x", "x", "y", "y"]))
    assert summary.mean[0, 0] == 3.0
    assert summary.sd[0, 0] == pytest.approx(np.std([1, 2, 6], ddof=1))
    assert (summary.count[0, 0], summary.cases) == (3, 2)


def test_a_single_case_has_no_interval() -> None:
    summary = statistics.summarise(table_of([[[1.0], [2.0], [6.0]]], ["x", "x", "x"]))
    assert np.isnan(summary.low[0, 0])
    assert np.isnan(summary.high[0, 0])


def test_slices_of_few_cases_give_a_wider_interval_than_as_many_cases() -> None:
    values = np.repeat([0.2, 0.4, 0.6], 10)[None, :, None] + np.linspace(0, 0.01, 30)[None, :, None]
    few = statistics.summarise(table_of(values, [f"c{k // 10}" for k in range(30)]))
    many = statistics.summarise(table_of(values, [f"c{k}" for k in range(30)]))
    assert few.high[0, 0] - few.low[0, 0] > 1.8 * (many.high[0, 0] - many.low[0, 0])
    assert few.low[0, 0] == pytest.approx(0.2, abs=0.02)


def test_the_interval_of_many_cases_is_that_of_the_normal_law() -> None:
    values = np.random.default_rng(3).normal(5.0, 2.0, 400)
    summary = statistics.summarise(table_of(values[None, :, None], [str(k) for k in range(400)]))
    half = 1.96 * values.std(ddof=1) / 20
    assert summary.low[0, 0] == pytest.approx(values.mean() - half, abs=0.02)
    assert summary.high[0, 0] == pytest.approx(values.mean() + half, abs=0.02)


def test_the_same_seed_gives_the_same_interval() -> None:
    table = table_of(np.random.default_rng(0).random((2, 9, 1)), list("aabbccdde"))
    one, two, other = (statistics.summarise(table, seed) for seed in (1, 1, 2))
    assert (one.low == two.low).all()
    assert (one.high == two.high).all()
    assert (one.high != other.high).any()


def test_pooling_over_groups_weighs_each_group_alike() -> None:
    table = table_of([[[1.0], [1.0], [1.0], [4.0]]], list("abcd"), groups="GGGH")
    assert statistics.summarise(table).mean[0, 0] == 1.75
    pooled = statistics.summarise_over_groups(table)
    assert pooled.mean[0, 0] == 2.5
    assert np.isnan(pooled.low[0, 0])  # group H has one case only


def test_pooling_over_groups_is_undefined_where_a_group_is() -> None:
    table = table_of([[[1.0], [2.0], [np.nan], [np.nan]]], list("abcd"), groups="GGHH")
    assert np.isnan(statistics.summarise_over_groups(table).mean[0, 0])


def test_holm_steps_down_as_in_the_textbook() -> None:
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_lies_between_the_value_and_bonferroni(p: list[float]) -> None:
    corrected = statistics.holm(p)
    assert all(x <= y <= min(1.0, len(p) * x) + 1e-12 for x, y in zip(p, corrected, strict=True))
    order = np.argsort(p, kind="stable")
    assert (np.diff(np.array(corrected)[order]) >= 0).all()


def test_signed_rank_has_its_known_smallest_values() -> None:
    assert statistics.signed_rank(np.array([0.1, 0.2, 0.3, 0.4, 0.5])) == pytest.approx(2 / 2**5)
    assert statistics.signed_rank(np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])) == pytest.approx(2 / 2**6)
    assert statistics.signed_rank(np.zeros(4)) == 1.0


def test_signed_rank_of_few_tied_differences_is_exact() -> None:
    assert statistics.signed_rank(np.ones(4)) == 2 / 2**4
    differences = np.array([1.0, 1.0, 2.0, -2.0, 3.0, -1.0, 3.0])
    ranks = np.array([2.0, 2.0, 4.5, 4.5, 6.5, 2.0, 6.5])
    sums = [ranks[list(signs)].sum() for signs in product((False, True), repeat=7)]
    assert statistics.signed_rank(differences) == pytest.approx(2 * np.mean(np.array(sums) <= 4.5 + 2.0))


@pytest.mark.parametrize("count", [3, 20, 50, 51])
def test_signed_rank_without_ties_is_that_of_scipy(count: int) -> None:
    differences = np.random.default_rng(count).normal(0.2, 1.0, count)
    expected = wilcoxon(differences, method="exact" if count <= 50 else "approx").pvalue
    assert statistics.signed_rank(differences) == pytest.approx(expected, rel=1e-12)


def test_signed_rank_does_not_see_zeros() -> None:
    differences = np.array([0.3, -0.1, 0.5, 0.7, 0.2])
    assert statistics.signed_rank(np.append(differences, [0, 0])) == statistics.signed_rank(differences)


def test_ranks_follow_the_direction_of_the_metric() -> None:
    columns = [column(k) for k in ("vif", "mse", "bright_kept", "en")]
    mean = np.array([[0.3, 0.1, 0.8, 5.0], [0.5, 0.3, 1.1, 7.0], [0.5, 0.2, np.nan, 6.0]])
    ranks = statistics.ranks(mean, columns, [True, True, True])
    np.testing.assert_array_equal(ranks[:, 0], [3, 1.5, 1.5])
    np.testing.assert_array_equal(ranks[:, 1], [1, 3, 2])
    np.testing.assert_array_equal(ranks[:, 2], [2, 1, np.nan])
    assert np.isnan(ranks[:, 3]).all()


def halves(*rows: tuple[float, float], names: tuple[str, ...]) -> ScoreTable:
    return table_of([[list(row)] for row in rows], ["x"], names, ("vif_a", "vif_b"))


def test_a_method_is_one_sided_when_its_weaker_source_falls_below_the_average_rule() -> None:
    table = halves(
        (0.20, 0.40), (0.30, 0.50), (0.1996, 0.9), (0.195, 0.9), (0.1, 0.9), (0.9, 0.38), (0.9, 0.399), (0.9, 0.05),
        names=("average", "both", "within", "barely", "loses", "keeps_a", "barely_b", "loses_b"),
    )  # fmt: skip
    assert statistics.one_sided(table) == [
        Side.BOTH, Side.BOTH, Side.BOTH, Side.BARELY_A, Side.LOSES_A, Side.LOSES_B, Side.BARELY_B, Side.LOSES_B,
    ]  # fmt: skip


def test_one_sidedness_is_not_judged_without_the_average_rule() -> None:
    assert statistics.one_sided(halves((0.2, 0.4), names=("max",))) == [Side.UNKNOWN]


def test_the_weaker_source_is_given_with_what_the_average_rule_leaves_of_it() -> None:
    table = halves((0.2, 0.4), (0.9, 0.3), (0.1, 0.9), names=("average", "loses_b", "loses_a"))
    assert statistics.weaker_source(table) == [(0, 0.2, 0.2), (1, 0.3, 0.4), (0, 0.1, 0.2)]


def test_the_weaker_source_over_groups_weighs_each_group_alike_and_needs_all_of_them() -> None:
    values = [[[0.1, 0.9]] * 3 + [[0.5, 0.9]], [[0.2, 0.4]] * 4, [[0.3, 0.5]] * 3 + [[np.nan, np.nan]]]
    table = table_of(values, list("abcd"), ("net", "average", "partly"), ("vif_a", "vif_b"), "GGGH")
    assert statistics.weaker_source(table)[0] == pytest.approx((0, 0.2, 0.2))
    net, average, partly = statistics.weaker_source(table, by_group=True)
    assert (net, average) == (pytest.approx((0, 0.3, 0.2)), pytest.approx((0, 0.2, 0.2)))
    assert statistics.one_sided(table, by_group=True)[2] == Side.UNKNOWN
    assert np.isnan(partly[1])


def test_only_methods_that_are_allowed_are_best_and_equal_digits_share() -> None:
    mean = np.array([[0.9], [0.8], [0.7], [0.6], [0.6004], [0.5]])
    allowed = [False, False, False, True, True, True]
    assert statistics.best_methods(mean, [column("vif")], allowed) == [frozenset({3, 4})]
    assert statistics.best_methods(mean, [column("en")], allowed) == [frozenset()]


def test_a_comparison_counts_cases_and_not_only_slices() -> None:
    own = [0.5, 0.6, 0.7, 0.4]
    other = [0.4, 0.5, 0.6, 0.5]
    table = table_of([[[v] for v in own], [[v] for v in other], [[1.0]] * 4], list("xxxy"), ("net", "max", "copy-a"))
    (found,) = statistics.compare(table, "net", [column("vif")])
    assert (found.method, found.pairs, found.cases, found.better_cases) == ("max", 4, 2, 1)
    assert found.difference == pytest.approx(0.05)
    assert found.low == pytest.approx(-0.1)
    assert found.high == pytest.approx(0.1)
    assert np.isnan(found.p_cases)


def test_six_cases_are_tested_over_cases() -> None:
    values = np.linspace(0.1, 0.6, 6)
    table = table_of([(values + 0.1 + values / 9)[:, None], values[:, None]], list("abcdef"), ("net", "max"))
    (found,) = statistics.compare(table, "net", [column("vif")])
    assert found.p_cases == pytest.approx(2 / 2**6)


def test_lower_is_better_turns_the_count_of_cases() -> None:
    table = table_of([[[0.1], [0.2]], [[0.3], [0.4]]], list("ab"), ("net", "max"), ("mse",))
    (found,) = statistics.compare(table, "net", [column("mse")])
    assert found.better_cases == 2
    assert found.difference == pytest.approx(-0.2)

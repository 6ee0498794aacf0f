from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from tests.evaluation.score_tables import table_of
from upfusion_med.evaluation import statistics
from upfusion_med.evaluation.columns import column


def test_mean_and_deviation_leave_undefined_values_out() -> None:
    summary = statistics.summarise(table_of([[[1.0], [2.0], [6.0], [np.nan]]], ["x", "x", "y", "y"]))
    assert summary.mean[0, 0] == 3.0
    assert summary.sd[0, 0] == pytest.approx(np.std([1, 2, 6], ddof=1))
    assert (summary.count[0, 0], summary.cases) == (3, 2)


def test_every_method_and_metric_has_its_own_mean_and_deviation() -> None:
    values = np.random.default_rng(4).normal(size=(3, 5, 2))
    values[0, 1, 0] = values[2, :, 1] = np.nan
    values[1, 1:, 1] = np.nan
    summary = statistics.summarise(table_of(values, list("vwxyz"), metrics=("vif", "ssim")))
    for m, k in product(range(3), range(2)):
        own = values[m, np.isfinite(values[m, :, k]), k]
        assert summary.count[m, k] == own.size
        expected = [own.mean() if own.size else np.nan, own.std(ddof=1) if own.size > 1 else np.nan]
        np.testing.assert_allclose([summary.mean[m, k], summary.sd[m, k]], expected)


def test_every_method_and_metric_has_its_own_interval() -> None:
    values, cases = np.random.default_rng(6).normal(size=(3, 8, 2)), list("aabbccdd")
    values[2, :, 1] = np.nan
    together = statistics.summarise(table_of(values, cases, metrics=("vif", "ssim")))
    for m, k in product(range(3), range(2)):
        alone = statistics.summarise(table_of(values[m : m + 1, :, k : k + 1], cases))
        np.testing.assert_array_equal([together.low[m, k], together.high[m, k]], [alone.low[0, 0], alone.high[0, 0]])
    assert np.isnan(together.low[2, 1]) and (together.low[:2] < together.mean[:2]).all()


def test_a_case_without_a_value_moves_no_end_of_the_interval() -> None:
    summary = statistics.summarise(table_of([[[1.0], [np.nan], [3.0]]], list("xyz")))
    assert (summary.low[0, 0], summary.high[0, 0]) == (1.0, 3.0)


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


def test_the_interval_over_groups_draws_the_cases_of_each_group() -> None:
    rng = np.random.default_rng(5)
    few, many = rng.normal(2.0, 1.0, 100), rng.normal(5.0, 4.0, 400)
    table = table_of(
        np.concatenate([few, many])[None, :, None], [str(k) for k in range(500)], groups="G" * 100 + "H" * 400
    )
    pooled = statistics.summarise_over_groups(table)
    half = 1.96 * np.sqrt(few.var(ddof=1) / 100 + many.var(ddof=1) / 400) / 2
    middle = (few.mean() + many.mean()) / 2
    assert (pooled.low[0, 0], pooled.high[0, 0]) == pytest.approx((middle - half, middle + half), abs=0.02)
    assert (pooled.count[0, 0], pooled.cases) == (2, 500)
    assert pooled.sd[0, 0] == pytest.approx(abs(few.mean() - many.mean()) / np.sqrt(2))


def test_pooling_over_groups_is_undefined_where_a_group_is() -> None:
    table = table_of([[[1.0], [2.0], [np.nan], [np.nan]]], list("abcd"), groups="GGHH")
    pooled = statistics.summarise_over_groups(table)
    assert np.isnan([x[0, 0] for x in (pooled.mean, pooled.sd, pooled.low, pooled.high)]).all()


def test_ranks_follow_the_direction_of_the_metric() -> None:
    columns = [column(k) for k in ("vif", "mse", "bright_kept", "en")]
    mean = np.array([[0.3, 0.1, 0.8, 5.0], [0.5, 0.3, 1.1, 7.0], [0.5, 0.2, np.nan, 6.0]])
    ranks = statistics.ranks(mean, columns, [True, True, True])
    np.testing.assert_array_equal(ranks[:, 0], [3, 1.5, 1.5])
    np.testing.assert_array_equal(ranks[:, 1], [1, 3, 2])
    np.testing.assert_array_equal(ranks[:, 2], [2, 1, np.nan])
    assert np.isnan(ranks[:, 3]).all()


def test_only_methods_that_are_allowed_are_best_and_equal_digits_share() -> None:
    mean = np.array([[0.9], [0.8], [0.7], [0.6], [0.6004], [0.59]])
    allowed = [False, False, False, True, True, True]
    assert statistics.best_methods(mean, [column("vif")], allowed) == [frozenset({3, 4})]
    assert statistics.best_methods(mean, [column("en")], allowed) == [frozenset()]
    assert statistics.best_methods(mean, [column("vif")], [False] * 6) == [frozenset()]
    lower = statistics.best_methods(mean, [column("mse")], [True] * 6)
    assert lower == [frozenset({5})]

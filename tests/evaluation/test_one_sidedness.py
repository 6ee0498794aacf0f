from __future__ import annotations

import numpy as np
import pytest

from tests.evaluation.score_tables import table_of
from upfusion_med.evaluation.one_sidedness import Side, one_sided, weaker_source
from upfusion_med.evaluation.score_table import ScoreTable


def halves(*rows: tuple[float, float], names: tuple[str, ...]) -> ScoreTable:
    return table_of([[list(row)] for row in rows], ["x"], names, ("vif_a", "vif_b"))


def test_a_method_is_one_sided_when_its_weaker_source_falls_below_the_average_rule() -> None:
    table = halves(
        (0.20, 0.40), (0.30, 0.50), (0.1996, 0.9), (0.195, 0.9), (0.1, 0.9), (0.9, 0.38), (0.9, 0.399), (0.9, 0.05),
        names=("average", "both", "within", "barely", "loses", "keeps_a", "barely_b", "loses_b"),
    )  # fmt: skip
    assert one_sided(table) == [
        Side.BOTH, Side.BOTH, Side.BOTH, Side.BARELY_A, Side.LOSES_A, Side.LOSES_B, Side.BARELY_B, Side.LOSES_B,
    ]  # fmt: skip


def test_one_sidedness_is_not_judged_without_the_average_rule() -> None:
    assert one_sided(halves((0.2, 0.4), names=("max",))) == [Side.UNKNOWN]


def test_the_weaker_source_is_given_with_what_the_average_rule_leaves_of_it() -> None:
    table = halves((0.2, 0.4), (0.9, 0.3), (0.1, 0.9), names=("average", "loses_b", "loses_a"))
    assert weaker_source(table) == [(0, 0.2, 0.2), (1, 0.3, 0.4), (0, 0.1, 0.2)]


def test_only_pairs_with_both_sources_of_both_methods_tell_the_weaker_source() -> None:
    values = [[[0.1, 0.9], [0.8, np.nan], [0.9, 0.9]], [[0.2, 0.4], [0.2, 0.4], [np.nan, 0.4]]]
    table = table_of(values, list("abc"), ("net", "average"), ("vif_a", "vif_b"))
    assert weaker_source(table)[0] == pytest.approx((0, 0.1, 0.2))


def test_the_weaker_source_over_groups_weighs_each_group_alike_and_needs_all_of_them() -> None:
    values = [[[0.1, 0.9]] * 3 + [[0.5, 0.9]], [[0.2, 0.4]] * 4, [[0.3, 0.5]] * 3 + [[np.nan, np.nan]]]
    table = table_of(values, list("abcd"), ("net", "average", "partly"), ("vif_a", "vif_b"), "GGGH")
    assert weaker_source(table)[0] == pytest.approx((0, 0.2, 0.2))
    net, average, partly = weaker_source(table, by_group=True)
    assert (net, average) == (pytest.approx((0, 0.3, 0.2)), pytest.approx((0, 0.2, 0.2)))
    assert one_sided(table, by_group=True)[2] == Side.UNKNOWN
    assert np.isnan(partly[1])

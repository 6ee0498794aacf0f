from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from upfusion_med.training.ablation.runs import AblationRun
from upfusion_med.training.ablation.summary import (
    ALL_KINDS,
    HELD_OUT,
    Verdict,
    differences_of,
    earns_its_place,
    interval,
    loss_differences_of,
    rows_of,
)
from upfusion_med.training.ablation.tables import latex, markdown, write_tables


def run(variant: str, seed: int, ct: float, pet: float) -> AblationRun:
    scores = {"CT-MRI/1": {"vif": ct - 0.1}, "CT-MRI/2": {"vif": ct + 0.1}, "PET-MRI/1": {"vif": pet}}
    return AblationRun(
        variant,
        f"label {variant}",
        seed,
        5.0,
        1000,
        10,
        60.0,
        2.0 - ct,
        {"metrics": ["vif"], "training": {}},
        {"test": scores},
    )


@pytest.fixture
def runs() -> list[AblationRun]:
    full = [run("full", s, 0.50 + d, 0.30 + d) for s, d in enumerate((0.00, 0.01, 0.02))]
    worse = [run("no-gam", s, 0.40 + d, 0.20 + d) for s, d in enumerate((0.000, 0.012, 0.019))]
    same = [run("plain", s, 0.50 + d, 0.30 + d) for s, d in enumerate((0.02, 0.01, 0.00))]
    return full + worse + same


def test_kinds_of_pairs_count_alike_whatever_their_number(runs):
    rows = {(r.variant, r.kind): r for r in rows_of(runs)}
    assert rows["full", "CT-MRI"].values == pytest.approx((0.50, 0.51, 0.52))
    assert rows["full", ALL_KINDS].values == pytest.approx((0.40, 0.41, 0.42))
    assert rows["full", ALL_KINDS].mean == pytest.approx(0.41)
    assert rows["full", ALL_KINDS].sd == pytest.approx(0.01)


def test_differences_are_paired_over_seeds(runs):
    found = {d.variant: d for d in differences_of(rows_of(runs))}
    assert found["no-gam"].values == pytest.approx((0.100, 0.098, 0.101))
    assert found["no-gam"].verdict is Verdict.HELPS
    assert found["plain"].values == pytest.approx((-0.02, 0.0, 0.02))
    assert found["plain"].verdict is Verdict.OPEN
    words = {v: earns_its_place(list(found.values()), v, "test") for v in found}
    assert words == {"no-gam": "yes", "plain": "open"}


def test_the_interval_is_students_with_two_degrees_of_freedom_for_three_seeds():
    low, high = interval(np.array([1.0, 2.0, 3.0]))
    assert (high - low) / 2 == pytest.approx(4.3027 / 3**0.5, rel=1e-4)  # 4.3027: quantile in any table
    assert np.isnan(interval(np.array([1.0]))[0])


def test_seeds_that_agree_without_a_clear_interval_only_lean(runs):
    leaning = [run("no-gam", s, 0.5 + d, 0.3 + d) for s, d in enumerate((-0.03, 0.009, -0.01))]
    found = differences_of(rows_of(runs[:3] + leaning))[0]
    assert found.low < 0 < min(found.values)
    assert found.verdict is Verdict.LEANS_FOR
    assert earns_its_place([found], "no-gam", "test") == "leans yes"


def test_tables_hold_means_spreads_and_what_each_part_is_worth(runs, tmp_path):
    rows = rows_of(runs)
    text = markdown(runs, rows, differences_of(rows))
    assert "| label full | **0.410 ± 0.010** |" in text
    assert "| affine modulation | +0.0997 (helps) | yes |" in text
    assert "| affine modulation | +0.0997 (helps) |\n" in text  # of the loss
    assert "10 steps a run" in text
    table = latex(rows)
    assert table.count(r"\begin{tabular}") == table.count(r"\end{tabular}") == 1
    assert r"label full & $\mathbf{0.410 \pm 0.010}$ \\" in table
    assert [p.name for p in write_tables(runs, tmp_path)] == [
        "ablation.csv", "differences.csv", "ablation.md", "ablation.tex",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "heading"), [("q_cv", "$Q_{CV}$"), ("mse", "MSE"), ("n_abf", r"N\_ABF"), ("ssim_l1", "SSIM (L=1)")]
)
def test_any_metric_can_be_shown_and_lower_may_be_better(runs, metric: str, heading: str):
    turn = 1 if metric == "ssim_l1" else -1

    def turned(run: AblationRun) -> AblationRun:
        scores = {pair: {metric: turn * s["vif"] + 1.0} for pair, s in run.scores["test"].items()}
        return replace(run, facts={**run.facts, "metrics": [metric]}, scores={"test": scores})

    other = [turned(r) for r in runs[:6]]
    rows = rows_of(other)
    (difference,) = differences_of(rows)
    assert difference.verdict is Verdict.HELPS
    assert np.sign(difference.mean) == turn
    text = markdown(other, rows, [])
    assert "| label full | **" in text
    assert "| label no-gam | **" not in text
    assert ("lower is better)" in text) == (turn < 0)
    assert f"Variant & {heading} " in latex(rows)


def test_without_held_out_scenes_no_loss_is_compared(runs):
    blind = [replace(r, validation_loss=float("nan")) for r in runs]
    assert loss_differences_of(blind) == []
    rows = rows_of(blind)
    assert HELD_OUT not in markdown(blind, rows, differences_of(rows)).split("###", 1)[1]


def test_one_seed_gives_means_without_a_verdict(runs):
    one = [r for r in runs if r.seed == 0]
    rows = rows_of(one)
    assert {d.verdict for d in differences_of(rows)} == {Verdict.OPEN}
    assert "± " not in markdown(one, rows, differences_of(rows)).split("###")[1]

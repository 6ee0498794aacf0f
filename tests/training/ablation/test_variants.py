from __future__ import annotations

import pytest
import torch

from upfusion_med.core import UsageError
from upfusion_med.evaluation.network_cost import measure_here
from upfusion_med.networks import create
from upfusion_med.training.ablation.variants import FULL, PLAIN, TOLERANCE, cost_of, variants_of


@pytest.fixture(scope="module")
def variants():
    return {v.name: v for v in variants_of("upfusion-tiny", {})}


def test_there_is_a_row_for_each_of_the_papers_ablations_and_the_plain_network(variants):
    assert [v.label for v in variants.values()] == [
        "whole network", "w/o SCPM", "w/o GAM", "w/o TCPM", "w/o CA in TCPM", "w/o semantics", "w/o CA in SCPM",
        "plain, equal cost",
    ]  # fmt: skip


def test_a_variant_lacks_the_parameters_of_its_part_and_no_others(variants):
    names = {n: {k for k, _ in create("upfusion-tiny", **v.overrides).named_parameters()} for n, v in variants.items()}
    gone = {n: names[FULL] - own for n, own in names.items()}
    assert all(k.startswith("pruning.") for k in gone["no-scpm"])
    assert all(k.startswith("modulate_") for k in gone["no-gam"])
    assert all(k.startswith("perturbations.") for k in gone["no-tcpm"])
    assert all(k.split(".")[2] == "attention" for k in gone["no-tcpm-attention"])
    assert all(k.startswith("pruning.attention") for k in gone["no-scpm-attention"])
    assert {k.split(".")[1] for k in gone["no-semantics"]} == {"backbone", "semantic", "alpha"}
    assert all(gone[n] for n in gone if n != FULL)


@pytest.mark.parametrize("model", ["upfusion-tiny", "upfusion-base"])
def test_the_plain_network_costs_as_much_as_the_whole_one(model):
    full, plain = (next(v for v in variants_of(model, {}, (FULL, PLAIN)) if v.name == n) for n in (FULL, PLAIN))
    assert not any(plain.overrides[part] for part in ("scpm", "gam", "tcpm"))
    costs = [cost_of(model, v.overrides).gmacs for v in (full, plain)]
    assert costs[1] == pytest.approx(costs[0], rel=TOLERANCE)


def test_costs_are_those_that_the_package_measures():
    torch.set_num_threads(1)
    measured = measure_here("upfusion-tiny", 256, 1, 1)
    cost = cost_of("upfusion-tiny", {})
    assert cost.gmacs == pytest.approx(measured.gmacs, rel=1e-6)
    assert cost.trained == measured.parameters - measured.frozen


def test_unknown_variants_and_a_missing_whole_network_are_told():
    with pytest.raises(UsageError, match="no-such"):
        variants_of("upfusion-tiny", {}, (FULL, "no-such"))
    with pytest.raises(UsageError, match="lack 'full'"):
        variants_of("upfusion-tiny", {}, (PLAIN,))

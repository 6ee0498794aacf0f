from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from upfusion_med.core import Modality, UsageError
from upfusion_med.evaluation.influence import SEMANTICS, SemanticScope, every_nth, measure_influence
from upfusion_med.evaluation.pairs import Pair
from upfusion_med.networks import create
from upfusion_med.networks.blocks import TextSteering
from upfusion_med.weights import PromptTable, read_checkpoint, write_checkpoint


@pytest.fixture
def pairs(folders) -> list[Pair]:
    a, b = folders("1", "2", "3")
    return [Pair("CT-MRI", n, n, a / f"{n}.png", b / f"{n}.png", Modality.CT) for n in ("1", "2", "3")]


def checkpoint_of(network, folder, codes):
    prompts = PromptTable("none", dict.fromkeys(codes, "words"), codes)
    write_checkpoint(
        folder / "w.safetensors", model="upfusion-tiny", state=network.state_dict(), prompts=prompts, card={},
        overrides={"semantics": network.config.semantics}, half=False,
    )  # fmt: skip
    return read_checkpoint(folder / "w.safetensors")


@pytest.fixture
def codes():
    rng = np.random.default_rng(0)
    return {n: rng.normal(size=512).astype(np.float32) for n in ("universal", "mri_ct", "mri_pet")}


def test_every_other_prompt_and_descriptor_is_tried_and_moves_the_output(pairs, tmp_path, codes):
    torch.manual_seed(0)
    rows = measure_influence(checkpoint_of(create("upfusion-tiny"), tmp_path, codes), pairs)
    own, *changed = rows
    assert (own.change, own.mean, own.largest) == ("mri_ct", 0.0, 0.0)
    assert {r.change for r in changed} == {"mri_ct → universal", "mri_ct → mri_pet", SEMANTICS}
    assert all(r.pairs == 3 and 0 < r.mean < r.largest for r in changed)


def test_a_network_that_does_not_hear_is_not_moved(pairs, tmp_path, codes):
    network = create("upfusion-tiny")
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, TextSteering):
                module[2].weight.zero_()
        network.pruning.semantic.weight.zero_()
    rows = measure_influence(checkpoint_of(network, tmp_path, codes), pairs)
    assert [r.mean for r in rows] == [0.0] * 4
    assert all(r.scores == rows[0].scores for r in rows)


def test_the_change_is_counted_in_grey_levels(pairs, tmp_path, codes):
    class Brighter(torch.nn.Module):
        def forward(self, first, second, code, scope):
            return torch.full_like(first, 0.2 if float(code[0, 0]) == float(codes["mri_ct"][0]) else 0.3)

    checkpoint = checkpoint_of(create("upfusion-tiny", semantics=False), tmp_path, codes)
    fake = type("Fake", (), {"network": lambda self: Brighter(), "prompts": checkpoint.prompts})()
    rows = measure_influence(fake, pairs)
    own, *changed = rows
    assert {r.change for r in changed} == {"mri_ct → universal", "mri_ct → mri_pet"}
    assert own.mean == 0
    assert all(r.mean == pytest.approx(25.5, abs=1e-4) and r.largest == pytest.approx(25.5, abs=1e-4) for r in changed)


def test_the_scores_are_those_of_the_changed_output(pairs, tmp_path, codes):
    class Copy(torch.nn.Module):
        def forward(self, first, second, code, scope):
            return first if float(code[0, 0]) == float(codes["mri_ct"][0]) else second

    checkpoint = checkpoint_of(create("upfusion-tiny", semantics=False), tmp_path, codes)
    fake = type("Fake", (), {"network": lambda self: Copy(), "prompts": checkpoint.prompts})()
    own, *changed = measure_influence(fake, pairs)
    assert own.scores["vif_a"] == pytest.approx(1.0, abs=1e-6)
    assert own.scores["vif_b"] < 0.9
    assert all(r.scores["vif_b"] == pytest.approx(1.0, abs=1e-6) and r.scores["vif_a"] < 0.9 for r in changed)


def test_only_the_semantic_weights_are_replaced():
    scope = SemanticScope(torch.ones(1, 3))
    assert scope.reduce_lazily("scpm.semantic", 1, lambda: torch.zeros(1, 3)).sum() == 3
    assert scope.seen.sum() == 0
    assert scope.reduce_lazily("scpm.attention", 1, lambda: torch.zeros(1, 3)).sum() == 0


def test_every_second_pair_of_each_kind_is_taken(pairs):
    both = [*pairs, *(replace(p, group="PET-MRI") for p in pairs)]
    assert [p.id for p in every_nth(both, 2)] == ["CT-MRI/1", "CT-MRI/3", "PET-MRI/1", "PET-MRI/3"]
    with pytest.raises(UsageError, match="expected"):
        every_nth(both, 0)

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from upfusion_med.training.configuration import read_config
from upfusion_med.training.schedule import length, rate

RECIPES = Path(__file__).resolve().parents[2] / "docs" / "recipes"
#: Pairs of LLVIP's training part.
LLVIP = 12025


def test_the_papers_rate_falls_from_1e_4_to_1e_5_on_a_cosine_over_100_epochs():
    recipe = read_config(RECIPES / "paper-llvip.json")
    steps = length(recipe, LLVIP)
    assert steps == 100 * (LLVIP // 2)
    assert rate(recipe, 0, LLVIP) == pytest.approx(1e-4)
    assert rate(recipe, steps // 2, LLVIP) == pytest.approx(5.5e-5)
    assert rate(recipe, steps, LLVIP) == pytest.approx(1e-5)


def test_the_released_rate_falls_by_a_fifth_an_epoch_and_is_at_its_floor_from_epoch_11():
    recipe = read_config(RECIPES / "released-llvip.json")
    epoch = LLVIP // (4 * 2)
    assert length(recipe, LLVIP) == 200 * epoch
    assert rate(recipe, epoch - 1, LLVIP) == pytest.approx(1e-5)
    assert rate(recipe, epoch, LLVIP) == pytest.approx(0.8e-5)
    assert rate(recipe, 10 * epoch, LLVIP) == pytest.approx(1e-5 * 0.8**10)
    assert rate(recipe, 11 * epoch, LLVIP) == pytest.approx(1e-6)
    assert rate(recipe, 150 * epoch, LLVIP) == pytest.approx(1e-6)


def test_the_warm_up_is_linear(config):
    warm = replace(config, warmup=10, steps=100)
    assert [rate(warm, s, 4) for s in (0, 4, 9)] == pytest.approx([1e-4, 5e-4, 1e-3])
    assert rate(warm, 10, 4) == pytest.approx(1e-3)


def test_the_cosine_begins_after_the_warm_up_and_ends_with_the_run(config):
    warm = replace(config, warmup=10, steps=110, schedule="cosine", final_share=0.2)
    top = warm.learning_rate
    assert rate(warm, 35, 4) == pytest.approx(top * (0.6 + 0.4 * 0.5**0.5))
    assert rate(warm, 60, 4) == pytest.approx(top * 0.6)
    assert rate(warm, 110, 4) == rate(warm, 500, 4) == pytest.approx(top * 0.2)


def test_an_epoch_of_few_pairs_has_a_step(config):
    few = replace(config, batch=4, microbatches=2, epochs=3)
    assert [length(few, pairs) for pairs in (1, 8, 15, 16)] == [3, 3, 3, 6]

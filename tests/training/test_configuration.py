from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from upfusion_med.core import InputError, UsageError
from upfusion_med.metrics import METRICS
from upfusion_med.training.ablation.study import read_ablation_config
from upfusion_med.training.configuration import SCORES, TrainingConfig, described_fields, read_config

RECIPES = sorted((Path(__file__).resolve().parents[2] / "docs" / "recipes").glob("*.json"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_every_recipe_is_valid(path):
    if path.stem.startswith("ablation"):
        assert read_ablation_config(path).seeds
    else:
        assert read_config(path).loss


def test_a_mistyped_field_is_named(tmp_path):
    (tmp_path / "c.json").write_text('{"visible": "a", "learning_rte": 1}')
    with pytest.raises(UsageError, match="learning_rte"):
        read_config(tmp_path / "c.json")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("batch", 0), ("batch", "8"), ("learning_rate", -1.0), ("schedule", "linear"), ("optimizer", "sgd"),
        ("augmentation", "none"), ("keep_best", "q_ncie"), ("ema", 1.5), ("twins", 2), ("loss", {}), ("bf16", 1),
        ("epochs", 0), ("seed", None), ("clip", 0.0), ("other_looks", 1.5), ("seed", -1), ("split_seed", -1),
        ("learning_rate", float("inf")), ("exclude", "llvip_"), ("exclude", 5), ("exclude", (1,)), ("overrides", 5),
        ("loss", {"ssim": "1"}), ("loss", {"ssim": None}), ("loss", ("ssim",)), ("loss", {"ssim": float("nan")}),
        ("loss", {"ssim": -1}), ("emphasis", {"universal": 7}), ("emphasis", {"universal": True}),
        ("prompt_factors", ("ssim",)), ("prompt_factors", {"universal": 2}),
        ("prompt_factors", {"universal": {"ssim": "2"}}),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named(config, field, value):
    with pytest.raises(UsageError, match=field):
        replace(config, **{field: value})


def test_missing_fields_and_broken_files_are_told(tmp_path):
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"visible": "a"}))
    with pytest.raises(UsageError, match="infrared, output, text_codes"):
        read_config(path)
    path.write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        read_config(path)
    path.write_text("[]")
    with pytest.raises(UsageError, match="list"):
        read_config(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_config(tmp_path / "none.json")


def test_a_text_in_place_of_a_list_of_prefixes_leaves_no_pair_out(tmp_path):
    path, fields = tmp_path / "c.json", {"visible": "a", "infrared": "b", "output": "c", "text_codes": "d"}
    path.write_text(json.dumps({**fields, "exclude": ["llvip_"]}))
    assert read_config(path).exclude == ("llvip_",)
    path.write_text(json.dumps({**fields, "exclude": "llvip_"}))
    with pytest.raises(UsageError, match="'exclude' is 'llvip_'; expected a list of texts"):
        read_config(path)


@pytest.mark.parametrize("read", [read_config, read_ablation_config])
def test_a_configuration_is_text_in_utf_8(tmp_path, read):
    (tmp_path / "c.json").write_bytes('{"output": "läuf"}'.encode("latin-1"))
    with pytest.raises(InputError, match="UTF-8"):
        read(tmp_path / "c.json")


def test_every_field_is_described():
    described = described_fields()
    assert set(described) == {f.name for f in fields(TrainingConfig)}
    assert all(len(text) > 10 for text in described.values())


def test_the_best_weights_are_chosen_by_infrared_visible_metrics_that_exist():
    assert set(SCORES) - {"mean"} <= set(METRICS)

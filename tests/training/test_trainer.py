from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from upfusion_med.core import InputError, UsageError
from upfusion_med.training.augmentation import PROMPT_SHARES
from upfusion_med.training.configuration import TrainingConfig, read_config
from upfusion_med.training.export import export_weights
from upfusion_med.training.pairs import load_pairs, split_by_scene
from upfusion_med.training.trainer import Trainer
from upfusion_med.weights import read_checkpoint


@pytest.fixture
def config(tmp_path: Path) -> TrainingConfig:
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    for kind in ("vi", "ir"):
        (tmp_path / kind).mkdir()
        for i in range(4):
            smooth = rng.integers(0, 255, (12, 12), dtype=np.uint8)
            Image.fromarray(smooth).resize((96, 80)).save(tmp_path / kind / f"street_{i}.png")
    names = np.array(list(PROMPT_SHARES))
    np.savez(tmp_path / "codes.npz", names=names, prompts=names, minilm_512=rng.standard_normal((len(names), 512)))
    return TrainingConfig(
        visible=str(tmp_path / "vi"), infrared=str(tmp_path / "ir"), output=str(tmp_path / "run"),
        text_codes=str(tmp_path / "codes.npz"), steps=4, batch=2, side=64, warmup=1, save_every=2,
        validation_share=0.25, bf16=False, overrides={"semantics": False},
    )  # fmt: skip


def test_an_interrupted_run_ends_with_the_same_weights(config, tmp_path):
    whole = Trainer(config)
    whole.run()
    halves = replace(config, output=str(tmp_path / "other"))
    first = Trainer(halves)
    for _ in range(2):
        first.train_step()
    first.save()
    second = Trainer(halves)
    assert second.step == 2
    second.run()
    for a, b in zip(whole.averaged_state().values(), second.averaged_state().values(), strict=True):
        assert torch.allclose(a.float(), b.float(), atol=1e-6)


def test_training_makes_the_loss_smaller(config):
    trainer = Trainer(replace(config, steps=25, learning_rate=3e-3, side=64))
    before = trainer.validate(4)["loss"]
    for _ in range(25):
        trainer.train_step()
    trainer.average = [p.detach().clone() for p in trainer.learned]
    assert trainer.validate(4)["loss"] < before


def test_another_configuration_does_not_continue_a_run(config):
    trainer = Trainer(config)
    trainer.train_step()
    trainer.save()
    with pytest.raises(UsageError, match="learning_rate"):
        Trainer(replace(config, learning_rate=5e-4))


def test_exported_weights_are_the_averaged_ones(config, tmp_path):
    trainer = Trainer(config)
    trainer.run()
    export_weights(trainer, tmp_path / "w.safetensors")
    checkpoint = read_checkpoint(tmp_path / "w.safetensors")
    for key, value in trainer.averaged_state().items():
        assert torch.allclose(checkpoint.state[key], value.to(checkpoint.state[key].dtype), atol=2e-3), key
    assert set(checkpoint.prompts.codes) == set(PROMPT_SHARES)
    assert checkpoint.card["step"] == 4
    assert str(tmp_path) not in json.dumps(dict(checkpoint.card))


def test_a_scene_never_stands_on_both_sides(tmp_path, config):
    (tmp_path / "t.csv").write_text("name,source_scene\n" + "".join(f"street_{i},place_{i % 2}\n" for i in range(4)))
    pairs = load_pairs(Path(config.visible), Path(config.infrared), tmp_path / "t.csv")
    training, validation = split_by_scene(pairs, 0.5, 0)
    assert {p.scene for p in training}.isdisjoint({p.scene for p in validation})
    assert len(training) == len(validation) == 2


def test_pictures_without_a_partner_are_named(config):
    (Path(config.visible) / "street_9.png").write_bytes((Path(config.visible) / "street_0.png").read_bytes())
    with pytest.raises(InputError, match="street_9"):
        Trainer(config)


def test_a_mistyped_field_is_named(tmp_path):
    (tmp_path / "c.json").write_text('{"visible": "a", "learning_rte": 1}')
    with pytest.raises(UsageError, match="learning_rte"):
        read_config(tmp_path / "c.json")

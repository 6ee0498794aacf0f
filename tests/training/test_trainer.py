from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from upfusion_med.core import InputError, UsageError
from upfusion_med.training import losses, run_loop
from upfusion_med.training.augmentation import PROMPT_SHARES
from upfusion_med.training.export import export_weights, training_facts
from upfusion_med.training.objective import loss_parts
from upfusion_med.training.pairs import find_pairs, split_by_scene
from upfusion_med.training.trainer import Trainer
from upfusion_med.weights import read_checkpoint


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


def test_two_runs_of_one_seed_are_equal_to_the_bit_and_another_seed_differs(config, tmp_path):
    states = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        trainer = Trainer(replace(config, seed=seed, deterministic=name == "b", output=str(tmp_path / name)))
        assert torch.are_deterministic_algorithms_enabled() is (name == "b")
        trainer.train_step()
        torch.use_deterministic_algorithms(False)
        states.append(torch.cat([p.detach().flatten() for p in trainer.learned]))
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_a_run_takes_over_the_weights_that_fit_and_only_those(config, tmp_path):
    whole = Trainer(config).network.state_dict()
    doubled = {name: 2 * value if value.is_floating_point() else value for name, value in whole.items()}
    doubled["head.bias"] = torch.zeros(7)
    plain = replace(config, overrides={**config.overrides, "gam": False}, output=str(tmp_path / "plain"))
    trainer = Trainer(plain, like=doubled)
    state = trainer.network.state_dict()
    assert not any(name.startswith("modulate") for name in state)
    assert torch.equal(state["head.weight"], 2 * whole["head.weight"])
    assert torch.equal(state["head.bias"], whole["head.bias"])
    assert torch.equal(trainer.averaged_state()["head.weight"], state["head.weight"])
    trainer.train_step()
    trainer.save()
    assert Trainer(plain, like=whole).step == 1  # a run that goes on keeps its own


def test_workers_that_draw_ahead_change_nothing(config, tmp_path):
    alone, helped = Trainer(config), Trainer(replace(config, workers=2, output=str(tmp_path / "other")))
    alone.run()
    helped.run()
    for a, b in zip(alone.average, helped.average, strict=True):
        assert torch.equal(a, b)


def test_batches_of_a_step_are_averaged(config, tmp_path):
    trainer = Trainer(replace(config, microbatches=2, clip=None, output=str(tmp_path / "a")))
    parts = [losses.total(trainer.parts(trainer.batch(trainer.training, (0, 0, 0, i))), config.loss) for i in (0, 1)]
    wanted = torch.autograd.grad((parts[0] + parts[1]) / 2, trainer.learned)
    trainer.train_step()
    for parameter, gradient in zip(trainer.learned, wanted, strict=True):
        assert torch.allclose(parameter.grad, gradient, atol=1e-6)


def test_the_average_follows_the_weights_at_the_rate_of_its_decay(config):
    trainer = Trainer(replace(config, ema=0.5))
    trainer.step = 100
    before = [a.clone() for a in trainer.average]
    trainer.train_step()
    for old, new, weight in zip(before, trainer.average, trainer.learned, strict=True):
        assert torch.allclose(new, 0.5 * old + 0.5 * weight.detach(), atol=1e-7)
    trainer = Trainer(replace(config, ema=0.0))
    trainer.train_step()
    assert all(torch.equal(a, w) for a, w in zip(trainer.average, trainer.learned, strict=True))


def test_mixed_precision_keeps_losses_and_weights_in_float32(config):
    trainer = Trainer(replace(config, bf16=True))
    parts = trainer.parts(trainer.batch(trainer.training, (0, 0, 0)))
    assert {p.dtype for p in parts.values()} == {torch.float32}
    trainer.train_step()
    assert {p.dtype for p in trainer.learned} == {torch.float32}
    single = Trainer(config)
    exact = single.parts(single.batch(single.training, (0, 0, 0)))
    assert parts["ssim"].item() == pytest.approx(exact["ssim"].item(), abs=0.02)
    assert parts["ssim"].item() != exact["ssim"].item()


def test_training_makes_the_loss_smaller(config):
    trainer = Trainer(replace(config, steps=25, learning_rate=3e-3, side=64))
    before = trainer.validate(4)["loss"]
    for _ in range(25):
        trainer.train_step()
    trainer.average = [p.detach().clone() for p in trainer.learned]
    assert trainer.validate(4)["loss"] < before


@pytest.mark.parametrize("saturated", [True, False])
def test_a_run_that_learns_nothing_any_more_says_so(config, caplog, saturated):
    trainer = Trainer(config)
    if saturated:
        with torch.no_grad():
            trainer.network.head.weight.zero_()
            trainer.network.head.bias.fill_(1e4)
    trainer.run()
    said = [r.getMessage() for r in caplog.records if "Nothing is learned any more" in r.getMessage()]
    assert len(said) == saturated


def test_a_run_that_has_diverged_says_so(config, caplog, monkeypatch):
    monkeypatch.setattr(run_loop, "LOG_EVERY", 2)
    Trainer(replace(config, steps=8, learning_rate=1e6, clip=None, validation_share=0.0)).run()
    said = [r.getMessage() for r in caplog.records if "the run has diverged" in r.getMessage()]
    assert len(said) >= 2


def test_another_configuration_does_not_continue_a_run(config):
    trainer = Trainer(config)
    trainer.train_step()
    trainer.save()
    with pytest.raises(UsageError, match="learning_rate"):
        Trainer(replace(config, learning_rate=5e-4))


def test_other_pairs_do_not_continue_a_run(config):
    trainer = Trainer(config)
    trainer.train_step()
    trainer.save()
    for folder in (Path(config.visible), Path(config.infrared)):
        (folder / "later.png").write_bytes((folder / "street_0.png").read_bytes())
    with pytest.raises(UsageError, match="other pairs than the 4 to train on and 1 held out"):
        Trainer(config)
    for folder in (Path(config.visible), Path(config.infrared)):
        (folder / "later.png").unlink()
    assert Trainer(config).step == 1


def test_exported_weights_are_the_averaged_ones(config, tmp_path):
    trainer = Trainer(config)
    trainer.run()
    export_weights(trainer, tmp_path / "w.safetensors")
    checkpoint = read_checkpoint(tmp_path / "w.safetensors")
    for key, value in trainer.averaged_state().items():
        assert torch.allclose(checkpoint.state[key], value.to(checkpoint.state[key].dtype), atol=2e-3), key
    assert set(checkpoint.prompts.codes) == set(PROMPT_SHARES)
    assert checkpoint.card["step"] == 4
    assert checkpoint.card["training_pairs_by_set"] == {"street": len(trainer.training)}
    assert str(tmp_path) not in json.dumps(dict(checkpoint.card))


def test_pictures_whose_names_say_no_set_are_counted_as_one(config):
    for folder in (Path(config.visible), Path(config.infrared)):
        for file in list(folder.iterdir()):
            file.rename(file.with_name(file.name.removeprefix("street_")))
    trainer = Trainer(config)
    assert training_facts(trainer)["training_pairs_by_set"] == {"not named": len(trainer.training)}


def test_text_codes_that_a_recipe_names_and_nobody_has_made_are_explained(config):
    with pytest.raises(InputError, match=r"gone\.npz; docs/training\.md says how they are made"):
        Trainer(replace(config, text_codes="gone.npz"))


def test_a_larger_network_starts_as_the_smaller_one_whose_weights_it_is_given(config, tmp_path):
    small = Trainer(config)
    small.train_step()
    export_weights(small, tmp_path / "small.safetensors", half=False)
    larger = {"semantics": False, "widths": (32, 16, 16, 32), "encoder_blocks": (1, 1, 2, 1)}
    start = replace(config, start=str(tmp_path / "small.safetensors"), seed=9, output=str(tmp_path / "grown"))
    grown = Trainer(replace(start, overrides=larger))
    batch = small.batch(small.validation, (0, 0, 0))
    with small.averaged() as expected, torch.no_grad():
        wanted = expected(batch.first, batch.second, batch.codes)
    with torch.no_grad():
        found = grown.network.eval()(batch.first, batch.second, batch.codes)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)
    with pytest.raises(UsageError, match="cannot grow into"):
        Trainer(replace(start, overrides={"semantics": False, "widths": (16, 16, 16, 8)}, output=str(tmp_path / "no")))


def test_losses_are_worked_out_in_full_precision(config, monkeypatch):
    seen = []

    def watched(fused, *arguments):
        seen.append((fused.dtype, torch.is_autocast_enabled("cpu"), torch.backends.cudnn.allow_tf32))
        return loss_parts(fused, *arguments)

    monkeypatch.setattr("upfusion_med.training.trainer.loss_parts", watched)
    Trainer(replace(config, bf16=True)).train_step()
    assert seen == [(torch.float32, False, False)]
    assert torch.backends.cudnn.allow_tf32


def test_a_scene_never_stands_on_both_sides(tmp_path, config):
    (tmp_path / "t.csv").write_text("name,source_scene\n" + "".join(f"street_{i},place_{i % 2}\n" for i in range(4)))
    pairs = find_pairs(Path(config.visible), Path(config.infrared), tmp_path / "t.csv")
    training, validation = split_by_scene(pairs, 0.5, 0)
    assert {p.scene for p in training}.isdisjoint({p.scene for p in validation})
    assert len(training) == len(validation) == 2


def test_runs_of_other_seeds_can_hold_out_the_same_scenes(config, tmp_path):
    same = {}
    for seed in range(4):
        trainer = Trainer(replace(config, seed=seed, split_seed=7, output=str(tmp_path / str(seed))))
        same[seed] = {p.name for p in trainer.validation}
    assert len({frozenset(names) for names in same.values()}) == 1
    other = [Trainer(replace(config, split_seed=k, output=str(tmp_path / f"s{k}"))).validation for k in range(8)]
    assert len({frozenset(p.name for p in held) for held in other}) > 1


def test_a_prompt_asks_for_its_own_balance_of_the_losses(config):
    factors = {"infrared_visible": {"ssim": 0.25}}
    trainer = Trainer(replace(config, loss={"edges": 1.0, "ssim": 2.0}, prompt_factors=factors, batch=16))
    batch = trainer.batch(trainer.training, (0, 0, 0))
    of_prompt = (batch.codes == trainer.codes["infrared_visible"]).all(1)
    assert 0 < of_prompt.sum() < len(of_prompt)
    assert (batch.factors[:, 0] == 1).all()
    assert torch.equal(batch.factors[:, 1], torch.where(of_prompt, 0.25, 1.0))
    plain = trainer.parts(batch._replace(factors=torch.ones_like(batch.factors)))
    asked = trainer.parts(batch)
    assert asked["ssim"] < plain["ssim"]
    assert asked["edges"] == plain["edges"]


@pytest.mark.parametrize(
    "asked", [{"mri_ct": {"vif": 2.0}}, {"mri_ct": {"ssim": "2"}}, {"mri_ct": {"ssim": -1}}, {"mri_ct": 2}]
)
def test_what_a_prompt_cannot_ask_is_named(config, asked):
    with pytest.raises(UsageError, match="prompt_factors"):
        replace(config, loss={"ssim": 1.0}, prompt_factors=asked)


@pytest.mark.parametrize("asked", [{"prompt_factors": {"mri_tc": {"ssim": 2.0}}}, {"emphasis": {"mri_tc": 0.4}}])
def test_a_mistyped_prompt_is_named(config, asked):
    trainer = Trainer(replace(config, loss={"ssim": 1.0}, **asked))
    with pytest.raises(UsageError, match=f"{next(iter(asked))}.*mri_tc"):
        trainer.batch(trainer.training, (0, 0, 0))


def test_the_best_weights_cannot_be_chosen_without_held_out_scenes(config):
    with pytest.raises(UsageError, match=r"needs held-out scenes, and none of [0-9]+ is"):
        Trainer(replace(config, validation_share=0.0, keep_best="mean"))
    with pytest.raises(InputError, match="All 4 pairs"):
        Trainer(replace(config, validation_share=1.0))


def test_pictures_without_a_partner_are_named(config):
    (Path(config.visible) / "street_9.png").write_bytes((Path(config.visible) / "street_0.png").read_bytes())
    with pytest.raises(InputError, match="street_9"):
        Trainer(config)

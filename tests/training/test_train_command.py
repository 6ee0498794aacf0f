from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
import torch
from typer.testing import CliRunner

from upfusion_med.cli.main import app
from upfusion_med.core import UsageError
from upfusion_med.training.configuration import read_config
from upfusion_med.training.trainer import Trainer
from upfusion_med.training.validation import validation_metrics
from upfusion_med.weights import read_checkpoint


@pytest.fixture
def recipe(config, tmp_path):
    """A configuration with the semantic backbone, so that every part is there."""
    overrides = {**config.overrides, "semantics": True}
    fields = {**asdict(replace(config, steps=2, overrides=overrides, validation_share=0.0)), "exclude": []}
    (tmp_path / "c.json").write_text(json.dumps(fields))
    return tmp_path / "c.json"


def run(*arguments):
    return CliRunner().invoke(app, ["train", *map(str, arguments), "--quiet"])


def test_a_run_is_exported_and_a_second_call_only_says_that_it_is_finished(recipe, tmp_path):
    done = run(recipe, "--export", tmp_path / "w.safetensors")
    assert done.exit_code == 0, done.output
    exported = read_checkpoint(tmp_path / "w.safetensors")
    assert exported.sha256 in done.output.replace("\n", "")
    again = run(recipe, "--export", tmp_path / "again.safetensors")
    assert again.exit_code == 0
    assert "Finished at step 2" in again.output
    state = read_checkpoint(tmp_path / "again.safetensors").state
    assert all(torch.equal(state[k], v) for k, v in exported.state.items())


def test_gradients_reach_selection_and_text_and_not_the_frozen_backbone(recipe):
    done = run(recipe, "--gradients")
    assert done.exit_code == 0, done.output
    norms = {line[2:31].strip(): float(line[31:]) for line in done.output.splitlines()[1:]}
    assert norms.pop("semantic backbone (frozen)") == 0
    assert {"SCPM semantic projection", "TCPM text layers", "TCPM channel selection"} <= set(norms)
    assert all(norm > 0 for norm in norms.values()), norms


def test_held_out_pairs_are_scored_at_the_last_checkpoint(recipe, tmp_path):
    assert isinstance(run(recipe, "--validate").exception, UsageError)
    fields = json.loads(recipe.read_text())
    recipe.write_text(json.dumps({**fields, "validation_share": 0.5}))
    run(recipe, "--export", tmp_path / "w.safetensors")
    done = run(recipe, "--validate")
    assert done.exit_code == 0, done.output
    trainer = Trainer(read_config(recipe))
    network = read_checkpoint(tmp_path / "w.safetensors").network()
    expected = validation_metrics(network, trainer.validation, trainer.codes, trainer.device)
    assert f"{len(trainer.validation)} held-out pairs at step 2" in done.output
    shown = dict(line.split() for line in done.output.splitlines()[1:])
    assert {name: float(score) for name, score in shown.items()} == pytest.approx(expected, abs=2e-3)
    both = run(recipe, "--validate", "--gradients").output
    assert both.startswith("Gradient norms at step 2")
    assert both.endswith(done.output)


def test_a_run_that_is_asked_to_stop_says_how_to_go_on(recipe, monkeypatch):
    monkeypatch.setattr(Trainer, "run", lambda self, progress: self.checkpoint)
    done = run(recipe)
    assert done.exit_code == 130
    assert "Stopped at step 0 of 2" in done.output


def test_fields_are_listed_and_a_configuration_is_asked_for():
    done = run("--fields")
    assert done.exit_code == 0
    assert "microbatches" in done.output
    assert isinstance(run().exception, UsageError)

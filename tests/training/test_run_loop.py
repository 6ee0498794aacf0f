from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from upfusion_med.core import InputError, MissingPackageError, UsageError
from upfusion_med.metrics import compute
from upfusion_med.training import run_loop
from upfusion_med.training.export import export_weights
from upfusion_med.training.run_log import RunLog, read_log
from upfusion_med.training.trainer import Trainer
from upfusion_med.training.validation import fuse_middle, spread
from upfusion_med.weights import read_checkpoint


def test_a_validation_scores_held_out_pairs_by_the_metrics_of_the_package(config):
    trainer = Trainer(config)
    trainer.run()
    row = read_log(trainer.output)[-1]
    pair = trainer.validation[0]
    assert pair.scene not in {p.scene for p in trainer.training}
    with trainer.averaged() as network:
        first, second, fused = (
            255 * x[0, 0].numpy() for x in fuse_middle(network, pair, trainer.codes, trainer.device)
        )
    scores = compute(fused, first, second, ["q_p", "vif", "q_abf", "ssim"])
    for key, value in scores.items():
        assert row["metrics"][key] == pytest.approx(value, abs=1e-3), key
    assert row["metrics"]["mean"] == pytest.approx(np.mean(list(scores.values())), abs=1e-3)


def test_the_log_says_which_share_of_a_step_was_spent_waiting_for_data(config):
    trainer = Trainer(config)
    trainer.run()
    rows = [row for row in read_log(trainer.output) if "data_share" in row]
    assert rows
    assert all(0 < row["data_share"] < 0.5 for row in rows)


def test_pictures_of_held_out_pairs_are_drawn_early_and_at_validations(config, monkeypatch):
    monkeypatch.setattr(run_loop, "EARLY_PICTURES", (1,))
    trainer = Trainer(config)
    trainer.run()
    pictures = sorted((trainer.output / "pictures").iterdir())
    assert [p.stem for p in pictures] == ["step-000001", "step-000002", "step-000004"]
    sheet = np.asarray(Image.open(pictures[-1]))
    columns = 1 + config.batch  # one held-out pair, and the crops of a batch
    assert sheet.shape == (3 * 196 - 4, columns * 196 - 4)
    first, second, fused = (sheet[y : y + 160, :192].astype(int) for y in (0, 196, 392))
    # At this point of a run the fusion lies between its sources, but for the small detail term.
    low, high = np.minimum(first, second), np.maximum(first, second)
    assert ((fused >= low - 30) & (fused <= high + 30)).mean() > 0.9


def test_the_best_weights_are_those_of_the_best_validation(config, tmp_path, monkeypatch):
    scores = iter([0.3, 0.5, 0.4])
    monkeypatch.setattr(
        run_loop, "validation_metrics", lambda *_: dict.fromkeys(("q_p", "vif", "q_abf", "ssim", "mean"), next(scores))
    )
    trainer = Trainer(replace(config, steps=6, keep_best="mean"))
    trainer.run()
    best = torch.load(trainer.best, weights_only=True)
    assert best["step"] == 4
    export_weights(trainer, tmp_path / "w.safetensors", half=False)
    state = read_checkpoint(tmp_path / "w.safetensors").state
    assert all(torch.equal(state[k], v) for k, v in best["network"].items())
    assert Trainer(replace(config, steps=6, keep_best="mean")).best_score == 0.5


def test_a_signal_ends_a_run_after_its_step_and_the_next_call_goes_on(config, tmp_path):
    whole = Trainer(replace(config, output=str(tmp_path / "whole")))
    whole.run()
    before = signal.getsignal(signal.SIGTERM)
    trainer = Trainer(config)
    step = trainer.train_step

    def step_with_signal(batches):
        if trainer.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(batches)

    trainer.train_step = step_with_signal
    trainer.run()
    assert trainer.step == 3
    assert signal.getsignal(signal.SIGTERM) is before
    again = Trainer(config)
    assert again.step == 3
    again.run()
    assert all(torch.equal(a, b) for a, b in zip(whole.average, again.average, strict=True))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_every_process_of_a_run_ends_it_after_its_step_too(config, number):
    trainer = Trainer(replace(config, steps=40, save_every=40, workers=2))
    step = trainer.train_step

    def step_with_signal(batches):
        if trainer.step == 2:
            workers = multiprocessing.active_children()
            assert len(workers) == 2
            for process in workers:
                os.kill(process.pid, number)
            for process in workers:
                process.join(0.5)  # one that the signal ends is gone by now
            os.kill(os.getpid(), number)
        return step(batches)

    trainer.train_step = step_with_signal
    trainer.run()
    assert trainer.step == 3
    assert Trainer(trainer.config).step == 3


def test_a_run_that_fails_leaves_no_workers_for_which_python_would_wait_at_its_end(config, monkeypatch):
    def full(*_):
        assert len(multiprocessing.active_children()) == 2
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(run_loop, "check_in", full)
    trainer = Trainer(replace(config, workers=2))
    with pytest.raises(RuntimeError, match="the disk is full") as failure:
        trainer.run()
    assert failure.tb is not None  # it holds the frames of the run, as at the end of Python
    assert multiprocessing.active_children() == []


def test_a_stop_between_two_validations_does_not_change_the_best_weights(config, tmp_path, monkeypatch):
    by_step = {2: 0.3, 3: 0.9, 4: 0.5, 6: 0.4}
    config = replace(config, steps=6, keep_best="mean")

    def run(output, stop_after=None):
        trainer = Trainer(replace(config, output=str(tmp_path / output)))
        monkeypatch.setattr(run_loop, "validation_metrics", lambda *_: {"mean": by_step[trainer.step]})
        step = trainer.train_step

        def step_with_signal(batches):
            if trainer.step + 1 == stop_after:
                os.kill(os.getpid(), signal.SIGTERM)
            return step(batches)

        trainer.train_step = step_with_signal
        trainer.run()
        return trainer

    whole, stopped = run("whole"), run("stopped", stop_after=3)
    assert stopped.step == 3
    again = run("stopped")
    assert (again.step, again.best_score) == (6, 0.5)
    best = [torch.load(t.best, weights_only=True) for t in (whole, again)]
    assert [b["step"] for b in best] == [4, 4]
    assert all(torch.equal(v, best[1]["network"][k]) for k, v in best[0]["network"].items())


@pytest.mark.parametrize("field", ["save_every", "validation_pairs"])
def test_what_chooses_the_best_weights_may_only_change_where_none_are_kept(config, field):
    Trainer(config).save()
    Trainer(replace(config, **{field: 3}))
    chosen = replace(config, keep_best="mean", output=f"{config.output}-best")
    Trainer(chosen).save()
    with pytest.raises(UsageError, match=rf"differs in {field}"):
        Trainer(replace(chosen, **{field: 3}))


def test_lines_of_steps_that_are_done_again_are_taken_out_of_the_log(tmp_path):
    log = RunLog(tmp_path, 0)
    for step in (50, 100, 150):
        log.note({"step": step, "loss": 1.0})
    with log.path.open("a") as file:
        file.write('{"step": 151, "lo')
    RunLog(tmp_path, 100).note({"step": 150, "loss": 2.0})
    assert [(r["step"], r["loss"]) for r in read_log(tmp_path)] == [(50, 1.0), (100, 1.0), (150, 2.0)]


def test_a_line_that_was_cut_off_does_not_spoil_the_next_one(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 50, "loss": 1.5}\n{"step": 60, "lo')
    RunLog(tmp_path, 50).note({"step": 100, "loss": 1.0})
    assert read_log(tmp_path) == [{"step": 50, "loss": 1.5}, {"step": 100, "loss": 1.0}]


def test_tensorboard_shows_losses_metrics_and_pictures(config):
    pytest.importorskip("tensorboard", reason="needs the extra 'train'")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trainer = Trainer(replace(config, tensorboard=True))
    trainer.run()
    events = EventAccumulator(str(trainer.output / "tensorboard"))
    events.Reload()
    assert {"training/loss", "validation/ssim", "metrics/q_p"} <= set(events.Tags()["scalars"])
    assert events.Tags()["images"] == ["held-out"]
    logged = {r["step"]: r["metrics"]["q_p"] for r in read_log(trainer.output) if "metrics" in r}
    shown = {e.step: e.value for e in events.Scalars("metrics/q_p")}
    assert shown == pytest.approx(logged, rel=1e-6)


def test_without_tensorboard_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingPackageError, match=r"upfusion-med\[train\]"):
        RunLog(tmp_path, 0, tensorboard=True)


def test_a_damaged_checkpoint_is_told(config):
    trainer = Trainer(config)
    trainer.output.mkdir()
    for content in (b"", b"PK damaged"):
        trainer.checkpoint.write_bytes(content)
        with pytest.raises(InputError, match="damaged"):
            Trainer(config)


@pytest.mark.parametrize("state", [{"model": torch.zeros(2)}, torch.zeros(2)])
def test_a_checkpoint_of_another_program_is_told(config, state):
    trainer = Trainer(config)
    trainer.output.mkdir()
    torch.save(state, trainer.checkpoint)
    with pytest.raises(UsageError, match=r"checkpoint\.pt is no state"):
        Trainer(config)


def test_a_checkpoint_of_a_network_with_other_parts_names_them(config):
    trainer = Trainer(config)
    trainer.save()
    state = torch.load(trainer.checkpoint, weights_only=True)
    del state["network"]["head.bias"]
    torch.save(state, trainer.checkpoint)
    with pytest.raises(InputError, match=r"checkpoint\.pt does not fit.*head\.bias"):
        Trainer(config)


def test_an_output_that_is_a_file_is_refused(config, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="file is a file"):
        Trainer(replace(config, output=str(tmp_path / "file" / "run")))


def test_pairs_to_validate_on_are_spread_evenly():
    assert spread(list(range(10)), 4) == [0, 2, 5, 7]
    assert spread(list(range(2)), 4) == [0, 1]

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace

import pytest
import torch

from upfusion_med.core import UsageError
from upfusion_med.training.processes import Processes, join
from upfusion_med.training.trainer import Trainer

#: One process, not the one that writes, is told to stop, and torchrun passes the signal on to it.
STOPPED = """
import os, signal, sys
from pathlib import Path
from upfusion_med.training.configuration import read_config
from upfusion_med.training.trainer import Trainer

trainer = Trainer(read_config(Path(sys.argv[1])))
step = trainer.train_step

def step_with_signal(batches):
    if trainer.step == 2 and not trainer.processes.is_first:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
    return step(batches)

trainer.train_step = step_with_signal
trainer.run()
trainer.processes.leave(trainer.parallel)
threads = [Path("/proc/self/task", thread, "comm").read_text() for thread in os.listdir("/proc/self/task")]
left = sum("gloo" in name for name in threads)
Path(sys.argv[2], f"stopped-{trainer.processes.rank}").write_text(f"{trainer.step} steps, {left} threads")
"""


def on_two(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_signal_to_one_of_two_processes_ends_both_after_the_same_step(config, tmp_path):
    config = replace(config, microbatches=2, steps=40, save_every=40)
    (tmp_path / "c.json").write_text(json.dumps(asdict(config)))
    (tmp_path / "stopped.py").write_text(STOPPED)
    done = on_two(tmp_path / "stopped.py", tmp_path / "c.json", tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert [(tmp_path / f"stopped-{rank}").read_text() for rank in (0, 1)] == ["3 steps, 0 threads"] * 2
    assert Trainer(config).step == 3


def test_two_processes_give_the_weights_of_one(config, tmp_path):
    """Batches of a step are shared out and gradients averaged: only the order of the sums differs."""
    config = replace(config, microbatches=4, steps=2, validation_share=0.0)
    alone = Trainer(config)
    alone.run()
    (tmp_path / "c.json").write_text(json.dumps(asdict(replace(config, output=str(tmp_path / "two")))))
    done = on_two("-m", "upfusion_med.training", tmp_path / "c.json")
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("step 2 of 2") == 1
    state = torch.load(tmp_path / "two" / "checkpoint.pt", weights_only=True)
    assert state["step"] == 2
    start = Trainer(replace(config, output=str(tmp_path / "start")))
    moved = max(float((a - b).detach().abs().max()) for a, b in zip(alone.learned, start.learned, strict=True))
    for mine, (name, _) in zip(alone.learned, alone.network.named_parameters(), strict=True):
        assert torch.allclose(mine, state["network"][name], atol=1e-3 * moved), name


def test_processes_share_the_batches_of_a_step():
    cpu = torch.device("cpu")
    assert [list(Processes(rank, 2, cpu).share(4)) for rank in (0, 1)] == [[0, 2], [1, 3]]
    with pytest.raises(UsageError, match="3 processes share 4"):
        Processes(0, 3, cpu).share(4)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_told():
    with pytest.raises(UsageError, match="sees no GPU"):
        join("cuda")
    with pytest.raises(UsageError, match="expected cpu or cuda"):
        join("gpu")

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


def test_two_processes_give_the_weights_of_one(config, tmp_path):
    """Batches of a step are shared out and gradients averaged: only the order of the sums differs."""
    config = replace(config, microbatches=4, steps=2, validation_share=0.0)
    alone = Trainer(config)
    alone.run()
    (tmp_path / "c.json").write_text(json.dumps(asdict(replace(config, output=str(tmp_path / "two")))))
    call = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "upfusion_med.training"]
    done = subprocess.run(
        [sys.executable, *call, str(tmp_path / "c.json")],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
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

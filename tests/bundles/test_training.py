"""The training configurations, on one device and on two ranks."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys

import pytest
import torch

pytest.importorskip("monai", reason="MONAI is not installed (extra 'monai')")
pytest.importorskip("ignite", reason="pytorch-ignite is not installed (extra 'monai')")

from tests.bundles.conftest import NAMES
from tests.bundles.workflows import workflow
from upfusion_med.bundle import CropDataset, FusionLoss, PairNetwork, adamw, cosine_schedule
from upfusion_med.core import UsageError
from upfusion_med.training import pairs

TINY = {
    "epochs": 2,
    "crops_per_epoch": 4,
    "batch_size": 2,
    "validation_crops": 2,
    "validation_share": 0.5,
    "side": 64,
}


@pytest.mark.parametrize("name", NAMES)
def test_the_properties_of_the_training_workflow_are_complete(bundles, pictures, name):
    flow = workflow(bundles / name, "train", dataset_dir=str(pictures), validation_share=0.5)
    flow.initialize()
    assert flow.check_properties() == []


def test_training_learns_on_tiny_data_tells_its_loss_and_its_weights_load(bundles, pictures, tmp_path, capsys, caplog):
    flow = workflow(
        bundles / NAMES[1], "train", dataset_dir=str(pictures), output_dir=str(tmp_path / "train"), device="cpu", **TINY
    )
    flow.initialize()
    before = {k: v.clone() for k, v in flow.network_def.state_dict().items()}
    caplog.set_level("INFO")
    flow.run()
    told = capsys.readouterr().out + caplog.text  # MONAI adds a handler where there is none yet
    assert len(set(re.findall(r"Epoch: ./2, Iter: ./2 -- train_loss: \d", told))) == 4
    learnt = {k for k, v in flow.network_def.state_dict().items() if not torch.equal(before[k], v)}
    trainable = {k for k, v in flow.network_def.named_parameters() if v.requires_grad}
    assert len(learnt & trainable) > 0.9 * len(trainable)
    PairNetwork().load_state_dict(torch.load(tmp_path / "train" / "model.pt", weights_only=True))


@pytest.mark.parametrize(("part", "share"), [("validation", 0.1), ("training", 1.0)])
def test_a_side_without_scenes_is_told_before_training(pictures, part, share):
    with pytest.raises(UsageError, match=f"'validation_share' of {share:g} leaves no scene for {part}, of 4"):
        CropDataset(str(pictures / "vi"), str(pictures / "ir"), part=part, validation_share=share)


def test_each_side_reads_its_own_pictures_only(pictures, monkeypatch):
    read = []
    luminance = pairs.read_luminance
    monkeypatch.setattr(pairs, "read_luminance", lambda file: read.append(file) or luminance(file))
    for part in ("training", "validation"):
        CropDataset(str(pictures / "vi"), str(pictures / "ir"), part=part, validation_share=0.5)
    assert len(read) == len(set(read)) == 8


def test_frozen_parameters_are_not_handed_to_the_optimiser():
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    network[0].requires_grad_(False)
    optimizer = adamw(network, 0.1)
    assert sum(p.numel() for group in optimizer.param_groups for p in group["params"]) == 6
    schedule = cosine_schedule(optimizer, 4)
    for _ in range(4):
        optimizer.step()
        schedule.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)


def test_the_loss_of_a_perfect_fusion_of_equal_sources_is_nearly_nothing():
    image = torch.rand(2, 1, 64, 64)
    pair = torch.cat([image, image], dim=1)
    loss = FusionLoss()
    assert loss(image, pair).item() < 0.05
    assert loss(1 - image, pair).item() > 1


def on_two_ranks(bundle, kind, cwd, *options):
    """Run a configuration and its multi-GPU companion on two CPU ranks (gloo)."""
    files = [str(bundle / "configs" / f"{name}.json") for name in (kind, f"multi_gpu_{kind}")]
    done = subprocess.run(
        [
            sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2",
            "-m", "monai.bundle", "run", "--config_file", str(files), "--bundle_root", str(bundle), *options,
        ],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def test_two_ranks_train_one_network(bundles, pictures, tmp_path):
    options = [word for name, value in TINY.items() for word in (f"--{name}", str(value))]
    on_two_ranks(bundles / NAMES[0], "train", tmp_path, "--dataset_dir", str(pictures), "--output_dir", "out", *options)
    PairNetwork().load_state_dict(torch.load(tmp_path / "out" / "model.pt", weights_only=True))


def test_two_ranks_score_as_one_does(bundles, pictures, tmp_path):
    on_two_ranks(bundles / NAMES[1], "evaluate", tmp_path, "--dataset_dir", str(pictures), "--output_dir", "out")
    with (tmp_path / "out" / "metrics.csv").open() as file:
        of_two = {row[0]: float(row[1]) for row in csv.reader(file)}
    flow = workflow(
        bundles / NAMES[1], "evaluate", dataset_dir=str(pictures), output_dir=str(tmp_path / "one"), device="cpu"
    )
    flow.initialize()
    flow.run()
    assert of_two.keys() == flow.evaluator.state.metrics.keys()
    for key, value in flow.evaluator.state.metrics.items():
        assert of_two[key] == pytest.approx(value, rel=1e-5), key

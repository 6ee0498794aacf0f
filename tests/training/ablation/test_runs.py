from __future__ import annotations

import json
import shutil
import signal
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from upfusion_med.cli.main import app
from upfusion_med.core import UsageError
from upfusion_med.evaluation.methods import ModelMethod
from upfusion_med.evaluation.picture_levels import read_levels
from upfusion_med.metrics import compute
from upfusion_med.training import trainer
from upfusion_med.training.ablation.runs import run_ablation
from upfusion_med.training.ablation.study import AblationConfig, read_ablation_config
from upfusion_med.training.ablation.tables import write_tables
from upfusion_med.weights import read_checkpoint


@pytest.fixture
def study(config, tmp_path: Path) -> AblationConfig:
    """Two variants, two seeds, one step; two dev and five test pairs of CT, of which every second is scored."""
    rng = np.random.default_rng(0)
    rows = ["modality,name,case,split,patient"]
    for k in range(7):
        name = f"{k + 1}001.png"
        for kind in ("CT", "MRI"):
            (tmp_path / "atlas" / "CT-MRI" / kind).mkdir(parents=True, exist_ok=True)
            coarse = Image.fromarray(rng.integers(0, 255, (9, 9), dtype=np.uint8))
            coarse.resize((64, 64)).save(tmp_path / "atlas" / "CT-MRI" / kind / name)
        rows.append(f"CT-MRI,{name},{k},{'dev' if k < 2 else 'test'},case{k}")
    (tmp_path / "atlas" / "splits.csv").write_text("\n".join(rows) + "\n")
    training = {k: v for k, v in asdict(config).items() if k not in ("output", "seed")}
    return AblationConfig(
        training={**training, "steps": 1, "save_every": 1, "validation_share": 0.0, "exclude": []},
        harvard=str(tmp_path / "atlas"), output=str(tmp_path / "ablation"), seeds=(0, 1), variants=("full", "no-gam"),
        every={"dev": 1, "test": 2}, metrics=("ssim", "vif"),
    )  # fmt: skip


def test_an_ablation_trains_scores_and_is_not_done_twice(study, monkeypatch):
    runs = run_ablation(study)
    assert [(r.variant, r.seed) for r in runs] == [("full", 0), ("full", 1), ("no-gam", 0), ("no-gam", 1)]
    assert all(r.steps == 1 for r in runs)
    assert list(runs[0].scores["test"]) == ["CT-MRI/3001", "CT-MRI/5001", "CT-MRI/7001"]
    assert list(runs[0].scores["dev"]) == ["CT-MRI/1001", "CT-MRI/2001"]

    folder = Path(study.output) / "runs" / "no-gam-seed1"
    method = ModelMethod("m", str(folder / "weights.safetensors"))
    assert not method._checkpoint.network().config.gam
    assert method._checkpoint.network().config.semantics is False
    a, b = (read_levels(Path(study.harvard) / "CT-MRI" / kind / "3001.png") for kind in ("CT", "MRI"))
    pair = next(p for p in _pairs(study) if p.name == "3001")
    assert runs[3].scores["test"]["CT-MRI/3001"] == pytest.approx(
        compute(method.fuse(pair, a, b), a, b, ["ssim", "vif"])
    )

    first, second = (  # at the first step's small rate the shared start still shows
        read_checkpoint(Path(study.output) / "runs" / f"{v}-seed1" / "weights.safetensors").state["embed_first.weight"]
        for v in study.variants
    )
    assert (first - second).abs().max() < 0.01 < first.std()
    assert runs[0].validation_loss != runs[0].validation_loss  # no scene is held out

    monkeypatch.setattr(trainer, "Trainer", None)
    again = run_ablation(study)
    assert [r.scores for r in again] == [r.scores for r in runs]
    with pytest.raises(TypeError, match="not callable"):  # other facts: the kept runs do not count
        run_ablation(replace(study, metrics=("ssim",)))

    files = {p.name: p.read_text() for p in write_tables(runs, Path(study.output))}
    assert set(files) == {"ablation.csv", "differences.csv", "ablation.md", "ablation.tex"}
    mean = np.mean([np.mean([s["ssim"] for s in r.scores["test"].values()]) for r in runs[:2]])
    row = next(x for x in files["ablation.csv"].splitlines() if x.startswith("test,CT-MRI,full,ssim"))
    assert float(row.split(",")[4]) == pytest.approx(mean, rel=1e-6)


def _pairs(study):
    from upfusion_med.evaluation.datasets import get_data_set
    from upfusion_med.evaluation.pair_search import find_pairs

    return find_pairs(get_data_set("harvard"), Path(study.harvard), "test").pairs


def test_a_run_that_a_signal_ends_early_is_not_scored_and_goes_on_later(study, tmp_path, monkeypatch):
    longer = replace(study, training={**study.training, "steps": 3}, seeds=(0,), variants=("full",))
    (tmp_path / "ablation.json").write_text(json.dumps(asdict(longer)))
    step = trainer.Trainer.train_step

    def interrupted(self, *batches):
        if self.step == 1:
            signal.raise_signal(signal.SIGTERM)
        return step(self, *batches)

    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "train_step", interrupted)
        stopped = CliRunner().invoke(app, ["ablate", str(tmp_path / "ablation.json"), "--quiet"])
    assert stopped.exit_code == 130
    assert "full, seed 0, is at step 2 of 3" in stopped.output
    folder = Path(study.output) / "runs" / "full-seed0"
    assert (folder / "checkpoint.pt").is_file()
    assert not (folder / "scores.json").exists()
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    assert 0 < state["cpu_seconds"] < 1000
    torch.save({**state, "cpu_seconds": 1000.0}, folder / "checkpoint.pt")
    (run,) = run_ablation(longer)
    assert run.steps == 3
    assert run.cpu_seconds > 1000, "the time of both sessions"


def test_scores_of_pairs_of_another_folder_do_not_count_and_the_training_is_kept(study, tmp_path, monkeypatch):
    study = replace(study, seeds=(0,), variants=("full",))
    (run,) = run_ablation(study)
    other = shutil.copytree(study.harvard, tmp_path / "other")
    for picture in (other / "CT-MRI" / "CT").iterdir():
        Image.fromarray(255 - np.asarray(Image.open(picture))).save(picture)

    monkeypatch.setattr(trainer.Trainer, "train_step", None)
    (again,) = run_ablation(replace(study, harvard=str(other)))
    assert again.scores["test"].keys() == run.scores["test"].keys()
    assert again.scores != run.scores


def test_the_plan_shows_cost_without_training(study, tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "Trainer", None)
    (tmp_path / "ablation.json").write_text(json.dumps(asdict(study)))
    done = CliRunner().invoke(app, ["ablate", str(tmp_path / "ablation.json"), "--plan"])
    assert done.exit_code == 0, done.output
    assert "w/o GAM" in done.output
    assert "0/2" in done.output


def test_wrong_configurations_are_told(study, tmp_path):
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"training": {}, "harvard": "h", "seds": [1]}))
    with pytest.raises(UsageError, match="seds"):
        read_ablation_config(path)
    path.write_text(json.dumps({"training": {}}))
    with pytest.raises(UsageError, match="harvard, output"):
        read_ablation_config(path)
    with pytest.raises(UsageError, match="sets seed"):
        replace(study, training={**study.training, "seed": 1})
    with pytest.raises(UsageError, match="'batch' is 0"):
        replace(study, training={**study.training, "batch": 0})
    with pytest.raises(UsageError, match="seeds"):
        replace(study, seeds=(0, 0))
    with pytest.raises(UsageError, match="every"):
        replace(study, every={"test": 0})
    with pytest.raises(UsageError, match="no metric nosuch; expected some of q_ncie"):
        replace(study, metrics=("vif", "nosuch"))
    with pytest.raises(UsageError, match="names the split testing; expected some of test, dev, all"):
        replace(study, every={"testing": 1})
    path.write_text("[]")
    with pytest.raises(UsageError, match="holds a list"):
        read_ablation_config(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [("training", 5), ("harvard", 5), ("variants", "full"), ("metrics", "vif"), ("seeds", 0), ("seeds", (-1,)),
     ("seeds", ("0",)), ("every", 1), ("every", {"test": "1"})],
)  # fmt: skip
def test_a_field_of_a_wrong_kind_is_named(study, field, value):
    with pytest.raises(UsageError, match=f"'{field}' is"):
        replace(study, **{field: value})

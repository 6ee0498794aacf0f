"""One run per variant and seed: train on infrared-visible pairs, score on Harvard, keep the scores."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from upfusion_med.core import Progress, RuntimeFailure, SilentProgress
from upfusion_med.training.ablation.study import AblationConfig
from upfusion_med.training.ablation.variants import Variant, cost_of, variants_of
from upfusion_med.training.configuration import config_from

PairScores = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class AblationRun:
    """A finished run.

    Attributes:
        variant: Name of the variant.
        label: Its name in tables.
        seed: Seed of the run.
        gmacs: 10^9 multiply-accumulates of one pair of 256x256.
        trained: Parameters trained.
        steps: Length of the training.
        cpu_seconds: Processor time of the training, of all sessions where it was interrupted.
        validation_loss: Loss on crops of held-out infrared-visible scenes; NaN where none is held out.
        facts: What the run depends on; another ablation in the same folder does not take it for its own.
        scores: By split, by pair (``group/name``), by metric.
    """

    variant: str
    label: str
    seed: int
    gmacs: float
    trained: int
    steps: int
    cpu_seconds: float
    validation_loss: float
    facts: Mapping[str, Any]
    scores: Mapping[str, PairScores]


def facts_of(config: AblationConfig, variant: Variant, seed: int) -> dict[str, Any]:
    """What a run's scores depend on, as JSON values."""
    facts = {
        "training": dict(config.training),
        "overrides": dict(variant.overrides),
        "seed": seed,
        "harvard": config.harvard,
        "every": dict(config.every),
        "metrics": config.metrics,
    }
    return json.loads(json.dumps(facts))  # type: ignore[no-any-return]


def folder_of(config: AblationConfig, variant: Variant, seed: int) -> Path:
    """Where a run lies."""
    return Path(config.output) / "runs" / f"{variant.name}-seed{seed}"


def finished(config: AblationConfig, variant: Variant, seed: int) -> AblationRun | None:
    """The run if it was finished with the same facts."""
    path = folder_of(config, variant, seed) / "scores.json"
    if not path.is_file():
        return None
    raw = json.loads(path.read_text())
    return AblationRun(**raw) if raw["facts"] == facts_of(config, variant, seed) else None


def run_one(config: AblationConfig, variant: Variant, seed: int, progress: Progress | None = None) -> AblationRun:
    """Train one variant with one seed from scratch, or from its last checkpoint, and score it.

    Raises:
        KeyboardInterrupt: a signal ended the training early; the next call goes on from its checkpoint.
    """
    from upfusion_med.training.export import export_weights
    from upfusion_med.training.trainer import Trainer

    folder = folder_of(config, variant, seed)
    fields = {**config.training, "overrides": variant.overrides, "seed": seed, "output": str(folder)}
    trainer = Trainer(config_from(fields, "of the ablation"), like=whole_network(config, seed))
    trainer.run(progress)
    if trainer.step < trainer.length:
        raise KeyboardInterrupt(f"{variant.name}, seed {seed}, is at step {trainer.step} of {trainer.length}.")
    weights = folder / "weights.safetensors"
    export_weights(trainer, weights, half=False)
    spent = trainer.cpu_seconds
    cost = cost_of(trainer.config.model, variant.overrides)
    run = AblationRun(
        variant=variant.name,
        label=variant.label,
        seed=seed,
        gmacs=cost.gmacs,
        trained=cost.trained,
        steps=trainer.step,
        cpu_seconds=spent,
        validation_loss=trainer.validate()["loss"] if trainer.validation else math.nan,
        facts=facts_of(config, variant, seed),
        scores={split: score(config, weights, split, folder) for split in config.every},
    )
    beside = folder / ".scores.json.part"
    beside.write_text(json.dumps(asdict(run)))
    beside.replace(folder / "scores.json")
    return run


def whole_network(config: AblationConfig, seed: int) -> dict[str, Tensor]:
    """Starting weights of the whole network, which every variant of a seed shares as far as it has the layers."""
    from upfusion_med.training.trainer import start_network

    torch.manual_seed(seed)
    whole = config_from({**config.training, "seed": seed, "output": config.output}, "of the ablation's training")
    return start_network(whole).state_dict()


def score(config: AblationConfig, weights: Path, split: str, folder: Path) -> dict[str, dict[str, float]]:
    """Scores of a weights file on every n-th pair of a split.

    Raises:
        RuntimeFailure: a pair could not be scored.
    """
    from upfusion_med.evaluation.datasets import get_data_set
    from upfusion_med.evaluation.harness import run_benchmark
    from upfusion_med.evaluation.methods import ModelMethod
    from upfusion_med.evaluation.pair_search import find_pairs

    found = find_pairs(get_data_set("harvard"), Path(config.harvard), split)
    chosen = [
        pair for group in found.groups for pair in [p for p in found.pairs if p.group == group][:: config.every[split]]
    ]
    table = run_benchmark(
        replace(found, pairs=tuple(chosen)),
        [ModelMethod(weights.stem, str(weights))],
        config.metrics,
        folder / f"harvard-{split}",
        keep_pictures=False,
    )
    if table.failures:
        first = table.failures[0]
        raise RuntimeFailure(f"{len(table.failures)} pairs could not be scored; {first.name}: {first.reason}")
    return {
        pair.id: {key: float(v) for key, v in zip(table.metrics, values, strict=True) if not math.isnan(v)}
        for pair, values in zip(table.pairs, table.values[0], strict=True)
    }


def run_ablation(config: AblationConfig, progress: Progress | None = None) -> list[AblationRun]:
    """Every run that is not yet finished, seed by seed; returns all of them in the order of the table."""
    progress = progress or SilentProgress()
    variants = variants_of(
        config.training.get("model", "upfusion-tiny"), config.training.get("overrides", {}), config.variants
    )
    runs = {}
    for seed in config.seeds:
        for variant in variants:
            runs[variant.name, seed] = finished(config, variant, seed) or run_one(config, variant, seed, progress)
    return [runs[variant.name, seed] for variant in variants for seed in config.seeds]

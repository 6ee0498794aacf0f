"""From a training run to a weights file that ships."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from upfusion_med.training.trainer import Trainer
from upfusion_med.weights import PromptTable, write_checkpoint
from upfusion_med.weights.checkpoint import sha256_of

#: Configuration fields that are places on the training machine, not facts about the weights.
_PLACES = ("visible", "infrared", "table", "output", "text_codes", "backbone_weights", "start", "device", "save_every")


def training_facts(trainer: Trainer) -> dict[str, Any]:
    """Recipe, data counts and last losses of a run, for the model card."""
    config = {k: v for k, v in asdict(trainer.config).items() if k not in _PLACES}
    sets: dict[str, int] = {}
    for pair in trainer.training:
        key = pair.name.split("_")[0]
        sets[key] = sets.get(key, 0) + 1
    log = trainer.output / "log.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []
    validations = [row for row in rows if "validation" in row]
    return {
        "step": trainer.step,
        "recipe": config,
        "training_pairs": len(trainer.training),
        "training_pairs_by_set": sets,
        "validation_pairs": len(trainer.validation),
        "started_from_sha256": sha256_of(Path(trainer.config.start)) if trainer.config.start else None,
        "last_validation": validations[-1]["validation"] if validations else None,
    }


def export_weights(trainer: Trainer, path: Path, card: Mapping[str, Any] | None = None, *, half: bool = True) -> str:
    """Write the averaged weights with the codes of the named prompts; returns the file's SHA-256.

    Args:
        trainer: A run, at its last checkpoint.
        path: Where to.
        card: More facts for the model card.
        half: Store matrices in float16: half the size, for shipping; not for starting another run from.
    """
    with np.load(trainer.config.text_codes, allow_pickle=False) as table:
        sentences = {str(n): str(p) for n, p in zip(table["names"], table["prompts"], strict=True)}
    prompts = PromptTable(trainer.config.text_encoder, sentences, {n: c.numpy() for n, c in trainer.codes.items()})
    return write_checkpoint(
        path,
        model=trainer.config.model,
        state=trainer.averaged_state(),
        prompts=prompts,
        card={**training_facts(trainer), **(card or {})},
        overrides=trainer.config.overrides,
        half=half,
    )

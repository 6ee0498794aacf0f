"""From a training run to a weights file that ships."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from upfusion_med.training.run_log import read_log
from upfusion_med.training.trainer import Trainer
from upfusion_med.weights import PromptTable, write_checkpoint
from upfusion_med.weights.checkpoint import sha256_of

#: Configuration fields that are places on the training machine, not facts about the weights.
_FILES = ("visible", "infrared", "table", "text_codes", "backbone_weights", "start")


def training_facts(trainer: Trainer) -> dict[str, Any]:
    """Recipe, data counts and last losses of a run, for the model card."""
    config = {k: v for k, v in asdict(trainer.config).items() if k not in (*trainer.config.places, *_FILES)}
    sets: dict[str, int] = {}
    for pair in trainer.training:
        # "msrs_00001D_c1" says its set; of names such as "010001" (LLVIP) each would be a set of its own
        key = pair.name.split("_")[0] if "_" in pair.name else "not named"
        sets[key] = sets.get(key, 0) + 1
    validations = [row for row in read_log(trainer.output) if "validation" in row]
    return {
        "step": trainer.step,
        "recipe": config,
        "training_pairs": len(trainer.training),
        "training_pairs_by_set": sets,
        "validation_pairs": len(trainer.validation),
        "started_from_sha256": sha256_of(Path(trainer.config.start)) if trainer.config.start else None,
        "last_validation": validations[-1]["validation"] if validations else None,
        "last_validation_metrics": validations[-1].get("metrics") if validations else None,
    }


def export_weights(trainer: Trainer, path: Path, *, half: bool = True) -> str:
    """Write the run's weights with the codes of the named prompts; returns the file's SHA-256.

    The weights are the averaged ones of the last step, or those of the best validation where ``keep_best`` asks for it.

    Args:
        trainer: A run, at its last checkpoint.
        path: Where to.
        half: Store matrices in float16: half the size, for shipping; not for starting another run from.
    """
    with np.load(trainer.config.text_codes, allow_pickle=False) as table:
        sentences = {str(n): str(p) for n, p in zip(table["names"], table["prompts"], strict=True)}
    prompts = PromptTable(trainer.config.text_encoder, sentences, {n: c.numpy() for n, c in trainer.codes.items()})
    return write_checkpoint(
        path,
        model=trainer.config.model,
        state=trainer.best_state(),
        prompts=prompts,
        card=training_facts(trainer),
        overrides=trainer.config.overrides,
        half=half,
    )

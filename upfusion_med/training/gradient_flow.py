"""Which parts of a network learn: gradient norms by part, on fixed training crops."""

from __future__ import annotations

from collections.abc import Mapping

from upfusion_med.training import losses
from upfusion_med.training.trainer import Trainer

BATCHES = 8
#: Part of the network, as a prefix of parameter names, by what it is.
PARTS: Mapping[str, str] = {
    "embeddings": "embed_",
    "SCPM channel attention": "pruning.attention",
    "SCPM semantic projection": "pruning.semantic",
    "SCPM alpha": "pruning.alpha",
    "SCPM the rest": "pruning.",
    "GAM": "modulate_",
    "encoders": "encoder_",
    "TCPM channel selection": "perturbations.*.attention",
    "TCPM text layers": "perturbations.*.perturb",
    "TCPM the rest": "perturbations.",
    "skip refinements": "refinements",
    "decoder": "decoder",
    "head": "head",
    "semantic backbone (frozen)": "pruning.backbone",
}


def part_of(name: str) -> str:
    """The part a parameter belongs to: the longest pattern that fits."""
    words = name.split(".")
    star = ".".join([words[0], "*", *words[2:]]) if words[0] == "perturbations" else name
    fits = [part for part, prefix in PARTS.items() if star.startswith(prefix) or name.startswith(prefix)]
    return max(fits, key=lambda part: len(PARTS[part])) if fits else "other"


def gradient_norms(trainer: Trainer) -> dict[str, float]:
    """Root of the summed squared gradients of each part, mean over `BATCHES`; 0 where nothing arrives."""
    sums: dict[str, float] = dict.fromkeys(PARTS, 0.0)
    for index in range(BATCHES):
        trainer.optimizer.zero_grad(set_to_none=True)
        parts = trainer.parts(trainer.batch(trainer.training, (trainer.config.seed, 2, index)))
        losses.total(parts, trainer.config.loss).backward()
        squares: dict[str, float] = {}
        for name, parameter in trainer.network.named_parameters():
            if parameter.grad is not None:
                part = part_of(name)
                squares[part] = squares.get(part, 0.0) + float(parameter.grad.square().sum())
        for part, square in squares.items():
            sums[part] = sums.get(part, 0.0) + square**0.5 / BATCHES
    trainer.optimizer.zero_grad(set_to_none=True)
    return sums

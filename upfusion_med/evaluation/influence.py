"""What prompt and semantics do to a network's output: other prompts, and descriptors of other pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from upfusion_med.core import UsageError
from upfusion_med.evaluation.pairs import Pair
from upfusion_med.networks.scope import SliceScope

if TYPE_CHECKING:
    from upfusion_med.weights import Checkpoint

#: Name of the statistic that the semantic descriptor comes to (`networks.channel_pruning`).
SEMANTIC_WEIGHTS = "scpm.semantic"
SEMANTICS = "descriptor of another pair"
#: What the outputs are scored by.
METRICS = ("q_p", "vif", "vif_a", "vif_b", "q_abf", "ssim")

Levels = NDArray[np.float64]


@dataclass(frozen=True)
class Influence:
    """How far a change of one input moves the output, over the pairs of one kind, and what the output is worth then.

    Attributes:
        kind: Kind of pairs.
        change: What was changed: the pairs' own prompt if nothing was, "own → other" for another one, or `SEMANTICS`.
        pairs: How many pairs.
        mean: Mean absolute change in grey levels, mean over pairs.
        largest: Largest change of a pixel in grey levels.
        scores: Mean of every metric of `METRICS` over the pairs.
    """

    kind: str
    change: str
    pairs: int
    mean: float
    largest: float
    scores: Mapping[str, float]


class SemanticScope(SliceScope):
    """Every sample for itself, with the semantic channel weights seen, and replaced where others are given."""

    def __init__(self, replacement: Tensor | None = None) -> None:
        self.seen: Tensor | None = None
        self.replacement = replacement

    def reduce_lazily(self, name: str, batch: int, compute: Callable[[], Tensor]) -> Tensor:
        """See `SliceScope`."""
        value = super().reduce_lazily(name, batch, compute)
        if name != SEMANTIC_WEIGHTS:
            return value
        self.seen = value
        return value if self.replacement is None else self.replacement


@torch.inference_mode()
def measure_influence(checkpoint: Checkpoint, pairs: Sequence[Pair]) -> list[Influence]:
    """Change the prompt, then the semantic descriptor, of every pair, and compare with the output that it should have.

    The descriptor is exchanged for that of the next pair of the same kind (the last one's for the first one's), by the
    channel weights that it comes to.

    Args:
        checkpoint: Weights with their named prompts.
        pairs: Pairs of any sizes; kinds with one pair have no other descriptor and get prompts only.

    Returns:
        For each kind one row for its own prompt, one per other prompt, and one for the descriptor where the network has
        one.
    """
    network = checkpoint.network()
    rows = []
    for kind in dict.fromkeys(p.group for p in pairs):
        own = [p for p in pairs if p.group == kind]
        prompt = checkpoint.prompts.name_for(own[0].modality)
        images = [_read(p) for p in own]
        scopes = [SemanticScope() for _ in own]

        def fused(name: str, scopes: Sequence[SemanticScope]) -> list[Levels]:
            code = torch.from_numpy(checkpoint.prompts.code(name))[None]
            outputs = [network(a, b, code, s) for (a, b), s in zip(images, scopes, strict=True)]  # noqa: B023
            return [255.0 * x[0, 0].double().clamp(0, 1).numpy() for x in outputs]

        usual = fused(prompt, scopes)
        others = [name for name in checkpoint.prompts.codes if name != prompt]
        rows.append(_row(kind, prompt, usual, usual, images))
        rows += [_row(kind, f"{prompt} → {other}", usual, fused(other, scopes), images) for other in others]
        seen = [s.seen for s in scopes]
        if seen[0] is not None and len(own) > 1:
            exchanged = [SemanticScope(other) for other in [*seen[1:], seen[0]]]
            rows.append(_row(kind, SEMANTICS, usual, fused(prompt, exchanged), images))
    return rows


def _read(pair: Pair) -> tuple[Tensor, Tensor]:
    """Both pictures as (1, 1, H, W) in 0..1."""
    from upfusion_med.evaluation.picture_levels import grey
    from upfusion_med.evaluation.source_colours import read_pair

    a, b = read_pair(pair)
    first, second = (torch.from_numpy(x.astype(np.float32) / 255.0)[None, None] for x in (grey(a), b))
    return first, second


def _row(
    kind: str,
    change: str,
    usual: Sequence[Levels],
    other: Sequence[Levels],
    images: Sequence[tuple[Tensor, Tensor]],
) -> Influence:
    from upfusion_med.metrics import compute

    changes = [np.abs(a - b) for a, b in zip(usual, other, strict=True)]
    first, second = ([np.rint(255.0 * pair[k][0, 0].double().numpy()) for pair in images] for k in (0, 1))
    found = [compute(np.rint(f), a, b, METRICS) for f, a, b in zip(other, first, second, strict=True)]
    return Influence(
        kind=kind,
        change=change,
        pairs=len(changes),
        mean=float(np.mean([c.mean() for c in changes])),
        largest=max(float(c.max()) for c in changes),
        scores={name: float(np.nanmean([values[name] for values in found])) for name in METRICS},
    )


def every_nth(pairs: Sequence[Pair], step: int) -> list[Pair]:
    """Every n-th pair of each kind.

    Raises:
        UsageError: the step is below 1.
    """
    if step < 1:
        raise UsageError(f"Every {step}th pair was asked for; expected a number of 1 or more.")
    return [p for kind in dict.fromkeys(p.group for p in pairs) for p in [q for q in pairs if q.group == kind][::step]]

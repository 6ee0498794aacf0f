"""Metrics that gather results over a loop: update, compute, reset, as torchmetrics has them, without needing it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from upfusion_med.metrics.catalogue import resolve_names
from upfusion_med.metrics.compute import Score, compute_detailed
from upfusion_med.metrics.images import ImageLike, as_colour_batch, is_colour, prepare, round_to_levels


@dataclass(frozen=True)
class Summary:
    """A metric over all pairs seen.

    Attributes:
        mean: Mean over the pairs for which the metric is defined and finite; NaN where there is none.
        standard_deviation: Over the same pairs, divided by their number.
        pairs: How many pairs went into it.
        undefined: How many pairs had no finite value.
        reasons: Note → number of pairs, for undefined values and sources left out.
    """

    mean: float
    standard_deviation: float
    pairs: int
    undefined: int
    reasons: dict[str, int]


class FusionMetrics:
    """Fusion metrics gathered pair by pair.

    Args:
        names: Keys and groups, see `upfusion_med.metrics.compute_batch`.
        unit_scale: Images come in 0..1 and are multiplied by 255.
        round_levels: Judge what a saved 8-bit image would hold.

    Example:
        >>> import torch
        >>> metrics = FusionMetrics(["en", "ssim"])
        >>> a, b = torch.zeros(2, 1, 16, 16), torch.full((2, 1, 16, 16), 9.0)
        >>> a[..., :8] = 80.0
        >>> b[..., :4, :] = 70.0
        >>> metrics.update(torch.maximum(a, b), a, b)
        >>> metrics.summary()["ssim"].pairs
        2
    """

    def __init__(
        self, names: str | Iterable[str] | None = None, *, unit_scale: bool = False, round_levels: bool = True
    ) -> None:
        self.keys = resolve_names(names)
        self.unit_scale = unit_scale
        self.round_levels = round_levels
        self._scores: dict[str, list[Score]] = {key: [] for key in self.keys}

    def update(self, fused: ImageLike, a: ImageLike, b: ImageLike) -> None:
        """Add a batch of pairs.

        Args:
            fused: (B, 1, H, W) or (B, 3, H, W) in 0..255 (0..1 with ``unit_scale``), or a single image.
            a: As ``fused``: visible or functional.
            b: As ``fused``: infrared or MRI.

        Raises:
            InputError: see `upfusion_med.metrics.compute_batch`.
        """
        scale = 255.0 if self.unit_scale else 1.0
        scaled = (fused * scale, a * scale, b * scale)
        images = [as_colour_batch(x) if is_colour(x) else y for x, y in zip(scaled, prepare(*scaled), strict=True)]
        if self.unit_scale and self.round_levels:
            images = [round_to_levels(x) for x in images]  # nearly black ones too are known to be on 0..255 now
        found = []
        for one_fused, one_a, one_b in zip(*(image.split(1) for image in images), strict=True):
            found.append(compute_detailed(one_fused, one_a, one_b, self.keys, round_levels=self.round_levels))
        for scores in found:  # all of the batch or, where one pair is refused, none
            for key, score in scores.items():
                self._scores[key].append(score)

    def per_pair(self, key: str) -> tuple[Score, ...]:
        """Scores of one metric in the order the pairs came in."""
        return tuple(self._scores[key])

    def summary(self) -> dict[str, Summary]:
        """Mean, spread, number of pairs and reasons for each metric."""
        summaries = {}
        for key, scores in self._scores.items():
            values = [score.value for score in scores if math.isfinite(score.value)]
            mean = math.fsum(values) / len(values) if values else math.nan
            spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / len(values)) if values else math.nan
            reasons = Counter(score.note for score in scores if score.note)
            summaries[key] = Summary(mean, spread, len(values), len(scores) - len(values), dict(reasons))
        return summaries

    def compute(self) -> dict[str, float]:
        """Mean of each metric over the pairs for which it is defined; `summary` says how many those are."""
        return {key: summary.mean for key, summary in self.summary().items()}

    def reset(self) -> None:
        """Forget all pairs."""
        self._scores = {key: [] for key in self.keys}

"""How well a network fuses held-out infrared-visible scenes, by the metrics that judge."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from upfusion_med.training.configuration import SCORES
from upfusion_med.training.pairs import PicturePair

#: Metrics of a validation; Q_P and Q_ABF are in no loss.
METRICS = tuple(name for name in SCORES if name != "mean")
#: Side of the square in the middle of a picture that is scored.
SIDE = 256
PROMPT = "infrared_visible"


def spread(pairs: Sequence[PicturePair], count: int) -> list[PicturePair]:
    """Up to ``count`` pairs, evenly spread over their list."""
    count = min(count, len(pairs))
    return [pairs[i * len(pairs) // count] for i in range(count)]


def middle(pair: PicturePair, device: torch.device) -> tuple[Tensor, Tensor]:
    """The middle of both pictures, at most 256x256, as (1, 1, H, W) in 0..1."""
    images = []
    for image in (pair.visible, pair.infrared):
        top, left = (max(n - SIDE, 0) // 2 for n in image.shape)
        part = torch.from_numpy(image[top : top + SIDE, left : left + SIDE].copy())
        images.append(part.to(device).float()[None, None] / 255.0)
    return images[0], images[1]


@torch.no_grad()
def fuse_middle(
    network: nn.Module, pair: PicturePair, codes: Mapping[str, Tensor], device: torch.device
) -> list[Tensor]:
    """First picture, second picture and their fusion, each (1, 1, H, W) in 0..1."""
    code = codes.get(PROMPT, next(iter(codes.values())))
    first, second = middle(pair, device)
    return [first, second, network(first, second, code[None].to(device)).float().clamp(0, 1)]


def validation_metrics(
    network: nn.Module, pairs: Sequence[PicturePair], codes: Mapping[str, Tensor], device: torch.device
) -> dict[str, float]:
    """Mean metrics of a network in evaluation mode over held-out pairs, and ``mean``, the mean of them.

    Pairs of which a metric is undefined do not count for it.
    """
    from upfusion_med.metrics import compute_batch
    from upfusion_med.metrics.images import round_to_levels

    rows = []
    for pair in pairs:
        first, second, fused = (round_to_levels(255.0 * x) for x in fuse_middle(network, pair, codes, device))
        found = compute_batch(fused, first, second, METRICS, dtype=torch.float32)
        rows.append({key: value.item() for key, value in found.items()})
    means = {}
    for key in METRICS:
        values = [row[key] for row in rows if math.isfinite(row[key])]
        means[key] = sum(values) / len(values) if values else math.nan
    return {**means, "mean": sum(means.values()) / len(means)}

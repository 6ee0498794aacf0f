"""Choosing and re-arranging channels by the rank of their scores, as the published network does."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Ranking(nn.Module):
    """Indices of the largest scores, largest first; without parameters, and without a gradient to the scores.

    Equal scores come in the order that ``torch.topk`` gives them, which is not defined.
    """

    def __init__(self, keep: int) -> None:
        super().__init__()
        self.keep = keep

    def forward(self, scores: Tensor) -> Tensor:
        """(B, C) scores to (B, keep) int64 channel indices."""
        return torch.topk(scores, self.keep, dim=1).indices


def take_channels(x: Tensor, order: Tensor) -> Tensor:
    """Channel ``order[b, r]`` of sample b as its channel r.

    Args:
        x: (B, C, H, W).
        order: (B or 1, K) channel indices; one row serves the whole batch.

    Returns:
        (B, K, H, W).
    """
    batch, _, height, width = x.shape
    return torch.gather(x, 1, order[:, :, None, None].expand(batch, -1, height, width))

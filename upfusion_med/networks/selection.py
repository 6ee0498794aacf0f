"""Channel selection that learns: a hard top-k forwards, a soft one backwards."""

from __future__ import annotations

import torch
from torch import Tensor

#: Width of the soft step around the selection border, in units of the channel weights.
SOFTNESS = 0.1


def select_top(weights: Tensor, keep: int) -> Tensor:
    """Gate that keeps the ``keep`` largest channels, scaled by their weights, and closes the others.

    Forwards the gate is exactly ``weight`` for a kept and 0 for a dropped channel. Backwards the hard step is replaced
    by a sigmoid around the border between the last kept and the first dropped weight (straight-through estimator,
    Bengio et al. 2013, arXiv 1308.3432), so that also dropped channels learn whether they should come back. In the
    published network the weights are used only to rank channels and get no gradient at all.

    Args:
        weights: (B, C) channel weights, any range.
        keep: How many channels stay, 1..C. With C the gate is ``weights``.

    Returns:
        (B, C) gate.
    """
    if keep >= weights.shape[1]:
        return weights
    ranked = weights.detach().sort(dim=1, descending=True)
    border = 0.5 * (ranked.values[:, keep - 1 : keep] + ranked.values[:, keep : keep + 1])
    hard = torch.zeros_like(weights).scatter(1, ranked.indices[:, :keep], 1.0)
    if not weights.requires_grad:
        return weights * hard
    soft = torch.sigmoid((weights - border) / SOFTNESS)
    return weights * (hard + soft - soft.detach())

"""Optimiser and schedule of the training configurations."""

from __future__ import annotations

from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import CosineAnnealingLR


def adamw(network: nn.Module, learning_rate: float, weight_decay: float = 1e-4) -> AdamW:
    """AdamW over the parameters that are not frozen."""
    return AdamW([p for p in network.parameters() if p.requires_grad], lr=learning_rate, weight_decay=weight_decay)


def cosine_schedule(optimizer: AdamW, epochs: int) -> CosineAnnealingLR:
    """Learning rate falling to 0 along half a cosine over ``epochs``."""
    return CosineAnnealingLR(optimizer, T_max=epochs)

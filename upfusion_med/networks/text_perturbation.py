"""The skip connections of ``upfusion``: text-guided channel perturbation (TCPM), or a plain merge in its place."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from upfusion_med.networks.blocks import PairMerge, TextSteering, mix_channels
from upfusion_med.networks.configuration import UPFusionConfig
from upfusion_med.networks.selection import select_top


class PlainMerge(PairMerge):
    """What stands in for TCPM where it is switched off."""

    def forward(self, first: Tensor, second: Tensor, text: Tensor) -> Tensor:  # type: ignore[override]  # noqa: ARG002
        """Two (B, C, H, W) branches to the (B, C, H, W) skip feature."""
        return super().forward(first, second)


class TextGuidedPerturbation(nn.Module):
    """TCPM: the text selects channels of both branches, exchanges, scales and shifts them, and the result is merged.

    The text decides, per channel, whether it is among the kept half, how far it is exchanged with another channel's (a
    fixed partner), and a scale and a shift. The skip feature is the plain merge of both branches plus the merge of the
    perturbed ones. All of it is linear in the branches and depends on the text alone: for one text it is one matrix.
    So on the pixels TCPM costs what a plain merge costs, and it treats every slice of a volume alike.
    """

    partner: Tensor

    def __init__(self, width: int, config: UPFusionConfig) -> None:
        super().__init__()
        both = 2 * width
        self.width = width
        self.keep = int(both * config.tcpm_keep)
        self.merge = PairMerge(width)
        self.expand = nn.Linear(both, both)
        for parameter in self.expand.parameters():  # starts near the plain merge
            parameter.data.mul_(0.1)
        self.perturb = TextSteering(3 * both)
        self.attention = TextSteering(both) if config.tcpm_attention else None
        self.register_buffer("partner", torch.randperm(both, generator=torch.Generator().manual_seed(width)))

    def matrix(self, text: Tensor) -> tuple[Tensor, Tensor]:
        """Matrix (B, C, 2C) and bias (B, C) that turn both branches into the skip feature, for (B, 512) text."""
        expand = self.expand.weight.unsqueeze(0)
        if self.attention is not None:
            expand = expand * select_top(torch.sigmoid(self.attention(text)), self.keep).unsqueeze(2)
        scale, shift, exchange = self.perturb(text).chunk(3, dim=1)
        exchange = torch.sigmoid(exchange).unsqueeze(2)
        perturbed = (1 + scale).unsqueeze(2) * ((1 - exchange) * expand + exchange * expand[:, self.partner])
        bias = (1 + scale) * self.expand.bias + shift
        merge = self.merge.weight
        return merge + merge @ perturbed, self.merge.bias + bias @ merge.T

    def forward(self, first: Tensor, second: Tensor, text: Tensor) -> Tensor:
        """Two (B, C, H, W) branches and (B or 1, 512) text to the (B, C, H, W) skip feature."""
        matrix, bias = self.matrix(text)
        of_first, of_second = matrix.chunk(2, dim=2)
        return mix_channels(first, of_first).add_(mix_channels(second, of_second)).add_(bias[:, :, None, None])

"""The encoder's front of ``upfusion``: semantic channel pruning (SCPM) and affine modulation per modality (GAM)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from upfusion_med.networks.blocks import PictureSteering, Pointwise, TextSteering, support_mean
from upfusion_med.networks.configuration import UPFusionConfig
from upfusion_med.networks.scope import Scope
from upfusion_med.networks.selection import select_top
from upfusion_med.networks.semantics import SemanticBackbone


class SemanticChannelPruning(nn.Module):
    """SCPM (paper eq. 1): keep the channels that the pooled feature and the picture's content call for.

    ``w = sigmoid(channel attention) + alpha * sigmoid(linear(descriptor))``; the top 70 % stay, scaled by ``w``.

    Statistics: the two summands, (B, C). They are averaged over a volume, not what they are computed from: the mean
    descriptor of many slices is no descriptor of any, and its weights lie beyond those of all slices.
    """

    def __init__(self, config: UPFusionConfig) -> None:
        super().__init__()
        width = config.widths[0]
        self.keep = int(width * config.scpm_keep)
        self.attention = PictureSteering(width, max(width // 4, 8), width) if config.scpm_attention else None
        self.backbone = SemanticBackbone(config.backbone) if config.semantics else None
        if self.backbone is not None:
            self.descriptor_norm = nn.LayerNorm(self.backbone.width, elementwise_affine=False)
            # Length 1: of a thousand inputs of size 1, one step of Adam would turn every channel's weight over.
            self.unit = self.backbone.width**-0.5
            self.semantic = nn.Linear(self.backbone.width, width)
            self.alpha = nn.Parameter(torch.tensor(1.0))
        self.expand = Pointwise(width, 2 * width)

    def semantic_weights(self, first: Tensor, second: Tensor) -> Tensor:
        """Two (B, 1, H, W) pictures to (B, C), what the backbone sees in them calls for."""
        assert self.backbone is not None
        descriptor = self.backbone(first, second).to(self.semantic.weight.dtype)
        return self.alpha * torch.sigmoid(self.semantic(self.unit * self.descriptor_norm(descriptor)))

    def weights(self, mean: Tensor, first: Tensor, second: Tensor, support: Tensor, scope: Scope) -> Tensor | None:
        """Channel weights (B, C), or None where neither attention nor semantics take part."""
        weight: Tensor | None = None
        if self.attention is not None:
            own = torch.sigmoid(self.attention(support_mean(mean, support)))
            weight = scope.reduce("scpm.attention", own)
        if self.backbone is not None:
            semantic = scope.reduce_lazily("scpm.semantic", mean.shape[0], lambda: self.semantic_weights(first, second))
            weight = semantic if weight is None else weight + semantic
        return weight

    def forward(self, mean: Tensor, first: Tensor, second: Tensor, support: Tensor, scope: Scope) -> Tensor:
        """(B, C, H, W) mean embedding and the two (B, 1, H, W) pictures to (B, 2C, H, W)."""
        weight = self.weights(mean, first, second, support, scope)
        if weight is not None:
            mean = mean * select_top(weight, self.keep)[:, :, None, None]
        return self.expand(mean)


class AffineModulation(nn.Module):
    """GAM (paper eqs. 2 and 3): scale and shift the shared feature by what is typical of one modality.

    What is typical is learned for the modalities that the text names; the paper pools it from the embedding.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.affine = TextSteering(2 * width)

    def forward(self, x: Tensor, text: Tensor) -> Tensor:
        """(B, C, H, W) feature and (B or 1, 512) text to the modulated feature."""
        gamma, beta = self.affine(text)[:, :, None, None].chunk(2, dim=1)
        return x * (1 + gamma) + beta

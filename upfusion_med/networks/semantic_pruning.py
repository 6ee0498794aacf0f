"""SCPM of the published network: keep the channels that rank highest for this picture, in rank order."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upfusion_med.networks.ranking import Ranking, take_channels
from upfusion_med.networks.restormer import PooledModule, pointwise
from upfusion_med.networks.scope import Scope

#: Side of the picture that ConvNeXt sees.
CONVNEXT_SIDE = 224
#: Channels per hidden unit of the channel attention.
ATTENTION_REDUCTION = 8


def convnext_features(widths: Sequence[int], blocks: Sequence[int]) -> nn.Module:
    """The feature part of torchvision's ConvNeXt, with random weights.

    Args:
        widths: Channels of the stages; ConvNeXt-Base has 128, 256, 512, 1024.
        blocks: Blocks of the stages; ConvNeXt-Base has 3, 3, 27, 3.
    """
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    followers = [*widths[1:], None]
    stages = [CNBlockConfig(*stage) for stage in zip(widths, followers, blocks, strict=True)]
    return ConvNeXt(stages, num_classes=1).features


class SemanticPruning(PooledModule):
    """Rank channels by ``channel attention + alpha * sigmoid(semantic weight)`` and keep the best.

    ConvNeXt sees a 1x1 projection of the features, resized to 224x224, without normalisation. It stays in evaluation
    mode always: in training mode its stochastic depth would draw another channel order at every call. The weights only
    rank; they multiply nothing, so nothing here but ``expand_conv`` gets a gradient.

    Statistic: ``{path}.weights``, (B, C), the weights that are ranked.
    """

    def __init__(self, width: int, keep: int, convnext_widths: Sequence[int], convnext_blocks: Sequence[int]) -> None:
        super().__init__()
        hidden = max(width // ATTENTION_REDUCTION, 1)
        self.alpha = nn.Parameter(torch.tensor(1.0))
        self.fc = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width), nn.Sigmoid())
        self.convnext = nn.Sequential(convnext_features(convnext_widths, convnext_blocks))
        self.convnext_fc = nn.Linear(convnext_widths[-1], width)
        self.expand_conv = pointwise(keep, width)
        self.suo_conv = pointwise(width, 3)
        self.ranking = Ranking(keep)
        self.convnext.requires_grad_(False)
        self.convnext.eval()

    def train(self, mode: bool = True) -> SemanticPruning:
        """Set the mode of everything but ConvNeXt."""
        super().train(mode)
        self.convnext.eval()
        return self

    def semantic_weights(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C): what ConvNeXt sees in the features."""
        picture = self.suo_conv(x)
        picture = F.interpolate(picture, (CONVNEXT_SIDE, CONVNEXT_SIDE), mode="bilinear", align_corners=False)
        with torch.no_grad():
            features = self.convnext(picture)
        return self.convnext_fc(features.mean((2, 3)))

    def weights(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the (B, C) weights that are ranked."""
        return self.fc(x.mean((2, 3))) + self.alpha * torch.sigmoid(self.semantic_weights(x))

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """(B, C, H, W) to the same shape, made of the kept channels."""
        weights = scope.reduce_lazily(f"{self.path}.weights", x.shape[0], lambda: self.weights(x))
        return self.expand_conv(take_channels(x, self.ranking(weights)))

"""What is in the picture: a frozen, pretrained backbone that describes a pair by one vector."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upfusion_med.core import UsageError

#: Side of the square picture that the backbone sees; 128 costs 7 ms a pair on one core, 224 costs 16 ms.
SEMANTIC_SIDE = 128


class SemanticBackbone(nn.Module):
    """Mean deepest features of a frozen timm backbone, for the three-channel picture (first, maximum, second).

    The published network feeds a random projection of its features, without normalisation, to a ConvNeXt; here the
    backbone gets a picture in its own range: 0..1, then its own mean and standard deviation.

    Args:
        name: timm model name, such as ``tf_efficientnet_lite0`` or ``convnext_tiny``.

    Attributes:
        width: Length of the descriptor.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, name: str) -> None:
        super().__init__()
        import timm

        if not timm.is_model(name):
            raise UsageError(f"timm knows no backbone '{name}'; expected a name of timm.list_models().")
        self.name = name
        self.features = timm.create_model(name, pretrained=False, features_only=True)
        self.width = int(self.features.feature_info.channels()[-1])  # type: ignore[union-attr, operator]
        settings = timm.get_pretrained_cfg(name)
        if settings is None:
            raise UsageError(f"timm does not say in which range the backbone '{name}' wants its pictures.")
        self.register_buffer("centre", torch.tensor(settings.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(settings.std).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> SemanticBackbone:  # noqa: ARG002
        """Stay in evaluation mode: the batch statistics are those of the pretraining."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Describe a pair.

        Args:
            first: (B, 1, H, W) in 0..1.
            second: (B, 1, H, W) in 0..1.

        Returns:
            (B, width) descriptor.
        """
        picture = torch.cat([first, torch.maximum(first, second), second], dim=1)
        # Also where it changes nothing: a graph traced at this very size would leave all others as they are.
        picture = F.interpolate(picture, (SEMANTIC_SIDE, SEMANTIC_SIDE), mode="bilinear", align_corners=False)
        picture = (picture - self.centre) / self.scale
        return self.features(picture)[-1].mean((2, 3))

"""UP-Fusion, repaired and made fast: the default network of this package.

The plan is that of Li, Li and Jiang, "Text-Guided Channel Perturbation and Pre-Trained Knowledge Integration for
Unified Multi-Modality Image Fusion" (AAAI 2026): two embeddings, semantic channel pruning of their mean (SCPM), an
affine modulation per modality (GAM), two encoders, text-guided channel perturbation at every level (TCPM), a decoder.
What differs from the published network, and why, is in ``docs/design.md``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upfusion_med.core import UsageError
from upfusion_med.networks.blocks import PairMerge, Pointwise, ResidualBlock, pad_to_multiple, to_luminance
from upfusion_med.networks.channel_pruning import AffineModulation, SemanticChannelPruning
from upfusion_med.networks.configuration import SIZES, TEXT_WIDTH, UPFusionConfig, overridden
from upfusion_med.networks.explanation import explained
from upfusion_med.networks.scope import Scope, SliceScope
from upfusion_med.networks.text_perturbation import PlainMerge, TextGuidedPerturbation

#: Statistics are taken where the brighter picture is above this level, half a step of 8 bits: a head, without the air
#: around it, looks alike in a narrow and in a wide field of view.
SUPPORT_LEVEL = 0.5 / 255


class Encoder(nn.Module):
    """One modality's branch: residual blocks at four resolutions."""

    def __init__(self, config: UPFusionConfig) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(width) for _ in range(count)))
            for width, count in zip(config.widths, config.encoder_blocks, strict=True)
        )
        self.downs = nn.ModuleList(
            nn.Conv2d(fine, coarse, 3, stride=2, padding=1)
            for fine, coarse in zip(config.widths[:-1], config.widths[1:], strict=True)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, C, H, W) to the features of the four levels."""
        features = [self.levels[0](x)]
        for down, level in zip(self.downs, self.levels[1:], strict=True):
            features.append(level(down(features[-1])))
        return features


class SkipRefinement(nn.Conv2d):
    """``x + conv(relu(x))``: what the merged branches still need before the decoder."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width, 3, padding=1)
        self.weight.data.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return super().forward(F.relu(x)).add_(x)


class DecoderLevel(nn.Module):
    """Upsample the coarser feature, join the skip feature, refine."""

    def __init__(self, coarse: int, width: int, blocks: int) -> None:
        super().__init__()
        self.reduce = Pointwise(coarse, width)
        self.join = PairMerge(width)
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(blocks)))

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        """(B, coarse, H/2, W/2) and (B, width, H, W) to (B, width, H, W)."""
        up = F.interpolate(self.reduce(coarse), scale_factor=2, mode="bilinear", align_corners=False)
        return self.blocks(self.join(up, skip))


class UPFusion(nn.Module):
    """Fuse two registered pictures into one luminance.

    The output is a learned place between the darker and the brighter of the two pixels plus a bounded detail term, so
    it stays in 0..1 and is exactly zero where both pictures are. In evaluation mode structure that no local mixture of
    the two explains is then taken back (`explanation`); in training a loss asks for that.
    """

    def __init__(self, config: UPFusionConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or SIZES["tiny"]
        width = config.widths[0]
        self.embed_first = nn.Conv2d(1, width, 3, padding=1)
        self.embed_second = nn.Conv2d(1, width, 3, padding=1)
        self.pruning = SemanticChannelPruning(config) if config.scpm else None
        self.expand = Pointwise(width, 2 * width) if not config.scpm else None
        self.modulate_first = AffineModulation(width) if config.gam else None
        self.modulate_second = AffineModulation(width) if config.gam else None
        self.encoder_first = Encoder(config)
        self.encoder_second = Encoder(config)
        self.perturbations = nn.ModuleList(
            TextGuidedPerturbation(w, config) if config.tcpm else PlainMerge(w) for w in config.widths
        )
        self.refinements = nn.ModuleList(SkipRefinement(w) for w in config.widths)
        w1, w2, w3, w4 = config.widths
        self.decoder3 = DecoderLevel(w4, w3, config.decoder_blocks[2])
        self.decoder2 = DecoderLevel(w3, w2, config.decoder_blocks[1])
        self.decoder1 = DecoderLevel(w2, w1, config.decoder_blocks[0])
        self.head = nn.Conv2d(w1, 2, 3, padding=1)
        self.head.weight.data.mul_(0.1)
        self.head.bias.data.copy_(torch.tensor([2.0, 0.0]))  # type: ignore[union-attr]

    def forward(
        self,
        visible_or_functional: Tensor,
        infrared_or_mri: Tensor,
        text_code: Tensor,
        scope: Scope | None = None,
    ) -> Tensor:
        """Fuse a batch.

        Args:
            visible_or_functional: (B, 1 or 3, H, W) in 0..1; colour is replaced by its BT.601 luma. H, W >= 16.
            infrared_or_mri: The same for the other picture.
            text_code: (B or 1, 512) text code of the encoder that the weights were trained with; its length does not
                matter, only its direction.
            scope: Over what global statistics are pooled; default: each sample for itself.

        Returns:
            (B, 1, H, W) fused luminance in 0..1.

        Raises:
            UsageError: shapes that do not fit.
        """
        first, second = to_luminance(visible_or_functional), to_luminance(infrared_or_mri)
        if first.shape != second.shape:
            raise UsageError(f"The two pictures have shapes {tuple(first.shape)} and {tuple(second.shape)}; "
                             "expected equal ones.")  # fmt: skip
        if text_code.ndim != 2 or text_code.shape[1] != TEXT_WIDTH or text_code.shape[0] not in (1, first.shape[0]):
            raise UsageError(f"The text code has shape {tuple(text_code.shape)}; expected (B or 1, {TEXT_WIDTH}).")
        height, width = first.shape[-2:]
        first = pad_to_multiple(first, 8).contiguous(memory_format=torch.channels_last)
        second = pad_to_multiple(second, 8).contiguous(memory_format=torch.channels_last)
        fused = self.fuse(first, second, F.normalize(text_code, dim=1), scope or SliceScope())
        return fused[..., :height, :width].contiguous()

    def fuse(self, first: Tensor, second: Tensor, text: Tensor, scope: Scope) -> Tensor:
        """The network itself, on sides that are multiples of 8."""
        bright = torch.maximum(first, second)
        support = (bright > SUPPORT_LEVEL).to(bright.dtype)
        embedding_first, embedding_second = self.embed_first(first), self.embed_second(second)
        mean = 0.5 * (embedding_first + embedding_second)
        if self.pruning is not None:
            shared = self.pruning(mean, first, second, support, scope)
        else:
            assert self.expand is not None
            shared = self.expand(mean)
        x_first, x_second = shared.chunk(2, dim=1)
        if self.modulate_first is not None and self.modulate_second is not None:
            x_first = self.modulate_first(x_first, text)
            x_second = self.modulate_second(x_second, text)
        skips = [
            refinement(perturbation(a, b, text))
            for perturbation, refinement, a, b in zip(
                self.perturbations,
                self.refinements,
                self.encoder_first(x_first),
                self.encoder_second(x_second),
                strict=True,
            )
        ]
        x = self.decoder3(skips[3], skips[2])
        x = self.decoder2(x, skips[1])
        x = self.decoder1(x, skips[0])
        place, detail = self.head(x).float().chunk(2, dim=1)
        dark = torch.minimum(first, second)
        share = torch.sigmoid(place)
        visible = (32.0 * bright).clamp(max=1.0)
        fused = (dark + share * (bright - dark) + 0.4 * visible * torch.tanh(detail)).clamp(0.0, 1.0)
        if self.training or not self.config.explained:
            return fused
        return explained(fused, first, second) * (bright > 0)


def create_size(size: str, **overrides: object) -> UPFusion:
    """A network of a named size; ``overrides`` replace fields of its ``UPFusionConfig``.

    Raises:
        UsageError: an unknown size or field, or a value of another kind than the field's.
    """
    if size not in SIZES:
        raise UsageError(f"There is no size '{size}'; expected one of {', '.join(SIZES)}.")
    # The memory order that dense convolutions are fastest in; the input is brought into it too.
    return UPFusion(overridden(SIZES[size], overrides)).to(memory_format=torch.channels_last)

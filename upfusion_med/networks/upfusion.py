"""UP-Fusion, repaired and made fast: the default network of this package.

The plan is that of Li, Li and Jiang, "Text-Guided Channel Perturbation and Pre-Trained Knowledge Integration for
Unified Multi-Modality Image Fusion" (AAAI 2026): two embeddings, semantic channel pruning of their mean (SCPM), an
affine modulation per modality (GAM), two encoders, text-guided channel perturbation at every level (TCPM), a decoder.
What differs from the published network, and why, is in ``docs/design.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upfusion_med.core import UsageError
from upfusion_med.networks.blocks import Pointwise, ResidualBlock, mix_channels, pad_to_multiple, to_luminance
from upfusion_med.networks.scope import Scope, SliceScope
from upfusion_med.networks.selection import select_top
from upfusion_med.networks.semantics import SemanticBackbone

#: Width of a text code, that of CLIP ViT-B/32.
TEXT_WIDTH = 512


@dataclass(frozen=True)
class UPFusionConfig:
    """Shape of the network, and the switches of the ablation.

    Attributes:
        widths: Channels of the four levels (full, half, quarter and eighth resolution); multiples of 16 are fast.
        encoder_blocks: Residual blocks per level and branch.
        decoder_blocks: Residual blocks of decoder levels 1 to 3.
        heads: Heads of the channel attention per level.
        backbone: timm name of the frozen semantic backbone.
        scpm: Semantic channel pruning on; off: a 1x1 convolution.
        gam: Affine modulation on; off: the pruned feature as it is.
        tcpm: Text-guided channel perturbation on; off: a 1x1 convolution of both branches.
        semantics: The backbone takes part in the pruning.
        scpm_attention: The pooled features take part in the pruning.
        tcpm_attention: Pooled features choose the channels of the perturbation; off: all are kept.
        scpm_keep: Share of channels kept by SCPM (paper: 70 %).
        tcpm_keep: Share of channels kept by TCPM (paper: 50 %).
        attention_keep: Share of channel-attention entries kept per row (paper: 90 %).
    """

    widths: tuple[int, int, int, int] = (16, 32, 64, 96)
    encoder_blocks: tuple[int, int, int, int] = (1, 1, 1, 1)
    decoder_blocks: tuple[int, int, int] = (2, 1, 1)
    heads: tuple[int, int, int, int] = (1, 1, 2, 3)
    backbone: str = "tf_efficientnet_lite0"
    scpm: bool = True
    gam: bool = True
    tcpm: bool = True
    semantics: bool = True
    scpm_attention: bool = True
    tcpm_attention: bool = True
    scpm_keep: float = 0.7
    tcpm_keep: float = 0.5
    attention_keep: float = 0.9


SIZES = {
    "tiny": UPFusionConfig(),
    "base": UPFusionConfig(
        widths=(48, 96, 192, 384), encoder_blocks=(2, 2, 3, 3), decoder_blocks=(2, 2, 3), heads=(1, 2, 4, 8)
    ),
}


def channel_mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Two linear layers with a ReLU between, on (B, inputs)."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


class SemanticChannelPruning(nn.Module):
    """SCPM (paper eq. 1): keep the channels that the pooled feature and the picture's content call for.

    ``w = sigmoid(channel attention) + alpha * sigmoid(linear(descriptor))``; the top 70 % stay, scaled by ``w``.
    """

    def __init__(self, config: UPFusionConfig) -> None:
        super().__init__()
        width = config.widths[0]
        self.keep = int(width * config.scpm_keep)
        self.attention = channel_mlp(width, max(width // 4, 8), width) if config.scpm_attention else None
        self.backbone = SemanticBackbone(config.backbone) if config.semantics else None
        if self.backbone is not None:
            self.descriptor_norm = nn.LayerNorm(self.backbone.width, elementwise_affine=False)
            self.semantic = nn.Linear(self.backbone.width, width)
            self.alpha = nn.Parameter(torch.tensor(1.0))
        self.expand = Pointwise(width, 2 * width)

    def weights(self, mean: Tensor, first: Tensor, second: Tensor, scope: Scope) -> Tensor | None:
        """Channel weights (B, C), or None where neither attention nor semantics take part."""
        weight: Tensor | None = None
        if self.attention is not None:
            pooled = scope.reduce("scpm.pooled", mean.mean((2, 3)))
            weight = torch.sigmoid(self.attention(pooled))
        if self.backbone is not None:
            descriptor = scope.reduce_lazily(
                "scpm.descriptor",
                mean.shape[0],
                lambda: self.backbone(first, second).to(mean.dtype),  # type: ignore[misc]
            )
            semantic = self.alpha * torch.sigmoid(self.semantic(self.descriptor_norm(descriptor)))
            weight = semantic if weight is None else weight + semantic
        return weight

    def forward(self, mean: Tensor, first: Tensor, second: Tensor, scope: Scope) -> Tensor:
        """(B, C, H, W) mean embedding and the two (B, 1, H, W) pictures to (B, 2C, H, W)."""
        weight = self.weights(mean, first, second, scope)
        if weight is None:
            return self.expand(mean)
        gated = self.expand.weight * select_top(weight, self.keep).unsqueeze(1)
        return mix_channels(mean, gated) + self.expand.bias[:, None, None]


class AffineModulation(nn.Module):
    """GAM (paper eqs. 2 and 3): scale and shift the shared feature by what is typical of one modality's embedding."""

    def __init__(self, name: str, width: int) -> None:
        super().__init__()
        self.name = name
        self.affine = channel_mlp(width, width, 2 * width)
        for parameter in self.affine[2].parameters():  # starts near the identity
            parameter.data.mul_(0.1)

    def forward(self, x: Tensor, embedding: Tensor, scope: Scope) -> Tensor:
        """(B, C, H, W) feature and embedding to the modulated feature."""
        pooled = scope.reduce(f"{self.name}.pooled", embedding.mean((2, 3)))
        gamma, beta = self.affine(pooled)[:, :, None, None].chunk(2, dim=1)
        return x * (1 + gamma) + beta


class PairMerge(Pointwise):
    """A 1x1 convolution of two features that are never written side by side."""

    def __init__(self, width: int) -> None:
        super().__init__(2 * width, width)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:  # type: ignore[override]
        """Two (B, C, H, W) to (B, C, H, W)."""
        left, right = self.weight.chunk(2, dim=1)
        mixed = F.linear(first.permute(0, 2, 3, 1), left, self.bias) + F.linear(second.permute(0, 2, 3, 1), right)
        return mixed.permute(0, 3, 1, 2)


class PlainMerge(PairMerge):
    """What stands in for TCPM where it is switched off."""

    def forward(self, first: Tensor, second: Tensor, text: Tensor, scope: Scope) -> Tensor:  # type: ignore[override]  # noqa: ARG002
        """Two (B, C, H, W) branches to the (B, C, H, W) skip feature."""
        return super().forward(first, second)


class TextGuidedPerturbation(nn.Module):
    """TCPM: select channels of both branches, perturb them as the text says, and let them query the plain feature.

    The text decides, per channel, how far the selected feature is exchanged with another channel's (a fixed partner),
    scaled and shifted. Selection, expansion, perturbation and projection are linear in the feature, so they are
    multiplied into one small matrix per sample; the same holds for attention and output projection. What remains on
    the pixels is one matrix product before and one after the depthwise convolution. Queries and keys serve only the
    channel statistics, so at fine levels they are taken at a coarser resolution (``stride``).
    """

    partner: Tensor

    def __init__(self, name: str, width: int, heads: int, stride: int, config: UPFusionConfig) -> None:
        super().__init__()
        self.name, self.width, self.heads, self.stride = name, width, heads, stride
        self.keep = int(2 * width * config.tcpm_keep)
        self.kept_entries = max(int(width // heads * config.attention_keep), 1)
        self.attention = channel_mlp(2 * width, max(width // 4, 8), 2 * width) if config.tcpm_attention else None
        self.expand = nn.Linear(2 * width, 2 * width)
        self.text = channel_mlp(TEXT_WIDTH, 64, 3 * 2 * width)
        self.merge = PairMerge(width)
        self.query = nn.Linear(width, width, bias=False)
        self.key = Pointwise(width, width, bias=False)
        self.value = Pointwise(width, width, bias=False)
        self.query_depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
        self.key_depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
        self.value_depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
        self.temperature = nn.Parameter(torch.full((heads, 1, 1), 4.0))
        self.project = nn.Linear(width, width, bias=False)
        self.refine = nn.Conv2d(width, width, 3, padding=1)
        self.refine.weight.data.mul_(0.1)
        partner = torch.randperm(2 * width, generator=torch.Generator().manual_seed(width))
        self.register_buffer("partner", partner)

    def perturbation(self, pooled: Tensor, text: Tensor, scope: Scope) -> tuple[Tensor, Tensor]:
        """Matrix (B, C, 2C) and bias (B, C) that turn both branches into the perturbed, merged feature."""
        expand = self.expand.weight.unsqueeze(0)
        if self.attention is not None:
            weight = torch.sigmoid(self.attention(scope.reduce(f"{self.name}.pooled", pooled)))
            expand = expand * select_top(weight, self.keep).unsqueeze(1)
        scale, shift, exchange = self.text(text).chunk(3, dim=1)
        exchange = torch.sigmoid(exchange).unsqueeze(2)
        perturbed = (1 + scale).unsqueeze(2) * ((1 - exchange) * expand + exchange * expand[:, self.partner])
        bias = (1 + scale) * self.expand.bias + shift
        matrix = self.merge.weight @ perturbed
        return matrix, bias @ self.merge.weight.T + self.merge.bias

    def attention_map(self, first: Tensor, second: Tensor, merged: Tensor, text: Tensor, scope: Scope) -> Tensor:
        """Cosines (B, heads, c, c) between the channels of the perturbed query and of the plain key."""
        pooled = torch.cat([first.mean((2, 3)), second.mean((2, 3))], dim=1)
        if self.stride > 1:
            first, second, merged = (F.avg_pool2d(x, self.stride) for x in (first, second, merged))
        matrix, bias = self.perturbation(pooled, text, scope)
        matrix, bias = self.query.weight @ matrix, bias @ self.query.weight.T
        query = mix_channels(first, matrix[..., : self.width]) + mix_channels(second, matrix[..., self.width :])
        query = self.split_heads(self.query_depthwise(query + bias[:, :, None, None]))
        key = self.split_heads(self.key_depthwise(self.key(merged)))
        products = query.permute(0, 2, 3, 1) @ key.permute(0, 2, 1, 3)
        norms = query.square().sum(1).sqrt().unsqueeze(3) * key.square().sum(1).sqrt().unsqueeze(2)
        return products / norms.clamp(min=1e-6)

    def split_heads(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, H*W, heads, C/heads), without a copy in channels-last memory order."""
        return x.float().permute(0, 2, 3, 1).flatten(1, 2).unflatten(2, (self.heads, -1))

    def forward(self, first: Tensor, second: Tensor, text: Tensor, scope: Scope) -> Tensor:
        """Two (B, C, H, W) branches and (B or 1, 512) text to the (B, C, H, W) skip feature."""
        merged = self.merge(first, second)
        cosines = scope.reduce_lazily(
            f"{self.name}.cosines", first.shape[0], lambda: self.attention_map(first, second, merged, text, scope)
        )
        logits = cosines * self.temperature
        if self.kept_entries < logits.shape[-1]:
            border = logits.topk(self.kept_entries, dim=-1).values[..., -1:]
            logits = logits.masked_fill(logits < border, float("-inf"))
        attention = logits.softmax(-1).to(merged.dtype)
        per_head = self.project.weight.unflatten(1, (self.heads, -1)).permute(1, 0, 2)
        projection = (per_head @ attention).transpose(1, 2).flatten(2)
        out = merged + mix_channels(self.value_depthwise(self.value(merged)), projection)
        return self.refine(F.relu(out)).add_(out)


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
    it stays in 0..1 and is exactly zero where both pictures are.
    """

    def __init__(self, config: UPFusionConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or SIZES["tiny"]
        width = config.widths[0]
        self.embed_first = nn.Conv2d(1, width, 3, padding=1)
        self.embed_second = nn.Conv2d(1, width, 3, padding=1)
        self.pruning = SemanticChannelPruning(config) if config.scpm else None
        self.expand = Pointwise(width, 2 * width) if not config.scpm else None
        self.modulate_first = AffineModulation("gam_first", width) if config.gam else None
        self.modulate_second = AffineModulation("gam_second", width) if config.gam else None
        self.encoder_first = Encoder(config)
        self.encoder_second = Encoder(config)
        self.perturbations = nn.ModuleList(
            TextGuidedPerturbation(f"tcpm{level + 1}", w, heads, max(4 >> level, 1), config)
            if config.tcpm
            else PlainMerge(w)
            for level, (w, heads) in enumerate(zip(config.widths, config.heads, strict=True))
        )
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
        embedding_first, embedding_second = self.embed_first(first), self.embed_second(second)
        mean = 0.5 * (embedding_first + embedding_second)
        if self.pruning is not None:
            shared = self.pruning(mean, first, second, scope)
        else:
            assert self.expand is not None
            shared = self.expand(mean)
        x_first, x_second = shared.chunk(2, dim=1)
        if self.modulate_first is not None and self.modulate_second is not None:
            x_first = self.modulate_first(x_first, embedding_first, scope)
            x_second = self.modulate_second(x_second, embedding_second, scope)
        skips = [
            perturbation(a, b, text, scope)
            for perturbation, a, b in zip(
                self.perturbations, self.encoder_first(x_first), self.encoder_second(x_second), strict=True
            )
        ]
        x = self.decoder3(skips[3], skips[2])
        x = self.decoder2(x, skips[1])
        x = self.decoder1(x, skips[0])
        place, detail = self.head(x).float().chunk(2, dim=1)
        dark, bright = torch.minimum(first, second), torch.maximum(first, second)
        share = torch.sigmoid(place)
        visible = (32.0 * bright).clamp(max=1.0)
        return (dark + share * (bright - dark) + 0.4 * visible * torch.tanh(detail)).clamp(0.0, 1.0)


def create_size(size: str, **overrides: object) -> UPFusion:
    """A network of a named size; ``overrides`` replace fields of its ``UPFusionConfig``."""
    from dataclasses import replace

    if size not in SIZES:
        raise UsageError(f"There is no size '{size}'; expected one of {', '.join(SIZES)}.")
    # The memory order that dense convolutions are fastest in; the input is brought into it too.
    return UPFusion(replace(SIZES[size], **overrides)).to(memory_format=torch.channels_last)  # type: ignore

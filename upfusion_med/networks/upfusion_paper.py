"""UP-Fusion as its authors released it: the same function, the same names of weights.

Li, Li and Jiang, "Text-Guided Channel Perturbation and Pre-Trained Knowledge Integration for Unified Multi-Modality
Image Fusion", AAAI 2026, arXiv 2511.12432. Written from a description of the network; ``docs/decisions/001`` says what
is kept to the letter and what is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from upfusion_med.core import UsageError
from upfusion_med.networks.blocks import pad_to_multiple, to_luminance
from upfusion_med.networks.configuration import TEXT_WIDTH
from upfusion_med.networks.restormer import Down, PooledModule, TransformerLevel, Up, name_statistics, pointwise
from upfusion_med.networks.scope import Scope, SliceScope
from upfusion_med.networks.semantic_pruning import SemanticPruning
from upfusion_med.networks.text_permutation import TextPermutation

#: The three halvings of the resolution need sides that are multiples of this.
SIDE_MULTIPLE = 8


@dataclass(frozen=True)
class PaperConfig:
    """Shape of the network; the defaults are the released one.

    Attributes:
        dim: Channels of the finest level; every coarser level has twice as many.
        blocks: Transformer blocks per level, finest first; the coarsest level has none in the decoder.
        refinement_blocks: Transformer blocks after the decoder.
        heads: Heads of the channel attention per level.
        expansion: Hidden channels of the feed-forward networks, per channel.
        pruning_keep: Share of channels kept by SCPM.
        channel_keep: Share of channels kept by TCPM.
        attention_keep: Share of attention entries kept per row in TCPM.
        convnext_widths: Channels of the ConvNeXt stages.
        convnext_blocks: Blocks of the ConvNeXt stages, at least two in all.

    Raises:
        UsageError: heads do not divide the channels of a level, or the number of levels is not four.
    """

    dim: int = 48
    blocks: tuple[int, int, int, int] = (4, 6, 6, 8)
    refinement_blocks: int = 4
    heads: tuple[int, int, int, int] = (1, 2, 4, 8)
    expansion: float = 2.66
    pruning_keep: float = 0.7
    channel_keep: float = 0.5
    attention_keep: float = 0.9
    convnext_widths: tuple[int, ...] = (128, 256, 512, 1024)
    convnext_blocks: tuple[int, ...] = (3, 3, 27, 3)

    def __post_init__(self) -> None:
        if len(self.blocks) != 4 or len(self.heads) != 4:
            raise UsageError(f"Got {len(self.blocks)} levels of blocks and {len(self.heads)} of heads; expected four.")
        for width, heads in zip(self.widths, self.heads, strict=True):
            if width % heads or width % 2:
                raise UsageError(f"A level of {width} channels has {heads} heads; expected an even multiple of them.")

    @property
    def widths(self) -> tuple[int, int, int, int]:
        """Channels of the four levels."""
        return self.dim, 2 * self.dim, 4 * self.dim, 8 * self.dim


class OverlapEmbedding(nn.Module):
    """A 3x3 convolution without bias, from one channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, width, 3, padding=1, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 1, H, W) to (B, C, H, W)."""
        return self.proj(image)


class AffineModulation(PooledModule):
    """GAM (paper eqs. 2 and 3): scale and shift every channel by what is typical of one modality's embedding.

    Statistic: ``{path}.pooled``, (B, C, 1, 1), the mean of the embedding.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.affine_fc = nn.Sequential(pointwise(width, width, True), nn.ReLU(), pointwise(width, 2 * width, True))

    def forward(self, x: Tensor, embedding: Tensor, scope: Scope) -> Tensor:
        """(B, C, H, W) shared feature and embedding to the modulated feature."""
        pooled = scope.reduce(f"{self.path}.pooled", embedding.mean((2, 3), keepdim=True))
        gamma, beta = self.affine_fc(pooled).chunk(2, dim=1)
        return x * (1 + gamma) + beta


class UPFusionPaper(nn.Module):
    """The published fusion network, without its third encoder, which is never called.

    ConvNeXt has random weights until a state dict is loaded; no weights are downloaded.
    """

    def __init__(self, config: PaperConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or PaperConfig()
        w1, w2, w3, w4 = c.widths
        h1, h2, h3, h4 = c.heads
        n1, n2, n3, n4 = c.blocks

        def level(blocks: int, width: int, heads: int) -> TransformerLevel:
            return TransformerLevel(blocks, width, heads, c.expansion)

        def permutation(width: int, heads: int) -> TextPermutation:
            return TextPermutation(width, heads, c.expansion, c.channel_keep, c.attention_keep)

        self.patch_embed = OverlapEmbedding(w1)
        self.ir_imb = OverlapEmbedding(w1)
        self.channel_select = SemanticPruning(w1, int(w1 * c.pruning_keep), c.convnext_widths, c.convnext_blocks)
        self.expand_conv = pointwise(w1, 2 * w1, bias=True)
        self.GEO_vi = AffineModulation(w1)
        self.GEO_ir = AffineModulation(w1)
        self.encoder_level1_vi, self.encoder_level1_ir = level(n1, w1, h1), level(n1, w1, h1)
        self.encoder_level2_vi, self.encoder_level2_ir = level(n2, w2, h2), level(n2, w2, h2)
        self.encoder_level3_vi, self.encoder_level3_ir = level(n3, w3, h3), level(n3, w3, h3)
        self.latent_vi, self.latent_ir = level(n4, w4, h4), level(n4, w4, h4)
        self.down1_2, self.down2_3, self.down3_4 = Down(w1), Down(w2), Down(w3)
        self.encoder_shuffle_channel1 = permutation(w1, h1)
        self.encoder_shuffle_channel2 = permutation(w2, h2)
        self.encoder_shuffle_channel3 = permutation(w3, h3)
        self.latent_shuffle_channel = permutation(w4, h4)
        self.up4_3, self.reduce_chan_level3, self.decoder_level3 = Up(w4), pointwise(w4, w3), level(n3, w3, h3)
        self.up3_2, self.reduce_chan_level2, self.decoder_level2 = Up(w3), pointwise(w3, w2), level(n2, w2, h2)
        self.up2_1, self.decoder_level1 = Up(w2), level(n1, w2, h1)
        self.refinement = level(c.refinement_blocks, w2, h1)
        self.output = nn.Conv2d(w2, 1, 3, padding=1, bias=False)
        name_statistics(self)

    def forward(
        self,
        visible_or_functional: Tensor,
        infrared_or_mri: Tensor,
        text_code: Tensor,
        scope: Scope | None = None,
    ) -> Tensor:
        """Fuse a batch.

        Args:
            visible_or_functional: (B, 1 or 3, H, W) in 0..1, no normalisation; colour is replaced by its BT.601 luma.
                H, W >= 16; sides are reflected at the right and the bottom up to a multiple of 8 and cropped back.
            infrared_or_mri: The same for the other picture.
            text_code: (B or 1, 512) code of CLIP ViT-B/32, not normalised.
            scope: Over what global statistics are pooled; default: each sample for itself, as published.

        Returns:
            (B, 1, H, W) fused luminance. It is not bounded; clamping to 0..1 is the caller's part.

        Raises:
            UsageError: shapes that do not fit.
        """
        first, second = to_luminance(visible_or_functional), to_luminance(infrared_or_mri)
        if first.shape != second.shape:
            raise UsageError(
                f"The two pictures are {tuple(first.shape)} and {tuple(second.shape)} after the change to luma; "
                "expected equal batches and sides."
            )
        if text_code.ndim != 2 or text_code.shape[1] != TEXT_WIDTH or text_code.shape[0] not in (1, first.shape[0]):
            raise UsageError(
                f"The text code has shape {tuple(text_code.shape)}; expected (B or 1, {TEXT_WIDTH}) for a batch of "
                f"B = {first.shape[0]}."
            )
        height, width = first.shape[-2:]
        first = plain_memory(pad_to_multiple(first, SIDE_MULTIPLE))
        second = plain_memory(pad_to_multiple(second, SIDE_MULTIPLE))
        fused = self.fuse(first, second, text_code.to(first.dtype), scope or SliceScope())
        return fused[..., :height, :width].contiguous()

    def fuse(self, first: Tensor, second: Tensor, text: Tensor, scope: Scope) -> Tensor:
        """The network itself: (B, 1, H, W) pictures whose sides are multiples of 8, to (B, 1, H, W)."""
        embedded_second = self.ir_imb(second)
        embedded_first = self.patch_embed(first)
        shared = self.channel_select((embedded_second + embedded_first) / 2, scope)
        shared_first, shared_second = self.expand_conv(shared).chunk(2, dim=1)
        firsts = self.encode("vi", self.GEO_vi(shared_first, embedded_first, scope), scope)
        seconds = self.encode("ir", self.GEO_ir(shared_second, embedded_second, scope), scope)

        x = self.up4_3(self.latent_shuffle_channel(firsts[3], seconds[3], text, scope))
        skip = self.encoder_shuffle_channel3(firsts[2], seconds[2], text, scope)
        x = self.decoder_level3(self.reduce_chan_level3(torch.cat([x, skip], dim=1)), scope)
        x = self.up3_2(x)
        skip = self.encoder_shuffle_channel2(firsts[1], seconds[1], text, scope)
        x = self.decoder_level2(self.reduce_chan_level2(torch.cat([x, skip], dim=1)), scope)
        x = self.up2_1(x)
        skip = self.encoder_shuffle_channel1(firsts[0], seconds[0], text, scope)
        x = self.decoder_level1(torch.cat([x, skip], dim=1), scope)
        return self.output(self.refinement(x, scope))

    def encode(self, branch: str, x: Tensor, scope: Scope) -> list[Tensor]:
        """(B, C, H, W) of one branch, ``vi`` or ``ir``, to the features of the four levels."""
        level1, *coarser = (self.get_submodule(f"encoder_level{n}_{branch}") for n in (1, 2, 3))
        coarser.append(self.get_submodule(f"latent_{branch}"))
        features = [level1(x, scope)]
        for down, level in zip((self.down1_2, self.down2_3, self.down3_4), coarser, strict=True):
            features.append(level(down(features[-1]), scope))
        return features


def plain_memory(image: Tensor) -> Tensor:
    """The same values with plain (B, C, H, W) strides.

    ``contiguous`` is not enough: for one channel a channels-last picture counts as contiguous, keeps its strides and
    makes the CPU's convolutions take another way, which moves the output by up to 2.5e-5.
    """
    return image.contiguous().flatten().view(image.shape)


def create_paper(**overrides: object) -> UPFusionPaper:
    """The published network; ``overrides`` replace fields of its ``PaperConfig``."""
    known = {field.name for field in fields(PaperConfig)}
    if unknown := sorted(set(overrides) - known):
        raise UsageError(
            f"upfusion-paper has no setting {', '.join(unknown)}; expected one of {', '.join(sorted(known))}."
        )
    return UPFusionPaper(PaperConfig(**overrides))  # type: ignore[arg-type]

"""The skip connections of ``upfusion``: text-guided channel perturbation (TCPM), or a plain merge in its place."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upfusion_med.networks.blocks import PairMerge, Pointwise, channel_mlp, mix_channels
from upfusion_med.networks.configuration import TEXT_WIDTH, UPFusionConfig
from upfusion_med.networks.scope import Scope
from upfusion_med.networks.selection import select_top


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

"""TCPM of the published network: channels re-arranged by rank and by text query the plain feature."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from upfusion_med.networks.configuration import TEXT_WIDTH
from upfusion_med.networks.ranking import Ranking, take_channels
from upfusion_med.networks.restormer import (
    ChannelLayerNorm,
    GatedFeedForward,
    PooledModule,
    channel_cosines,
    depthwise,
    pointwise,
    some_outputs,
    split_heads,
)
from upfusion_med.networks.scope import Scope
from upfusion_med.networks.semantic_pruning import ATTENTION_REDUCTION


class SelectiveCrossAttention(PooledModule):
    """Attention between the channels of two features, with only the largest entries of every row kept.

    Statistic: ``{path}.cosines``, (B, heads, C/heads, C/heads), before temperature, selection and softmax.
    """

    def __init__(self, width: int, heads: int, keep_share: float) -> None:
        super().__init__()
        self.width, self.heads = width, heads
        self.keep = max(int(width // heads * keep_share), 1)
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.attn4 = nn.Parameter(torch.tensor([0.2]))
        self.q = pointwise(width, width)
        self.q_dwconv = depthwise(width)
        self.kv = pointwise(width, 2 * width)
        self.kv_dwconv = depthwise(2 * width)
        self.project_out = pointwise(width, width)

    def cosines(self, query: Tensor, plain: Tensor) -> Tensor:
        """Cosines (B, heads, C/heads, C/heads) between the channels of the query and of the key."""
        key = some_outputs(self.kv, self.kv_dwconv, plain, slice(self.width))
        return channel_cosines(self.q_dwconv(self.q(query)), key, self.heads)

    def forward(self, query: Callable[[], Tensor], plain: Tensor, scope: Scope) -> Tensor:
        """Attend.

        Args:
            query: Makes the (B, C, H, W) query; not called where the scope has the cosines already.
            plain: (B, C, H, W) source of key and value.
            scope: Over what the cosines are pooled.

        Returns:
            (B, C, H, W).
        """
        cosines = scope.reduce_lazily(f"{self.path}.cosines", plain.shape[0], lambda: self.cosines(query(), plain))
        logits = cosines * self.temperature
        kept = torch.zeros_like(logits).scatter(-1, torch.topk(logits, self.keep, dim=-1).indices, 1.0)
        attention = logits.masked_fill(kept == 0, float("-inf")).softmax(dim=-1)
        value = some_outputs(self.kv, self.kv_dwconv, plain, slice(self.width, None))
        out = (attention @ split_heads(value, self.heads)) * self.attn4
        return self.project_out(out.flatten(1, 2).unflatten(2, plain.shape[-2:]))


class TextPermutation(PooledModule):
    """Join both branches at one level: select, permute by text, attend.

    There is no residual: the plain feature reaches the decoder only as the value of the attention. Ranks carry no
    gradient, so ``se_fc`` and ``text_fc`` of the published weights never left their initial values.

    Statistic: ``{path}.scores``, (B, 2C), the channel scores that are ranked.
    """

    def __init__(self, width: int, heads: int, expansion: float, channel_share: float, entry_share: float) -> None:
        super().__init__()
        both, keep = 2 * width, int(2 * width * channel_share)
        hidden = max(both // ATTENTION_REDUCTION, 1)
        self.text_fc = nn.Sequential(nn.Linear(TEXT_WIDTH, TEXT_WIDTH), nn.ReLU(), nn.Linear(TEXT_WIDTH, both))
        self.se_fc = nn.Sequential(
            nn.Linear(both, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, both, bias=False), nn.Sigmoid()
        )
        self.conv1x1 = pointwise(keep, both, bias=True)
        self.conv_out = pointwise(both, width, bias=True)
        self.norm1 = ChannelLayerNorm(width)
        self.norm2 = ChannelLayerNorm(width)
        self.norm3 = ChannelLayerNorm(width)
        self.select_attn = SelectiveCrossAttention(width, heads, entry_share)
        self.ffn = GatedFeedForward(width, expansion)
        self.ranking = Ranking(keep)
        self.text_ranking = Ranking(both)

    def perturb(self, x: Tensor, text: Tensor, scope: Scope) -> Tensor:
        """(B, 2C, H, W) and (B or 1, 512) to (B, 2C, H, W): selected channels, re-arranged by the text."""
        scores = scope.reduce(f"{self.path}.scores", self.se_fc(x.mean((2, 3))))
        selected = self.conv1x1(take_channels(x, self.ranking(scores)))
        return take_channels(selected, self.text_ranking(self.text_fc(text)))

    def forward(self, first: Tensor, second: Tensor, text: Tensor, scope: Scope) -> Tensor:
        """Two (B, C, H, W) branches and (B or 1, 512) text to the (B, C, H, W) skip feature."""
        x = torch.cat([first, second], dim=1)
        plain = self.norm2(self.conv_out(x))
        attended = self.select_attn(lambda: self.norm1(self.conv_out(self.perturb(x, text, scope))), plain, scope)
        return attended + self.ffn(self.norm3(attended))

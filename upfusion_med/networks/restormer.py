"""Transformer blocks whose attention runs over channels, as in Restormer.

Zamir et al., "Restormer: Efficient Transformer for High-Resolution Image Restoration", CVPR 2022, arXiv 2111.09881.
The operations and their order are those of the published fusion network that is built from these blocks: its channel
orders can flip at differences of one float32 step, so an equal formula with other operations is not good enough.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upfusion_med.networks.scope import Scope


class ChannelScale(nn.Module):
    """Normalise the last axis to mean 0 and variance 1, then scale and shift it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, H*W, C) to the same shape; biased variance, 1e-5 inside the root."""
        mean = x.mean(-1, keepdim=True)
        variance = x.var(-1, keepdim=True, unbiased=False)
        return (x - mean) / torch.sqrt(variance + 1e-5) * self.weight + self.bias


class ChannelLayerNorm(nn.Module):
    """Layer norm over the channels of every pixel, (B, C, H, W) to the same shape."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = ChannelScale(width)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, H, W) at every pixel."""
        height, width = x.shape[-2:]
        pixels = x.flatten(2).transpose(1, 2)
        return self.body(pixels).transpose(1, 2).unflatten(2, (height, width))


def pointwise(inputs: int, outputs: int, bias: bool = False) -> nn.Conv2d:
    """A 1x1 convolution."""
    return nn.Conv2d(inputs, outputs, 1, bias=bias)


def depthwise(width: int) -> nn.Conv2d:
    """A 3x3 convolution of every channel by itself, without bias."""
    return nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)


def some_outputs(first: nn.Conv2d, second: nn.Conv2d, x: Tensor, outputs: slice) -> Tensor:
    """Some output channels of a 1x1 convolution followed by a depthwise one.

    Every output channel is computed by itself, so the values are those of the whole pair; what is not needed, or not
    needed yet, costs nothing.

    Args:
        first: 1x1 convolution C to D without bias.
        second: 3x3 depthwise convolution of D channels without bias.
        x: (B, C, H, W).
        outputs: Which of the D output channels.

    Returns:
        (B, number of outputs, H, W).
    """
    mixed = F.conv2d(x, first.weight[outputs])
    return F.conv2d(mixed, second.weight[outputs], padding=1, groups=mixed.shape[1])


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, C, H, W) to (B, heads, C/heads, H*W); the head is the slow index of the channel."""
    return x.flatten(2).unflatten(1, (heads, -1))


def channel_cosines(query: Tensor, key: Tensor, heads: int) -> Tensor:
    """Cosine of every query channel with every key channel of its head.

    Args:
        query: (B, C, H, W).
        key: (B, C, H, W).
        heads: Number of heads n, a divisor of C.

    Returns:
        (B, n, C/n, C/n), rows are query channels, values in -1..1.
    """
    query = F.normalize(split_heads(query, heads), dim=-1)
    key = F.normalize(split_heads(key, heads), dim=-1)
    return query @ key.transpose(-2, -1)


class PooledModule(nn.Module):
    """A module that passes a global statistic through a scope, under its own path in the network.

    ``name_statistics`` sets ``path``; it is not part of the state dict.
    """

    path: str = ""


def name_statistics(network: nn.Module) -> None:
    """Give every ``PooledModule`` of a network its path there, so that all names of statistics are unique."""
    for path, module in network.named_modules():
        if isinstance(module, PooledModule):
            module.path = path


class ChannelAttention(PooledModule):
    """MDTA: multi-head attention between channels, with depthwise context (Restormer, section 3.1).

    Statistic: ``{path}.cosines``, (B, heads, C/heads, C/heads), before temperature and softmax.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.width, self.heads = width, heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = pointwise(width, 3 * width)
        self.qkv_dwconv = depthwise(3 * width)
        self.project_out = pointwise(width, width)

    def cosines(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the (B, heads, C/heads, C/heads) cosines between queries and keys."""
        query, key = some_outputs(self.qkv, self.qkv_dwconv, x, slice(2 * self.width)).chunk(2, dim=1)
        return channel_cosines(query, key, self.heads)

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """(B, C, H, W) to the same shape."""
        cosines = scope.reduce_lazily(f"{self.path}.cosines", x.shape[0], lambda: self.cosines(x))
        attention = (cosines * self.temperature).softmax(dim=-1)
        value = some_outputs(self.qkv, self.qkv_dwconv, x, slice(2 * self.width, None))
        out = attention @ split_heads(value, self.heads)
        return self.project_out(out.flatten(1, 2).unflatten(2, x.shape[-2:]))


class GatedFeedForward(nn.Module):
    """GDFN: a depthwise feed-forward network whose first half, through a GELU, gates the second (Restormer, 3.2)."""

    def __init__(self, width: int, expansion: float) -> None:
        super().__init__()
        hidden = int(width * expansion)
        self.project_in = pointwise(width, 2 * hidden)
        self.dwconv = depthwise(2 * hidden)
        self.project_out = pointwise(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        gate, passed = self.dwconv(self.project_in(x)).chunk(2, dim=1)
        return self.project_out(F.gelu(gate) * passed)


class TransformerBlock(nn.Module):
    """Channel attention and feed-forward network, each behind a layer norm and around a residual."""

    def __init__(self, width: int, heads: int, expansion: float) -> None:
        super().__init__()
        self.norm1 = ChannelLayerNorm(width)
        self.attn = ChannelAttention(width, heads)
        self.norm2 = ChannelLayerNorm(width)
        self.ffn = GatedFeedForward(width, expansion)

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """(B, C, H, W) to the same shape."""
        x = x + self.attn(self.norm1(x), scope)
        return x + self.ffn(self.norm2(x))


class TransformerLevel(nn.Sequential):
    """A stack of equal blocks at one resolution."""

    def __init__(self, blocks: int, width: int, heads: int, expansion: float) -> None:
        super().__init__(*(TransformerBlock(width, heads, expansion) for _ in range(blocks)))

    def forward(self, x: Tensor, scope: Scope) -> Tensor:  # type: ignore[override]
        """(B, C, H, W) to the same shape."""
        for block in self:
            x = block(x, scope)
        return x


class Down(nn.Module):
    """Halve the resolution and double the channels: 3x3 convolution C to C/2, then pixel unshuffle."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(width, width // 2, 3, padding=1, bias=False), nn.PixelUnshuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 2C, H/2, W/2)."""
        return self.body(x)


class Up(nn.Module):
    """Double the resolution and halve the channels: 3x3 convolution C to 2C, then pixel shuffle."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(width, width * 2, 3, padding=1, bias=False), nn.PixelShuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C/2, 2H, 2W)."""
        return self.body(x)

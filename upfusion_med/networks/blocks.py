"""Layers that the networks of this package share, in the forms that a CPU runs fast."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from upfusion_med.core import LUMA_WEIGHTS, UsageError
from upfusion_med.networks.configuration import TEXT_WIDTH

#: Smallest picture side that the networks take.
SMALLEST_SIDE = 16


class ResidualBlock(nn.Module):
    """``x + conv(relu(conv(x)))`` with dense 3x3 convolutions and no normalisation.

    Dense 3x3 convolutions carry three to four times the work per millisecond of depthwise and 1x1 pairs on a CPU.
    The second convolution starts at a tenth of its usual size, so that a deep stack starts near the identity.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.second.weight.data.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) to the same shape."""
        return self.second(F.relu(self.first(x), inplace=True)).add_(x)


class Pointwise(nn.Linear):
    """A 1x1 convolution as a matrix product over pixels: free of copies in channels-last memory order."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, I, H, W) to (B, O, H, W)."""
        return F.linear(x.permute(0, 2, 3, 1), self.weight, self.bias).permute(0, 3, 1, 2)


class PairMerge(Pointwise):
    """A 1x1 convolution of two features that are never written side by side."""

    def __init__(self, width: int) -> None:
        super().__init__(2 * width, width)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:  # type: ignore[override]
        """Two (B, C, H, W) to (B, C, H, W)."""
        left, right = self.weight.chunk(2, dim=1)
        mixed = F.linear(first.permute(0, 2, 3, 1), left, self.bias) + F.linear(second.permute(0, 2, 3, 1), right)
        return mixed.permute(0, 3, 1, 2)


class Steering(nn.Sequential):
    """Two linear layers with a ReLU between, on (B, inputs), that set gates, scales and shifts of other layers."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


class PictureSteering(Steering):
    """Steering by statistics of the picture.

    The output is a tenth of that of the last layer, so a step of Adam moves it a tenth as far: what is learned from the
    statistics of one kind of picture must not outrun the layers that it steers (Karras et al. 2019, arXiv 1812.04948,
    section C, do the same).
    """

    SPEED = 0.1

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs) to (B, outputs)."""
        return self.SPEED * super().forward(x)


class TextSteering(Steering):
    """Steering by a text code of length 1, as fast as other layers: the few texts are the same everywhere.

    It starts as large as other layers too, so that prompts differ from the first step on. From random weights it wants
    a warm-up of a few hundred steps: with 50, one network in two drove its output into saturation and learned no more.
    """

    #: Brings the entries of a code, about 1/sqrt(512), to a quarter: large enough to learn from, too small to jump.
    CODE_SCALE = 6.0

    def __init__(self, outputs: int) -> None:
        super().__init__(TEXT_WIDTH, 64, outputs)

    def forward(self, text: Tensor) -> Tensor:
        """(B, 512) to (B, outputs)."""
        return super().forward(self.CODE_SCALE * text)


def support_mean(x: Tensor, support: Tensor) -> Tensor:
    """Mean of every channel over the support.

    Args:
        x: (B, C, H, W).
        support: (B, 1, H, W), 1 where the pictures show something, 0 elsewhere.

    Returns:
        (B, C); 0 for an empty support.
    """
    return (x * support).sum((2, 3)) / support.sum((2, 3)).clamp(min=1.0)


def mix_channels(x: Tensor, matrix: Tensor) -> Tensor:
    """A 1x1 convolution without bias whose weights may differ from sample to sample.

    Args:
        x: (B, I, H, W); fastest in channels-last memory order.
        matrix: (B or 1, O, I).

    Returns:
        (B, O, H, W) in channels-last memory order.
    """
    if len(matrix) == 1:
        return F.linear(x.permute(0, 2, 3, 1), matrix[0]).permute(0, 3, 1, 2)
    height, width = x.shape[-2:]
    return (
        (x.permute(0, 2, 3, 1).flatten(1, 2) @ matrix.transpose(1, 2)).unflatten(1, (height, width)).permute(0, 3, 1, 2)
    )


def to_luminance(image: Tensor) -> Tensor:
    """(B, 1 or 3, H, W) to (B, 1, H, W): BT.601 luma of a colour picture, a grey one as it is."""
    if image.ndim != 4 or image.shape[1] not in (1, 3):
        raise UsageError(f"An image batch has shape {tuple(image.shape)}; expected (B, 1 or 3, H, W).")
    if image.shape[1] == 1:
        return image
    red, green, blue = LUMA_WEIGHTS
    return red * image[:, 0:1] + green * image[:, 1:2] + blue * image[:, 2:3]


def pad_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """Reflect (B, C, H, W) at the right and the bottom up to the next multiple; cropping back is the caller's part."""
    height, width = image.shape[-2:]
    if min(height, width) < SMALLEST_SIDE:
        raise UsageError(f"An image is {height}x{width}; expected at least {SMALLEST_SIDE} rows and columns.")
    down, right = -height % multiple, -width % multiple
    return F.pad(image, (0, right, 0, down), mode="reflect") if down or right else image

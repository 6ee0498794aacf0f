"""No structure of the network's own: what no local mixture of the two sources explains is taken back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor

#: Window in which a mixture is local, that of SSIM, which `metrics.unexplained` looks through too.
SIZE, SIGMA = 11, 1.5
#: Variance that counts as noise: a grey level of 255, squared.
NOISE = 1.0 / 255.0**2
#: What may stay unexplained, as standard deviation: a grey level, …
ALLOWED = 1.0 / 255.0
#: … or this part of the livelier source's, whichever is more: the seams where one source takes over from the other.
ALLOWED_PART = 0.15
#: Each pass explains what the one before left; after four the largest patches are near those of the maximum rule.
PASSES = 4


def explained(fused: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Draw a fused picture towards the best local mixture of its sources, where it has structure that neither has.

    Around every pixel ``fused ≈ α first + β second + κ`` is fitted by least squares (the guided filter of He, Sun and
    Tang, TPAMI 2013, with two guides). With the means of α, β and κ over the window as in that filter, the
    fit is the mixture; of what it leaves, the share ``allowed / unexplained`` (variances) stays, at most all.

    Args:
        fused: (B, 1, H, W) in 0..1, H and W at least 6.
        first: The sources, of the same shape.
        second: See ``first``.

    Returns:
        (B, 1, H, W) in 0..1; a copy or a mixture whose weights change slowly stays as it is.

    Source: this project; what it is worth: docs/metrics.md.
    """
    with full_precision(fused):
        fused, first, second = fused.float(), first.float(), second.float()
        mean_a, mean_b, aa, ab, bb = _local([first, second, first * first, first * second, second * second])
        aa, ab, bb = aa - mean_a * mean_a, ab - mean_a * mean_b, bb - mean_b * mean_b
        allowed = (ALLOWED_PART**2 * torch.maximum(aa, bb)).clamp(min=ALLOWED**2)
        aa, bb = aa + NOISE, bb + NOISE
        determinant = aa * bb - ab * ab
        for _ in range(PASSES):
            mean, ff, fa, fb = _local([fused, fused * fused, fused * first, fused * second])
            fa, fb = fa - mean * mean_a, fb - mean * mean_b
            alpha, beta = (fa * bb - fb * ab) / determinant, (fb * aa - fa * ab) / determinant
            left = (ff - mean * mean - fa * alpha - fb * beta - NOISE).clamp(min=1e-9)
            parts = [alpha, beta, mean - alpha * mean_a - beta * mean_b, (allowed / left).clamp(max=1.0)]
            alpha, beta, constant, kept = _local(parts)
            mixture = alpha * first + beta * second + constant
            fused = (mixture + kept * (fused - mixture)).clamp(0.0, 1.0)
    return fused


def _local(pictures: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Gaussian means of (B, 1, H, W) pictures, borders mirrored: one depthwise filter in channels-last memory order."""
    count, margin = len(pictures), SIZE // 2
    padded = torch.cat([F.pad(x, (margin, margin, margin, margin), mode="reflect") for x in pictures], dim=1)
    offsets = torch.arange(SIZE, dtype=padded.dtype, device=padded.device) - margin
    window = torch.softmax(-(offsets**2) / (2 * SIGMA**2), dim=0)
    x = padded.contiguous(memory_format=torch.channels_last)
    x = F.conv2d(x, window.view(1, 1, 1, -1).expand(count, 1, 1, SIZE), groups=count)
    x = F.conv2d(x, window.view(1, 1, -1, 1).expand(count, 1, SIZE, 1), groups=count)
    return x.contiguous(memory_format=torch.contiguous_format).split(1, dim=1)


@contextmanager
def full_precision(where: Tensor) -> Iterator[None]:
    """Float32 as it is: no autocast, no TF32. A variance, as the difference of two means, needs all 24 bits.

    Args:
        where: A tensor on the device that computes.
    """
    cudnn = torch.backends.cudnn
    as_usual = {"enabled": cudnn.enabled, "benchmark": cudnn.benchmark, "deterministic": cudnn.deterministic}
    kind = where.device.type if torch.amp.is_autocast_available(where.device.type) else "cpu"
    with torch.autocast(kind, enabled=False), cudnn.flags(**as_usual, allow_tf32=False):
        yield

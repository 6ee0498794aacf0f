"""Loss components, each a plain function of the fused and the two source pictures, (B, 1, H, W) in 0..1, to (B,).

Q_P, Q_ABF, Q_NCIE and SCD are kept out of the losses, so that they can judge.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from upfusion_med.networks.explanation import NOISE, SIGMA, SIZE

#: Sobel response to a ramp of half a grey level (of 255) a pixel.
FAINT = 8.0 * 0.5 / 255.0
#: How much more of each source a fusion must keep than the average of both does, as a share of that.
MARGIN = 0.6
#: Smallest side of pictures that `vif` has all its scales in, and the components that are made of it.
VIF_SIDE = 41
OF_VIF = frozenset({"vif", "balance", "one_sided"})


@lru_cache(maxsize=16)
def _gaussian(size: int, sigma: float) -> Tensor:
    offsets = torch.arange(size, dtype=torch.float32) - size // 2
    window = torch.exp(-(offsets**2) / (2 * sigma**2))
    return window / window.sum()


def _blur(x: Tensor, size: int, sigma: float) -> Tensor:
    """Separable Gaussian of every channel, without padding."""
    channels = x.shape[1]
    window = _gaussian(size, sigma).to(x)
    x = F.conv2d(x, window.view(1, 1, 1, -1).expand(channels, 1, 1, size), groups=channels)
    return F.conv2d(x, window.view(1, 1, -1, 1).expand(channels, 1, size, 1), groups=channels)


def _moments(x: Tensor, y: Tensor, size: int, sigma: float) -> tuple[Tensor, ...]:
    """Local means, variances and covariance under a Gaussian window, each (B, 1, H', W')."""
    stacked = _blur(torch.cat([x, y, x * x, y * y, x * y], dim=1), size, sigma)
    mx, my, mxx, myy, mxy = stacked.split(1, dim=1)
    return mx, my, mxx - mx * mx, myy - my * my, mxy - mx * my


def intensity(fused: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Mean absolute difference to the brighter source (released code of UP-Fusion; its paper: to each source)."""
    return (fused - torch.maximum(first, second)).abs().mean((1, 2, 3))


def _sobel(x: Tensor) -> Tensor:
    kernel = x.new_tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), torch.stack([kernel, kernel.T])[:, None])


def gradient(fused: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Mean absolute difference to the signed Sobel response of the source with the stronger one (paper eq. 4)."""
    of_first, of_second = _sobel(first), _sobel(second)
    target = torch.where(of_first.abs() >= of_second.abs(), of_first, of_second)
    return (_sobel(fused) - target).abs().mean((1, 2, 3))


def _stronger_gradients(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Sobel vector (B, 2, H, W) of the source with the longer one, and its length (B, 1, H, W)."""
    of_first, of_second = _sobel(first), _sobel(second)
    squares = [x.square().sum(1, keepdim=True) for x in (of_first, of_second)]
    return torch.where(squares[0] >= squares[1], of_first, of_second), torch.maximum(*squares).sqrt()


def edges(fused: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Mean length of the difference to the gradient vector of the source with the stronger one, at three scales.

    The vector is taken whole from one source, so that an edge keeps its direction; coarse scales keep whole structures
    of one source inside the other.
    """
    error = fused.new_zeros(len(fused))
    for scale in range(3):
        if scale:
            fused, first, second = (F.avg_pool2d(x, 2) for x in (fused, first, second))
        target, _ = _stronger_gradients(first, second)
        error = error + ((_sobel(fused) - target).square().sum(1) + 1e-6).sqrt().mean((1, 2)) / 8
    return error


def contours(fused: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """The same difference, at two scales, as a share of the gradient's own length: faint structure counts like strong.

    Lengths are counted from `FAINT` on; where both sources are flat, structure of the fusion's own is measured by it.
    """
    error = fused.new_zeros(len(fused))
    for scale in range(2):
        if scale:
            fused, first, second = (F.avg_pool2d(x, 2) for x in (fused, first, second))
        target, length = _stronger_gradients(first, second)
        share = (_sobel(fused) - target) / (length + FAINT)
        error = error + (share.square().sum(1) + 1e-6).sqrt().mean((1, 2)) / 2
    return error


def brightness_lost(fused: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Mean darkening below the brighter source, weighted by its square: hot uptake, bone, hot targets must stay."""
    bright = torch.maximum(first, second)
    return ((bright - fused).clamp(min=0) * bright * bright).mean((1, 2, 3))


def unexplained(fused: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Mean local standard deviation of what no local mixture of the sources explains, beyond a grey level of noise.

    The same question as `networks.explanation` answers in the network: what is left of the fused image after the best
    straight line in the two sources. It holds structure that the network itself adds.
    """
    f, a, b = fused, first, second
    means = _blur(torch.cat([f, a, b, f * f, f * a, f * b, a * a, a * b, b * b], dim=1), SIZE, SIGMA)
    mf, ma, mb, ff, fa, fb, aa, ab, bb = means.split(1, dim=1)
    ff, fa, fb = ff - mf * mf, fa - mf * ma, fb - mf * mb
    aa, ab, bb = aa - ma * ma + NOISE, ab - ma * mb, bb - mb * mb + NOISE
    left = ff - (fa * fa * bb - 2 * fa * fb * ab + fb * fb * aa) / (aa * bb - ab * ab)
    return (left.clamp(min=NOISE).sqrt() - NOISE**0.5).mean((1, 2, 3))


def instability(fused: Tensor, first: Tensor, second: Tensor, twins: int) -> Tensor:
    """Mean change of the fusion beyond that of its sources, between a pair and its slightly changed twin.

    Args:
        fused: Network output.
        first: First sources; the last ``twins`` samples of the batch are changed copies of its first ``twins``.
        second: Second sources, in the same order.
        twins: Number of changed copies; 0 gives 0.
    """
    if twins == 0:
        return fused.new_zeros(len(fused))
    change = [(x[-twins:] - x[:twins]).abs() for x in (fused, first, second)]
    beyond = (change[0] - torch.maximum(change[1], change[2])).clamp(min=0).mean((1, 2, 3))
    # Shared out so that the mean over the batch is the mean over the twins.
    return torch.cat([beyond, beyond.new_zeros(len(fused) - twins)]) * (len(fused) / twins)


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """SSIM per sample (Wang et al. 2004; 11x11 Gaussian, sigma 1.5, valid, range 1)."""
    mx, my, vx, vy, cov = _moments(x, y, 11, 1.5)
    c1, c2 = 0.01**2, 0.03**2
    score = (2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return score.mean((1, 2, 3))


def vif(reference: Tensor, fused: Tensor) -> Tensor:
    """Pixel-domain visual information fidelity per sample (Sheikh and Bovik 2006), smooth enough for training."""
    noise = 2.0 / 255.0**2
    numerator = denominator = reference.new_zeros(reference.shape[0])
    for scale in range(1, 5):
        size = 2 ** (5 - scale) + 1
        if scale > 1:
            pair = _blur(torch.cat([reference, fused], dim=1), size, size / 5)[:, :, ::2, ::2]
            reference, fused = pair.split(1, dim=1)
        _, _, vr, vf, cov = _moments(reference, fused, size, size / 5)
        vr, vf = vr.clamp(min=0), vf.clamp(min=0)
        gain = (cov / (vr + 1e-7)).clamp(min=0)
        rest = (vf - gain * cov).clamp(min=0)
        numerator = numerator + torch.log1p(gain * gain * vr / (rest + noise)).sum((1, 2, 3))
        denominator = denominator + torch.log1p(vr / noise).sum((1, 2, 3))
    return numerator / denominator.clamp(min=1.0)


def one_sided(kept: Sequence[Tensor], first: Tensor, second: Tensor) -> Tensor:
    """What is missing of each source's fidelity for `MARGIN` more than the average of both keeps of it, at most all.

    Args:
        kept: ``vif`` of the fusion for each source, (B,).
        first: First sources.
        second: Second sources.
    """
    average = 0.5 * (first + second)
    least = [((1 + MARGIN) * vif(source, average)).clamp(max=1) for source in (first, second)]
    return torch.stack([(a - b).clamp(min=0) for a, b in zip(least, kept, strict=True)]).sum(0)


#: Every component of `components`.
NAMES = (
    "intensity",
    "gradient",
    "edges",
    "contours",
    "brightness_lost",
    "unexplained",
    "instability",
    "ssim",
    "vif",
    "balance",
    "one_sided",
)


def components(
    fused: Tensor, first: Tensor, second: Tensor, emphasis: Tensor, twins: int = 0, names: Iterable[str] = NAMES
) -> dict[str, Tensor]:
    """Components by name, (B,); training makes their means small.

    Args:
        fused: Network output.
        first: Visible or functional picture.
        second: Infrared picture or MRI.
        emphasis: (B,) share of the first picture in the similarity terms, 0..1.
        twins: Number of changed copies at the end of the batch (see ``instability``).
        names: Which of `NAMES`.

    ``balance`` is the distance between the two sources' fidelities, ``one_sided`` what a fusion keeps too little of
    one source: both keep it from becoming a copy of the other.
    """
    names = set(names)
    parts = {f.__name__: f for f in (intensity, gradient, edges, contours, brightness_lost, unexplained)}
    found = {name: part(fused, first, second) for name, part in parts.items() if name in names}
    if "instability" in names:
        found["instability"] = instability(fused, first, second, twins)
    if "ssim" in names:
        found["ssim"] = 1 - (emphasis * ssim(fused, first) + (1 - emphasis) * ssim(fused, second))
    if not names.isdisjoint(OF_VIF):
        kept = vif(first, fused), vif(second, fused)
        found["vif"] = 1 - (emphasis * kept[0] + (1 - emphasis) * kept[1])
        found["balance"] = (kept[0] - kept[1]).abs()
        if "one_sided" in names:
            found["one_sided"] = one_sided(kept, first, second)
    return {name: value for name, value in found.items() if name in names}


def total(parts: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Weighted sum of the components; a component without a weight does not count."""
    return torch.stack([weights[name] * parts[name] for name in weights]).sum()

"""Information metrics: entropies of grey-level histograms of 256 bins.

Values are rounded to whole grey levels first. Mutual information of a histogram with 65 536 cells is biased upwards on
small images, so compare only images of one size.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from upfusion_med.metrics.images import ImageLike, prepare, stretch

LEVELS = 256
#: Order of the Tsallis entropy in Nava's form and in Cvejic's (metricMI.m of Liu's toolbox).
TSALLIS_NAVA = 0.43137
TSALLIS_CVEJIC = 1.85


def _levels(images: Tensor) -> Tensor:
    """Whole grey levels inside 0..255 as int32, so that every pixel has its bin."""
    return (images + 0.5).clamp_(0.0, LEVELS - 1.0).to(torch.int32)


def _histograms(cells: Tensor, bins: int) -> Tensor:
    """Counts (B, bins) int64 of each row of (B, n) integers in 0…bins − 1."""
    rows = len(cells)
    if rows > 1:
        cells = cells + torch.arange(rows, device=cells.device, dtype=cells.dtype).view(-1, 1) * bins
    return torch.bincount(cells.flatten(), minlength=rows * bins).view(rows, bins)


def joint_histogram(x: Tensor, y: Tensor) -> Tensor:
    """Counts of grey-level pairs.

    Args:
        x: (B, 1, H, W) whole levels 0..255; the first axis of the result.
        y: As ``x``; the second axis.

    Returns:
        (B, 256, 256) int64 counts.
    """
    cells = torch.add(y.to(torch.int32), x.to(torch.int32), alpha=LEVELS)
    return _histograms(cells.flatten(1), LEVELS**2).view(-1, LEVELS, LEVELS)


def _without_rounding(bits: Tensor) -> Tensor:
    """Bits where what lies below 1e-12 is 0: it is rounding, and may be negative."""
    return F.threshold(bits, 1e-12, 0.0)


@lru_cache(maxsize=2)
def _n_log_n(pixels: int, device: torch.device) -> Tensor:
    """Table of n ln n, n = 0 … pixels: counts are whole numbers, and looking up is faster than logarithms."""
    n = torch.arange(pixels + 1, dtype=torch.float64, device=device)
    return torch.xlogy(n, n)


def entropy_of_counts(counts: Tensor, pixels: int) -> Tensor:
    """Shannon entropy in bits of each histogram.

    Args:
        counts: (B, …) int64.
        pixels: Their sum in each histogram.

    Returns:
        (B,): log2 N − Σ n log2 n / N.
    """
    terms = _n_log_n(pixels, counts.device).index_select(0, counts.flatten())
    return _without_rounding(math.log2(pixels) - terms.view(len(counts), -1).sum(1) / (pixels * math.log(2.0)))


class _Entropies:
    """Entropies in bits of the fused image, the sources and their pairs with it, (B,) each."""

    def __init__(self, fused: Tensor, a: Tensor, b: Tensor) -> None:
        batch, _, height, width = fused.shape
        joint = joint_histogram(torch.cat((a, b)), torch.cat((fused, fused)))
        self.joint_a, self.joint_b = joint.split(batch)
        self.a, self.b = entropy_of_counts(joint.sum(2), height * width).split(batch)
        self.f = entropy_of_counts(self.joint_a.sum(1), height * width)
        self.af, self.bf = entropy_of_counts(joint, height * width).split(batch)
        self.information_a = _without_rounding(self.a + self.f - self.af)
        self.information_b = _without_rounding(self.b + self.f - self.bf)


def entropy(fused: ImageLike) -> Tensor:
    """EN: Shannon entropy of the grey-level histogram, (B,) in 0..8 bits. Source: facts C.2."""
    levels = _levels(prepare(fused)[0]).flatten(1)
    return entropy_of_counts(_histograms(levels, LEVELS), levels.shape[1])


def mutual_information_family(fused: ImageLike, a: ImageLike, b: ImageLike) -> dict[str, Tensor]:
    """MI: information of the fused image about both sources together.

    Returns:
        ``mi`` in bits, ``mi_nats`` in nats; I(A; F) + I(B; F), (B,) each in 0..16 bits. A constant source adds 0.

    Source: Qu, Zhang and Yan, Electronics Letters 38(7), 2002; facts C.2.
    """
    entropies = _Entropies(*(_levels(x) for x in prepare(fused, a, b)))
    bits = entropies.information_a + entropies.information_b
    return {"mi": bits, "mi_nats": bits * math.log(2.0)}


def mutual_information(fused: ImageLike, a: ImageLike, b: ImageLike) -> Tensor:
    """MI in bits, sum over the sources, (B,). See `mutual_information_family`."""
    return mutual_information_family(fused, a, b)["mi"]


def _share(information: Tensor, entropy_sum: Tensor) -> Tensor:
    """Information / entropy_sum, 0 where both images are constant."""
    return torch.where(entropy_sum > 0, information / entropy_sum, 0.0)


def normalised_mutual_information(fused: ImageLike, a: ImageLike, b: ImageLike) -> Tensor:
    """Q_MI: 2 · [I(A;F) / (H(A) + H(F)) + I(B;F) / (H(B) + H(F))] of the stretched images.

    Returns:
        (B,) in 0..2; a constant source adds 0. NaN where all three images are constant.

    Source: Hossny, Nahavandi and Creighton, Electronics Letters 44(18), 2008, code metricMI.m sw=1; facts C.2.
    """
    fused, a, b = (stretch(x) for x in prepare(fused, a, b))
    e = _Entropies(fused, a, b)
    score = 2.0 * (_share(e.information_a, e.a + e.f) + _share(e.information_b, e.b + e.f))
    return score.masked_fill((e.a + e.b + e.f) == 0, torch.nan)


def _tsallis_divergence(joint: Tensor, order: float, *, swapped: bool) -> Tensor:
    """Tsallis divergence of order q between a joint histogram and the product of its marginals, (B,).

    Args:
        joint: (B, 256, 256) counts, source first.
        order: q.
        swapped: Take the marginals the wrong way round, as the toolbox does.
    """
    p = joint.to(torch.float64)
    p = p / p.sum((1, 2), keepdim=True)
    rows, columns = p.sum(2), p.sum(1)
    if swapped:
        rows, columns = columns, rows
    product = rows.unsqueeze(2) * columns.unsqueeze(1)
    used = product > 0
    terms = torch.where(used, p.pow(order) * product.clamp(min=1e-300).pow(1.0 - order), 0.0)
    return (1.0 - terms.sum((1, 2))) / (1.0 - order)


def tsallis_family(fused: ImageLike, a: ImageLike, b: ImageLike) -> dict[str, Tensor]:
    """Mutual information in Tsallis entropy, of the stretched images.

    Returns:
        ``q_te``: Nava's form with q = 0.43137 as Liu's toolbox computes it, with the marginals swapped (a defect that
        every published value carries); ``q_te_correct``: the same by its definition; ``q_te_cvejic``: Cvejic's sum
        with q = 1.85, swapped as shipped. (B,) each. NaN where a source is constant.

    Source: Nava et al., 2007, and Cvejic et al., 2006, code metricMI.m sw=3 and sw=2; facts C.2.
    """
    fused, a, b = (stretch(x) for x in prepare(fused, a, b))
    e = _Entropies(fused, a, b)
    joint_ab = joint_histogram(a, b)
    scores = {}
    for key, swapped in (("q_te", True), ("q_te_correct", False)):
        numerator = _tsallis_divergence(e.joint_a, TSALLIS_NAVA, swapped=swapped) + _tsallis_divergence(
            e.joint_b, TSALLIS_NAVA, swapped=swapped
        )
        between = _tsallis_divergence(joint_ab, TSALLIS_NAVA, swapped=swapped)
        scores[key] = numerator / (e.a.pow(TSALLIS_NAVA) + e.b.pow(TSALLIS_NAVA) + between)
    scores["q_te_cvejic"] = _tsallis_divergence(e.joint_a, TSALLIS_CVEJIC, swapped=True) + _tsallis_divergence(
        e.joint_b, TSALLIS_CVEJIC, swapped=True
    )
    return {key: score.masked_fill((e.a == 0) & (e.b == 0), torch.nan) for key, score in scores.items()}


def q_ncie(fused: ImageLike, a: ImageLike, b: ImageLike) -> Tensor:
    """Q_NCIE: nonlinear correlation information entropy of the three stretched images.

    Args:
        fused: (B, 1, H, W) in 0..255.
        a: As ``fused``.
        b: As ``fused``.

    Returns:
        (B,); 0.80188 (= 1 − log2(3)/8) where the images share nothing, as constant ones do; real pairs reach
        0.803…0.83, so the third digit carries the result. 1 is the upper end.

    Source: Wang, Shen and Zhang, Physica D 200, 2005; Wang and Shen, 2008, code metricWang.m; facts C.2.
    """
    fused, a, b = (stretch(x) for x in prepare(fused, a, b))
    e = _Entropies(fused, a, b)
    between = _without_rounding(e.a + e.b - entropy_of_counts(joint_histogram(a, b), a[0].numel()))
    bits = math.log2(LEVELS)
    one = torch.ones_like(between)
    ab, af, bf = between / bits, e.information_a / bits, e.information_b / bits
    matrix = torch.stack((one, ab, af, ab, one, bf, af, bf, one), dim=1).view(-1, 3, 3)
    shares = torch.linalg.eigvalsh(matrix).clamp_(min=0.0) / 3.0
    return 1.0 + torch.xlogy(shares, shares).sum(1) / (math.log(2.0) * bits)

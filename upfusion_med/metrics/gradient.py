"""Gradient metrics: how much of the sources' edges, in strength and orientation, is in the fused image.

Four codes share the name Q^AB/F. Border, equality rule, constants and pooling differ (facts C.6), and with them the
values: on a medical pair with black background Hong's is 0.365 and Liu's 0.737. Never mix them.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from upfusion_med.metrics.filters import derivative_pair, row_strips, sobel
from upfusion_med.metrics.images import ImageLike, flatten_constant, prepare

_HALF_PI = math.pi / 2.0
#: Keeps zeros out of roots and quotients, which are slow at special values; far below any grey level.
_TINY = 1e-30
#: The largest single-precision number below 1: a ratio above it is 1.
_BELOW_ONE = 1.0 - 2.0**-24


def _angle_below_vertical(along_x: Tensor, along_y: Tensor) -> Tensor:
    """α − π/2 in (−π, 0], with Hong's α = atan(−y/x), y growing upwards, and α = π/2 where x is 0."""
    angle = torch.atan2(along_x, along_y)
    return angle.sub_(angle.sign().clamp_(min=0.0), alpha=math.pi)


def q_abf(fused: ImageLike, a: ImageLike, b: ImageLike) -> Tensor:
    """Q^AB/F in Hong's form: edge strength and orientation kept, weighted by the sources' edge strength.

    Args:
        fused: (B, 1, H, W) in 0..255.
        a: As ``fused``; a constant source has no edges and no weight (its frame from zero padding is not counted).
        b: As ``fused``.

    Returns:
        (B,) in 0..1, exact to 1e-7; identical images give 0.97533, not 1. NaN where no source has an edge.

    Source: Xydeas and Petrović, Electronics Letters 36(4), 2000, in the code of G. Hong, which sets the strength to the
    gradient itself where both are equal; facts C.6.
    """
    fused, a, b = prepare(fused, a, b)
    a, b = flatten_constant(a), flatten_constant(b)
    kept, total = fused.new_zeros(fused.shape[0]), fused.new_zeros(fused.shape[0])
    # Sobel sums of whole levels are exact in single precision; the maps lose 1e-7 in it, their sums are kept in double.
    batch, _, height, width = fused.shape
    images = fused.new_zeros(batch, 3, height + 2, width + 2, dtype=torch.float32)
    for channel, image in enumerate((fused, a, b)):
        images[:, channel, 1:-1, 1:-1] = image[:, 0]
    for strip in row_strips(images, overlap=2):
        along_x, along_y = derivative_pair(strip, centre_weight=2.0)
        angle = _angle_below_vertical(along_x, along_y)
        strength = along_x.square_().addcmul_(along_y, along_y).add_(_TINY).sqrt_()
        weight, fused_strength = strength[:, 1:], strength[:, :1]
        ratio = torch.minimum(weight, fused_strength).div_(torch.maximum(weight, fused_strength))
        # Hong: where the strengths are equal the ratio 1 is replaced by the strength.
        ratio.addcmul_(F.threshold(ratio, _BELOW_ONE, 0.0), weight - 1.0)
        turn = (angle[:, 1:] - angle[:, :1]).abs_().div_(_HALF_PI)
        kept_strength = ratio.sub_(0.5).mul_(15.0).sigmoid_()
        kept_angle = turn.neg_().add_(1.0 - 0.8).mul_(22.0).sigmoid_()
        # Over rows in single precision, where no more than a few hundred values meet; then in double.
        kept += kept_strength.mul_(kept_angle).mul_(weight).sum(3).sum((1, 2), dtype=torch.float64)
        total += weight.sum(3).sum((1, 2), dtype=torch.float64)
    return (kept * (0.9994 * 0.9879) / total).masked_fill(total < 1e-6, torch.nan)


def q_abf_xydeas(fused: ImageLike, a: ImageLike, b: ImageLike) -> Tensor:
    """Q_G of Liu's toolbox (metricXydeas): Q^AB/F as a plain mean over pixels.

    An empty background counts 0.9867 a pixel, so values of medical pairs are high and depend on the size of the field.

    Args:
        fused: (B, 1, H, W) in 0..255.
        a: As ``fused``.
        b: As ``fused``.

    Returns:
        (B,) in 0..0.9867. NaN where both sources are constant.

    Source: Liu et al., IEEE TPAMI 34(1), 2012, code metricXydeas.m; facts C.6.
    """
    fused, a, b = prepare(fused, a, b)
    a, b = flatten_constant(a), flatten_constant(b)
    along_x, along_y = sobel(torch.cat((fused, a, b), dim=1))
    strength = (along_x * along_x).addcmul_(along_y, along_y).sqrt_()
    angle = (along_y / along_x.masked_fill(along_x == 0, 1e-5)).atan_()
    source, fused_strength = strength[:, 1:], strength[:, :1]
    stronger = source > fused_strength
    source, fused_strength = (
        source.masked_fill(source == 0, 1e-5),
        fused_strength.masked_fill(fused_strength == 0, 1e-5),
    )
    ratio = torch.where(stronger, fused_strength / source, source / fused_strength)
    kept_strength = ((ratio - 0.5) * 10.0).sigmoid_()
    turn = ((angle[:, 1:] - angle[:, :1]).abs_() - _HALF_PI).abs_().mul_(1.0 / _HALF_PI)
    kept_angle = ((turn - 0.75) * 20.0).sigmoid_()
    score = (kept_strength * kept_angle * source).sum(1) / source.sum(1)
    empty = (a.flatten(1) == 0).all(1) & (b.flatten(1) == 0).all(1)
    return score.mean((1, 2)).masked_fill(empty, torch.nan)


def edge_transfer(fused: ImageLike, a: ImageLike, b: ImageLike) -> dict[str, Tensor]:
    """Petrović's balance of edges in Kumar's form: kept, lost and invented.

    Args:
        fused: (B, 1, H, W) in 0..255.
        a: As ``fused``.
        b: As ``fused``.

    Returns:
        ``q_abf_kumar`` (kept), ``l_abf`` (lost) and ``n_abf`` (artefacts: edges stronger than in both sources), (B,)
        each; they add up to 1. NaN where both sources are constant.

    Source: Kumar, Signal, Image and Video Processing 7, 2013, with the arguments in the right order; facts C.6.
    """
    fused, a, b = prepare(fused, a, b)
    a, b = flatten_constant(a), flatten_constant(b)
    padded = F.pad(torch.cat((fused, a, b), dim=1), (1, 1, 1, 1), mode="reflect")
    along_x, along_y = (d / 8.0 for d in derivative_pair(padded, centre_weight=2.0))
    strength = (along_x.square() + along_y.square()).sqrt_()
    angle = (along_x / along_y).atan_().masked_fill_((along_x == 0) & (along_y == 0), 0.0)
    source, fused_strength = strength[:, 1:], strength[:, :1]
    low, high = torch.minimum(source, fused_strength), torch.maximum(source, fused_strength)
    ratio = low / high.clamp(min=_TINY)
    kept_strength = ((ratio - 0.5) * 19.0).sigmoid_() * 0.9999
    turn = ((angle[:, 1:] - angle[:, :1]).abs_() - _HALF_PI).abs_() / _HALF_PI
    kept_angle = ((turn - 0.5) * 22.0).sigmoid_() * 0.9995
    kept = (kept_strength * kept_angle).sqrt_()
    weight = torch.where(source >= 2.0, source.pow(1.5), 0.001)
    missing = ((1.0 - kept) * weight).sum(1)
    invented = (fused_strength[:, 0] > source[:, 0]) & (fused_strength[:, 0] > source[:, 1])
    total = weight.sum((1, 2, 3))
    empty = (a.flatten(1) == 0).all(1) & (b.flatten(1) == 0).all(1)
    scores = {
        "q_abf_kumar": (kept * weight).sum((1, 2, 3)) / total,
        "l_abf": (missing * ~invented).sum((1, 2)) / total,
        "n_abf": (missing * invented).sum((1, 2)) / total,
    }
    return {key: score.masked_fill(empty, torch.nan) for key, score in scores.items()}


def n_abf(fused: ImageLike, a: ImageLike, b: ImageLike) -> Tensor:
    """N^AB/F: share of edge weight that stands for invented edges, (B,) in 0..1. See `edge_transfer`."""
    return edge_transfer(fused, a, b)["n_abf"]

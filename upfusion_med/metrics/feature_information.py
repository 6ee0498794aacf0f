"""FMI: mutual information of local features, from the joint distribution that two windows' profiles allow.

Every 3×3 window, rescaled to sum 1, is taken as a distribution over its nine cells; the joint distribution of two such
windows is bounded by its marginals and chosen by their correlation. Tang's toolbox prints the edge variant under the
name FMI_pixel.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from upfusion_med.core import UsageError
from upfusion_med.metrics.images import ImageLike, is_constant, mean_over_sources, prepare
from upfusion_med.metrics.structure import check_side

FEATURES = ("pixels", "gradient", "dct", "edge")
_CELLS = 9
#: MATLAB reads a window column by column.
_COLUMN_ORDER = (0, 3, 6, 1, 4, 7, 2, 5, 8)
#: Windows at a time; each needs several 9×9 tables.
_CHUNK = 2048


def _dct_matrix(length: int, device: torch.device) -> Tensor:
    """Orthonormal DCT-II matrix."""
    k = torch.arange(length, dtype=torch.float64, device=device)
    matrix = torch.cos(math.pi * k.view(-1, 1) * (2.0 * k + 1.0) / (2.0 * length)) * math.sqrt(2.0 / length)
    matrix[0] /= math.sqrt(2.0)
    return matrix


def _sobel_edges(images: Tensor) -> Tensor:
    """Binary edge map: Sobel strength above twice its root mean square and a maximum along x or y (GNU Octave)."""
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
    across = padded[..., :, 2:] - padded[..., :, :-2]
    along_x = across[..., :-2, :] + 2.0 * across[..., 1:-1, :] + across[..., 2:, :]
    down = padded[..., 2:, :] - padded[..., :-2, :]
    along_y = down[..., :, :-2] + 2.0 * down[..., :, 1:-1] + down[..., :, 2:]
    squared = along_x.square() + along_y.square()
    strength = squared.sqrt()
    around = F.pad(strength, (1, 1, 1, 1))
    centre = around[..., 1:-1, 1:-1]
    peak_x = (centre > around[..., 1:-1, :-2]) & (centre > around[..., 1:-1, 2:])
    peak_y = (centre > around[..., :-2, 1:-1]) & (centre > around[..., 2:, 1:-1])
    strong = squared > 4.0 * squared.mean((2, 3), keepdim=True)
    return (strong & (peak_x | peak_y)).to(images.dtype)


def feature_image(images: Tensor, feature: str) -> Tensor:
    """The image that windows are taken from.

    Args:
        images: (B, 1, H, W).
        feature: ``pixels``, ``gradient`` (horizontal central difference, one-sided at the border), ``dct`` (of the
            whole image) or ``edge``.

    Raises:
        UsageError: another feature.
    """
    if feature == "pixels":
        return images
    if feature == "gradient":
        return torch.gradient(images, dim=3)[0]
    if feature == "dct":
        rows, columns = _dct_matrix(images.shape[2], images.device), _dct_matrix(images.shape[3], images.device)
        return rows @ images @ columns.T
    if feature == "edge":
        return _sobel_edges(images)
    raise UsageError(f"There is no feature {feature!r} for FMI; known are {', '.join(FEATURES)}.")


def _windows(features: Tensor) -> Tensor:
    """(B · positions, 9) interior 3×3 windows, cells column by column."""
    cells = F.unfold(features, 3)[:, list(_COLUMN_ORDER)]
    return cells.transpose(1, 2).reshape(-1, _CELLS)


def _distributions(windows: Tensor) -> Tensor:
    """Windows rescaled to 0…1 (a flat one to ones) and divided by their sum."""
    low, high = windows.amin(1, keepdim=True), windows.amax(1, keepdim=True)
    flat = high == low
    scaled = (windows - low) / (high - low).masked_fill(flat, 1.0)
    scaled = scaled.masked_fill(flat, 1.0)
    return scaled / scaled.sum(1, keepdim=True)


def _entropy(p: Tensor) -> Tensor:
    """−Σ p log2|p| over the last dimensions; joint tables can hold small negative cells."""
    return -torch.xlogy(p, p.abs()).flatten(1).sum(1) / math.log(2.0)


def _window_scores(source: Tensor, fused: Tensor) -> Tensor:
    """Normalised mutual information 2 I / (H_x + H_f) of windows, (n, 9) each to (n,)."""
    p_x, p_f = _distributions(source), _distributions(fused)
    cell = torch.arange(1, _CELLS + 1, dtype=p_x.dtype, device=p_x.device)
    deviations = []
    for p in (p_x, p_f):
        mean = (p * cell).sum(1, keepdim=True)
        deviations.append(((cell - mean).square() * p).sum(1).clamp_(min=0.0).sqrt_())
    spread = deviations[0] * deviations[1]
    centred_x, centred_f = p_x - 1.0 / _CELLS, p_f - 1.0 / _CELLS
    covariance = (centred_x * centred_f).sum(1)
    norm = (centred_x.square().sum(1) * centred_f.square().sum(1)).sqrt_()
    correlation = torch.where(norm > 0, covariance / norm, 0.0)
    # Two flat windows correlate perfectly by rounding in the reference code, and its values rest on that.
    flat_x, flat_f = source.amax(1) == source.amin(1), fused.amax(1) == fused.amin(1)
    correlation = torch.where(flat_x & flat_f, 1.0, torch.where(flat_x | flat_f, 0.0, correlation))
    sum_f, sum_x = p_f.cumsum(1).unsqueeze(2), p_x.cumsum(1).unsqueeze(1)
    positive = (correlation >= 0).view(-1, 1, 1)
    bound = torch.where(positive, torch.minimum(sum_f, sum_x), (sum_f + sum_x - 1.0).clamp(min=0.0))
    reach = (bound - sum_f * sum_x).sum((1, 2))
    mixing = torch.where((correlation == 0) | (spread == 0), 0.0, correlation * spread / reach).view(-1, 1, 1)
    table = F.pad(bound, (1, 0, 1, 0))
    table = table[:, 1:, 1:] - table[:, :-1, 1:] - table[:, 1:, :-1] + table[:, :-1, :-1]
    joint = mixing * table + (1.0 - mixing) * p_f.unsqueeze(2) * p_x.unsqueeze(1)
    entropy_x, entropy_f = _entropy(p_x), _entropy(p_f)
    information = entropy_x + entropy_f - _entropy(joint)
    return torch.where(information == 0, 0.0, 2.0 * information / (entropy_x + entropy_f))


def feature_mutual_information(fused: ImageLike, a: ImageLike, b: ImageLike, feature: str = "pixels") -> Tensor:
    """FMI with 3×3 windows: mean normalised mutual information of the windows with both sources.

    As shipped by its author: equal windows score 1, but where the fused window differs from a's, b's is compared with
    its rescaled copy instead (relative effect below 1e-4, in windows with a single grey level of 1).

    Args:
        fused: (B, 1, H, W) in 0..255.
        a: As ``fused``; a constant source is left out.
        b: As ``fused``.
        feature: See `feature_image`.

    Returns:
        (B,), about 0…1. NaN where both sources are constant.

    Source: Haghighat, Aghagolzadeh and Seyedarabi, Computers & Electrical Engineering 37(5), 2011; Haghighat and
    Razian, AICT 2014 (fast form); facts C.2.
    """
    fused, a, b = prepare(fused, a, b)
    check_side(fused, 3, "FMI")
    batch = fused.shape[0]
    of_f, of_a, of_b = (_windows(feature_image(x, feature)) for x in (fused, a, b))
    equals_a = (of_a == of_f).all(1)
    equals_b = torch.where(equals_a, (of_b == of_f).all(1), (of_b == _distributions(of_f)).all(1))
    scores = []
    for source, equal in ((of_a, equals_a), (of_b, equals_b)):
        parts = [_window_scores(x, f) for x, f in zip(source.split(_CHUNK), of_f.split(_CHUNK), strict=True)]
        scores.append(torch.where(equal, 1.0, torch.cat(parts)).view(batch, -1).mean(1))
    score = mean_over_sources(scores[0], scores[1], a, b)
    return score.masked_fill(is_constant(a) & is_constant(b), torch.nan)

"""How far the colours of a fused picture have moved from those of the functional picture.

Colour says uptake. Fusion changes luminance on purpose, so beside the full colour difference there are measures that
ignore lightness. All are taken inside the coloured area of the functional picture: where it is grey or black it says
nothing that could be lost.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from upfusion_med.core import LUMA_WEIGHTS, InputError
from upfusion_med.metrics.images import ImageLike, as_colour_batch

#: A pixel is coloured where its largest and smallest channel differ by more than this many levels.
COLOURED_RANGE = 40.0
#: sRGB primaries to CIE XYZ, D65 (IEC 61966-2-1), and the white they add up to.
_XYZ_FROM_RGB = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)


def lab_from_srgb(pictures: Tensor) -> Tensor:
    """CIE L*a*b* (D65) of sRGB pictures, (B, 3, H, W) in 0..255 to (B, 3, H, W)."""
    levels = pictures / 255.0
    linear = torch.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055).pow(2.4))
    matrix = pictures.new_tensor(_XYZ_FROM_RGB)
    matrix = matrix / matrix.sum(1, keepdim=True)
    xyz = torch.einsum("ij,bjhw->bihw", matrix, linear)
    root = torch.where(xyz > (6.0 / 29.0) ** 3, xyz.pow(1.0 / 3.0), xyz / (3.0 * (6.0 / 29.0) ** 2) + 4.0 / 29.0)
    x, y, z = root.unbind(1)
    return torch.stack((116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)), dim=1)


def ciede2000(first: Tensor, second: Tensor, *, with_lightness: bool = True) -> Tensor:
    """CIEDE2000 colour difference with k_L = k_C = k_H = 1.

    Args:
        first: (B, 3, …) L*a*b*.
        second: As ``first``.
        with_lightness: False leaves the lightness term out (k_L infinite).

    Returns:
        (B, …); 1 is about the smallest difference an observer sees side by side.

    Source: Sharma, Wu and Dalal, Color Research and Application 30(1), 2005.
    """
    (l1, a1, b1), (l2, a2, b2) = first.unbind(1), second.unbind(1)
    mean_chroma = ((a1.square() + b1.square()).sqrt() + (a2.square() + b2.square()).sqrt()) / 2.0
    seventh = mean_chroma.pow(7)
    gain = 1.0 + 0.5 * (1.0 - (seventh / (seventh + 25.0**7)).sqrt())
    a1, a2 = a1 * gain, a2 * gain
    c1, c2 = (a1.square() + b1.square()).sqrt(), (a2.square() + b2.square()).sqrt()
    h1, h2 = torch.atan2(b1, a1) % (2.0 * math.pi), torch.atan2(b2, a2) % (2.0 * math.pi)
    grey = c1 * c2 == 0
    turn = h2 - h1
    turn = torch.where(turn > math.pi, turn - 2.0 * math.pi, torch.where(turn < -math.pi, turn + 2.0 * math.pi, turn))
    turn = turn.masked_fill(grey, 0.0)
    far = (h1 - h2).abs() > math.pi
    hue = (h1 + h2) / 2.0
    hue = torch.where(far, torch.where(h1 + h2 < 2.0 * math.pi, hue + math.pi, hue - math.pi), hue)
    hue = torch.where(grey, h1 + h2, hue)
    lightness, chroma = (l1 + l2) / 2.0, (c1 + c2) / 2.0
    t = (
        1.0
        - 0.17 * torch.cos(hue - math.radians(30))
        + 0.24 * torch.cos(2.0 * hue)
        + 0.32 * torch.cos(3.0 * hue + math.radians(6))
        - 0.20 * torch.cos(4.0 * hue - math.radians(63))
    )
    rotation_angle = torch.exp(-(((torch.rad2deg(hue) - 275.0) / 25.0) ** 2)) * math.radians(30)
    seventh = chroma.pow(7)
    rotation = -torch.sin(2.0 * rotation_angle) * 2.0 * (seventh / (seventh + 25.0**7)).sqrt()
    offset = (lightness - 50.0).square()
    by_lightness = (l2 - l1) / (1.0 + 0.015 * offset / (20.0 + offset).sqrt())
    by_chroma = (c2 - c1) / (1.0 + 0.045 * chroma)
    by_hue = 2.0 * (c1 * c2).sqrt() * torch.sin(turn / 2.0) / (1.0 + 0.015 * chroma * t)
    squared = by_chroma.square() + by_hue.square() + rotation * by_chroma * by_hue
    if with_lightness:
        squared = squared + by_lightness.square()
    return squared.clamp(min=0.0).sqrt()


def coloured_area(functional: Tensor) -> Tensor:
    """(B, H, W) bool: where the functional picture (B, 3, H, W) has colour to lose."""
    return functional.amax(1) - functional.amin(1) > COLOURED_RANGE


def _mean_inside(values: Tensor, inside: Tensor) -> Tensor:
    """(B,) mean of (B, H, W) values where ``inside``; NaN where that is nowhere."""
    return torch.where(inside, values, 0.0).sum((1, 2)) / inside.sum((1, 2))


def _chroma_angle(pictures: Tensor) -> Tensor:
    """Angle of (Cb, Cr) of BT.601 full range, (B, H, W) in radians."""
    red, _, blue = pictures.unbind(1)
    luma = (pictures * pictures.new_tensor(LUMA_WEIGHTS).view(1, 3, 1, 1)).sum(1)
    return torch.atan2((red - luma) / 1.402, (blue - luma) / 1.772)


def _saturation(pictures: Tensor) -> Tensor:
    """HSV saturation, (B, H, W) in 0..1; 0 for black."""
    high = pictures.amax(1)
    return (high - pictures.amin(1)) / high.masked_fill(high == 0, 1.0)


def colour_fidelity(fused: ImageLike, functional: ImageLike) -> dict[str, Tensor]:
    """Colour measures of a fused picture against the functional picture it was made from, where that is coloured.

    Args:
        fused: (H, W, 3) or (B, 3, H, W), sRGB in 0..255.
        functional: As ``fused``.

    Returns:
        ``ciede2000``: mean CIEDE2000 difference; ``ciede2000_chroma``: the same without its lightness term;
        ``hue_turned``: mean turn of the Cb/Cr angle in degrees; ``saturation_kept``: mean HSV saturation of the fused
        picture over that of the functional one. (B,) each; NaN where the functional picture has no colour.

    Raises:
        InputError: shapes differ, or a picture is not colour.
    """
    fused, functional = (
        as_colour_batch(fused, "the fused picture"),
        as_colour_batch(functional, "the functional picture"),
    )
    if fused.shape != functional.shape:
        raise InputError(
            f"The fused picture has shape {tuple(fused.shape)}, the functional one {tuple(functional.shape)}; "
            "expected one shape."
        )
    inside = coloured_area(functional)
    lab_fused, lab_functional = lab_from_srgb(fused), lab_from_srgb(functional)
    turn = (_chroma_angle(fused) - _chroma_angle(functional)).abs()
    turn = torch.minimum(turn, 2.0 * math.pi - turn)
    return {
        "ciede2000": _mean_inside(ciede2000(lab_functional, lab_fused), inside),
        "ciede2000_chroma": _mean_inside(ciede2000(lab_functional, lab_fused, with_lightness=False), inside),
        "hue_turned": _mean_inside(torch.rad2deg(turn), inside),
        "saturation_kept": _mean_inside(_saturation(fused), inside) / _mean_inside(_saturation(functional), inside),
    }

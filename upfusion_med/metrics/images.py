"""What a metric accepts: grey images in 0..255 as (B, 1, H, W) double precision tensors.

Every public metric passes its images through `prepare`, so that wrong shapes and values that are not finite are refused
at the door, with the name of the image that is wrong.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from upfusion_med.core import LUMA_WEIGHTS, InputError

#: What callers may pass: (H, W), (H, W, 3), (B, 1, H, W) or (B, 3, H, W), numpy or torch, values in 0..255.
ImageLike: TypeAlias = "Tensor | NDArray[Any]"

#: As in MATLAB's rgb2gray and every fusion paper's preprocessing.
LUMA_PER_MILLE = tuple(round(1000 * weight) for weight in LUMA_WEIGHTS)

_NAMES = ("the fused image", "source a", "source b")


def _names(count: int) -> tuple[str, ...]:
    """How messages call the images of one comparison."""
    return _NAMES if count == len(_NAMES) else tuple(f"image {k + 1}" for k in range(count))


def luminance(red_green_blue: Tensor) -> Tensor:
    """Luma of a colour image, rounded to whole grey levels.

    Args:
        red_green_blue: (B, 3, H, W) in 0..255.

    Returns:
        (B, 1, H, W): floor(0.299 R + 0.587 G + 0.114 B + 0.5), of whole levels in whole numbers: no float decides.
    """
    weights = red_green_blue.new_tensor(LUMA_PER_MILLE).view(1, 3, 1, 1)
    return (red_green_blue * weights).sum(1, keepdim=True).add_(500).div_(1000).floor_()


def round_to_levels(images: Tensor) -> Tensor:
    """Whole grey levels, floor(v + 0.5): what is left of an image in 0..255 once it is saved in 8 bits."""
    return (images + 0.5).floor_()


def _as_tensor(image: ImageLike, name: str) -> Tensor:
    """(B, channels, H, W) float64 of any accepted shape, finite."""
    if isinstance(image, Tensor):
        tensor = image.detach()
    else:
        array = np.asarray(image)
        # Metrics never write into their inputs, so an ordinary array need not be copied.
        plain = array.flags.c_contiguous and array.flags.writeable and array.dtype.isnative
        tensor = torch.from_numpy(array if plain else np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))
    if tensor.is_complex():
        raise InputError(f"In {name}, values are complex; expected real grey levels in 0..255.")
    tensor = tensor.to(torch.float64)
    if tensor.ndim == 3 and tensor.shape[2] == 3:
        tensor = tensor.permute(2, 0, 1)[None]
    elif tensor.ndim == 2:
        tensor = tensor[None, None]
    if tensor.ndim != 4 or tensor.shape[1] not in (1, 3) or 0 in tensor.shape:
        raise InputError(
            f"For {name}, got shape {tuple(image.shape)}; expected (H, W), (H, W, 3), (B, 1, H, W) or (B, 3, H, W) "
            "with at least one pixel."
        )
    if not bool(torch.isfinite(tensor.sum())):
        count = int((~torch.isfinite(tensor)).sum())
        raise InputError(
            f"In {name}, {count} of {tensor.numel()} values are not finite; expected grey levels in 0..255. "
            "Find out where they come from before scoring the image; a metric of them would mean nothing."
        )
    return tensor


def is_colour(image: ImageLike) -> bool:
    """Whether an image has three channels, by its shape."""
    return (image.ndim == 3 and image.shape[2] == 3) or (image.ndim == 4 and image.shape[1] == 3)


def as_batch(image: ImageLike, name: str = "the image") -> Tensor:
    """One image or batch as (B, 1, H, W) float64; colour becomes luminance.

    Args:
        image: (H, W), (H, W, 3), (B, 1, H, W) or (B, 3, H, W); numpy array or tensor, values in 0..255.
        name: How messages call the image.

    Raises:
        InputError: another shape, an empty image, or values that are not finite.
    """
    tensor = _as_tensor(image, name)
    return luminance(tensor) if tensor.shape[1] == 3 else tensor.contiguous()


def as_colour_batch(picture: ImageLike, name: str = "the picture") -> Tensor:
    """One colour picture or batch as (B, 3, H, W) float64.

    Args:
        picture: (H, W, 3) or (B, 3, H, W) in 0..255.
        name: How messages call the picture.

    Raises:
        InputError: it is not colour, empty, or not finite.
    """
    tensor = _as_tensor(picture, name)
    if tensor.shape[1] != 3:
        raise InputError(f"For {name}, got shape {tuple(picture.shape)}; expected (H, W, 3) or (B, 3, H, W).")
    return tensor.contiguous()


def prepare(*images: ImageLike) -> tuple[Tensor, ...]:
    """Images of one comparison (fused, a, b), checked together.

    Returns:
        As many (B, 1, H, W) float64 tensors of one shape, on the device of the first.

    Raises:
        InputError: see `as_batch`; the shapes or devices differ.
    """
    names = _names(len(images))
    batches = tuple(as_batch(image, name) for image, name in zip(images, names, strict=True))
    for batch, name in zip(batches[1:], names[1:], strict=True):
        if batch.shape != batches[0].shape:
            raise InputError(
                f"{names[0].capitalize()} has shape {tuple(batches[0].shape)}, {name} {tuple(batch.shape)}; expected "
                "one shape. Bring the images to one grid first."
            )
        if batch.device != batches[0].device:
            raise InputError(f"{names[0].capitalize()} is on {batches[0].device}, {name} on {batch.device}.")
    return batches


def refuse_unit_scale(*images: Tensor) -> None:
    """Stop where an image lies in 0..1 without being black or binary: then 0..255 was forgotten.

    Raises:
        InputError: an image does not exceed 1 and holds a fraction, or a value lies outside 0..255.
    """
    ends = [torch.aminmax(image) for image in images]
    lowest, highest = min(float(low) for low, _ in ends), max(float(high) for _, high in ends)
    if lowest < -0.5 or highest >= 255.5:
        raise InputError(
            f"The images reach from {lowest:g} to {highest:g}; expected grey levels in 0..255. Window them first."
        )
    for image, (_, high), name in zip(images, ends, _names(len(images)), strict=True):
        if 0.0 < float(high) <= 1.0 and bool((image != image.round()).any()):
            raise InputError(
                f"The largest value of {name} is {float(high):g}: it seems to be on the scale 0..1. Expected 0..255; "
                "multiply by 255."
            )


def is_constant(images: Tensor) -> Tensor:
    """(B,) bool: whether all pixels of an image have one value."""
    flat = images.flatten(1)
    # A few pixels nearly always tell; only where they agree is the whole image read. An odd step leaves no column out.
    sample = flat[:, :: flat.shape[1] // 64 | 1]
    constant = (sample == sample[:, :1]).all(1)
    if not bool(constant.any()):
        return constant
    return flat.amax(1) == flat.amin(1)


def flatten_constant(images: Tensor) -> Tensor:
    """Images where every constant one is replaced by zeros, so that zero padding draws no frame around it."""
    constant = is_constant(images)
    if not bool(constant.any()):
        return images
    return images.masked_fill(constant.view(-1, 1, 1, 1), 0.0)


def stretch(images: Tensor) -> Tensor:
    """Grey levels stretched to 0..255 and rounded, image by image (`normalize1` of Liu's toolbox).

    A constant image becomes zero; the toolbox stops there or returns NaN, except for zero itself (facts C.9).

    Args:
        images: (B, 1, H, W).
    """
    low = images.amin((2, 3), keepdim=True)
    span = images.amax((2, 3), keepdim=True) - low
    stretched = (images - low).mul_(255.0).div_(span.masked_fill(span == 0, 1.0))
    return stretched.add_(0.5).floor_()


def mean_over_sources(score_a: Tensor, score_b: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Mean of two scores per image; a constant source takes no part in it.

    A constant source holds nothing that a fused image could keep: its score is 0/0 or a perfect 1 by accident.

    Args:
        score_a: (B,) score against source a.
        score_b: (B,) score against source b.
        a: (B, 1, H, W) source a.
        b: (B, 1, H, W) source b.

    Returns:
        (B,); NaN where both sources are constant.
    """
    counts_a, counts_b = ~is_constant(a), ~is_constant(b)
    number = counts_a.to(torch.float64) + counts_b.to(torch.float64)
    total = torch.where(counts_a, score_a, 0.0) + torch.where(counts_b, score_b, 0.0)
    return total / number

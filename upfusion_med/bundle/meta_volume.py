"""Volumes of this package as MONAI's tensors with metadata, and back: the one place that moves the channel axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from torch import Tensor

from upfusion_med.core import GREY_LEVELS, RGB_LEVELS, Geometry, InputError, Modality, Volume

#: Channels of a colour image.
_RGB = 3
#: Corners that are nearer than this lie in one place; NIfTI's quaternions and matrices of one grid differ by less.
SAME_PLACE_MM = 0.1


def to_meta(volume: Volume, **meta: Any) -> MetaTensor:
    """(1, X, Y, Z), or (3, X, Y, Z) of a colour volume; affine RAS+ millimetres, what the values mean in ``meta``."""
    array = np.moveaxis(volume.array, 3, 0) if volume.is_rgb else volume.array[None]
    facts = {
        "units": volume.units,
        "modality": volume.modality.value,
        "is_picture": volume.is_picture,
        "frame_of_reference_uid": volume.frame_of_reference_uid,
        "notes": dict(volume.notes),
    }
    tensor = torch.from_numpy(np.array(array, order="C"))
    return MetaTensor(tensor, affine=torch.from_numpy(volume.affine.copy()), meta={**facts, **meta})


def to_volume(image: Tensor) -> Volume:
    """The volume of a (1, X, Y, Z) or (3, X, Y, Z) tensor; a tensor without metadata lies at the identity affine.

    Raises:
        InputError: another shape.
    """
    if image.ndim != 4 or image.shape[0] not in (1, _RGB):
        raise InputError(f"An image in memory has shape {tuple(image.shape)}; expected (1, X, Y, Z) or (3, X, Y, Z).")
    values = np.array(torch.as_tensor(image).detach().cpu().numpy())
    is_rgb = image.shape[0] == _RGB
    meta = image.meta if isinstance(image, MetaTensor) else {}
    return Volume(
        np.ascontiguousarray(np.moveaxis(values, 0, 3)) if is_rgb else values[0],
        np.asarray(image.affine, np.float64) if isinstance(image, MetaTensor) else np.eye(4),
        str(meta.get("units") or (RGB_LEVELS if is_rgb else GREY_LEVELS)),
        Modality(meta.get("modality", Modality.UNKNOWN.value)),
        bool(meta.get("is_picture", False)),
        meta.get("frame_of_reference_uid"),
        meta.get("notes") or {},
    )


def on_one_grid(first: Tensor, second: Tensor) -> bool:
    """Whether two (C, X, Y, Z) tensors have the same voxels: one shape and, where both have metadata, one place."""
    if first.shape[1:] != second.shape[1:]:
        return False
    if first.ndim != 4 or not (isinstance(first, MetaTensor) and isinstance(second, MetaTensor)):
        return True
    i, j, k = first.shape[1:]
    grids = [Geometry((i, j, k), np.asarray(x.affine.cpu(), np.float64)) for x in (first, second)]
    return grids[0].same_grid(grids[1], SAME_PLACE_MM)


def like(array: Tensor, source: Tensor, **meta: Any) -> Tensor:
    """``array`` at the place of ``source`` and with its metadata, where that has some; ``meta`` on top."""
    if not isinstance(source, MetaTensor):
        return array
    kept = {key: value for key, value in source.meta.items() if key != "affine"}
    return MetaTensor(
        array,
        affine=source.affine,
        meta={**kept, **meta},
        applied_operations=list(source.applied_operations),
    )

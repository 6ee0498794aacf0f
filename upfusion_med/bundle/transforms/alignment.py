"""A functional image on the grid of the MRI."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import InvertibleTransform, MapTransform
from torch import Tensor

from upfusion_med.bundle.meta_volume import like, to_meta, to_volume
from upfusion_med.core import Geometry
from upfusion_med.inference.alignment import AUTO, align
from upfusion_med.transforms.resample import resample_to


class AlignToMRI(InvertibleTransform):
    """Resample an image onto the grid of an MRI, registered first where that is asked for or due; linear.

    Outside the image's field of view the result is 0 in the image's unit. In CT that is water: window it first.

    The result carries the MRI's affine, and in ``meta`` ``alignment`` (what was done, in words) and
    ``alignment_warnings``. The inverse brings an image on the MRI's grid back onto the grid that the moving image had:
    what lies outside the MRI's field of view is 0 then, and detail finer than either grid is lost.

    Args:
        mode: ``auto`` (positions in the files; registered rigidly where the frames of reference are known to differ),
            ``never``, ``rigid``, or the path of an ITK transform file from the MRI's space to the image's.
    """

    def __init__(self, mode: str | os.PathLike[str] = AUTO) -> None:
        super().__init__()
        self.mode = mode

    def __call__(self, image: Tensor, mri: Tensor) -> Tensor:  # type: ignore[override]
        """Align.

        Args:
            image: (1 or 3, X, Y, Z) with its own affine.
            mri: (1 or 3, I, J, K).

        Returns:
            (1 or 3, I, J, K), 0 outside the image's field of view.

        Raises:
            InputError: the images do not overlap or cannot be registered.
            UsageError: an unknown mode.
        """
        moving = to_volume(image)
        found = align(to_volume(mri), moving, self.mode)
        words = {"alignment": found.facts["how"], "alignment_warnings": list(found.warnings)}
        aligned = to_meta(found.functional)
        kept = image.meta if isinstance(image, MetaTensor) else {}
        result = MetaTensor(
            aligned.as_tensor(),
            affine=aligned.affine,
            meta={**{k: v for k, v in kept.items() if k not in ("affine", "spatial_shape")}, **aligned.meta, **words},
            applied_operations=list(image.applied_operations) if isinstance(image, MetaTensor) else [],
        )
        matrix = np.eye(4) if found.matrix is None else found.matrix
        self.push_transform(
            result,
            orig_size=moving.geometry.shape,
            extra_info={"grid": moving.affine.tolist(), "matrix": matrix.tolist()},
        )
        return result

    def inverse(self, image: Tensor) -> Tensor:
        """An image on the MRI's grid, on the grid of the moving image again."""
        trace = self.pop_transform(image)
        extra = trace["extra_info"]
        grid = Geometry(tuple(trace["orig_size"]), np.array(extra["grid"], np.float64))
        back = np.linalg.inv(np.array(extra["matrix"], np.float64))
        identical = np.array_equal(back, np.eye(4))
        volume, _ = resample_to(to_volume(image), grid, transform=None if identical else back)
        restored = like(to_meta(volume).as_tensor(), image)
        if isinstance(restored, MetaTensor):
            restored.affine = torch.from_numpy(grid.affine.copy())
        return restored


class AlignToMRId(MapTransform, InvertibleTransform):
    """Dictionary version of `AlignToMRI`.

    Args:
        keys: Keys of the images that are moved.
        mri_key: Key of the MRI, which stays as it is.
        mode: See `AlignToMRI`.
        allow_missing_keys: Pass over keys that are not there.
    """

    def __init__(
        self,
        keys: KeysCollection,
        mri_key: str = "mri",
        mode: str | os.PathLike[str] = AUTO,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.mri_key, self.transform = mri_key, AlignToMRI(mode)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Align each key."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = self.transform(result[key], result[self.mri_key])
        return result

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Bring each key back onto its own grid."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = self.transform.inverse(result[key])
        return result

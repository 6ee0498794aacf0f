"""A fused luminance under the colours of the uptake."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Transform
from torch import Tensor

from upfusion_med.bundle.meta_volume import like, on_one_grid
from upfusion_med.core import RGB_LEVELS, InputError
from upfusion_med.transforms import colour, luts


class Recolor(Transform):
    """Give a fused luminance the chroma of a colour table at the uptake; colours outside the gamut are made paler.

    Args:
        lut: Name of a colour table (``upfusion info`` lists them).

    Raises:
        UsageError: an unknown table.
    """

    def __init__(self, lut: str = luts.DEFAULT_LUT) -> None:
        self.lut = luts.get_lut(lut)

    def __call__(self, luminance: Tensor, uptake: Tensor) -> Tensor:  # type: ignore[override]
        """Colour (1, X, Y, Z) luminance in 0..1 by uptake of the same shape in 0..1: (3, X, Y, Z) uint8.

        Raises:
            InputError: the grids differ, or there is more than one channel.
        """
        if luminance.shape != uptake.shape or luminance.shape[0] != 1:
            raise InputError(
                f"Luminance and uptake have the shapes {tuple(luminance.shape)} and {tuple(uptake.shape)}; expected "
                "(1, X, Y, Z) of one grid."
            )
        if not on_one_grid(luminance, uptake):
            raise InputError(
                "Luminance and uptake have one shape, but their affines differ: they lie in two places. Resample the "
                "uptake first (AlignToMRI)."
            )
        light, values = (np.asarray(torch.as_tensor(x)[0].cpu().numpy(), np.float32) for x in (luminance, uptake))
        rgb = colour.compose(light, colour.lut_chroma(values, self.lut))
        return like(torch.from_numpy(np.ascontiguousarray(np.moveaxis(rgb, -1, 0))), luminance, units=RGB_LEVELS)


class Recolord(MapTransform):
    """Dictionary version of `Recolor`.

    Args:
        keys: Keys of fused luminances.
        uptake_key: Key of the uptake in 0..1 on the same grid.
        lut: See `Recolor`.
        allow_missing_keys: Pass over keys that are not there.
    """

    def __init__(
        self,
        keys: KeysCollection,
        uptake_key: str,
        lut: str = luts.DEFAULT_LUT,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.uptake_key, self.transform = uptake_key, Recolor(lut)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Colour each key."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = self.transform(result[key], result[self.uptake_key])
        return result

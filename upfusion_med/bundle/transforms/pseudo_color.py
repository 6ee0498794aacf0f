"""Uptake in the colours of a table."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Transform
from torch import Tensor

from upfusion_med.bundle.meta_volume import like
from upfusion_med.core import RGB_LEVELS, InputError
from upfusion_med.transforms import colour, luts


class PseudoColor(Transform):
    """Colours of uptake in 0..1: (1, ...) to (3, ...) uint8 levels 0..255; hotter is never darker.

    Not invertible: rounding to 8 bits and tables whose luminance is level map different uptakes onto one colour.

    Args:
        lut: Name of a colour table (``upfusion info`` lists them).

    Raises:
        UsageError: an unknown table.
    """

    def __init__(self, lut: str = luts.DEFAULT_LUT) -> None:
        self.lut = luts.get_lut(lut)

    def __call__(self, uptake: Tensor) -> Tensor:
        """Colour the uptake.

        Raises:
            InputError: more than one channel.
        """
        if uptake.shape[0] != 1:
            raise InputError(f"The uptake has shape {tuple(uptake.shape)}; expected one channel, (1, ...).")
        values = np.asarray(torch.as_tensor(uptake)[0].cpu().numpy(), np.float32)
        rgb = colour.compose(colour.lut_luminance(values, self.lut), colour.lut_chroma(values, self.lut))
        return like(torch.from_numpy(np.ascontiguousarray(np.moveaxis(rgb, -1, 0))), uptake, units=RGB_LEVELS)


class PseudoColord(MapTransform):
    """Dictionary version of `PseudoColor`.

    Args:
        keys: Keys of uptake in 0..1.
        lut: See `PseudoColor`.
        allow_missing_keys: Pass over keys that are not there.
    """

    def __init__(self, keys: KeysCollection, lut: str = luts.DEFAULT_LUT, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.transform = PseudoColor(lut)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Colour each key."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = self.transform(result[key])
        return result

"""Display windows by modality."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import InvertibleTransform, MapTransform
from torch import Tensor

from upfusion_med.bundle.meta_volume import like
from upfusion_med.core import InputError, Modality, UsageError, Volume
from upfusion_med.transforms import window


class RobustWindow(InvertibleTransform):
    """Display values 0..1 of a whole volume, by the window of its modality; the inverse gives units back.

    What lies outside the window is clipped and cannot be given back.

    Args:
        modality: ``mr``, ``pet``, ``spect`` or ``ct``.
        low: Lower end in units, together with ``high``; None: robust.
        high: Upper end.

    Raises:
        UsageError: an unknown modality, or one end of the window without the other.
    """

    def __init__(self, modality: str = "mr", low: float | None = None, high: float | None = None) -> None:
        super().__init__()
        if modality not in {m.value for m in Modality}:
            raise UsageError(f"The modality is '{modality}'; expected one of {', '.join(m.value for m in Modality)}.")
        if (low is None) != (high is None):
            raise UsageError(f"The window is {low} to {high}; expected both ends, or none for a robust window.")
        self.modality, self.low, self.high = Modality(modality), low, high

    def __call__(self, image: Tensor) -> Tensor:
        """Window (1, X, Y, Z) in units; returns the same shape, float32.

        Raises:
            InputError: another number of channels.
        """
        if image.ndim != 4 or image.shape[0] != 1:
            raise InputError(f"The image has shape {tuple(image.shape)}; expected one channel, (1, X, Y, Z).")
        array = np.asarray(torch.as_tensor(image)[0].cpu().numpy(), np.float32)
        if self.low is None or self.high is None:
            chosen = window.robust_window(Volume(array, np.eye(4), modality=self.modality), self.modality)
        else:
            chosen = window.Window(self.low, self.high, rule="as asked for", units="")
        units = image.meta.get("units", "") if isinstance(image, MetaTensor) else ""
        shown = torch.from_numpy(window.apply_window(array, chosen))[None]
        result = like(shown, image, units="display luminance")
        if isinstance(result, MetaTensor):
            self.push_transform(result, extra_info={"low": chosen.low, "high": chosen.high, "units": units})
        return result

    def inverse(self, image: Tensor) -> Tensor:
        """Values in 0..1 in units again; only for tensors that came through this transform with their metadata."""
        extra = self.pop_transform(image)["extra_info"]
        low, high = float(extra["low"]), float(extra["high"])
        return like(torch.as_tensor(image) * (high - low) + low, image, units=extra["units"])


class RobustWindowd(MapTransform, InvertibleTransform):
    """Dictionary version of `RobustWindow`; each key gets a window of its own.

    Args:
        keys: Keys of the images.
        modality: See `RobustWindow`.
        low: See `RobustWindow`.
        high: See `RobustWindow`.
        allow_missing_keys: Pass over keys that are not there.
    """

    def __init__(
        self,
        keys: KeysCollection,
        modality: str = "mr",
        low: float | None = None,
        high: float | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.transform = RobustWindow(modality, low, high)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Window each key."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = self.transform(result[key])
        return result

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Units of each key."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = self.transform.inverse(result[key])
        return result

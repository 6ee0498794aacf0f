"""Array and dictionary transforms that are useful on their own in any MONAI pipeline."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import InvertibleTransform, MapTransform, Transform
from torch import Tensor

from upfusion_med.bundle.inferer import StudyInferer
from upfusion_med.bundle.network import PairNetwork, bundle_state
from upfusion_med.core import InputError, Modality, Volume
from upfusion_med.io import SUV_UNITS, load_volume
from upfusion_med.transforms import colour, luts, window
from upfusion_med.weights import load_checkpoint

Data = Mapping[Hashable, Any]


def _with_meta(array: Tensor, like: Tensor) -> Tensor:
    """``array`` with the affine and metadata of ``like`` where it has them."""
    return MetaTensor(array, meta=dict(like.meta)) if isinstance(like, MetaTensor) else array


class LoadSUV(Transform):
    """Read a PET study as body-weight SUV: (1, X, Y, Z) float32 MetaTensor, affine RAS+ mm, ``meta["units"]``.

    Args:
        require_suv: Refuse a study whose SUV cannot be known; otherwise its stored values are given, and
            ``meta["units"]`` says which.
    """

    def __init__(self, require_suv: bool = True) -> None:
        self.require_suv = require_suv

    def __call__(self, path: str | os.PathLike[str]) -> MetaTensor:
        """Read a folder, archive or file.

        Raises:
            InputError: unreadable, or SUV was required and cannot be known (the message says why).
        """
        volume = load_volume(path)
        if self.require_suv and volume.units != SUV_UNITS:
            raise InputError(
                f"{path} holds {volume.units}, not SUV; expected a PET in DICOM with dose and weight, or stored SUV. "
                "Pass require_suv=False to read the stored values."
            )
        array = torch.from_numpy(np.array(volume.array, np.float32))[None]
        meta = {"filename_or_obj": str(path), "units": volume.units, "modality": volume.modality.value}
        return MetaTensor(array, affine=torch.from_numpy(volume.affine.copy()), meta=meta)


class RobustWindow(InvertibleTransform):
    """Display values 0..1 of a whole volume, by the window of its modality; the inverse gives units back.

    What lies outside the window is clipped and cannot be given back.

    Args:
        modality: ``mr``, ``pet``, ``spect`` or ``ct``.
        low: Lower end in units, with ``high``; None: robust.
        high: Upper end.
    """

    def __init__(self, modality: str = "mr", low: float | None = None, high: float | None = None) -> None:
        super().__init__()
        self.modality, self.low, self.high = Modality(modality), low, high

    def __call__(self, image: Tensor) -> Tensor:
        """Window (1, X, Y, Z)."""
        array = np.asarray(torch.as_tensor(image)[0].cpu().numpy(), np.float32)
        if self.low is None or self.high is None:
            chosen = window.robust_window(Volume(array, np.eye(4), modality=self.modality), self.modality)
        else:
            chosen = window.Window(self.low, self.high, rule="as asked for", units="")
        result = _with_meta(torch.from_numpy(window.apply_window(array, chosen))[None], image)
        if isinstance(result, MetaTensor):
            self.push_transform(result, extra_info={"low": chosen.low, "high": chosen.high})
        return result

    def inverse(self, image: Tensor) -> Tensor:
        """Units of values in 0..1."""
        extra = self.pop_transform(image)["extra_info"]
        low, high = float(extra["low"]), float(extra["high"])
        return image * (high - low) + low


class PseudoColor(Transform):
    """Colours of uptake in 0..1: (1, ...) to (3, ...) uint8 levels 0..255.

    Args:
        lut: Name of a colour table (``upfusion info`` lists them).
    """

    def __init__(self, lut: str = luts.DEFAULT_LUT) -> None:
        self.lut = luts.get_lut(lut)

    def __call__(self, uptake: Tensor) -> Tensor:
        """Colour the uptake; hotter is never darker."""
        values = np.asarray(torch.as_tensor(uptake)[0].cpu().numpy(), np.float32)
        rgb = colour.compose(colour.lut_luminance(values, self.lut), colour.lut_chroma(values, self.lut))
        return _with_meta(torch.from_numpy(np.ascontiguousarray(np.moveaxis(rgb, -1, 0))), uptake)


class FuseLuminance(Transform):
    """Fuse two luminances in 0..1 with a network of this package: (1, X, Y, Z) twice to (1, X, Y, Z).

    Args:
        model: Shipped model name or weights file.
        modality: Of the functional image; chooses the prompt.
        device: torch device.
        axis: Spatial axis along which slices are stacked.
        batch_size: Slices at once.
    """

    def __init__(
        self,
        model: str = "upfusion-tiny",
        modality: str = "pet",
        device: str = "cpu",
        axis: int = 2,
        batch_size: int = 8,
    ) -> None:
        checkpoint = load_checkpoint(model)
        self.network = PairNetwork(checkpoint.model)
        self.network.load_state_dict(bundle_state(checkpoint))
        self.network.eval().to(device)
        self.modality, self.axis, self.device = Modality(modality), axis, device
        self.inferer = StudyInferer(batch_size=batch_size, axis=axis, prompt=self.network.prompt_for(self.modality))

    def __call__(self, functional: Tensor, mri: Tensor) -> Tensor:  # type: ignore[override]
        """Fuse; the result lies on the MRI's grid and carries its affine.

        Raises:
            InputError: the shapes differ.
        """
        if functional.shape != mri.shape or functional.ndim != 4 or functional.shape[0] != 1:
            raise InputError(
                f"The images have the shapes {tuple(functional.shape)} and {tuple(mri.shape)}; expected (1, X, Y, Z) "
                "of one grid. Resample the functional image first."
            )
        spacing = 0.0
        if isinstance(mri, MetaTensor):
            spacing = float(np.linalg.norm(np.asarray(mri.affine)[:3, self.axis]))
        pair = torch.cat([torch.as_tensor(x).float().to(self.device) for x in (functional, mri)])[None]
        return _with_meta(self.inferer(pair, self.network, facts={"slice_spacing_mm": spacing})[0], mri)


class _Each(MapTransform):
    """Applies an array transform to some keys."""

    def __init__(self, keys: KeysCollection, transform: Any, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.transform = transform

    def __call__(self, data: Data) -> dict[Hashable, Any]:
        """Transform the keys."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = self.transform(result[key])
        return result


class LoadSUVd(_Each):
    """Dictionary version of `LoadSUV`."""

    def __init__(self, keys: KeysCollection, require_suv: bool = True, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, LoadSUV(require_suv), allow_missing_keys)


class PseudoColord(_Each):
    """Dictionary version of `PseudoColor`."""

    def __init__(self, keys: KeysCollection, lut: str = luts.DEFAULT_LUT, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, PseudoColor(lut), allow_missing_keys)


class RobustWindowd(_Each, InvertibleTransform):
    """Dictionary version of `RobustWindow`."""

    def __init__(
        self,
        keys: KeysCollection,
        modality: str = "mr",
        low: float | None = None,
        high: float | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, RobustWindow(modality, low, high), allow_missing_keys)

    def inverse(self, data: Data) -> dict[Hashable, Any]:
        """Units of each key."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = self.transform.inverse(result[key])
        return result


class FuseLuminanced(MapTransform):
    """Dictionary version of `FuseLuminance`: fuses ``functional_key`` and ``mri_key`` into ``output_key``."""

    def __init__(
        self, functional_key: str = "functional", mri_key: str = "mri", output_key: str = "fused", **options: Any
    ) -> None:
        super().__init__([functional_key, mri_key])
        self.functional_key, self.mri_key, self.output_key = functional_key, mri_key, output_key
        self.transform = FuseLuminance(**options)

    def __call__(self, data: Data) -> dict[Hashable, Any]:
        """Add the fused luminance."""
        return {**data, self.output_key: self.transform(data[self.functional_key], data[self.mri_key])}

"""PET as standardised uptake values."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from typing import Any

from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Transform

from upfusion_med.bundle.meta_volume import to_meta
from upfusion_med.core import InputError
from upfusion_med.io import SUV_UNITS, SuvRefusedError, load_volume


class LoadSUV(Transform):
    """Read a PET study as body-weight SUV: (1, X, Y, Z) MetaTensor, affine RAS+ mm, ``meta["units"]``.

    Args:
        require_suv: Refuse a study whose SUV cannot be known; otherwise its stored values are given, and
            ``meta["units"]`` says which.
        series: Series of a DICOM study with several (see ``upfusion inspect``).
    """

    def __init__(self, require_suv: bool = True, series: str | None = None) -> None:
        self.require_suv, self.series = require_suv, series

    def __call__(self, path: str | os.PathLike[str]) -> MetaTensor:
        """Read a folder, archive or file.

        Raises:
            InputError: unreadable, or SUV was required and cannot be known (the message says why).
        """
        try:
            volume = load_volume(path, series=self.series)
        except SuvRefusedError:
            if self.require_suv:
                raise
            volume = load_volume(path, series=self.series, quantity="raw")
        if self.require_suv and volume.units != SUV_UNITS:
            raise InputError(
                f"{path} holds {volume.units}, not SUV; expected a PET in DICOM with dose and weight, or stored SUV. "
                "Pass require_suv=False to read the stored values."
            )
        return to_meta(volume, filename_or_obj=str(path))


class LoadSUVd(MapTransform):
    """Dictionary version of `LoadSUV`: paths become MetaTensors.

    Args:
        keys: Keys of the paths.
        require_suv: See `LoadSUV`.
        series: See `LoadSUV`.
        allow_missing_keys: Pass over keys that are not there.
    """

    def __init__(
        self,
        keys: KeysCollection,
        require_suv: bool = True,
        series: str | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.transform = LoadSUV(require_suv, series)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Read each key."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = self.transform(result[key])
        return result

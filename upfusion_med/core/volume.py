"""The one value that travels through the house: an array with its geometry and its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core.errors import InputError
from upfusion_med.core.geometry import Geometry
from upfusion_med.core.modality import Modality

#: Units of pictures whose values are display levels without a physical meaning.
GREY_LEVELS = "grey levels"
RGB_LEVELS = "RGB levels"


@dataclass(frozen=True, eq=False)
class Volume:
    """An image volume, or a picture as a volume of one slice. Immutable; every step returns a new one.

    Attributes:
        array: Float array, spatial axes first: (I, J, K) for scalars, (I, J, K, 3) for colour in 0..255.
        affine: (4, 4) float64, voxel index to RAS+ millimetres.
        units: Unit of the values, such as ``"SUVbw"``, ``"HU"``, ``"grey levels"``, ``"RGB levels"``.
        modality: What kind of acquisition it is.
        is_picture: True for a 2-D picture (PNG, JPEG, TIFF): its affine is made up, one pixel is one millimetre.
        frame_of_reference_uid: DICOM frame of reference, when known: equal UIDs mean one space.
        notes: Facts about how the values came to be (rescale, SUV rule, …) that belong into the report.
    """

    array: NDArray[np.floating[Any]]
    affine: NDArray[np.float64]
    units: str = GREY_LEVELS
    modality: Modality = Modality.UNKNOWN
    is_picture: bool = False
    frame_of_reference_uid: str | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        array = np.asarray(self.array)
        if not np.issubdtype(array.dtype, np.floating):
            array = array.astype(np.float32)
        if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] != 3):
            raise InputError(
                f"The image has shape {array.shape}; expected three spatial axes, or three spatial axes and RGB. "
                "Choose one frame of a time series before fusing it."
            )
        if 0 in array.shape:
            raise InputError(f"The image has shape {array.shape}: it is empty.")
        view = array.view()
        view.setflags(write=False)
        object.__setattr__(self, "array", view)
        object.__setattr__(self, "affine", Geometry(array.shape[:3], self.affine).affine)
        object.__setattr__(self, "notes", MappingProxyType(dict(self.notes)))

    @property
    def geometry(self) -> Geometry:
        """The grid of this volume."""
        return Geometry(self.array.shape[:3], self.affine)

    @property
    def is_rgb(self) -> bool:
        """Whether the last axis holds red, green and blue in 0..255."""
        return self.array.ndim == 4

    def with_array(self, array: NDArray[Any], **changes: Any) -> Volume:
        """A copy with other values on the same grid (and, through ``changes``, other units or notes)."""
        return replace(self, array=array, **changes)

"""Windows: which values are shown as black and which as white. One window for a whole volume, never one per slice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import InputError, Modality, UsageError, Volume
from upfusion_med.transforms.colour import RELATIVE_LUMA


@dataclass(frozen=True)
class Window:
    """A range of values that is mapped to [0, 1].

    Attributes:
        low: Value shown as 0, in the volume's unit.
        high: Value shown as 1.
        rule: How it was chosen, for the report.
        units: The unit of both.
    """

    low: float
    high: float
    rule: str = "given by the user"
    units: str = ""

    def __post_init__(self) -> None:
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.low < self.high):
            raise UsageError(
                f"The window goes from {self.low:g} to {self.high:g}; expected two finite numbers, the lower one first."
            )


#: CT in Hounsfield units. Wide enough that spongy (300 HU) and cortical bone (1000 HU and more) differ, while
#: muscle and brain (30 to 60 HU) stay dark grey, so that in a fused image the soft tissue is the MRI's.
CT_LOW_HU, CT_HIGH_HU = -150.0, 1000.0
#: A CT with values below this is in HU: air is −1000 HU, and no tissue but lung lies below −200.
_AIR_IS_BELOW_HU = -200.0
_LEVELS_8_BIT = 255.0
#: Foreground of an MR: above this part of the span from the low end to the 99.9th percentile of all voxels, which
#: leaves out air noise (a few per cent) and keeps all tissue but cortical bone.
_FOREGROUND_PART = 0.05
_MR_HIGH_PERCENTILE = 99.5
#: Zeros are the air of an MR when they are this part of all voxels, which no tissue is, and negative voxels are at most
#: this part of the positive ones: padding, undershoot of a resampling. An MR scaled to a mean of 0 has as many of both.
_ZEROS_OF_AIR = 0.05
_NEGATIVES_BESIDE_AIR = 0.5
#: On two sarcoma studies 2.8 % and 0.4 % of the tumour voxels lie above it (5.5 % and 1.2 % above the 99.9th).
_EMISSION_HIGH_PERCENTILE = 99.95


#: Share of the voxels at the top of a window above which it is worth a warning: no tissue of interest is that large.
_MOST_SATURATED = 0.5
#: Share of a window that the largest value must reach; one of 5 SUV is dim, not black, in a window of 0 to 100.
_LEAST_REACHED = 0.05
#: Uptake above this many times the top of a window is of another unit (Bq/mL in a window of SUV), but for few voxels.
_MOST_UPTAKE = 50.0


def window_doubt(volume: Volume, chosen: Window, modality: Modality) -> str:
    """Why a window hardly fits the values that it is to show, such as one in another unit; empty where it does."""
    low, high = float(volume.array.min()), float(volume.array.max())
    values = f"the values go from {low:g} to {high:g} {volume.units}".rstrip()
    if high <= chosen.low:
        return f"The window {chosen.low:g} to {chosen.high:g} shows nothing: {values}. Check its unit."
    reached = (high - chosen.low) / (chosen.high - chosen.low)
    if reached < _LEAST_REACHED:
        return (
            f"In the window {chosen.low:g} to {chosen.high:g} the largest value reaches {100 * reached:.2g} % of its "
            f"top: {values}. Check its unit."
        )
    if modality.is_emission and high > 0 and chosen.high > 0:
        usual = _emission_window(volume, "image").high / chosen.high
        if usual > _MOST_UPTAKE:
            return (
                f"The highest uptake is {usual:.0f} times the top of the window {chosen.low:g} to {chosen.high:g}: "
                f"{values}. Check its unit."
            )
    saturated = float((volume.array >= chosen.high).mean())
    if saturated > _MOST_SATURATED:
        return (
            f"In the window {chosen.low:g} to {chosen.high:g} {100 * saturated:.0f} % of all voxels are at its top: "
            f"{values}. Check its unit."
        )
    return ""


def robust_window(volume: Volume, modality: Modality, *, name: str = "image") -> Window:
    """One window for the whole volume, by the rule of its modality.

    - Pictures with 8 bits, infrared and visible pictures, colour: 0 to 255; luma of colours: 0 to 1.
    - CT in Hounsfield units: −150 to 1000 HU; CT as display levels in 0..255: 0 to 255.
    - PET, SPECT: 0 to the 99.95th percentile of the positive voxels.
    - MR and everything else: from 0 to the 99.5th percentile of the foreground, the voxels above 5 % of the 99.9th
      percentile. From the 0.5th percentile instead, where the smallest value is not 0 and 0 is not air either.

    Args:
        volume: Finite values.
        modality: Which rule; it may differ from what the file says.
        name: What the image is called in messages, such as ``"MRI"``.

    Raises:
        InputError: the image is constant, not finite, or an emission image without a positive value.
    """
    array = volume.array
    smallest, largest = float(array.min()), float(array.max())
    if not (np.isfinite(smallest) and np.isfinite(largest)):
        raise InputError(f"The {name} holds values that are not finite; expected numbers. Repair the file.")
    if smallest == largest:
        raise InputError(
            f"The {name} is constant: every voxel is {smallest:g}. Expected an image with content; "
            "check that the right file and frame were given."
        )
    if volume.units == RELATIVE_LUMA:
        return Window(0.0, 1.0, "luma of colours, 0 to 1", volume.units)
    if _has_display_levels(volume, modality, smallest, largest):
        return Window(0.0, _LEVELS_8_BIT, "display levels, 0 to 255", volume.units)
    if modality is Modality.CT and smallest < _AIR_IS_BELOW_HU:
        return Window(CT_LOW_HU, CT_HIGH_HU, "CT with bone, -150 to 1000 HU", "HU")
    if modality.is_emission:
        return _emission_window(volume, name)
    return _foreground_window(volume, smallest, largest)


def apply_window(array: NDArray[Any], window: Window) -> NDArray[np.float32]:
    """The values as part of the window, clipped to [0, 1], float32, any shape.

    Where the window starts at 0, a 0 stays exactly 0.
    """
    shown = np.subtract(array, np.float32(window.low), dtype=np.float32)
    shown *= np.float32(1.0 / (window.high - window.low))
    return np.clip(shown, 0.0, 1.0, out=shown)


def _has_display_levels(volume: Volume, modality: Modality, smallest: float, largest: float) -> bool:
    if volume.is_rgb:
        return True
    # A float picture in 0..1 is not of 8 bits.
    within = smallest >= 0.0 and 1.0 < largest <= _LEVELS_8_BIT
    return within and (volume.is_picture or modality in (Modality.CT, Modality.INFRARED, Modality.VISIBLE))


def _emission_window(volume: Volume, name: str) -> Window:
    positive = volume.array[volume.array > 0]
    if positive.size == 0:
        raise InputError(
            f"The {name} holds no value above 0: there is no uptake to show. Check the rescale of the file, and that "
            "the right file was given."
        )
    high = float(np.percentile(positive, _EMISSION_HIGH_PERCENTILE))
    return Window(0.0, high, f"0 to the {_EMISSION_HIGH_PERCENTILE:g}th percentile of positive voxels", volume.units)


def _foreground_window(volume: Volume, smallest: float, largest: float) -> Window:
    low, low_rule = 0.0, "0"
    if smallest != 0.0 and not _air_is_zero(volume.array):
        low, low_rule = float(np.percentile(volume.array, 0.5)), "the 0.5th percentile"
    top = float(np.percentile(volume.array, 99.9))
    foreground = volume.array[volume.array > low + _FOREGROUND_PART * max(top - low, 0.0)]
    high = float(np.percentile(foreground, _MR_HIGH_PERCENTILE)) if foreground.size else largest
    if not low < high:
        low, high = min(low, smallest), largest
    return Window(low, high, f"{low_rule} to the {_MR_HIGH_PERCENTILE:g}th percentile of the foreground", volume.units)


def _air_is_zero(array: NDArray[Any]) -> bool:
    negative, positive = int(np.count_nonzero(array < 0)), int(np.count_nonzero(array > 0))
    zeros = array.size - negative - positive
    return zeros >= _ZEROS_OF_AIR * array.size and negative <= _NEGATIVES_BESIDE_AIR * positive

"""Whether two images can be fused at all, asked before any work is done on them."""

from __future__ import annotations

import numpy as np

from upfusion_med.core import InputError, Modality, Volume


def check_pair(mri: Volume, functional: Volume, *, named: bool = False) -> None:
    """Refuse images that cannot be fused.

    Args:
        mri: The first image.
        functional: The second image.
        named: The caller said what kind the second image is, whatever its header says.

    Raises:
        InputError: not finite, constant, colours outside 0..255 or within 0..1, in the wrong order, no functional
            image, a picture with a volume, pictures of two sizes.
    """
    _check_usable(mri, "MRI")
    _check_usable(functional, "functional image")
    if functional.modality is Modality.MR and mri.modality not in (Modality.MR, Modality.UNKNOWN):
        raise InputError(
            f"The first image is {mri.modality.value.upper()} and the second is MR, by their own headers; expected the "
            "MRI first. Swap them."
        )
    if mri.modality.is_emission:
        raise InputError(
            f"The first image is {mri.modality.value.upper()}, by its own header; expected an MRI (or another image of "
            "structure). Give the MRI first."
        )
    if functional.modality is Modality.MR and not named:
        raise InputError(
            "Both images are MR, by their own headers; expected PET, SPECT or CT as the second. Choose its series, or "
            "say with --modality how it is to be shown."
        )
    if mri.is_picture != functional.is_picture:
        kinds = [("a 2-D picture" if v.is_picture else "a volume") for v in (mri, functional)]
        raise InputError(f"The MRI is {kinds[0]} and the functional image is {kinds[1]}; give two of one kind.")
    if mri.is_picture and mri.geometry.shape != functional.geometry.shape:
        sizes = [f"{v.array.shape[0]}x{v.array.shape[1]}" for v in (mri, functional)]
        raise InputError(
            f"The pictures are {sizes[0]} and {sizes[1]} pixels (width x height); expected registered pictures of "
            "equal size. Pictures carry no geometry, so they are not resampled."
        )


def _check_usable(volume: Volume, name: str) -> None:
    bad = int(np.count_nonzero(~np.isfinite(volume.array)))
    if bad:
        raise InputError(
            f"The {name} holds {bad} values that are NaN or infinite, of {volume.array.size}; expected finite values. "
            "Replace them (for instance by 0 outside the field of view) before fusing."
        )
    low, high = float(volume.array.min()), float(volume.array.max())
    if low == high:
        raise InputError(f"The {name} is constant (every value is {low:g}); there is nothing to fuse.")
    if volume.is_rgb and not (low >= 0 and 1 < high <= 255):
        raise InputError(
            f"The {name} has colours from {low:g} to {high:g}; expected display levels from 0 to 255. Scale them "
            "(colours from 0 to 1 by 255)."
        )

"""What looks wrong about two images that can be fused all the same."""

from __future__ import annotations

import numpy as np

from upfusion_med.core import Modality, Volume


def pair_doubts(mri: Volume, functional: Volume, modality: Modality) -> list[str]:
    """Sentences about a mask, one image given twice, and colours of the first image that nobody will see.

    Args:
        mri: The first image, as read.
        functional: The second image, as read.
        modality: What the second was taken for.
    """
    doubts = [
        f"The {name} has two values only, {low:g} and {high:g}, as a mask has; check that the right file was given."
        for name, volume in (("first image", mri), ("second image", functional))
        for low, high in [(float(volume.array.min()), float(volume.array.max()))]
        if not volume.is_rgb and ((volume.array == low) | (volume.array == high)).all()
    ]
    if np.array_equal(mri.array, functional.array):
        doubts.append("Both images have the same values: one image was given twice. Check the two paths.")
    elif mri.is_rgb and not functional.is_rgb and modality is not Modality.INFRARED:
        doubts.append(
            "The first image has colours, which are not shown. If it is the PET or SPECT, give it second; if it is a "
            "visible picture, say --modality infrared."
        )
    return doubts

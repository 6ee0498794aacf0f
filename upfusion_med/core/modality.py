"""The kinds of image that this package tells apart."""

from __future__ import annotations

from enum import Enum


class Modality(str, Enum):
    """Kind of acquisition; the values are the words used on the command line and in reports."""

    MR = "mr"
    PET = "pet"
    SPECT = "spect"
    CT = "ct"
    INFRARED = "infrared"
    VISIBLE = "visible"
    UNKNOWN = "unknown"

    @property
    def is_emission(self) -> bool:
        """Whether the values are tracer uptake (PET, SPECT), which is shown in colour."""
        return self in (Modality.PET, Modality.SPECT)

"""Images that never were slices of a volume."""

from __future__ import annotations

from upfusion_med.core import InputError


class NoVolumeError(InputError):
    """Images of a kind that makes no volume, such as projections or a localizer of one slice; none is damaged."""

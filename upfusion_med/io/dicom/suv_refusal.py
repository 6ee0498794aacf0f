"""Why PET values cannot become SUV."""

from __future__ import annotations

from upfusion_med.core import InputError


class SuvRefusedError(InputError):
    """The header does not allow SUV. A rule gives the reason only; the reader adds how to go on without SUV."""

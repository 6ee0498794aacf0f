"""How the values of a PET series become SUV by body weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class SuvScale:
    """How the rescaled values of a series become SUV by body weight.

    Attributes:
        factors: For each slice, what its rescaled values are multiplied by.
        rule: The rule in words.
        steps: Facts of the conversion for the report; no facts about the patient.
        warnings: What was put up with.
    """

    factors: tuple[float, ...]
    rule: str
    steps: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def span(values: Sequence[float]) -> float | tuple[float, float]:
    """The one value, or the lowest and the highest."""
    low, high = min(values), max(values)
    return low if low == high else (low, high)

"""The colour bar of a contact sheet: which colour is which value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import UsageError
from upfusion_med.transforms.colour import legend_colours
from upfusion_med.transforms.luts import Lut
from upfusion_med.transforms.pseudo_colour import Palette
from upfusion_med.transforms.window import Window


@dataclass(frozen=True, eq=False)
class Legend:
    """A colour bar.

    Attributes:
        colours: (N, 3) uint8, evenly spaced from ``low`` to ``high``.
        low: Value of the first colour; lower values have it too.
        high: Value of the last colour; higher values have it too.
        units: Their unit, such as ``"SUVbw"``.
        name: What the colours are called, such as the name of the colour table.
    """

    colours: NDArray[np.uint8]
    low: float
    high: float
    units: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        if self.colours.ndim != 2 or self.colours.shape[1] != 3 or self.colours.dtype != np.uint8:
            raise UsageError(
                f"The colours of the legend have shape {self.colours.shape} and type {self.colours.dtype}; "
                "expected (N, 3) of uint8."
            )
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.low < self.high):
            raise UsageError(f"The legend goes from {self.low:g} to {self.high:g}; expected two rising numbers.")

    @classmethod
    def from_lut(cls, lut: Lut, window: Window) -> Legend:
        """The colour bar of a table over a window, in the colours that are shown where the MRI is black."""
        return cls(legend_colours(lut), window.low, window.high, window.units, lut.name)

    @classmethod
    def from_palette(cls, palette: Palette) -> Legend:
        """The colour bar of a picture that keeps its colours: relative uptake, for no unit is known."""
        return cls(np.rint(palette.colours).astype(np.uint8), 0.0, 1.0, "uptake, relative", "palette of the picture")

    def ticks(self, most: int = 6) -> tuple[float, ...]:
        """Round values from ``low`` to ``high``, at most ``most``, spaced by 1, 2, 2.5 or 5 times a power of ten."""
        span = self.high - self.low
        power = 10.0 ** np.floor(np.log10(span / most))
        step = next(m * power for m in (1, 2, 2.5, 5, 10, 20) if span / (m * power) <= most - 1 + 1e-9)
        first = np.ceil(self.low / step - 1e-9)
        last = np.floor(self.high / step + 1e-9)
        # Adding 0.0 makes the zero of a window that begins below it a plain 0 and not -0.
        return tuple(float(f"{k * step:.10g}") + 0.0 for k in np.arange(first, last + 1))

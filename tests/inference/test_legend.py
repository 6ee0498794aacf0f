"""The colour bar says which colour is which value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from upfusion_med.core import UsageError
from upfusion_med.inference.legend import Legend
from upfusion_med.transforms.luts import get_lut
from upfusion_med.transforms.window import Window

GREY = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 5, (0, 1, 2, 3, 4, 5)),
        (0, 10, (0, 2, 4, 6, 8, 10)),
        (0, 8.785, (0, 2, 4, 6, 8)),
        (0, 255, (0, 100, 200)),
        (-150, 1000, (0, 250, 500, 750, 1000)),
        (0, 0.07, (0, 0.02, 0.04, 0.06)),
    ],
)
def test_ticks_are_round(low, high, expected):
    assert Legend(GREY, low, high).ticks() == pytest.approx(expected)


@given(st.floats(-1e5, 1e5), st.floats(1e-3, 1e6), st.integers(2, 8))
def test_ticks_lie_inside_and_are_few(low, width, most):
    legend = Legend(GREY, low, low + width)
    ticks = legend.ticks(most)
    assert len(ticks) <= most
    assert all(low - 1e-6 * width <= t <= low + width * (1 + 1e-6) for t in ticks)
    assert all(f"{t:g}" != "-0" for t in ticks)


def test_bar_of_a_table_shows_its_colours_over_the_window():
    legend = Legend.from_lut(get_lut("hot_iron"), Window(0.0, 7.5, "", "SUVbw"))
    assert (legend.low, legend.high, legend.units, legend.name) == (0.0, 7.5, "SUVbw", "hot_iron")
    np.testing.assert_array_equal(legend.colours, np.rint(get_lut("hot_iron").table * 255))


def test_bars_that_make_no_sense_are_refused():
    with pytest.raises(UsageError, match="two rising numbers"):
        Legend(GREY, 5.0, 5.0)
    with pytest.raises(UsageError, match="uint8"):
        Legend(GREY.astype(np.float32), 0.0, 1.0)

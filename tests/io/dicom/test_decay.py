from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from upfusion_med.io.dicom.decay import average_time_s


@pytest.mark.parametrize(
    ("duration_s", "half_life_s", "expected_s"),
    [(300, 6586.2, 149.60534445734), (180, 6586.2, 89.85792324927)],
)
def test_average_time_equals_what_scanners_store(duration_s, half_life_s, expected_s):
    assert average_time_s(duration_s, half_life_s) == pytest.approx(expected_s, abs=1e-9)


@given(st.floats(0.1, 7200), st.floats(60, 300000))
def test_rate_at_the_average_time_is_the_mean_rate_of_the_frame(duration_s, half_life_s):
    decay = math.log(2) / half_life_s
    mean = -math.expm1(-decay * duration_s) / (decay * duration_s)
    assert math.exp(-decay * average_time_s(duration_s, half_life_s)) == pytest.approx(mean, rel=1e-9)


def test_average_time_tends_to_half_the_frame_for_slow_decay():
    np.testing.assert_allclose(average_time_s(100, 1e15), 50, rtol=1e-9)
    np.testing.assert_allclose(average_time_s(100, 1e7), 50, rtol=1e-5)

"""Images that the tests of the metrics share."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from upfusion_med.evaluation.golden_values import Case, synthetic_cases


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """The machine is shared; the tests do not need more."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def cases() -> dict[str, Case]:
    """Synthetic and degenerate cases (a, b, fused)."""
    return synthetic_cases()


@pytest.fixture
def small_pair() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three random images (48, 56) of whole grey levels: fused, a, b."""
    generator = np.random.default_rng(7)
    a, b = generator.integers(0, 256, (2, 48, 56)).astype(np.float64)
    return np.floor((a + b) / 2), a, b

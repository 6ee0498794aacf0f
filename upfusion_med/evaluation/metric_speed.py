"""How fast the metrics are beside the usual evaluator loop, both timed in one run on one core."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import InputError

#: Ours and the reference's name of each metric that the usual loop has.
TIMED = {"vif": "vif_sum", "q_abf": "q_abf", "ssim": "ssim_sum", "scd": "scd", "mi": "mi_nats"}


@dataclass(frozen=True)
class Timing:
    """CPU milliseconds, the fastest of the repeats.

    Attributes:
        name: Metric, or what was computed together.
        double: By this package in double precision, as tables need it.
        single: The same with Q_P, VIF and SSIM in single precision; None where nothing changes.
        reference: By the usual loop; None where that has no such metric.
    """

    name: str
    double: float
    single: float | None
    reference: float | None


def synthetic_pair(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two textured grey images inside an ellipse, exactly 0 outside, (size, size) in 0..255."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float64)
    inside = ((x - (size - 1) / 2) / (0.42 * size)) ** 2 + ((y - (size - 1) / 2) / (0.45 * size)) ** 2 <= 1
    a = 90 + 60 * np.sin(2 * np.pi * x / 17) * np.cos(2 * np.pi * y / 23) + 40 * np.sin(2 * np.pi * (x + 2 * y) / 41)
    blob = ((x - 0.6 * size) ** 2 + (y - 0.55 * size) ** 2) / (2 * (0.14 * size) ** 2)
    b = 20 + 180 * np.exp(-blob) + 30 * np.sin(2 * np.pi * y / 31)
    first, second = (np.clip(np.floor(v + 0.5), 0, 255) * inside for v in (a, b))
    return first, second


def _fastest(call: Callable[[], Any], repeats: int) -> float:
    """CPU milliseconds of the fastest run, after one that fills caches."""
    call()
    best = float("inf")
    for _ in range(repeats):
        begin = time.process_time()
        call()
        best = min(best, time.process_time() - begin)
    return best * 1e3


def measure_metrics(a: NDArray[np.float64], b: NDArray[np.float64], repeats: int) -> list[Timing]:
    """Time the metrics of the usual loop, one by one and together, and Q_P, on one thread.

    Args:
        a: (H, W) in 0..255, sides of at least 41.
        b: As ``a``.
        repeats: Runs; the fastest counts.

    Raises:
        InputError: the images differ in shape or are too small.
    """
    import torch

    from upfusion_med.evaluation.reference_evaluator import REFERENCE_METRICS, evaluate
    from upfusion_med.metrics import compute

    if a.shape != b.shape or min(a.shape) < 41:
        raise InputError(f"The images have shapes {a.shape} and {b.shape}; expected one shape, sides of at least 41.")
    fused = np.floor((a + b + 1) / 2)

    def ours(names: str | tuple[str, ...], dtype: torch.dtype) -> float:
        return _fastest(lambda: compute(fused, a, b, names, dtype=dtype), repeats)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        timings = []
        for key, reference in TIMED.items():
            single = ours(key, torch.float32) if key in ("vif", "ssim") else None
            usual = REFERENCE_METRICS[reference]
            timings.append(
                Timing(key, ours(key, torch.float64), single, _fastest(partial(usual, fused, a, b), repeats))
            )
        together = tuple(TIMED)
        usual_time = _fastest(lambda: evaluate(fused, a, b), repeats)
        timings.append(Timing("together", ours(together, torch.float64), ours(together, torch.float32), usual_time))
        timings.append(Timing("q_p", ours("q_p", torch.float64), ours("q_p", torch.float32), None))
    finally:
        torch.set_num_threads(threads)
    return timings

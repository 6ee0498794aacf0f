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
from upfusion_med.metrics.visual_information import SMALLEST_SIDE

#: Ours and the reference's name of each metric that the usual loop has.
TIMED = {"vif": "vif_sum", "q_abf": "q_abf", "ssim": "ssim_sum", "scd": "scd", "mi": "mi_nats"}

#: CPU milliseconds of a turn at least.
TURN_MS = 50.0


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


def _fastest(calls: list[Callable[[], Any] | None], repeats: int) -> list[float | None]:
    """CPU milliseconds of the fastest run of each call, None where there is none.

    The calls take turns, so that a machine that grows slower or faster meanwhile does so for all of them. A turn has
    two runs or more: the first may find the caches full of another call's data, and short ones are easily disturbed.
    """
    best = [float("inf")] * len(calls)
    for _ in range(repeats):
        for place, call in enumerate(calls):
            runs, spent = 0, 0.0
            while call is not None and (runs < 2 or spent < TURN_MS):
                begin = time.process_time()
                call()
                taken = (time.process_time() - begin) * 1e3
                runs, spent, best[place] = runs + 1, spent + taken, min(best[place], taken)
    return [None if call is None else fastest for call, fastest in zip(calls, best, strict=True)]


def measure_metrics(a: NDArray[np.float64], b: NDArray[np.float64], repeats: int) -> list[Timing]:
    """Time the metrics of the usual loop, one by one and together, the checks of the images, and Q_P, on one thread.

    Args:
        a: (H, W) in 0..255, sides of at least `SMALLEST_SIDE`.
        b: As ``a``.
        repeats: Turns; the fastest counts.

    Returns:
        One for each metric of `TIMED` (each with the checks), ``together``, ``checks`` (of the images alone), ``q_p``.

    Raises:
        InputError: the images differ in shape or are too small.
    """
    import torch

    from upfusion_med.evaluation.reference_evaluator import REFERENCE_METRICS, evaluate
    from upfusion_med.metrics import compute

    if a.shape != b.shape or min(a.shape) < SMALLEST_SIDE:
        raise InputError(
            f"The images have shapes {a.shape} and {b.shape}; expected one shape, sides of at least {SMALLEST_SIDE}."
        )
    fused = np.floor((a + b + 1) / 2)

    def timing(name: str, keys: tuple[str, ...], usual: Callable[..., Any] | None, *, single: bool) -> Timing:
        def ours(dtype: torch.dtype) -> Callable[[], Any]:
            return lambda: compute(fused, a, b, keys, dtype=dtype)

        reference = None if usual is None else partial(usual, fused, a, b)
        calls = [ours(torch.float64), ours(torch.float32) if single else None, reference]
        double, other, of_usual = _fastest(calls, repeats)
        return Timing(name, double or 0.0, other, of_usual)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        timings = [
            timing(key, (key,), REFERENCE_METRICS[reference], single=key in ("vif", "ssim"))
            for key, reference in TIMED.items()
        ]
        timings.append(timing("together", tuple(TIMED), evaluate, single=True))
        timings.append(timing("checks", (), None, single=False))
        timings.append(timing("q_p", ("q_p",), None, single=True))
    finally:
        torch.set_num_threads(threads)
    return timings

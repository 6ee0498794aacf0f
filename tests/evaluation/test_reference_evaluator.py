from __future__ import annotations

from pathlib import Path

import pytest

from upfusion_med.evaluation.golden_values import read_golden, synthetic_cases
from upfusion_med.evaluation.reference_evaluator import evaluate

GOLDEN = Path(__file__).parents[1] / "metrics" / "golden_synthetic.txt"


@pytest.mark.parametrize("name", ["syn128", "syn97x131", "synfull"])
def test_the_usual_loop_gives_the_published_evaluators_values(name: str) -> None:
    references = {key: float(text) for key, text in read_golden(GOLDEN)[name].items() if text != "error"}
    a, b, fused = synthetic_cases()[name]
    values = evaluate(fused, a, b)
    for key, reference in (
        ("vif_sum", "vif_sum"),
        ("q_abf", "q_abf"),
        ("ssim_sum", "ssim_sum_sk7_uint8"),
        ("scd", "scd"),
        ("mi_nats", "mi_nats"),
    ):
        assert values[key] == pytest.approx(references[reference], rel=1e-10), key

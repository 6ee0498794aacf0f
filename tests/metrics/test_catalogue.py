from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from upfusion_med.metrics import GROUPS, METRICS, Direction, Inputs, metric_spec
from upfusion_med.metrics.compute import _FAMILIES

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_every_line_is_complete_and_names_an_existing_function() -> None:
    for key, spec in METRICS.items():
        assert key == spec.key == key.lower()
        assert all((spec.name, spec.convention, spec.source, spec.value_range, spec.reference)), key
        module, name = spec.function.split(".")
        assert callable(getattr(import_module(f"upfusion_med.metrics.{module}"), name)), key


def test_every_metric_of_three_images_is_computed_by_exactly_one_family() -> None:
    computed = [key for keys, _ in _FAMILIES for key in keys]
    assert sorted(computed) == sorted(GROUPS["all"])


def test_metrics_of_the_fused_image_alone_have_no_direction() -> None:
    for spec in METRICS.values():
        assert (spec.inputs is Inputs.FUSED) == (spec.direction is Direction.NONE)


def test_the_page_explains_every_key() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [key for key in METRICS if f"`{key}`" not in text] == []


@pytest.mark.parametrize("key", ["q_p", "hue_turned", "slice_flicker"])
def test_a_line_is_found_by_its_key(key: str) -> None:
    assert metric_spec(key).key == key

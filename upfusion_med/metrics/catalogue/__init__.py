"""The table of metrics: every key with its convention, source, range, direction and degenerate cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from upfusion_med.core import UsageError
from upfusion_med.metrics.catalogue.histogram import HISTOGRAM_METRICS
from upfusion_med.metrics.catalogue.local import LOCAL_METRICS
from upfusion_med.metrics.catalogue.paper import PAPER_METRICS
from upfusion_med.metrics.catalogue.reading import READER_METRICS
from upfusion_med.metrics.spec import Inputs, MetricSpec

#: Key → line of the table, in the order of the table.
METRICS: Mapping[str, MetricSpec] = MappingProxyType(
    {spec.key: spec for spec in (*PAPER_METRICS, *HISTOGRAM_METRICS, *LOCAL_METRICS, *READER_METRICS)}
)

#: Names that stand for several keys. ``default`` is cheap and enough for a training log.
GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "paper": ("q_ncie", "q_p", "vif", "ssim", "q_abf"),
        "default": (
            *("q_ncie", "q_p", "vif", "vif_a", "vif_b", "vif_sum", "ssim", "ssim_a", "ssim_b", "ssim_l1"),
            *("q_abf", "q_abf_xydeas", "mi", "scd", "en", "sd", "sf", "ag", "cc"),
        ),
        "colour": tuple(key for key, spec in METRICS.items() if spec.inputs is Inputs.COLOUR),
        "all": tuple(key for key, spec in METRICS.items() if spec.inputs in (Inputs.FUSED, Inputs.SOURCES)),
    }
)


def metric_spec(key: str) -> MetricSpec:
    """The line of the table for a key.

    Raises:
        UsageError: there is no such key; the message lists those there are.
    """
    if key not in METRICS:
        raise UsageError(f"There is no metric {key!r}; known are {', '.join(METRICS)}.")
    return METRICS[key]


def resolve_names(names: str | Iterable[str] | None) -> tuple[str, ...]:
    """Keys for a key, a group, a list of both, or nothing (the group ``default``); each once, in the order given.

    Raises:
        UsageError: an unknown name.
    """
    wanted = ("default",) if names is None else (names,) if isinstance(names, str) else tuple(names)
    keys: dict[str, None] = {}
    for name in wanted:
        for key in GROUPS.get(name, (name,)):
            keys[metric_spec(key).key] = None
    return tuple(keys)


__all__ = ["GROUPS", "METRICS", "metric_spec", "resolve_names"]

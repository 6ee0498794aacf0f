"""Metrics of image fusion: one table of conventions and pure functions behind it.

`compute` gives many metrics of one pair, `compute_batch` those of a batch, `compute_detailed` says why a value is NaN
or a source was left out. The table is `METRICS`; ``docs/metrics.md`` explains which variant of a metric is which.
"""

from upfusion_med.metrics.catalogue import GROUPS, METRICS, metric_spec, resolve_names
from upfusion_med.metrics.compute import Score, compute, compute_batch, compute_detailed
from upfusion_med.metrics.modules import FusionMetrics, Summary
from upfusion_med.metrics.spec import ConstantSource, Direction, Inputs, MetricSpec

__all__ = [
    "GROUPS",
    "METRICS",
    "ConstantSource",
    "Direction",
    "FusionMetrics",
    "Inputs",
    "MetricSpec",
    "Score",
    "Summary",
    "compute",
    "compute_batch",
    "compute_detailed",
    "metric_spec",
    "resolve_names",
]

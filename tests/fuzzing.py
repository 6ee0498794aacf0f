"""How many damaged headers are tried: few in every run, as many as UPFUSION_FUZZ says where it is set."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

FUZZED = settings(
    max_examples=int(os.environ.get("UPFUSION_FUZZ", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)

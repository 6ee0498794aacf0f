"""Tables of scores made of numbers alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from upfusion_med.core import Modality
from upfusion_med.evaluation.methods import Kind
from upfusion_med.evaluation.pairs import Pair
from upfusion_med.evaluation.score_table import ScoreTable


def table_of(
    values: list, cases: list[str], methods: tuple[str, ...] = (), metrics: tuple[str, ...] = ("vif",), groups: str = ""
) -> ScoreTable:
    """Values (methods, pairs, metrics) as a table; one letter per pair names its group."""
    cube = np.array(values, dtype=float)
    names = methods or tuple(f"m{k}" for k in range(len(cube)))
    pairs = tuple(
        Pair(group, str(k), case, Path("a"), Path("b"), Modality.CT)
        for k, (case, group) in enumerate(zip(cases, groups or "G" * len(cases), strict=True))
    )
    kinds = tuple(Kind.COPY if n.startswith("copy") else Kind.RULE for n in names)
    return ScoreTable(names, kinds, pairs, metrics, cube, np.isfinite(cube).any(axis=2))

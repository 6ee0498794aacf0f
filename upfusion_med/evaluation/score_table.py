"""All scores of a run as one cube: methods × pairs × metrics."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from upfusion_med.evaluation.methods import Kind
from upfusion_med.evaluation.pairs import Failure, Pair

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """Scores of a run.

    Attributes:
        methods: Names, in the order of the call.
        kinds: Kind of each method.
        pairs: Pairs of the run, in the order of the set.
        metrics: Keys of the metrics.
        values: (methods, pairs, metrics) float64; NaN where a metric is undefined or the pair failed.
        scored: (methods, pairs) bool: whether the method gave a result that could be measured.
        failures: What could not be scored, and why.
    """

    methods: tuple[str, ...]
    kinds: tuple[Kind, ...]
    pairs: tuple[Pair, ...]
    metrics: tuple[str, ...]
    values: FloatArray
    scored: NDArray[np.bool_]
    failures: tuple[Failure, ...] = ()

    def __post_init__(self) -> None:
        assert self.values.shape == (len(self.methods), len(self.pairs), len(self.metrics))

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups that occur, in order."""
        return tuple(dict.fromkeys(p.group for p in self.pairs))

    def of_group(self, group: str) -> ScoreTable:
        """The same with the pairs of one group only."""
        keep = np.array([p.group == group for p in self.pairs], dtype=bool)
        return replace(
            self,
            pairs=tuple(p for p in self.pairs if p.group == group),
            values=self.values[:, keep],
            scored=self.scored[:, keep],
            failures=tuple(f for f in self.failures if f.group == group),
        )

    def of_metric(self, key: str) -> FloatArray:
        """(methods, pairs) values of one metric."""
        return self.values[:, :, self.metrics.index(key)]

    def row(self, method: str) -> int:
        """Index of a method."""
        return self.methods.index(method)

"""Whether a method throws one source away: what it keeps of the weaker one, beside what averaging leaves of it."""

from __future__ import annotations

from enum import Enum

import numpy as np

from upfusion_med.evaluation.rules import BOUND
from upfusion_med.evaluation.score_table import FloatArray, ScoreTable
from upfusion_med.evaluation.statistics import moments

#: A source's VIF may lie this far below the average rule's before the method counts as one-sided …
TOLERANCE = 0.0005
#: … and this far, relatively, to count as barely one-sided (baseline, section 1).
BARELY = 0.05
#: A network whose weaker source keeps less than this share of the average rule's VIF throws it away (baseline 8).
THROWN_AWAY = 0.60


class Side(str, Enum):
    """Whether a method throws one source away."""

    BOTH = "no"
    BARELY_A = "barely (A)"
    BARELY_B = "barely (B)"
    LOSES_A = "yes (A)"
    LOSES_B = "yes (B)"
    UNKNOWN = "not judged"

    @property
    def keeps_both(self) -> bool:
        """Whether the method may be called best."""
        return self in (Side.BOTH, Side.UNKNOWN)


def weaker_source(table: ScoreTable, *, by_group: bool = False) -> list[tuple[int, float, float]]:
    """For each method its weaker source (0: A, 1: B), the VIF of it, and the average rule's VIF of the same source.

    Means over the pairs that the method and the average rule have in common; NaN where VIF or the average rule is
    missing.

    Args:
        table: The scores.
        by_group: Take means of the groups' means, as `summarise_over_groups` does; NaN where a group has none.
    """
    if BOUND not in table.methods or not {"vif_a", "vif_b"} <= set(table.metrics):
        return [(0, np.nan, np.nan)] * len(table.methods)
    parts = [table.of_group(g) for g in table.groups] if by_group else [table]
    found = []
    for own, bound in np.mean([_kept_and_bound(part) for part in parts], axis=0):
        weak = int(own[1] < own[0])
        found.append((weak, float(own[weak]), float(bound[weak])))
    return found


def _kept_and_bound(table: ScoreTable) -> FloatArray:
    """(methods, 2, 2) mean VIF of A and B, of the method and of the average rule, over the pairs that both have."""
    own = np.stack([table.of_metric("vif_a"), table.of_metric("vif_b")], axis=-1)
    bound = np.broadcast_to(own[table.row(BOUND)], own.shape)
    common = np.isfinite(own + bound).all(axis=-1, keepdims=True)
    return np.stack([moments(np.where(common, values, np.nan))[0] for values in (own, bound)], axis=1)


def one_sided(table: ScoreTable, *, by_group: bool = False) -> list[Side]:
    """For each method whether its weaker source keeps less VIF than the average rule leaves it.

    The weaker source is the one with the lower VIF. The letter names the source that is lost. Not judged where VIF or
    the average rule is missing. Means are those of `weaker_source`.
    """
    return [_verdict(*row) for row in weaker_source(table, by_group=by_group)]


def _verdict(weak: int, own: float, bound: float) -> Side:
    if np.isnan(own):
        return Side.UNKNOWN
    if own >= bound - TOLERANCE:
        return Side.BOTH
    if own > bound * (1.0 - BARELY):
        return (Side.BARELY_A, Side.BARELY_B)[weak]
    return (Side.LOSES_A, Side.LOSES_B)[weak]

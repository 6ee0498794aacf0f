"""What an ablation shows: means over seeds, and differences to the whole network, paired over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from upfusion_med.evaluation.columns import column
from upfusion_med.training.ablation.runs import AblationRun
from upfusion_med.training.ablation.variants import FULL

#: Name of the mean over the kinds of pairs, each counted alike.
ALL_KINDS = "mean of kinds"
#: Stands where the split of a difference would: the loss on held-out crops of infrared-visible pairs.
HELD_OUT = "held-out infrared-visible crops"
#: Stands where the metric of a difference would: the loss, its sign turned.
LOSS = "loss"
#: Metrics that decide whether a part earns its place.
JUDGES = ("q_p", "vif", "q_abf", "ssim")
CONFIDENCE = 0.95


class Verdict(str, Enum):
    """What a metric says about a part of the network."""

    HELPS = "helps"
    HURTS = "hurts"
    LEANS_FOR = "leans for it"
    LEANS_AGAINST = "leans against it"
    OPEN = "open"


@dataclass(frozen=True)
class Row:
    """A variant on one kind of pairs of one split.

    Attributes:
        split: ``dev`` or ``test``.
        kind: Kind of pairs, or `ALL_KINDS`.
        variant: Name of the variant.
        label: Its name in tables.
        metric: Key of the metric.
        values: One value per seed, each a mean over pairs.
    """

    split: str
    kind: str
    variant: str
    label: str
    metric: str
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return float(np.mean(self.values))

    @property
    def sd(self) -> float:
        """Standard deviation over seeds (n - 1); NaN for one seed."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else float("nan")


@dataclass(frozen=True)
class Difference:
    """The whole network minus a variant, paired over seeds.

    Attributes:
        split: ``dev`` or ``test``, or `HELD_OUT`.
        variant: Name of the variant.
        metric: Key of the metric, or `LOSS`.
        values: One difference per seed, of the means over kinds; a loss has its sign turned, so that more is better.
        low: Lower end of the 95 % interval of the mean (Student's t); NaN for one seed.
        high: Its upper end.
    """

    split: str
    variant: str
    metric: str
    values: tuple[float, ...]
    low: float
    high: float

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return float(np.mean(self.values))

    @property
    def verdict(self) -> Verdict:
        """Helps or hurts where the interval leaves out 0; leans where every seed agrees; otherwise open.

        Where lower is better the sign is turned; open where neither is.
        """
        turn = 1 if self.metric == LOSS else column(self.metric).better or 0
        low, high = sorted((turn * self.low, turn * self.high))
        gains = [turn * v for v in self.values]
        if low > 0:
            return Verdict.HELPS
        if high < 0:
            return Verdict.HURTS
        if len(gains) > 1 and all(v > 0 for v in gains):
            return Verdict.LEANS_FOR
        if len(gains) > 1 and all(v < 0 for v in gains):
            return Verdict.LEANS_AGAINST
        return Verdict.OPEN


def rows_of(runs: Sequence[AblationRun]) -> list[Row]:
    """Every variant, split, kind and metric; kinds first, then their mean."""
    rows = []
    for variant in dict.fromkeys(run.variant for run in runs):
        own = [run for run in runs if run.variant == variant]
        for split in own[0].scores:
            kinds = tuple(dict.fromkeys(pair.split("/")[0] for pair in own[0].scores[split]))
            for metric in own[0].facts["metrics"]:
                table = np.array([[_mean(run, split, kind, metric) for kind in kinds] for run in own])
                columns = [*zip(kinds, table.T, strict=True), (ALL_KINDS, table.mean(1))]
                rows += [Row(split, k, variant, own[0].label, metric, tuple(v.tolist())) for k, v in columns]
    return rows


def _mean(run: AblationRun, split: str, kind: str, metric: str) -> float:
    values = [s[metric] for pair, s in run.scores[split].items() if pair.split("/")[0] == kind and metric in s]
    return float(np.mean(values)) if values else float("nan")


def differences_of(rows: Sequence[Row]) -> list[Difference]:
    """The whole network minus each other variant, on the mean of kinds."""
    means = {(r.split, r.variant, r.metric): np.array(r.values) for r in rows if r.kind == ALL_KINDS}
    found = []
    for (split, variant, metric), values in means.items():
        if variant == FULL:
            continue
        change = means[split, FULL, metric] - values
        low, high = interval(change)
        found.append(Difference(split, variant, metric, tuple(change.tolist()), low, high))
    return found


def loss_differences_of(runs: Sequence[AblationRun]) -> list[Difference]:
    """How much lower the whole network's loss is than each other variant's, on crops that neither was trained on."""
    losses: dict[str, dict[int, float]] = {}
    for run in runs:
        losses.setdefault(run.variant, {})[run.seed] = run.validation_loss
    found = []
    for variant, by_seed in losses.items():
        if variant != FULL and not np.isnan(list(by_seed.values())).any():
            gain = np.array([loss - losses[FULL][seed] for seed, loss in by_seed.items()])
            found.append(Difference(HELD_OUT, variant, LOSS, tuple(gain.tolist()), *interval(gain)))
    return found


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """95 % interval of a mean (Student's t with n - 1 degrees of freedom); NaN for one value."""
    if len(values) < 2:
        return float("nan"), float("nan")
    from scipy import stats

    reach = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5)
    return float(values.mean()) - reach, float(values.mean()) + reach


def earns_its_place(differences: Sequence[Difference], variant: str, split: str) -> str:
    """One word on a part, from the metrics that judge: ``yes``, ``leans yes``, ``open``, ``leans no`` or ``no``.

    Yes: more judges say that it helps than that it hurts. Leans: the same for judges on which all seeds agree.
    """
    verdicts = [d.verdict for d in differences if d.variant == variant and d.split == split and d.metric in JUDGES]
    clear = verdicts.count(Verdict.HELPS) - verdicts.count(Verdict.HURTS)
    if clear:
        return "yes" if clear > 0 else "no"
    leaning = verdicts.count(Verdict.LEANS_FOR) - verdicts.count(Verdict.LEANS_AGAINST)
    if leaning:
        return "leans yes" if leaning > 0 else "leans no"
    return "open"

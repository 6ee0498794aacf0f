"""What an ablation is to do: a training configuration that all variants share, seeds, and what is scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from upfusion_med.core import UsageError
from upfusion_med.evaluation.columns import known_metrics
from upfusion_med.evaluation.datasets import get_data_set
from upfusion_med.evaluation.pairs import EVERYTHING
from upfusion_med.training.configuration import check_texts, config_from, read_fields

#: Columns of the paper's ablation (facts A.6), and the fidelity to each source.
METRICS = ("q_ncie", "q_p", "vif", "ssim", "q_abf", "vif_a", "vif_b")
#: Fields of a training configuration that the ablation sets itself.
_OWN = ("output", "seed")


@dataclass(frozen=True)
class AblationConfig:
    """Everything an ablation depends on.

    Attributes:
        training: Fields of the training configuration that all runs share; infrared-visible pairs only.
        harvard: Root folder of the Harvard pairs; only scored, never trained on.
        output: Folder of the runs and tables; finished runs there are kept.
        seeds: One run of every variant per seed.
        variants: Names of variants; none: all.
        every: By split, every how many pairs of a kind are scored (in the order of their names).
        metrics: What is measured.

    Raises:
        UsageError: a field is wrong, here or in the training; the message names it.
    """

    training: Mapping[str, Any]
    harvard: str
    output: str
    seeds: tuple[int, ...] = (0, 1, 2)
    variants: tuple[str, ...] = ()
    every: Mapping[str, int] = field(default_factory=lambda: {"dev": 1, "test": 1})
    metrics: tuple[str, ...] = METRICS

    def __post_init__(self) -> None:
        self._check_kinds()
        if own := sorted(set(self.training) & set(_OWN)):
            raise UsageError(f"The training of an ablation sets {', '.join(own)}, which the ablation does; remove it.")
        config_from({**self.training, "output": self.output}, "of the ablation's training")
        if len(set(self.seeds)) != len(self.seeds) or not self.seeds:
            raise UsageError(f"The seeds are {list(self.seeds)}; expected one or more different numbers.")
        if any(step < 1 for step in self.every.values()) or not self.every:
            raise UsageError(f"'every' is {dict(self.every)}; expected splits with numbers of 1 or more.")
        self._check_scoring()

    def _check_scoring(self) -> None:
        """Refuse at once what would fail when the first network has been trained."""
        known, splits = known_metrics(medical=True), (*get_data_set("harvard").splits, EVERYTHING)
        if unknown := [m for m in self.metrics if m not in known]:
            raise UsageError(f"There is no metric {', '.join(unknown)}; expected some of {', '.join(known)}.")
        if unknown := [s for s in self.every if s not in splits]:
            raise UsageError(f"'every' names the split {', '.join(unknown)}; expected some of {', '.join(splits)}.")

    def _check_kinds(self) -> None:
        if not isinstance(self.training, Mapping):
            raise UsageError(f"'training' is {self.training!r}; expected the fields of a training configuration.")
        for name in ("harvard", "output"):
            if not isinstance(getattr(self, name), str):
                raise UsageError(f"'{name}' is {getattr(self, name)!r}; expected the path of a folder.")
        for name in ("variants", "metrics"):
            check_texts(name, getattr(self, name))
        if not isinstance(self.seeds, tuple) or not all(_is_whole(seed) and seed >= 0 for seed in self.seeds):
            raise UsageError(f"'seeds' is {self.seeds!r}; expected a list of whole numbers of 0 or more.")
        if not isinstance(self.every, Mapping) or not all(map(_is_whole, self.every.values())):
            raise UsageError(f"'every' is {self.every!r}; expected a whole number by split.")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def read_ablation_config(path: Path) -> AblationConfig:
    """Read a JSON configuration.

    Raises:
        InputError: the file cannot be read or is not JSON.
        UsageError: unknown or missing fields, named.
    """
    raw = read_fields(path)
    known = {f.name for f in fields(AblationConfig)}
    if unknown := sorted(set(raw) - known):
        raise UsageError(f"The configuration {path.name} has unknown fields: {', '.join(unknown)}.")
    if missing := sorted({"training", "harvard", "output"} - set(raw)):
        raise UsageError(f"The configuration {path.name} lacks the fields {', '.join(missing)}.")
    return AblationConfig(**raw)

"""Picture pairs for evaluation: what fusion papers score, as MONAI data."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from monai.transforms import MapTransform
from torch import Tensor
from torch.utils.data import Dataset

from upfusion_med.core import UsageError
from upfusion_med.evaluation.datasets import get_data_set
from upfusion_med.evaluation.pair_search import find_pairs
from upfusion_med.evaluation.picture_levels import grey, read_levels

log = logging.getLogger(__name__)


class PicturePairs(Dataset[dict[str, Any]]):
    """Registered picture pairs of a published set, as `upfusion benchmark` finds and reads them.

    Each item has ``image``: (2, H, W) float32 in 0..1 (luminance of A, luminance of B), ``label``: the same in 8-bit
    levels 0..255, which fusion metrics compare the result with, and ``name`` and ``modality`` of the pair.

    Args:
        dataset_dir: Root folder of the set.
        data_set: Name that `upfusion benchmark` knows, such as ``harvard`` or ``msrs``; the infrared-visible ones also
            fit any folder with ``vi`` and ``ir`` in it.
        group: Only this kind of pair, such as ``PET-MRI``; None: all.
        split: ``test``, ``dev`` or ``all``; None: the first split where the folder says which it is.
        names: Only these file stems, or this one; None: all. Numbers are stems too: MONAI reads 41031 as one.

    Pictures that lack their counterpart are left out, with a warning.

    Raises:
        InputError: the folder does not look like the set.
        UsageError: an unknown set, group, split or name, or no name.
    """

    def __init__(
        self,
        dataset_dir: str,
        data_set: str,
        group: str | None = None,
        split: str | None = None,
        names: Sequence[str | int] | str | int | None = None,
    ) -> None:
        found = find_pairs(get_data_set(data_set), Path(dataset_dir), split)
        if group is not None and group not in found.groups:
            raise UsageError(
                f"There is no group '{group}' in {dataset_dir}; expected one of {', '.join(found.groups)}."
            )
        self.data = [pair for pair in found.pairs if group in (None, pair.group)]
        lost = [failure for failure in found.failures if group in (None, failure.group)]
        if names is not None:
            wanted = {str(name) for name in ([names] if isinstance(names, str | int) else names)}
            missing = sorted(wanted - {pair.name for pair in self.data})
            if missing or not wanted:
                raise UsageError(
                    f"No pair of the split '{found.split}' in {dataset_dir} is called "
                    f"{', '.join(missing) or 'nothing'}; expected names such as {self.data[0].name}."
                )
            self.data = [pair for pair in self.data if pair.name in wanted]
            lost = [failure for failure in lost if failure.name in wanted]
        notes = found.notes if group is None else ()
        for text in (*notes, *(f"{failure.group}/{failure.name} is left out. {failure.reason}" for failure in lost)):
            log.warning(text)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One pair."""
        pair = self.data[index]
        levels = torch.stack([torch.from_numpy(grey(read_levels(file))).float() for file in (pair.a, pair.b)])
        return {"image": levels / 255, "label": levels, "name": pair.name, "modality": pair.modality.value}


def prepare_pair(
    batch: Mapping[str, Any], device: torch.device | str, *_: Any, **__: Any
) -> tuple[Tensor, Tensor, tuple[()], dict[str, Any]]:
    """MONAI's ``prepare_batch`` for batches of one pair: the inferer is told the modality, which chooses the prompt."""
    facts = {"modality": batch["modality"][0]}
    return batch["image"].to(device), batch["label"].to(device), (), {"facts": facts}


class ToLevelsd(MapTransform):
    """Luminance in 0..1 to 8-bit levels 0..255 as float, rounded: what a picture file would hold."""

    def __call__(self, data: Mapping[Any, Any]) -> dict[Any, Any]:
        """Round the keys."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = torch.round(torch.as_tensor(result[key]).double().clamp(0, 1) * 255).float()
        return result


def first_of_batch(output: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """``(pred, label)`` of an engine's output as batches, for metrics of this package."""
    if isinstance(output, Mapping):
        return output["pred"], output["label"]
    return torch.stack([o["pred"] for o in output]), torch.stack([o["label"] for o in output])

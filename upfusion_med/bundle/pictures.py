"""Picture pairs for evaluation: what fusion papers score, as MONAI data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from upfusion_med.training.pairs import load_pairs


class PicturePairs(Dataset[dict[str, Tensor]]):
    """Registered picture pairs of two folders, matched by name.

    Each item has ``image``: (2, H, W) float32 in 0..1 (luminance of A, luminance of B), and ``label``, the same: fusion
    metrics compare the result with its sources.

    Args:
        a: Folder of visible or functional pictures.
        b: Folder of infrared or MRI pictures.
        names: Only these file stems; None: all.
    """

    def __init__(self, a: str, b: str, names: Sequence[str] | None = None) -> None:
        pairs = load_pairs(Path(a), Path(b))
        self.data = [pair for pair in pairs if names is None or pair.name in set(names)]

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """One pair."""
        pair = self.data[index]
        image = np.stack([pair.visible, pair.infrared]).astype(np.float32) / np.float32(255)
        return {"image": torch.from_numpy(image), "label": torch.from_numpy(image.copy())}


def first_of_batch(output: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """``(pred, label)`` of an engine's output as batches, for metrics of this package."""
    if isinstance(output, Mapping):
        return output["pred"], output["label"]
    return torch.stack([o["pred"] for o in output]), torch.stack([o["label"] for o in output])

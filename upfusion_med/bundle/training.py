"""Training in MONAI's engines: crops as a data set, the loss with MONAI's signature."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from torch import Tensor, nn
from torch.utils.data import Dataset

from upfusion_med.core import UsageError
from upfusion_med.training import losses
from upfusion_med.training.augmentation import augment
from upfusion_med.training.objective import loss_parts
from upfusion_med.training.pairs import find_pairs, held_in_memory, split_by_scene

#: Pictures of a data set that are held in memory, in GiB; the others are read again at each use.
CACHE_GIB = 8.0
#: Weights of the loss components.
LOSS = {"intensity": 0.08, "edges": 16.0, "brightness_lost": 1.2, "ssim": 1.2, "vif": 0.9, "balance": 0.4}


class CropDataset(Dataset[dict[str, Tensor]]):
    """Augmented crops of infrared-visible pairs, each drawn from its number alone.

    Args:
        visible: Folder of visible pictures.
        infrared: Folder of infrared pictures of the same names.
        table: CSV with ``name, source_scene``, or None.
        part: ``training`` or ``validation``; whole scenes lie on one side.
        validation_share: Share of scenes on the validation side.
        prompt: What the first picture imitates (see `upfusion_med.training.augmentation`).
        side: Side of a crop in pixels.
        length: Crops an epoch.
        seed: Of everything.

    Raises:
        InputError: a picture or the table cannot be used.
        UsageError: the share leaves no scene on this side.
    """

    def __init__(
        self,
        visible: str,
        infrared: str,
        table: str | None = None,
        part: str = "training",
        validation_share: float = 0.06,
        prompt: str = "mri_pet",
        side: int = 128,
        length: int = 800,
        seed: int = 0,
    ) -> None:
        pairs = find_pairs(Path(visible), Path(infrared), Path(table) if table else None)
        training, validation = split_by_scene(pairs, validation_share, seed)
        own = training if part == "training" else validation
        if not own:
            raise UsageError(
                f"A 'validation_share' of {validation_share:g} leaves no scene for {part}, of "
                f"{len({pair.scene for pair in pairs})} in all; expected at least one. Change it, or bring more scenes."
            )
        self.data = held_in_memory(own, CACHE_GIB)
        self.prompt, self.side, self.length, self.seed = prompt, side, length, seed
        self.is_validation = int(part != "training")
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Draw other crops in another epoch; validation always sees the same."""
        self.epoch = 0 if self.is_validation else epoch

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """``image`` and ``label``: (2, side, side) float32 in 0..1, both sources."""
        rng = np.random.default_rng((self.seed, self.is_validation, self.epoch, index))
        pair = self.data[int(rng.integers(len(self.data)))]
        image = torch.from_numpy(np.stack(augment(pair, self.side, self.prompt, rng)))
        return {"image": image, "label": image.clone()}


class EpochSetter:
    """Ignite handler: tells a `CropDataset` the epoch before it starts, so that every epoch draws other crops."""

    def __init__(self, dataset: CropDataset) -> None:
        self.dataset = dataset

    def attach(self, engine: Engine) -> None:
        """Register with a trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, lambda e: self.dataset.set_epoch(e.state.epoch - 1))


class FusionLoss(nn.Module):
    """Weighted sum of the loss components of `upfusion_med.training.losses`, called as ``loss(pred, sources)``.

    Args:
        weights: By component; None: `LOSS`.
        emphasis: Share of the first source in the similarity terms, 0..1.
    """

    def __init__(self, weights: Mapping[str, float] | None = None, emphasis: float = 0.5) -> None:
        super().__init__()
        self.weights, self.emphasis = dict(weights or LOSS), emphasis

    def forward(self, pred: Tensor, sources: Tensor) -> Tensor:
        """(B, 1, H, W) and (B, 2, H, W) in 0..1 to a scalar."""
        share = torch.full((len(pred),), self.emphasis, device=pred.device)
        parts = loss_parts(pred.float(), sources[:, :1], sources[:, 1:], share, 0, self.weights)
        return losses.total(parts, self.weights)


def pair_as_label(batch: Mapping[str, Any], device: torch.device | str, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
    """MONAI's ``prepare_batch`` for items of `CropDataset` and `PicturePairs`."""
    return batch["image"].to(device), batch["label"].to(device)

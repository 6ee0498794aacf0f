"""A lean trainer: every step depends on the configuration and its number alone, so that a run resumes exactly."""

from __future__ import annotations

import json
import logging
import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from upfusion_med.core import InputError, Progress, SilentProgress, UsageError
from upfusion_med.networks import create
from upfusion_med.training import losses
from upfusion_med.training.augmentation import PROMPT_EMPHASIS, draw_batch
from upfusion_med.training.pairs import TrainingPair, load_pairs, split_by_scene
from upfusion_med.weights import read_checkpoint

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingConfig:
    """Everything a run depends on.

    Attributes:
        visible: Folder of visible pictures.
        infrared: Folder of infrared pictures.
        table: CSV with ``name, source_scene``, or None.
        output: Folder for checkpoints and the log; an existing run there is resumed.
        model: Network name.
        overrides: Fields of the network's configuration to replace (ablation).
        backbone_weights: safetensors file of the semantic backbone in timm names, or None for random weights.
        start: Weights file (safetensors) to start from, or None for random weights.
        text_codes: npz with ``names`` and one array of codes.
        text_encoder: Which array of ``text_codes`` is used; recorded in the weights.
        exclude: Prefixes of pair names left out.
        steps: Length of the run.
        batch: Crops a step.
        twins: How many of the crops are slightly changed copies of others, for the loss ``instability``.
        side: Side of a crop in pixels.
        learning_rate: At the start; falls on a cosine to a hundredth.
        warmup: Steps of linear warm-up.
        clip: Largest gradient norm.
        ema: Decay of the averaged weights that are validated and shipped.
        emphasis: Share of the first picture in the similarity terms, by prompt.
        loss: Weight of each component of ``losses.components``.
        seed: Seed of everything.
        bf16: Mixed precision.
        validation_share: Share of scenes kept for validation.
        save_every: Steps between checkpoints and validations.
        device: torch device.
    """

    visible: str
    infrared: str
    output: str
    text_codes: str
    table: str | None = None
    model: str = "upfusion-tiny"
    overrides: Mapping[str, Any] = field(default_factory=dict)
    backbone_weights: str | None = None
    start: str | None = None
    text_encoder: str = "minilm_512"
    exclude: tuple[str, ...] = ()
    steps: int = 6000
    batch: int = 8
    twins: int = 0
    side: int = 128
    learning_rate: float = 1e-3
    warmup: int = 200
    clip: float = 1.0
    ema: float = 0.999
    emphasis: Mapping[str, float] = field(default_factory=lambda: dict(PROMPT_EMPHASIS))
    loss: Mapping[str, float] = field(
        default_factory=lambda: {"intensity": 0.5, "gradient": 2.0, "ssim": 1.0, "vif": 0.7, "balance": 0.2}
    )
    seed: int = 0
    bf16: bool = True
    validation_share: float = 0.06
    save_every: int = 500
    device: str = "cpu"


def read_config(path: Path) -> TrainingConfig:
    """Read a JSON configuration; unknown fields are an error that names them."""
    try:
        raw = json.loads(path.read_text())
    except OSError as error:
        raise InputError(f"The configuration {path} cannot be read: {error.strerror}.") from error
    except json.JSONDecodeError as error:
        raise InputError(f"The configuration {path} is not JSON: {error}.") from error
    unknown = sorted(set(raw) - set(TrainingConfig.__dataclass_fields__))
    if unknown:
        raise UsageError(f"The configuration {path.name} has unknown fields: {', '.join(unknown)}.")
    if "exclude" in raw:
        raw["exclude"] = tuple(raw["exclude"])
    return TrainingConfig(**raw)


def read_text_codes(path: Path, encoder: str) -> dict[str, Tensor]:
    """Named prompts and their codes, each (512,) float32."""
    with np.load(path, allow_pickle=False) as table:
        return {
            str(n): torch.from_numpy(c.astype(np.float32)) for n, c in zip(table["names"], table[encoder], strict=True)
        }


def load_backbone(network: nn.Module, path: Path) -> None:
    """Put pretrained weights into the network's semantic backbone; classifier layers of the file are not needed."""
    from safetensors.torch import load_file

    features: nn.Module = network.get_submodule("pruning.backbone.features")
    wanted = features.state_dict()
    # timm flattens the first level of some families when it cuts off the classifier: stages.0 becomes stages_0.
    tensors = {k: v.float() for k, v in load_file(path).items()}
    have = {re.sub(r"^(\w+)\.(\d+)\.", r"\1_\2.", k): v for k, v in tensors.items()} | tensors
    missing = sorted(set(wanted) - set(have) - {k for k in wanted if k.endswith("num_batches_tracked")})
    if missing:
        raise InputError(f"{path.name} lacks {len(missing)} tensors of the backbone: {', '.join(missing[:10])}.")
    features.load_state_dict({k: have.get(k, v) for k, v in wanted.items()})


class Trainer:
    """Runs a configuration from its last checkpoint to its end."""

    def __init__(self, config: TrainingConfig) -> None:
        self.config = config
        self.output = Path(config.output)
        self.device = torch.device(config.device)
        self.codes = read_text_codes(Path(config.text_codes), config.text_encoder)
        pairs = load_pairs(
            Path(config.visible), Path(config.infrared), Path(config.table) if config.table else None, config.exclude
        )
        self.training, self.validation = split_by_scene(pairs, config.validation_share, config.seed)
        torch.manual_seed(config.seed)
        self.network = create(config.model, **config.overrides)
        if config.backbone_weights and getattr(self.network.pruning, "backbone", None) is not None:  # type: ignore[union-attr]
            load_backbone(self.network, Path(config.backbone_weights))
        if config.start:
            self.network.load_state_dict(read_checkpoint(Path(config.start)).state)
        self.network.to(self.device).train()
        self.learned = [p for p in self.network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.learned, lr=config.learning_rate, weight_decay=1e-4)
        self.average = [p.detach().clone() for p in self.learned]
        self.step = 0
        self.resume()

    @property
    def checkpoint(self) -> Path:
        """Where the state of the run lies."""
        return self.output / "checkpoint.pt"

    def resume(self) -> None:
        """Continue an earlier run of the same configuration, if there is one."""
        if not self.checkpoint.is_file():
            return
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        kept = {k: v for k, v in state["config"].items() if k not in ("output", "device", "save_every")}
        now = json.loads(json.dumps(asdict(self.config)))
        changed = sorted(k for k, v in kept.items() if now.get(k) != v)
        if changed:
            raise UsageError(
                f"{self.checkpoint} belongs to another configuration (differs in {', '.join(changed)}); "
                "choose another output folder or restore the configuration."
            )
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        for mine, saved in zip(self.average, state["average"], strict=True):
            mine.copy_(saved)
        self.step = int(state["step"])

    def save(self) -> None:
        """Write the whole state, atomically."""
        self.output.mkdir(parents=True, exist_ok=True)
        beside = self.checkpoint.with_suffix(".partial")
        torch.save(
            {
                "config": json.loads(json.dumps(asdict(self.config))),
                "network": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "average": self.average,
                "step": self.step,
            },
            beside,
        )
        beside.replace(self.checkpoint)

    def rate(self, step: int) -> float:
        """Learning rate of a step: linear warm-up, then a cosine to a hundredth."""
        c = self.config
        if step < c.warmup:
            return c.learning_rate * (step + 1) / c.warmup
        phase = (step - c.warmup) / max(c.steps - c.warmup, 1)
        return c.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(phase, 1.0))))

    def batch(self, pairs: Sequence[TrainingPair], key: Sequence[int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The crops, text codes and emphasis of the first picture that belong to ``key``."""
        first, second, prompts = draw_batch(
            pairs, self.config.batch, self.config.side, np.random.default_rng(key), self.config.twins
        )
        codes = torch.stack([self.codes[p] for p in prompts])
        emphasis = torch.tensor([self.config.emphasis[p] for p in prompts])
        batch = (torch.from_numpy(first), torch.from_numpy(second), codes, emphasis)
        return tuple(x.to(self.device) for x in batch)  # type: ignore[return-value]

    def parts(self, first: Tensor, second: Tensor, codes: Tensor, emphasis: Tensor) -> dict[str, Tensor]:
        """Loss components of one batch."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bf16):
            fused = self.network(first, second, codes)
        return losses.components(fused.float(), first, second, emphasis, self.config.twins)

    def train_step(self) -> dict[str, float]:
        """One optimiser step; returns the loss components and the gradient norm."""
        batch = self.batch(self.training, (self.config.seed, 0, self.step))
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(self.step)
        parts = self.parts(*batch)
        loss = losses.total(parts, self.config.loss)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.learned, self.config.clip)
        if torch.isfinite(norm):
            self.optimizer.step()
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, list[Tensor](self.learned), 1 - decay)
        self.step += 1
        return {"loss": loss.item(), "gradient_norm": norm.item(), **{k: v.item() for k, v in parts.items()}}

    def averaged_state(self) -> dict[str, Tensor]:
        """State dict with the averaged weights in place of the raw ones."""
        state = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        learned = [k for k, p in self.network.named_parameters() if p.requires_grad]
        state.update(zip(learned, (t.clone() for t in self.average), strict=True))
        return state

    @torch.no_grad()
    def validate(self, batches: int = 12) -> dict[str, float]:
        """Mean loss components of the averaged weights on fixed crops of the held-out scenes."""
        raw = {k: v.clone() for k, v in self.network.state_dict().items()}
        self.network.load_state_dict(self.averaged_state())
        self.network.eval()
        rows = [self.parts(*self.batch(self.validation, (self.config.seed, 1, i))) for i in range(batches)]
        self.network.load_state_dict(raw)
        self.network.train()
        parts = {k: torch.stack([r[k] for r in rows]).mean() for k in rows[0]}
        return {"loss": losses.total(parts, self.config.loss).item(), **{k: v.item() for k, v in parts.items()}}

    def run(self, progress: Progress | None = None) -> Path:
        """Train to the last step; returns the checkpoint. Log lines go to ``log.jsonl`` in the output folder."""
        progress = progress or SilentProgress()
        self.output.mkdir(parents=True, exist_ok=True)
        progress.stage("training", self.config.steps)
        progress.advance(self.step)
        begin, rows = time.perf_counter(), []
        while self.step < self.config.steps:
            rows.append(self.train_step())
            progress.advance()
            if self.step % 50 == 0:
                mean = {k: float(np.mean([r[k] for r in rows])) for k in rows[0]}
                self.note({"step": self.step, "seconds_per_step": (time.perf_counter() - begin) / len(rows), **mean})
                begin, rows = time.perf_counter(), []
            if self.step % self.config.save_every == 0 or self.step == self.config.steps:
                self.save()
                self.note(
                    {"step": self.step, "validation": self.validate()} if self.validation else {"step": self.step}
                )
                begin, rows = time.perf_counter(), []
        return self.checkpoint

    def note(self, row: dict[str, Any]) -> None:
        """Append one line to the run's log."""
        with (self.output / "log.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")

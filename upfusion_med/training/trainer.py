"""A lean trainer: every step depends on the configuration and its number alone, so that a run resumes exactly."""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from upfusion_med.core import InputError, Progress, SilentProgress, UsageError
from upfusion_med.io.output_place import check_output_folder
from upfusion_med.networks import create
from upfusion_med.networks.explanation import full_precision
from upfusion_med.networks.growth import grow
from upfusion_med.networks.state import load_strictly
from upfusion_med.networks.upfusion import UPFusion
from upfusion_med.training import losses, processes, schedule
from upfusion_med.training.backbone import load_backbone
from upfusion_med.training.batches import Batch, Batches, training_key, validation_key
from upfusion_med.training.configuration import TrainingConfig
from upfusion_med.training.objective import loss_parts
from upfusion_med.training.pairs import PicturePair, find_pairs, held_in_memory, split_by_scene
from upfusion_med.training.run_state import read_state, write_state
from upfusion_med.training.text_codes import read_text_codes
from upfusion_med.weights import Checkpoint, read_checkpoint


class Trainer:
    """Runs a configuration from its last checkpoint to its end.

    Under torchrun, several processes share the batches of a step.
    """

    def __init__(self, config: TrainingConfig, like: Mapping[str, Tensor] | None = None) -> None:
        """Read the data and make the network.

        Args:
            config: Everything the run depends on.
            like: Weights that a new run takes over where name and shape are its own, such as those of a network that
                differs in a few parts.

        Raises:
            UsageError: the output is a file, or an earlier run there belongs to another configuration.
            InputError: a file of the configuration cannot be read.
        """
        self.begin_cpu = time.process_time()
        self.config = config
        self.output = Path(config.output)
        check_output_folder(self.output)
        self.processes = processes.join(config.device)
        self.device = self.processes.device
        self.mine = self.processes.share(config.microbatches)
        self.codes = read_text_codes(Path(config.text_codes), config.text_encoder)
        self.training, self.validation = read_pairs(config)
        self.length = schedule.length(config, len(self.training))
        torch.manual_seed(config.seed)
        if config.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats itself only with a fixed room
            torch.backends.cudnn.benchmark = False
            torch.use_deterministic_algorithms(True)
        self.network = start_network(config)
        if like is not None:
            take_over(self.network, like)
        self.network = self.network.to(self.device).train()
        self.learned = [p for p in self.network.parameters() if p.requires_grad]
        kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
        self.optimizer = kind(self.learned, lr=config.learning_rate, weight_decay=config.weight_decay)
        self.average = [p.detach().clone() for p in self.learned]
        self.step = 0
        self.best_score = -math.inf
        self.earlier_cpu_seconds = 0.0
        self.resume()
        self.parallel = self.processes.wrap(self.network)

    @property
    def checkpoint(self) -> Path:
        """Where the state of the run lies."""
        return self.output / "checkpoint.pt"

    @property
    def best(self) -> Path:
        """Where the best weights lie, if the configuration keeps them."""
        return self.output / "best.pt"

    def resume(self) -> None:
        """Continue an earlier run of the same configuration and pairs, if there is one."""
        state = read_state(self.checkpoint, self.config, self.device)
        if state is None:
            return
        if state.get("pairs_sha256", self.pairs_sha256) != self.pairs_sha256:
            raise UsageError(
                f"{self.checkpoint} belongs to a run on other pairs than the {len(self.training)} to train on and "
                f"{len(self.validation)} held out now; choose another output folder or restore the pictures."
            )
        load_strictly(self.network, state["network"], str(self.checkpoint))
        self.optimizer.load_state_dict(state["optimizer"])
        for mine, saved in zip(self.average, state["average"], strict=True):
            mine.copy_(saved)
        self.step = int(state["step"])
        self.best_score = float(state.get("best_score", -math.inf))
        self.earlier_cpu_seconds = float(state.get("cpu_seconds", 0.0))

    def save(self) -> None:
        """Write the whole state, atomically."""
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average,
            "step": self.step,
            "best_score": self.best_score,
            "pairs_sha256": self.pairs_sha256,
            "cpu_seconds": self.cpu_seconds,
        }
        write_state(self.checkpoint, self.config, state)

    def batch(self, pairs: Sequence[PicturePair], key: Sequence[int]) -> Batch:
        """The batch that belongs to ``key``."""
        return self.moved(Batches(self.config, pairs, self.codes)[tuple(key)])

    def moved(self, batch: Batch) -> Batch:
        """A batch on the device of the network."""
        return Batch(*(x.to(self.device, non_blocking=True) for x in batch))

    def parts(self, batch: Batch, network: nn.Module | None = None) -> dict[str, Tensor]:
        """Loss components of one batch."""
        first, second, codes, emphasis, factors = batch
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bf16):
            fused = (network or self.network)(first, second, codes)
        with full_precision(fused):
            return loss_parts(fused.float(), first, second, emphasis, self.config.twins, self.config.loss, factors)

    def train_step(self, batches: Iterator[Batch] | None = None) -> dict[str, float]:
        """One optimiser step.

        Args:
            batches: Gives the batches of this process in order; None: they are drawn here.

        Returns:
            Loss components of this process's batches, mean; the gradient norm; seconds spent waiting for batches.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = schedule.rate(self.config, self.step, len(self.training))
        self.optimizer.zero_grad(set_to_none=True)
        waited, sums = 0.0, dict[str, float]()
        for number in self.mine:
            begin = time.perf_counter()
            batch = (
                self.batch(self.training, training_key(self.config, self.step, number))
                if batches is None
                else self.moved(next(batches))
            )
            waited += time.perf_counter() - begin
            with self.processes.apart(self.parallel, last=number == self.mine[-1]):
                parts = self.parts(batch, self.parallel)
                loss = losses.total(parts, self.config.loss)
                # Over the processes gradients are averaged; over the batches of one process they are added up here.
                (loss / len(self.mine)).backward()
            for name, value in {"loss": loss, **parts}.items():
                sums[name] = sums.get(name, 0.0) + value.item() / len(self.mine)
        norm = nn.utils.clip_grad_norm_(self.learned, math.inf if self.config.clip is None else self.config.clip)
        if torch.isfinite(norm):
            self.optimizer.step()
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, list[Tensor](self.learned), 1 - decay)
        self.step += 1
        return {"loss": sums.pop("loss"), "gradient_norm": norm.item(), **sums, "waited": waited}

    def averaged_state(self) -> dict[str, Tensor]:
        """State dict with the averaged weights in place of the raw ones."""
        state = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        learned = [k for k, p in self.network.named_parameters() if p.requires_grad]
        state.update(zip(learned, (t.clone() for t in self.average), strict=True))
        return state

    def best_state(self) -> dict[str, Tensor]:
        """State dict of the best validation where the configuration keeps it, otherwise the averaged weights."""
        if self.config.keep_best is None or not self.best.is_file():
            return self.averaged_state()
        state: dict[str, Tensor] = torch.load(self.best, map_location=self.device, weights_only=True)["network"]
        return state

    @contextmanager
    def averaged(self) -> Iterator[nn.Module]:
        """The network with the averaged weights, in evaluation mode."""
        raw = {k: v.clone() for k, v in self.network.state_dict().items()}
        self.network.load_state_dict(self.averaged_state())
        self.network.eval()
        try:
            yield self.network
        finally:
            self.network.load_state_dict(raw)
            self.network.train()

    @torch.no_grad()
    def validate(self, batches: int = 12) -> dict[str, float]:
        """Mean loss components of the averaged weights on fixed crops of the held-out scenes."""
        with self.averaged():
            rows = [self.parts(self.batch(self.validation, validation_key(self.config, i))) for i in range(batches)]
        parts = {k: torch.stack([r[k] for r in rows]).mean() for k in rows[0]}
        return {"loss": losses.total(parts, self.config.loss).item(), **{k: v.item() for k, v in parts.items()}}

    def run(self, progress: Progress | None = None) -> Path:
        """Train to the last step, or until a signal asks to stop; returns the checkpoint."""
        from upfusion_med.training.run_loop import run

        run(self, progress or SilentProgress())
        return self.checkpoint

    @property
    def cpu_seconds(self) -> float:
        """Processor time of this process so far, with that of earlier sessions up to the checkpoint gone on from."""
        return self.earlier_cpu_seconds + time.process_time() - self.begin_cpu

    @property
    def pairs_sha256(self) -> str:
        """Over the names of the pairs to train on and of those held out: what is drawn depends on both lists."""
        names = [[pair.name for pair in side] for side in (self.training, self.validation)]
        return hashlib.sha256(json.dumps(names).encode()).hexdigest()

    @property
    def rate_now(self) -> float:
        """Learning rate of the last step."""
        return float(self.optimizer.param_groups[0]["lr"])


def read_pairs(config: TrainingConfig) -> tuple[list[PicturePair], list[PicturePair]]:
    """Training and validation pairs of a configuration, of different scenes.

    Raises:
        InputError: no pair is left for training; or see `find_pairs`.
        UsageError: the best weights are to be kept and no scene is held out.
    """
    found = find_pairs(
        Path(config.visible),
        Path(config.infrared),
        Path(config.table) if config.table else None,
        config.exclude,
        config.scene_prefix,
    )
    training, validation = split_by_scene(
        found, config.validation_share, config.seed if config.split_seed is None else config.split_seed
    )
    if not training:
        raise InputError(
            f"All {len(found)} pairs are of scenes kept for validation ({config.validation_share:.0%} of the scenes); "
            "lower 'validation_share' or bring more scenes."
        )
    if config.keep_best and not validation:
        raise UsageError(
            f"'keep_best' needs held-out scenes, and none of {len({p.scene for p in training})} is; raise "
            "'validation_share', bring more scenes, or set 'keep_best' to null."
        )
    held = held_in_memory(validation, config.cache_gib)
    room = config.cache_gib - sum(p.visible.nbytes + p.infrared.nbytes for p in held) / 2**30
    return held_in_memory(training, room), held


def start_network(config: TrainingConfig) -> nn.Module:
    """The network at step 0: random weights, the backbone's pretrained ones, or those of a weights file.

    Weights of a smaller network of the same parts are grown into the larger one, see `networks.growth`.

    Raises:
        InputError: a weights file cannot be read.
        UsageError: the weights to start from are of a network that this one cannot start as.
    """
    network = create(config.model, **config.overrides)
    if config.backbone_weights:
        load_backbone(network, Path(config.backbone_weights))
    if config.start:
        start_from(network, read_checkpoint(Path(config.start)))
    return network


def start_from(network: nn.Module, checkpoint: Checkpoint) -> None:
    """Take over a checkpoint's weights, or grow out of its smaller network."""
    own, given = network.state_dict(), checkpoint.state
    if own.keys() == given.keys() and all(own[k].shape == v.shape for k, v in given.items()):
        network.load_state_dict(given)
        return
    small = checkpoint.network()
    if not isinstance(small, UPFusion) or not isinstance(network, UPFusion):
        raise UsageError(f"'start' holds weights of {checkpoint.model}, which are not those of this network.")
    grow(small, network)


def take_over(network: nn.Module, weights: Mapping[str, Tensor]) -> int:
    """Copy the weights whose name and shape the network has; returns how many tensors those are."""
    own = network.state_dict()
    fitting = {k: v for k, v in weights.items() if k in own and own[k].shape == v.shape}
    network.load_state_dict(fitting, strict=False)
    return len(fitting)

"""Everything a training run depends on, and how it is read from a file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

from upfusion_med.core import InputError, UsageError

#: What a run may choose its best weights by: metrics of held-out infrared-visible scenes, or the mean of the four.
SCORES = ("q_p", "vif", "q_abf", "ssim", "mean")
#: Fields that take one of a few words.
CHOICES: Mapping[str, tuple[str | None, ...]] = {
    "optimizer": ("adamw", "adam"),
    "schedule": ("cosine", "decay"),
    "augmentation": ("modalities", "flips", "crops"),
    "keep_best": (*SCORES, None),
}
#: Fields that say where and how fast a run is done, not what it gives; they may change when it is continued.
PLACES = ("output", "device", "save_every", "workers", "cache_gib", "tensorboard", "validation_pairs")
#: Those of them that decide, where the best weights are kept, which weights these are.
_CHOOSING = ("save_every", "validation_pairs")


@dataclass(frozen=True)
class TrainingConfig:
    """Everything a run depends on.

    Attributes:
        visible: Folder of visible pictures.
        infrared: Folder of infrared pictures of the same names.
        output: Folder for checkpoint, log and pictures; an existing run there is continued.
        text_codes: npz file with ``names``, ``prompts`` and one array of codes.
        table: CSV with ``name, source_scene``, or null: each picture is its own scene.
        scene_prefix: Without a table: how many first characters of a name tell its scene (LLVIP: 2, the camera).
        model: Network name.
        overrides: Fields of the network's configuration to replace.
        backbone_weights: safetensors file of the semantic backbone in its own names, or null for random weights.
        start: Weights file (safetensors) to start from, or null for random weights. Those of a smaller network of the
            same parts are grown into this one, which then starts as it.
        text_encoder: Which array of ``text_codes`` is used; recorded in the weights.
        exclude: Prefixes of pair names left out.
        steps: Length of the run in steps.
        epochs: Length of the run in passes over the training pairs, in place of ``steps``.
        batch: Crops of a batch.
        microbatches: Batches of a step, whose gradients are averaged. The processes of torchrun share them, so the
            result does not depend on how many there are; their number must divide it.
        twins: How many crops of a batch are slightly changed copies of others, for the loss ``instability``.
        side: Side of a crop in pixels.
        other_looks: Share of crops of the augmentation ``modalities`` whose look is drawn apart from their prompt; 0: a
            prompt is only heard with its own imitation.
        augmentation: ``modalities`` (crops that look like other modalities), ``flips`` (random crops, mirrored) or
            ``crops`` (random crops as they are).
        optimizer: ``adamw`` or ``adam``.
        weight_decay: Of the optimiser.
        learning_rate: At the start, after the warm-up.
        schedule: ``cosine``, to ``final_share`` of the rate; or ``decay``: times ``decay`` after every epoch, not
            below ``final_share`` of the rate.
        final_share: Smallest rate as a share of ``learning_rate``.
        decay: Factor of the schedule ``decay``.
        warmup: Steps of linear warm-up.
        clip: Largest gradient norm, or null: gradients are taken as they are.
        ema: Decay of the averaged weights that are validated and shipped; 0: the last weights themselves.
        emphasis: Share of the first picture in the similarity terms, by prompt; default: that of the augmentation.
        loss: Weight of each loss component.
        prompt_factors: Factors on some of these weights, by prompt: what its text asks for besides the emphasis.
        seed: Seed of everything.
        split_seed: Seed of the split into training and held-out scenes, or null: ``seed``. Runs that continue each
            other hold out the same scenes by it.
        bf16: Mixed precision: the network runs in bfloat16, losses and weights stay in float32.
        deterministic: Only algorithms that give the same result twice, also on CUDA; slower there.
        validation_share: Share of scenes kept for validation.
        validation_pairs: Held-out pairs that are scored by metrics at every validation; 0: none.
        keep_best: Metric of held-out infrared-visible scenes by which the best weights are kept, or null: the last.
        save_every: Steps between checkpoints and validations.
        workers: Processes that prepare crops in advance; 0: in between the steps.
        cache_gib: Pictures held in memory, in GiB; what does not fit is read again at each use.
        tensorboard: Also write event files for TensorBoard.
        device: ``cpu`` or ``cuda``.

    Raises:
        UsageError: a value of a wrong kind or range; the message names the field.
    """

    visible: str
    infrared: str
    output: str
    text_codes: str
    table: str | None = None
    scene_prefix: int = 0
    model: str = "upfusion-tiny"
    overrides: Mapping[str, Any] = field(default_factory=dict)
    backbone_weights: str | None = None
    start: str | None = None
    text_encoder: str = "minilm_512"
    exclude: tuple[str, ...] = ()
    steps: int = 6000
    epochs: int | None = None
    batch: int = 8
    microbatches: int = 1
    twins: int = 0
    side: int = 128
    other_looks: float = 0.0
    augmentation: str = "modalities"
    optimizer: str = "adamw"
    weight_decay: float = 1e-4
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    final_share: float = 0.01
    decay: float = 0.8
    warmup: int = 200
    clip: float | None = 1.0
    ema: float = 0.999
    emphasis: Mapping[str, float] = field(default_factory=dict)
    loss: Mapping[str, float] = field(
        default_factory=lambda: {"intensity": 0.5, "gradient": 2.0, "ssim": 1.0, "vif": 0.7, "balance": 0.2}
    )
    prompt_factors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    seed: int = 0
    split_seed: int | None = None
    bf16: bool = True
    deterministic: bool = False
    validation_share: float = 0.06
    validation_pairs: int = 12
    keep_best: str | None = None
    save_every: int = 500
    workers: int = 0
    cache_gib: float = 8.0
    tensorboard: bool = False
    device: str = "cpu"

    @property
    def places(self) -> tuple[str, ...]:
        """`PLACES` of this run; with ``keep_best`` without those fields by which the best weights are chosen."""
        return PLACES if self.keep_best is None else tuple(name for name in PLACES if name not in _CHOOSING)

    def __post_init__(self) -> None:
        self._check_kinds()
        self._check_collections()
        self._check_ranges()
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                known = ", ".join("null" if c is None else c for c in choices)
                raise UsageError(f"'{name}' is '{getattr(self, name)}'; expected one of {known}.")
        if 2 * self.twins > self.batch:
            raise UsageError(f"'twins' is {self.twins} of a batch of {self.batch}; expected at most half of it.")
        if self.twins and self.augmentation != "modalities":
            raise UsageError(f"'twins' is {self.twins}; the augmentation '{self.augmentation}' makes none; expected 0.")
        if not self.loss:
            raise UsageError("'loss' is empty; expected the weight of at least one component.")
        if self.keep_best and not self.validation_pairs:
            raise UsageError("'keep_best' needs held-out pairs to score; set 'validation_pairs' above 0.")

    def _check_collections(self) -> None:
        check_texts("exclude", self.exclude)
        if not isinstance(self.overrides, Mapping):
            raise UsageError(f"'overrides' is {self.overrides!r}; expected fields of the network with their values.")
        check_numbers("loss", self.loss)
        check_numbers("emphasis", self.emphasis, most=1)
        if not isinstance(self.prompt_factors, Mapping):
            raise UsageError(f"'prompt_factors' is {self.prompt_factors!r}; expected factors by prompt and component.")
        for prompt, factors in self.prompt_factors.items():
            check_numbers(f"prompt_factors of {prompt}", factors)
            if strange := sorted(set(factors) - set(self.loss)):
                raise UsageError(f"'prompt_factors' names {', '.join(strange)}; expected components of 'loss'.")

    def _check_ranges(self) -> None:
        for name in ("batch", "microbatches", "side", "save_every", "learning_rate", "clip", "epochs"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise UsageError(f"'{name}' is {getattr(self, name)}; expected a number above 0.")
        least_0 = ("steps", "warmup", "twins", "workers", "validation_pairs", "scene_prefix", "weight_decay", "seed")
        for name in (*least_0, "split_seed"):
            if getattr(self, name) is not None and not getattr(self, name) >= 0:
                raise UsageError(f"'{name}' is {getattr(self, name)}; expected 0 or more.")
        for name in ("ema", "other_looks", "validation_share", "final_share", "decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"'{name}' is {getattr(self, name)}; expected a number from 0 to 1.")

    def _check_kinds(self) -> None:
        hints = get_type_hints(type(self))
        for name, hint in hints.items():
            value, kinds = getattr(self, name), get_args(hint) or (hint,)
            if hint in (int, float, bool, str) or type(None) in kinds:
                wanted = (*kinds, int) if float in kinds else kinds
                if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in kinds):
                    names = " or ".join("null" if k is type(None) else k.__name__ for k in kinds)
                    raise UsageError(f"'{name}' is {value!r}; expected {names}.")
                if isinstance(value, float) and not math.isfinite(value):
                    raise UsageError(f"'{name}' is {value}; expected a finite number.")


def check_texts(name: str, value: object) -> None:
    """Refuse what is no tuple of texts; one text alone would be taken for a list of its letters.

    Raises:
        UsageError: it is something else; the message names the field.
    """
    if not isinstance(value, tuple) or not all(isinstance(text, str) for text in value):
        raise UsageError(f"'{name}' is {value!r}; expected a list of texts.")


def check_numbers(name: str, value: object, *, most: float = math.inf) -> None:
    """Refuse what is no mapping to finite numbers from 0 to ``most``.

    Raises:
        UsageError: it is something else; the message names the field and the key.
    """
    wanted = "a number of 0 or more" if math.isinf(most) else f"a number from 0 to {most:g}"
    if not isinstance(value, Mapping):
        raise UsageError(f"'{name}' is {value!r}; expected {wanted} by name.")
    for key, number in value.items():
        is_number = isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
        if not is_number or not 0 <= number <= most:
            raise UsageError(f"'{name}' has {number!r} for {key}; expected {wanted}.")


def read_fields(path: Path) -> dict[str, Any]:
    """The fields of a configuration in a JSON file, lists as tuples.

    Raises:
        InputError: the file cannot be read or is not JSON.
        UsageError: it holds no object.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"The configuration {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"The configuration {path} is not text in UTF-8; save it in that encoding.") from error
    except json.JSONDecodeError as error:
        raise InputError(f"The configuration {path} is not JSON: {error}.") from error
    if not isinstance(raw, dict):
        raise UsageError(f"The configuration {path.name} holds a {type(raw).__name__}; expected an object with fields.")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()}


def read_config(path: Path) -> TrainingConfig:
    """Read a JSON configuration.

    Raises:
        InputError: the file cannot be read or is not JSON.
        UsageError: fields that are unknown, missing or wrong, by name.
    """
    return config_from(read_fields(path), path.name)


def config_from(raw: Mapping[str, Any], called: str) -> TrainingConfig:
    """A configuration from JSON values.

    Args:
        raw: Its fields.
        called: What the configuration is called in messages.

    Raises:
        UsageError: fields that are unknown, missing or wrong, by name.
    """
    known = {f.name for f in fields(TrainingConfig)}
    if unknown := sorted(set(raw) - known):
        raise UsageError(
            f"The configuration {called} has unknown fields: {', '.join(unknown)}. "
            "All fields are listed by: upfusion train --fields"
        )
    if missing := sorted({"visible", "infrared", "output", "text_codes"} - set(raw)):
        raise UsageError(f"The configuration {called} lacks the fields: {', '.join(missing)}.")
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
    return TrainingConfig(**values)


def described_fields() -> dict[str, str]:
    """What each field of a configuration means, in the order of the documentation."""
    described: dict[str, str] = {}
    current = ""
    text = (TrainingConfig.__doc__ or "").partition("Attributes:")[2].partition("Raises:")[0]
    for line in text.splitlines():
        name, sign, rest = line.strip().partition(": ")
        if sign and name in TrainingConfig.__dataclass_fields__:
            current = name
            described[current] = rest
        elif current and line.strip():
            described[current] += " " + line.strip()
    return described

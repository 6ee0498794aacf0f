"""What is compared: networks, classical rules and folders of finished results behind one interface."""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from upfusion_med.core import Device, InputError, Modality, Pooling, UsageError
from upfusion_med.evaluation.pairs import Pair, PairList, pictures_of
from upfusion_med.evaluation.picture_levels import Levels, grey, read_levels, to_levels
from upfusion_med.evaluation.rules import COPIES, RULES, apply_rule

if TYPE_CHECKING:
    from upfusion_med.weights import Checkpoint


class Kind(str, Enum):
    """Where a method's pictures come from."""

    MODEL = "network"
    RULE = "rule"
    COPY = "copy"
    FOLDER = "folder"


class Method(ABC):
    """Gives one fused grey image for a pair. Instances travel to worker processes."""

    name: str
    kind: Kind
    #: Code that the fused image depends on (`store.code_digest`).
    code: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def fingerprint(self, pair: Pair) -> str:
        """What the fused image depends on beside the pair itself: when it changes, earlier scores are void."""

    @abstractmethod
    def fuse(self, pair: Pair, a: Levels, b: Levels) -> Levels:
        """Fuse two (H, W) uint8 grey images.

        Raises:
            InputError: there is no result for this pair, or it has another size.
        """

    @property
    def slug(self) -> str:
        """The name as a file name."""
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", self.name).strip("-.") or "method"
        return plain if plain == self.name else f"{plain}-{hashlib.sha256(self.name.encode()).hexdigest()[:6]}"

    def describe(self) -> dict[str, Any]:
        """Facts for the run's record."""
        return {"name": self.name, "kind": self.kind.value}


@dataclass
class RuleMethod(Method):
    """A classical rule, or one of the two copies."""

    name: str
    code: ClassVar[tuple[str, ...]] = ("upfusion_med.evaluation/rules.py",)

    def __post_init__(self) -> None:
        if self.name not in RULES:
            raise UsageError(f"There is no rule '{self.name}'; expected one of {', '.join(RULES)}.")

    @property
    def kind(self) -> Kind:  # type: ignore[override]
        """Rule or copy."""
        return Kind.COPY if self.name in COPIES else Kind.RULE

    def fingerprint(self, pair: Pair) -> str:  # noqa: ARG002 (the same for all pairs)
        """See `Method.fingerprint`."""
        return f"rule {self.name}"

    def fuse(self, pair: Pair, a: Levels, b: Levels) -> Levels:  # noqa: ARG002 (two images are all it needs)
        """See `Method.fuse`."""
        return apply_rule(self.name, a, b)


@dataclass
class FolderMethod(Method):
    """Finished results of anybody, one picture a pair, matched by name.

    Args:
        name: The method's name in tables.
        folder: Pictures named as the pairs; or one folder per group below it, named as the group.
        pairs: The pairs of the run.
    """

    name: str
    folder: Path
    pairs: PairList
    kind: Kind = field(default=Kind.FOLDER, init=False)
    _files: dict[str, dict[str, Path]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise InputError(f"There is no folder {self.folder} with the results of '{self.name}'.")
        below = {g: self.folder / g for g in self.pairs.groups if (self.folder / g).is_dir()}
        if below:
            self._files = {group: pictures_of(folder) for group, folder in below.items()}
        else:
            flat = pictures_of(self.folder)
            self._files = dict.fromkeys(self.pairs.groups, flat)
            self._refuse_names_of_two_groups(flat)
        self._refuse_names_of_no_pair()

    def _refuse_names_of_two_groups(self, flat: dict[str, Path]) -> None:
        seen: dict[str, str] = {}
        for pair in self.pairs.pairs:
            if pair.name in flat and pair.name in seen:
                raise InputError(
                    f"The result {flat[pair.name].name} of '{self.name}' could belong to {seen[pair.name]} or to "
                    f"{pair.group}. Expected one folder per kind of pair: {self.folder}/{pair.group} and so on."
                )
            seen[pair.name] = pair.group

    def _refuse_names_of_no_pair(self) -> None:
        wanted = [pair.name for pair in self.pairs.pairs]
        if wanted and not any(pair.name in self._files.get(pair.group, {}) for pair in self.pairs.pairs):
            have = next((name for names in self._files.values() for name in names), "no picture")
            raise InputError(
                f"The folder {self.folder} holds no result of '{self.name}' that is named like a pair: it has {have} "
                f"and so on; expected {wanted[0]} and so on. Give the folder with the results of these pairs, or "
                "rename them."
            )

    def file_of(self, pair: Pair) -> Path:
        """The result of a pair.

        Raises:
            InputError: there is none.
        """
        file = self._files.get(pair.group, {}).get(pair.name)
        if file is None:
            raise InputError(f"The folder {self.folder} holds no result called {pair.name} for {pair.group}.")
        return file

    def fingerprint(self, pair: Pair) -> str:
        """The bytes of the result."""
        return f"folder {hashlib.sha256(self.file_of(pair).read_bytes()).hexdigest()}"

    def fuse(self, pair: Pair, a: Levels, b: Levels) -> Levels:  # noqa: ARG002 (it is fused already)
        """Read the result; colour becomes luma."""
        file = self.file_of(pair)
        fused = grey(read_levels(file))
        if fused.shape != a.shape:
            raise InputError(
                f"The result {file} is {fused.shape[1]}x{fused.shape[0]} pixels and its pair "
                f"{a.shape[1]}x{a.shape[0]}; expected one size. Results are not resized."
            )
        return fused

    def describe(self) -> dict[str, Any]:
        """Facts for the run's record."""
        return {**super().describe(), "folder": str(self.folder)}


@dataclass
class ModelMethod(Method):
    """A network of this package.

    Args:
        name: The method's name in tables.
        model: Shipped name, or path of a weights file.
        prompt: Prompt name or text; None: the named prompt of each pair's modality.
        device: Where it runs.
    """

    name: str
    model: str
    prompt: str | None = None
    device: Device = Device.AUTO
    code: ClassVar[tuple[str, ...]] = (
        "upfusion_med.networks/*",
        "upfusion_med.inference/engine.py",
        "upfusion_med.inference.backends/torch.py",
    )
    kind: Kind = field(default=Kind.MODEL, init=False)
    _backends: dict[Modality, Any] = field(default_factory=dict, init=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Without the loaded networks, which every process loads for itself."""
        kept = {k: v for k, v in self.__dict__.items() if k != "_checkpoint"}
        return {**kept, "_backends": {}, "_sha256": self._sha256}

    @cached_property
    def _checkpoint(self) -> Checkpoint:
        from upfusion_med.weights import load_checkpoint

        return load_checkpoint(self.model)

    @cached_property
    def _sha256(self) -> str:
        return self._checkpoint.sha256

    def fingerprint(self, pair: Pair) -> str:
        """Weights and prompt."""
        return f"model {self._sha256} {self.prompt or pair.modality.value}"

    def fuse(self, pair: Pair, a: Levels, b: Levels) -> Levels:
        """Run the network on the luminances; black in both stays black, as in every fusion of this package."""
        from upfusion_med.inference import engine
        from upfusion_med.inference.backends.torch import TorchBackend

        if pair.modality not in self._backends:
            self._backends[pair.modality] = TorchBackend(self._checkpoint, self.device, self.prompt, pair.modality)
        of_a, of_b = (np.ascontiguousarray(x, np.float32)[..., None] / np.float32(255) for x in (a, b))
        fused = engine.run(self._backends[pair.modality], of_a, of_b, axis=2, pooling=Pooling.SLICE)
        return to_levels(fused[..., 0].astype(np.float64) * 255.0)

    def describe(self) -> dict[str, Any]:
        """Facts for the run's record."""
        return {
            **super().describe(),
            "model": self._checkpoint.model,
            "weights": Path(self.model).name,
            "weights_sha256": self._sha256,
            "prompt": self.prompt or "the named prompt of each modality",
            "device": self.device.value,
        }


def named(text: str, what: str) -> tuple[str, str]:
    """``NAME=VALUE`` as (name, value).

    Raises:
        UsageError: there is no ``=`` or one side is empty.
    """
    name, sign, value = text.partition("=")
    if not sign or not name.strip() or not value.strip():
        raise UsageError(f"'{text}' is not of the form NAME={what}; for instance OTHERS=path.")
    return name.strip(), value.strip()


def model_method(text: str, prompt: str | None = None, device: Device = Device.AUTO) -> ModelMethod:
    """A network from ``MODEL`` or ``NAME=MODEL``; without a name it is called after the file or the model."""
    if "=" in text and not Path(text).exists():
        name, model = named(text, "MODEL")
    else:
        name, model = (Path(text).stem if Path(text).suffix else text), text
    return ModelMethod(name, model, prompt, device)


def check_names(methods: list[Method]) -> None:
    """Two methods of one name would overwrite each other's scores.

    Raises:
        UsageError: a name occurs twice, also if only letter case differs.
    """
    seen: set[str] = set()
    for method in methods:
        key = method.slug.casefold()
        if key in seen:
            raise UsageError(f"Two methods are called '{method.name}'; name them apart with NAME=… .")
        seen.add(key)

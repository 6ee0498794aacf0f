"""One file per model: weights, text codes of its named prompts, and what one must know to use them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upfusion_med.core import InputError, package_failure
from upfusion_med.networks.registry import CODE_PREFIX
from upfusion_med.weights.exported_model import FILES
from upfusion_med.weights.prompts import PromptTable
from upfusion_med.weights.safetensors_header import sort_metadata

if TYPE_CHECKING:
    from torch import Tensor, nn


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


@dataclass(frozen=True)
class Checkpoint:
    """What a weights file holds.

    Attributes:
        path: The file.
        model: Name for ``networks.create``.
        overrides: Configuration fields that differ from the named model's.
        state: The network's state dict, float32.
        prompts: Named prompts and their codes.
        sha256: Of the file.
        card: Facts about the training, as written by the trainer.
    """

    path: Path
    model: str
    overrides: Mapping[str, Any]
    state: Mapping[str, Tensor]
    prompts: PromptTable
    sha256: str
    card: Mapping[str, Any]

    def network(self) -> nn.Module:
        """The network with these weights, in evaluation mode."""
        from upfusion_med.networks import create

        return create(self.model, weights=self.state, **self.overrides).eval()


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a weights file.

    Raises:
        InputError: the file is missing, truncated, no safetensors file, or lacks the name of its model.
        MissingPackageError: torch or safetensors is not installed.
    """
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise package_failure(error, "safetensors", "torch", "read weights") from error
    if path.is_dir():
        raise InputError(
            f"{path} is a folder; expected a .safetensors file or a model name. The folder of a model that `upfusion "
            f"weights export` wrote holds {', '.join(sorted(FILES))}."
        )
    if not path.is_file():
        raise InputError(f"There is no weights file {path}; expected a .safetensors file or a model name.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{path.name} cannot be read as a safetensors file ({error}). An authors' checkpoint (.pth) is turned into "
            "one by: upfusion weights convert"
        ) from error
    if "model" not in metadata:
        raise InputError(f"{path.name} does not say which model it belongs to (metadata field 'model' is missing).")
    codes = {k.removeprefix(CODE_PREFIX): t.float().numpy() for k, t in tensors.items() if k.startswith(CODE_PREFIX)}
    return Checkpoint(
        path=path,
        model=metadata["model"],
        overrides=_as_tuples(json.loads(metadata.get("overrides", "{}"))),
        state={
            k: t.float() if t.is_floating_point() else t for k, t in tensors.items() if not k.startswith(CODE_PREFIX)
        },
        prompts=PromptTable(metadata.get("text_encoder", ""), json.loads(metadata.get("prompts", "{}")), codes),
        sha256=sha256_of(path),
        card=json.loads(metadata.get("card", "{}")),
    )


def _as_tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}


def write_checkpoint(
    path: Path,
    *,
    model: str,
    state: Mapping[str, Tensor],
    prompts: PromptTable,
    card: Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    half: bool = True,
) -> str:
    """Write a weights file atomically; returns its SHA-256.

    Args:
        path: Where to; ends in ``.safetensors``.
        model: Name for ``networks.create``.
        state: State dict of the network.
        prompts: Named prompts and their codes.
        card: Facts about the training (JSON values).
        overrides: Configuration fields that differ from the named model's.
        half: Store tensors with two or more axes in float16.
    """
    import torch
    from safetensors.torch import save_file

    tensors = {
        k: (v.half() if half and v.is_floating_point() and v.ndim >= 2 else v).contiguous() for k, v in state.items()
    }
    tensors |= {CODE_PREFIX + name: torch.as_tensor(code) for name, code in prompts.codes.items()}
    metadata = {
        "format": "pt",
        "model": model,
        "overrides": json.dumps(dict(overrides or {})),
        "text_encoder": prompts.encoder,
        "prompts": json.dumps(dict(prompts.sentences)),
        "card": json.dumps(dict(card)),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".partial")
    save_file(tensors, beside, metadata=metadata)
    sort_metadata(beside)
    beside.chmod(0o644)  # safetensors writes files that only their owner can read
    beside.replace(path)
    return sha256_of(path)

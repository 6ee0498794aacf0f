"""From the authors' checkpoint to this package's weights file."""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upfusion_med.core import InputError, RuntimeFailure, UsageError, package_failure
from upfusion_med.weights.checkpoint import sha256_of
from upfusion_med.weights.prompts import UNIVERSAL
from upfusion_med.weights.safetensors_header import sort_metadata
from upfusion_med.weights.text_encoder import ClipTextEncoder

if TYPE_CHECKING:
    from torch import Tensor

#: The network whose checkpoints exist outside this package.
CONVERTIBLE = "upfusion-paper"
#: Under one of these names a checkpoint holds its state dict; the released one says AWF.
WRAPPERS = ("AWF", "UPFusion", "state_dict")
#: What a data-parallel wrapper puts before every name.
PREFIX = "module."
#: A third encoder that is stored, but never called.
DEAD_PARTS = ("encoder_level1_gt.", "encoder_level2_gt.", "encoder_level3_gt.", "latent_gt.")
ALPHA = "channel_select.alpha"
#: The one sentence that the released weights were trained and tested with (arXiv 2511.12432, released code).
RELEASED_PROMPT = (
    "The image contains multiple views of the same scene captured from different modalities, each providing "
    "complementary information. Focus on preserving fine details, semantic structures, and key regions that contribute "
    "to understanding the scene."
)


@dataclass(frozen=True)
class ConversionReport:
    """What a conversion did.

    Attributes:
        model: Name of the network.
        wrapper: Name under which the checkpoint held its state dict, or None for a bare one.
        prefix: What was stripped from every name; empty if nothing.
        ignored_entries: What lay beside the state dict in the checkpoint.
        dropped_tensors: Tensors of the third encoder that is never called.
        dropped_parameters: Their parameters.
        kept_tensors: Tensors written.
        kept_parameters: Their parameters.
        alpha: Learnable factor of the channel pruning. The released training gives it no gradient, so in a checkpoint
            of that code it is exactly 1.
        destination: The file written.
        sha256: Its SHA-256.
        source_sha256: SHA-256 of the checkpoint.
    """

    model: str
    wrapper: str | None
    prefix: str
    ignored_entries: tuple[str, ...]
    dropped_tensors: int
    dropped_parameters: int
    kept_tensors: int
    kept_parameters: int
    alpha: float
    destination: Path
    sha256: str
    source_sha256: str


def convert_checkpoint(
    source: Path | str,
    destination: Path | str,
    model: str = CONVERTIBLE,
    *,
    force: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> ConversionReport:
    """Turn the authors' ``.pth`` into a ``.safetensors`` file that ``networks.create`` loads.

    Args:
        source: Checkpoint written by ``torch.save``; nothing in it but tensors is ever executed or kept.
        destination: File to write, ``.safetensors``; it appears complete or not at all.
        model: Name of the network, ``upfusion-paper``.
        force: Replace an existing ``destination``.
        overrides: Settings of a network of another shape than the released one.

    Returns:
        What was found, dropped and kept.

    Raises:
        UsageError: ``destination`` exists, has another suffix or no folder, or ``model`` has no checkpoints.
        InputError: ``source`` is missing, unreadable, truncated, or holds other tensors than the network's.
        RuntimeFailure: the file cannot be written.
    """
    source, destination = Path(source), Path(destination)
    expected = expected_shapes(model, overrides or {})
    check_paths(source, destination, force)
    checkpoint = read_released(source)
    wrapper, state, ignored = unwrap(checkpoint, source)
    prefix = PREFIX if all(name.startswith(PREFIX) for name in state) else ""
    state = {name[len(prefix) :]: tensor for name, tensor in state.items()}
    dead = [tensor for name, tensor in state.items() if name.startswith(DEAD_PARTS)]
    state = {name: tensor for name, tensor in state.items() if not name.startswith(DEAD_PARTS)}
    kept = checked_tensors(state, expected, source)
    source_sha256 = sha256_of(source)
    write_weights(kept, destination, metadata_of(model, overrides or {}, source_sha256))
    return ConversionReport(
        model=model,
        wrapper=wrapper,
        prefix=prefix,
        ignored_entries=ignored,
        dropped_tensors=len(dead),
        dropped_parameters=sum(tensor.numel() for tensor in dead),
        kept_tensors=len(kept),
        kept_parameters=sum(tensor.numel() for tensor in kept.values()),
        alpha=float(kept[ALPHA]),
        destination=destination,
        sha256=sha256_of(destination),
        source_sha256=source_sha256,
    )


def expected_shapes(model: str, overrides: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the network's tensors, in its own order, without allocating them."""
    if model != CONVERTIBLE:
        raise UsageError(f"There are no checkpoints of '{model}' to convert; expected '{CONVERTIBLE}'.")
    import torch

    from upfusion_med.networks import create
    from upfusion_med.networks.state import shapes_of

    with torch.device("meta"):
        return shapes_of(create(model, **overrides).state_dict())


def check_paths(source: Path, destination: Path, force: bool) -> None:
    """Refuse a source that is no file and a destination that is in the way, before the long work begins."""
    if not source.is_file():
        raise InputError(f"There is no file {source}; expected the authors' checkpoint (.pth or .pt).")
    check_destination([source], destination, force)


def check_destination(sources: Sequence[Path], destination: Path, force: bool) -> None:
    """Refuse a destination that is no name for weights or is in the way."""
    if destination.suffix != ".safetensors":
        raise UsageError(f"The output is {destination}; expected a name that ends in .safetensors.")
    if not destination.parent.is_dir():
        raise UsageError(f"The folder {destination.parent} does not exist; make it, or choose another output.")
    if destination.is_dir() or any(s.exists() and destination.exists() and destination.samefile(s) for s in sources):
        raise UsageError(f"The output {destination} is a folder or the checkpoint itself; choose another name.")
    if destination.exists() and not force:
        raise UsageError(f"{destination} exists already; choose another output, or allow replacing it with --force.")


def read_released(source: Path) -> Any:
    """Whatever ``torch.save`` put into the file, restricted to tensors and plain containers."""
    import torch

    try:
        return torch.load(source, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(source))
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle or archive fails in a dozen ways, none of them documented
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{source} cannot be read as a checkpoint of torch.save ({type(error).__name__}: {reason}); it is "
            "truncated, of another format, or holds other objects than tensors. Expected the authors' .pth file; "
            "download it again."
        ) from error


def unwrap(checkpoint: Any, source: Path) -> tuple[str | None, dict[str, Tensor], tuple[str, ...]]:
    """Name of the wrapper or None, the state dict, and the names of what lay beside it."""
    import torch

    if not isinstance(checkpoint, Mapping):
        raise InputError(
            f"{source} holds a {type(checkpoint).__name__}; expected a state dict, bare or under {', '.join(WRAPPERS)}."
        )
    wrappers = [name for name in WRAPPERS if name in checkpoint]
    if len(wrappers) > 1:
        raise InputError(f"{source} holds a state dict under {' and '.join(wrappers)}; expected only one of them.")
    wrapper = wrappers[0] if wrappers else None
    state = checkpoint[wrapper] if wrapper else checkpoint
    where = f"{source}, entry {wrapper}," if wrapper else f"{source}"
    if not isinstance(state, Mapping) or not state:
        raise InputError(f"{where} holds no tensors; expected the state dict of a network.")
    from upfusion_med.networks.state import listed

    strangers = [str(name) for name, value in state.items() if not isinstance(value, torch.Tensor)]
    if strangers:
        raise InputError(
            f"{where} holds {len(strangers)} entries that are not tensors: {listed(strangers)}. "
            f"Expected a state dict, bare or under {', '.join(WRAPPERS)}."
        )
    ignored = tuple(str(name) for name in checkpoint if name != wrapper) if wrapper else ()
    return wrapper, {str(name): tensor for name, tensor in state.items()}, ignored


def checked_tensors(
    state: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]], source: Path
) -> dict[str, Tensor]:
    """The network's tensors in its own order, float32, each with memory of its own."""
    import torch

    from upfusion_med.networks.state import check_state, listed, shapes_of

    check_state(expected, shapes_of(state), str(source))
    whole = [f"{name} ({tensor.dtype})" for name, tensor in state.items() if not tensor.is_floating_point()]
    if whole:
        raise InputError(f"{source} holds {len(whole)} tensors that are not real numbers: {listed(whole)}.")
    kept = {
        name: torch.empty(shape, dtype=torch.float32).copy_(state[name].detach()) for name, shape in expected.items()
    }
    broken = [name for name, tensor in kept.items() if not math.isfinite(float(tensor.abs().sum(dtype=torch.float64)))]
    if broken:
        raise InputError(
            f"{source} holds values that are not finite in {len(broken)} tensors: {listed(broken)}. "
            "Expected finite weights; the training that wrote them has diverged or the file is damaged."
        )
    return kept


def metadata_of(model: str, overrides: Mapping[str, Any], source_sha256: str) -> dict[str, str]:
    """What a weights file says about itself; the prompt stands without a code, which real CLIP has to make."""
    return {
        "format": "pt",
        "model": model,
        "family": CONVERTIBLE,
        "overrides": json.dumps(dict(overrides)),
        "text_encoder": ClipTextEncoder.name,
        "prompts": json.dumps({UNIVERSAL: RELEASED_PROMPT}),
        "card": json.dumps({"origin": "converted from the authors' checkpoint", "source_sha256": source_sha256}),
        "source_sha256": source_sha256,
    }


def write_weights(state: Mapping[str, Tensor], destination: Path, metadata: Mapping[str, str]) -> None:
    """Write a safetensors file beside its place, then move it in."""
    try:
        from safetensors import SafetensorError
        from safetensors.torch import save_file
    except ImportError as error:
        raise package_failure(error, "safetensors", "torch", "write network weights") from error
    part = destination.with_name(f".{destination.name}.{os.getpid()}.part")
    try:
        save_file(dict(state), part, metadata=dict(metadata))
        sort_metadata(part)
        part.replace(destination)
    except (OSError, SafetensorError) as error:
        raise RuntimeFailure(
            f"{destination} cannot be written ({error}); expected a writable folder with room for "
            f"{sum(tensor.nbytes for tensor in state.values()) / 1e6:.0f} MB."
        ) from error
    finally:
        part.unlink(missing_ok=True)

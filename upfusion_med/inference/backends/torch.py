"""Networks on PyTorch, CPU or CUDA."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from upfusion_med.core import Device, Modality, RuntimeFailure, UsageError, package_failure
from upfusion_med.inference.backends.base import Context, FloatArray

try:
    import torch
except (ImportError, OSError) as error:
    raise package_failure(error, "torch", "torch", "run the networks") from error

from upfusion_med.networks.scope import RecordingScope, SliceScope, VolumeScope
from upfusion_med.weights import Checkpoint, load_checkpoint


def keep_freed_memory() -> None:
    """Ask glibc to keep freed blocks: returning 4 to 32 MB tensors to the system after every layer doubles the time."""
    if sys.platform == "linux":
        try:
            libc = ctypes.CDLL(None)
            libc.mallopt(-3, 32 << 20)  # M_MMAP_THRESHOLD, at its largest
            libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
        except (OSError, AttributeError):  # another C library: only slower
            return


def ran_out_of_memory(error: Exception) -> bool:
    """Whether an error of a network says that there is no memory; on the CPU torch raises a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)


def is_of_the_graphics_card(error: Exception) -> bool:
    """Whether an error comes from the card, its driver or its libraries; torch raises plain RuntimeErrors for most."""
    return any(word in str(error) for word in ("CUDA", "NVIDIA", "cuDNN", "cuBLAS"))


def choose_device(device: Device) -> torch.device:
    """The torch device; ``auto`` takes CUDA where there is one.

    Raises:
        UsageError: CUDA was asked for and is not there.
    """
    if device is Device.CUDA and not torch.cuda.is_available():
        raise UsageError("CUDA was asked for, and PyTorch finds no CUDA device; use --device cpu or auto.")
    if device is Device.CPU or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda")


class TorchBackend:
    """A checkpoint with one prompt on one device.

    Args:
        model: Shipped model name, path, or a checkpoint already read.
        device: Where to run.
        prompt: Prompt name or free text; None: the named prompt of ``modality``.
        modality: Of the functional image.
    """

    def __init__(
        self,
        model: str | Path | Checkpoint,
        device: Device = Device.AUTO,
        prompt: str | None = None,
        modality: Modality = Modality.UNKNOWN,
    ) -> None:
        keep_freed_memory()
        self.checkpoint = model if isinstance(model, Checkpoint) else load_checkpoint(model)
        self.prompt = prompt if prompt is not None else self.checkpoint.prompts.name_for(modality)
        self.device = choose_device(device)
        code, network = self.checkpoint.prompts.code(self.prompt), self.checkpoint.network()
        with self._failures_told("for the network itself"):
            self.code = torch.from_numpy(code).unsqueeze(0).to(self.device)
            self.network = network.to(self.device)

    def describe(self) -> Mapping[str, Any]:
        """Model, sha256, prompt, text encoder, device and torch version."""
        return {
            "backend": "torch",
            "model": self.checkpoint.model,
            "weights_sha256": self.checkpoint.sha256,
            "prompt": self.prompt,
            "prompt_text": self.checkpoint.prompts.sentences.get(self.prompt, self.prompt),
            "text_encoder": self.checkpoint.prompts.encoder,
            "device": str(self.device),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
        }

    def decide(self, functional: FloatArray, mri: FloatArray) -> Context:
        """See ``Backend.decide``: one pass of the representative slices as one batch."""
        scope = RecordingScope()
        self._run(functional, mri, scope)  # how many slices decide does not depend on the batch size
        return VolumeScope(scope.statistics)

    def fuse(self, functional: FloatArray, mri: FloatArray, context: Context | None) -> FloatArray:
        """See ``Backend.fuse``."""
        way = "use a smaller --batch-size, or " if len(functional) > 1 else ""
        return self._run(functional, mri, context if context is not None else SliceScope(), way)

    def _run(self, functional: FloatArray, mri: FloatArray, scope: Any, way: str = "") -> FloatArray:
        work = f"with {len(functional)} slice(s) of {functional.shape[1:]} at once"
        with self._failures_told(work, way), torch.inference_mode():
            a = torch.from_numpy(np.ascontiguousarray(functional)).unsqueeze(1).to(self.device)
            b = torch.from_numpy(np.ascontiguousarray(mri)).unsqueeze(1).to(self.device)
            fused = self.network(a, b, self.code, scope).clamp(0, 1)
            return fused[:, 0].float().cpu().numpy()

    @contextmanager
    def _failures_told(self, work: str, way: str = "") -> Iterator[None]:
        """Want of memory, and a graphics card that fails, as the user's words; other errors as they are."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            other_way = "close other programs" if self.device.type == "cpu" else "--device cpu"
            if ran_out_of_memory(error):
                raise RuntimeFailure(f"Out of memory on {self.device} {work}; {way}{other_way}.") from error
            if self.device.type != "cuda" or not is_of_the_graphics_card(error):
                raise
            reason = str(error).splitlines()[0].rstrip(".")
            raise RuntimeFailure(
                f"The graphics card or its driver failed ({reason}). Install a PyTorch that is built for this card, or "
                "use --device cpu."
            ) from error

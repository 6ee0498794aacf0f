"""MONAI's contract of an inferer around the slice engine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from monai.inferers import Inferer
from torch import Tensor

from upfusion_med.bundle.network import PairNetwork
from upfusion_med.bundle.study_settings import as_count
from upfusion_med.core import InputError, Modality, Pooling, RuntimeFailure
from upfusion_med.inference import engine
from upfusion_med.inference.backends.base import Context, FloatArray
from upfusion_med.inference.backends.torch import keep_freed_memory, ran_out_of_memory
from upfusion_med.networks.scope import RecordingScope, Scope, SliceScope, VolumeScope


class NetworkBackend:
    """A `PairNetwork` behind the door that the slice engine knows (`inference.backends.base.Backend`)."""

    def __init__(self, network: PairNetwork, prompt: str) -> None:
        keep_freed_memory()
        self.network, self.prompt = network, prompt
        self.code = network.code(prompt)

    def describe(self) -> Mapping[str, Any]:
        """Model, digest of the weights as they are in memory, prompt, device, torch version and threads."""
        return {
            "backend": "torch, MONAI bundle",
            "model": self.network.model,
            "state_sha256": _digest(self.network),
            "prompt": self.prompt,
            "device": str(self.code.device),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
        }

    def decide(self, functional: FloatArray, mri: FloatArray) -> Context:
        """See ``Backend.decide``."""
        scope = RecordingScope()
        self._run(functional, mri, scope)
        return VolumeScope(scope.statistics)

    def fuse(self, functional: FloatArray, mri: FloatArray, context: Context | None) -> FloatArray:
        """See ``Backend.fuse``."""
        return self._run(functional, mri, context if context is not None else SliceScope())

    def _run(self, functional: FloatArray, mri: FloatArray, scope: Scope) -> FloatArray:
        try:
            with torch.inference_mode():
                image = torch.from_numpy(np.stack([functional, mri], axis=1)).to(self.code.device)
                fused = self.network.fuse(image, self.code, scope).clamp(0, 1)
                return np.asarray(fused[:, 0].float().cpu().numpy())
        except (RuntimeError, MemoryError) as error:
            if not ran_out_of_memory(error):
                raise
            raise RuntimeFailure(
                f"Out of memory on {self.code.device} with {len(functional)} slices of {functional.shape[1:]} at once; "
                "use a smaller batch size, or the CPU."
            ) from error


def _digest(network: PairNetwork) -> str:
    """SHA-256 over names and values of the state, in the order of names."""
    found = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


class StudyInferer(Inferer):
    """Fuses a volume slice by slice, with the network's global decisions made once for the volume.

    Args:
        batch_size: Slices of 256 x 256 pixels at once; of larger ones as many fewer, one at least.
        axis: Spatial axis of a volume along which slices are stacked; a picture, (B, 2, H, W), is one slice.
        prompt: Named prompt; None: that of the network.
        whole_volume: Make global decisions once per volume; otherwise slice by slice.

    Raises:
        UsageError: a ``batch_size`` below 1.
    """

    def __init__(
        self,
        batch_size: int = 8,
        axis: int = 2,
        prompt: str | None = None,
        whole_volume: bool = True,
    ) -> None:
        self.batch_size, self.axis = as_count("batch_size", batch_size, 1), axis
        self.prompt, self.whole_volume = prompt, whole_volume

    def backend(self, network: Callable[..., Tensor], facts: Mapping[str, Any] | None = None) -> NetworkBackend:
        """The network under the prompt of a study.

        The first that is there: the prompt of the study's settings, of this inferer, of the modality, of the network.

        Args:
            network: A `PairNetwork`, or one wrapped for several devices.
            facts: See ``__call__``.

        Raises:
            InputError: another network.
            UsageError: a prompt whose code the weights do not hold.
        """
        pair = getattr(network, "module", network)
        if not isinstance(pair, PairNetwork):
            raise InputError(f"The network is a {type(pair).__name__}; expected upfusion_med.bundle.PairNetwork.")
        facts = facts or {}
        modality = facts.get("modality")
        of_modality = pair.prompt if modality is None else pair.prompt_for(Modality(modality))
        return NetworkBackend(pair, facts.get("prompt") or self.prompt or of_modality)

    def __call__(
        self, inputs: Tensor, network: Callable[..., Tensor], *_: Any, facts: Mapping[str, Any] | None = None, **__: Any
    ) -> Tensor:
        """Fuse volumes or slices.

        Args:
            inputs: (B, 2, X, Y, Z) volumes or (B, 2, H, W) slices in 0..1.
            network: A `PairNetwork`, or one wrapped for several devices.
            facts: ``axis``, ``pooling``, ``prompt`` and ``modality`` of this study, in place of the arguments above.

        Returns:
            (B, 1, X, Y, Z) or (B, 1, H, W) fused luminance in 0..1.

        Raises:
            InputError: another shape, or another network.
        """
        if inputs.ndim not in (4, 5) or inputs.shape[1] != 2:
            raise InputError(f"The input has shape {tuple(inputs.shape)}; expected (B, 2, X, Y, Z) or (B, 2, H, W).")
        facts = facts or {}
        backend = self.backend(network, facts)
        is_picture = inputs.ndim == 4
        volumes = inputs[..., None] if is_picture else inputs
        arrays = np.asarray(torch.as_tensor(volumes).detach().cpu().float().numpy())
        fused = [
            engine.run(
                backend,
                volume[0],
                volume[1],
                2 if is_picture else facts.get("axis", self.axis),
                batch_size=self.batch_size,
                pooling=Pooling(facts.get("pooling", Pooling.VOLUME if self.whole_volume else Pooling.SLICE)),
            )
            for volume in arrays
        ]
        result = torch.from_numpy(np.stack(fused)[:, None]).to(inputs.device)
        return result[..., 0] if is_picture else result

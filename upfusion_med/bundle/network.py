"""The fusion network as MONAI's tools know networks: one input of two channels, one output."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from monai.data import MetaTensor
from torch import Tensor, nn

from upfusion_med.core import Modality, UsageError
from upfusion_med.networks import create
from upfusion_med.networks.configuration import TEXT_WIDTH
from upfusion_med.networks.scope import Scope, SliceScope
from upfusion_med.weights import Checkpoint, load_checkpoint
from upfusion_med.weights.prompts import PROMPT_OF_MODALITY, UNIVERSAL

#: Named prompts whose codes a bundle's weights hold, in this order.
PROMPTS = ("universal", "infrared_visible", "mri_pet", "mri_spect", "mri_ct", "gfp_phase_contrast")


class PairNetwork(nn.Module):
    """A network of the ``upfusion`` family with the codes of its named prompts.

    Args:
        model: Network name.
        prompt: The prompt that ``forward`` uses.
        prompts: Names of the prompts whose codes the weights hold, in their order.
        overrides: Fields of the network that differ from the named one's, where the weights were made so.

    Raises:
        UsageError: an unknown network or prompt.
    """

    def __init__(
        self,
        model: str = "upfusion-tiny",
        prompt: str = UNIVERSAL,
        prompts: Sequence[str] = PROMPTS,
        overrides: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if prompt not in prompts:
            raise UsageError(f"There is no prompt '{prompt}'; expected one of {', '.join(prompts)}.")
        self.model, self.prompt, self.prompts = model, prompt, tuple(prompts)
        self.network = create(model, **dict(overrides or {}))
        self.register_buffer("codes", torch.zeros(len(self.prompts), TEXT_WIDTH))

    def code(self, prompt: str) -> Tensor:
        """(1, 512) code of a named prompt.

        Raises:
            UsageError: an unknown name.
        """
        if prompt not in self.prompts:
            raise UsageError(f"There is no prompt '{prompt}'; expected one of {', '.join(self.prompts)}.")
        codes: Tensor = self.get_buffer("codes")
        return codes[self.prompts.index(prompt)][None]

    def prompt_for(self, modality: Modality) -> str:
        """The named prompt of a pair with this modality."""
        name = PROMPT_OF_MODALITY.get(modality, UNIVERSAL)
        return name if name in self.prompts else UNIVERSAL

    def forward(self, image: Tensor) -> Tensor:
        """Fuse slices, each for itself.

        Args:
            image: (B, 2, H, W) in 0..1: channel 0 visible or functional luminance, channel 1 infrared or MRI. H and W
                at least 16; while a graph is traced, multiples of 8.

        Returns:
            (B, 1, H, W) fused luminance in 0..1.
        """
        return self.fuse(image, self.code(self.prompt), SliceScope())

    def fuse(self, image: Tensor, code: Tensor, scope: Scope) -> Tensor:
        """As ``forward``, with a code and a scope of global statistics."""
        if isinstance(image, MetaTensor):
            image = image.as_tensor()  # metadata would be carried through every layer
        first, second = image[:, :1], image[:, 1:]
        if torch.jit.is_tracing():
            # Sizes stay free in a traced graph only where nothing is padded.
            fuse: Callable[..., Tensor] = self.network.fuse  # type: ignore[assignment]
            return fuse(first, second, F.normalize(code, dim=1), scope)
        fused: Tensor = self.network(first, second, code, scope)
        return fused


def bundle_state(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """State dict of a `PairNetwork` with the weights and prompt codes of a checkpoint.

    Raises:
        UsageError: the checkpoint lacks a prompt.
    """
    lacking = [name for name in PROMPTS if name not in checkpoint.prompts.codes]
    if lacking:
        raise UsageError(f"The weights carry no code for {', '.join(lacking)}; expected all named prompts.")
    network = PairNetwork(checkpoint.model, overrides=checkpoint.overrides)
    state: dict[str, Tensor] = {f"network.{k}": v.float() if v.is_floating_point() else v
                                for k, v in checkpoint.network().state_dict().items()}  # fmt: skip
    state["codes"] = torch.from_numpy(np.stack([checkpoint.prompts.code(name) for name in PROMPTS]))
    network.load_state_dict(state)
    return dict(network.state_dict())


def save_bundle_weights(path: str | os.PathLike[str], model: str | Path = "upfusion-tiny") -> Path:
    """Write ``models/model.pt`` of a bundle: the plain state dict of `PairNetwork`.

    Args:
        path: File to write; its folder is made.
        model: Shipped model name or weights file.
    """
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(".partial")
    state: dict[str, Any] = bundle_state(load_checkpoint(model))
    torch.save(state, beside)
    beside.replace(file)
    return file

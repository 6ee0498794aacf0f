"""The door between a study and a network: no tensor passes it, only arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
#: What a backend remembers of a volume; opaque to everyone else.
Context = Any


class Backend(Protocol):
    """Runs one model with one prompt on one device."""

    def describe(self) -> Mapping[str, Any]:
        """Facts for the report: model, sha256, prompt, text encoder, device, versions."""

    def decide(self, functional: FloatArray, mri: FloatArray) -> Context:
        """Decide everything global (channel selection, pooled statistics) from representative slices.

        Args:
            functional: (N, H, W) float32 in 0..1, H and W at least 16.
            mri: The same for the MRI.

        Returns:
            Context for ``fuse``: every slice of the volume is then fused under the same decisions.
        """

    def fuse(self, functional: FloatArray, mri: FloatArray, context: Context | None) -> FloatArray:
        """Fuse a batch of slices.

        Args:
            functional: (B, H, W) float32 in 0..1.
            mri: The same for the MRI.
            context: From ``decide``, or None: each slice decides for itself.

        Returns:
            (B, H, W) float32 luminance in 0..1.

        Raises:
            RuntimeFailure: the device ran out of memory.
        """

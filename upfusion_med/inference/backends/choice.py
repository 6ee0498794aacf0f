"""Which runtime runs a model: exported graphs on ONNX Runtime, everything else on PyTorch."""

from __future__ import annotations

from pathlib import Path

from upfusion_med.core import FuseSettings, Modality
from upfusion_med.inference.backends.base import Backend


def backend_for(settings: FuseSettings, modality: Modality) -> Backend:
    """The backend of ``settings.model``, loaded."""
    from upfusion_med.weights.exported_model import is_exported_model

    if is_exported_model(Path(settings.model)):
        from upfusion_med.inference.backends.onnx import OnnxBackend

        return OnnxBackend(Path(settings.model), settings.device, settings.prompt, modality)
    from upfusion_med.inference.backends.torch import TorchBackend

    return TorchBackend(settings.model, settings.device, settings.prompt, modality)

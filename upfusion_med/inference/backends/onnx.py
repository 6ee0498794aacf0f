"""Exported networks on ONNX Runtime: a study can be fused where PyTorch is not installed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from upfusion_med.core import Device, InputError, Modality, RuntimeFailure, UsageError, package_failure
from upfusion_med.inference.backends.base import Context, FloatArray
from upfusion_med.weights.exported_model import CARD, DECIDE, FILES, FORMAT_VERSION, FUSE, is_exported_model
from upfusion_med.weights.prompts import PromptTable

#: The networks halve the resolution three times.
MULTIPLE = 8


class OnnxBackend:
    """An exported model with one prompt.

    Args:
        folder: What ``upfusion weights export`` wrote.
        device: CPU, or CUDA where onnxruntime-gpu is installed.
        prompt: Prompt name; None: the named prompt of ``modality``.
        modality: Of the functional image.

    Raises:
        InputError: the folder is not an exported model.
        UsageError: an unknown prompt, or CUDA without the GPU package.
        MissingPackageError: onnxruntime is not installed.
    """

    def __init__(
        self,
        folder: Path,
        device: Device = Device.AUTO,
        prompt: str | None = None,
        modality: Modality = Modality.UNKNOWN,
    ) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise package_failure(error, "onnxruntime", "onnx", "run an exported network") from error
        if not is_exported_model(folder):
            raise InputError(f"{folder} is not an exported model; expected a folder with {', '.join(sorted(FILES))}.")
        try:
            card = json.loads((folder / CARD).read_text())
            version = card["format_version"]
            codes = {name: np.asarray(code, np.float32) for name, code in card["codes"].items()}
            prompts = PromptTable(card["text_encoder"], card["prompts"], codes)
            self.statistics: list[str] = card["statistics"]
            self._facts = {name: card[name] for name in ("model", "weights_sha256", "text_encoder")}
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise InputError(f"{folder / CARD} is damaged ({error!r}); export the model again.") from error
        if version != FORMAT_VERSION:
            raise InputError(
                f"{folder} holds a model in format {version}, of another version of this package; expected format "
                f"{FORMAT_VERSION}. Export it again."
            )
        self.prompt = prompt if prompt is not None else prompts.name_for(modality)
        self.sentence = prompts.sentences.get(self.prompt, self.prompt)
        self.code = prompts.code(self.prompt)[None]
        providers = ["CPUExecutionProvider"]
        if device is not Device.CPU and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            providers.insert(0, "CUDAExecutionProvider")
        elif device is Device.CUDA:
            raise UsageError("CUDA was asked for, and this onnxruntime has no CUDA; install onnxruntime-gpu.")
        try:
            self._fuse = onnxruntime.InferenceSession(str(folder / FUSE), providers=providers)
            # A network without global statistics decides nothing, and ONNX Runtime refuses a graph without an output.
            self._decide = (
                onnxruntime.InferenceSession(str(folder / DECIDE), providers=providers) if self.statistics else None
            )
        except Exception as error:  # onnxruntime raises classes of its own C++ layer
            raise InputError(
                f"The graphs in {folder} cannot be read ({type(error).__name__}); export again."
            ) from error
        self._version = onnxruntime.__version__

    def describe(self) -> Mapping[str, Any]:
        """Model, sha256 of the weights it was exported from, prompt, text encoder, device and version."""
        return {
            "backend": "onnxruntime",
            **self._facts,
            "prompt": self.prompt,
            "prompt_text": self.sentence,
            "device": self._fuse.get_providers()[0],
            "onnxruntime": self._version,
        }

    def decide(self, functional: FloatArray, mri: FloatArray) -> Context:
        """See ``Backend.decide``."""
        if self._decide is None:
            return {}
        feed = {"functional": _batch(functional), "mri": _batch(mri)}
        return dict(zip(self.statistics, self._run(self._decide, self.statistics, feed), strict=True))

    def fuse(self, functional: FloatArray, mri: FloatArray, context: Context | None) -> FloatArray:
        """See ``Backend.fuse``; without a context each slice decides for itself."""
        if context is None:
            slices = [(functional[i : i + 1], mri[i : i + 1]) for i in range(len(functional))]
            return np.concatenate([self.fuse(a, b, self.decide(a, b)) for a, b in slices])
        feed = {"functional": _batch(functional), "mri": _batch(mri), "code": self.code, **context}
        wanted = {node.name for node in self._fuse.get_inputs()}
        (fused,) = self._run(self._fuse, ["fused"], {k: v for k, v in feed.items() if k in wanted})
        return fused[:, 0, : functional.shape[1], : functional.shape[2]]

    def _run(self, session: Any, outputs: list[str], feed: Mapping[str, Any]) -> list[FloatArray]:
        try:
            return session.run(outputs, feed)
        except Exception as error:  # onnxruntime raises classes of its own C++ layer
            raise RuntimeFailure(
                f"ONNX Runtime failed on {feed['functional'].shape[0]} slices ({type(error).__name__}); "
                "use a smaller --batch-size, or --device cpu."
            ) from error


def _batch(slices: FloatArray) -> FloatArray:
    """(B, H, W) to (B, 1, H', W'), reflected at the right and the bottom to multiples of 8 as the networks do."""
    height, width = slices.shape[1:]
    padded = np.pad(slices, [(0, 0), (0, -height % MULTIPLE), (0, -width % MULTIPLE)], mode="reflect")
    return np.ascontiguousarray(padded[:, None], dtype=np.float32)

from __future__ import annotations

import numpy as np
import pytest
import torch

from upfusion_med.core import Device, RuntimeFailure
from upfusion_med.inference.backends.torch import TorchBackend


@pytest.mark.parametrize(
    ("words", "kind", "told"),
    [
        ("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.", RuntimeFailure, "Out of memory"),
        ("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes.", RuntimeFailure, "Out of memory"),
        ("The size of tensor a must match", RuntimeError, "The size of tensor a"),
    ],
)
def test_too_little_memory_is_told_from_other_errors(monkeypatch, words, kind, told):
    backend = TorchBackend("upfusion-tiny", Device.CPU)

    def fail(*_: object) -> torch.Tensor:
        raise RuntimeError(words)

    monkeypatch.setattr(backend, "network", fail)
    image = np.zeros((2, 16, 16), np.float32)
    with pytest.raises(RuntimeError, match=told) as caught:
        backend.fuse(image, image, None)
    assert caught.type is kind

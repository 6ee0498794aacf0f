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


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("CUDA error: no kernel image is available for execution on the device\nCompile with", "no kernel image"),
        ("Found no NVIDIA driver on your system.", "NVIDIA driver"),
        ("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED", "CUDNN_STATUS"),
        ("CUDA out of memory. Tried to allocate 2 MiB.", "Out of memory on cuda"),
    ],
)
@pytest.mark.parametrize("when", ["loading", "fusing"])
def test_a_graphics_card_that_fails_is_told_with_the_way_round_it(monkeypatch, words, told, when):
    elsewhere = torch.Tensor.to

    def fail(tensor: torch.Tensor, *where: object, **others: object) -> torch.Tensor:
        if where[0] == torch.device("cuda"):
            raise (torch.OutOfMemoryError if "memory" in words else RuntimeError)(words)
        return elsewhere(tensor, *where, **others)

    backend = TorchBackend("upfusion-tiny", Device.CPU)
    backend.device = torch.device("cuda")
    monkeypatch.setattr("upfusion_med.inference.backends.torch.choose_device", lambda _: torch.device("cuda"))
    monkeypatch.setattr(torch.Tensor, "to", fail)
    image = np.zeros((2, 16, 16), np.float32)
    with pytest.raises(RuntimeFailure, match=told) as caught:
        TorchBackend("upfusion-tiny") if when == "loading" else backend.fuse(image, image, None)
    assert "--device cpu" in str(caught.value)
    assert "Compile with" not in str(caught.value)


@pytest.mark.parametrize(("slices", "helps"), [(2, True), (1, False)])
def test_a_smaller_batch_is_advised_only_where_it_helps(monkeypatch, slices, helps):
    def fail(*_: object) -> torch.Tensor:
        raise MemoryError

    backend = TorchBackend("upfusion-tiny", Device.CPU)
    monkeypatch.setattr(backend, "network", fail)
    image = np.zeros((slices, 16, 16), np.float32)
    for run, advised in (
        (lambda: backend.fuse(image, image, None), helps),
        (lambda: backend.decide(image, image), False),
    ):
        with pytest.raises(RuntimeFailure, match="close other programs") as caught:
            run()
        assert ("--batch-size" in str(caught.value)) is advised

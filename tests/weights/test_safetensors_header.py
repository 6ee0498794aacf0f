from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from upfusion_med.weights.checkpoint import read_checkpoint, write_checkpoint
from upfusion_med.weights.prompts import PromptTable
from upfusion_med.weights.safetensors_header import sort_metadata

METADATA = {
    name: f'"{name}" µ\n' for name in ("model", "card", "format", "prompts", "text_encoder", "overrides", "a", "z")
}


def test_equal_content_is_equal_byte_for_byte(tmp_path: Path) -> None:
    torch.manual_seed(0)
    state = {name: torch.randn(5, 7) for name in ("b.weight", "a.weight", "c.bias")}
    prompts = PromptTable("none", {"pet": "a sentence"}, {})
    sums = {
        write_checkpoint(
            tmp_path / f"{k}.safetensors", model="upfusion-tiny", state=state, prompts=prompts, card={"k": 1}
        )
        for k in range(8)
    }
    assert len(sums) == 1
    assert len({(tmp_path / f"{k}.safetensors").read_bytes() for k in range(8)}) == 1
    assert read_checkpoint(tmp_path / "0.safetensors").prompts.sentences == {"pet": "a sentence"}


@pytest.mark.parametrize("metadata", [METADATA, None])
def test_sorting_keeps_tensors_and_metadata(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    path = tmp_path / "x.safetensors"
    tensors = {"one": torch.arange(12.0).reshape(3, 4), "two": torch.tensor([1, 2], dtype=torch.int64)}
    save_file(tensors, path, metadata=metadata)
    size = path.stat().st_size
    sort_metadata(path)
    assert path.stat().st_size == size
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == metadata
        for name, tensor in tensors.items():
            assert torch.equal(file.get_tensor(name), tensor)
    head = path.read_bytes()[8:].split(b"}", 1)[0]
    if metadata is not None:
        places = [head.index(f'"{name}":'.encode()) for name in sorted(METADATA)]
        assert places == sorted(places)

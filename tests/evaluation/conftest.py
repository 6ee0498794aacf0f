"""Small data sets of phantoms, as they would lie on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

SIDE = 64


def disc(seed: int, side: int = SIDE) -> NDArray[np.uint8]:
    """(side, side) a textured head on black."""
    y, x = np.mgrid[:side, :side] / side - 0.5
    rng = np.random.default_rng(seed)
    fx, fy, phase = rng.uniform(5, 30, 3)
    inside = (x / 0.42) ** 2 + (y / 0.45) ** 2 <= 1
    values = 120 + 60 * np.sin(fx * x + phase) * np.cos(fy * y) + 40 * (x * x + (y - 0.1) ** 2 < 0.02)
    return np.where(inside, values, 0).astype(np.uint8)


def warm(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) a colour picture of it."""
    value = grey.astype(np.float64) / 255
    return np.stack([255 * np.sqrt(value), 200 * value, 90 * (1 - value) * (value > 0)], axis=-1).astype(np.uint8)


def save(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write a picture, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


@pytest.fixture
def folders(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """Make folders ``a`` and ``b`` with pairs of the given names."""

    def make(*names: str) -> tuple[Path, Path]:
        for k, name in enumerate(names):
            save(tmp_path / "a" / f"{name}.png", disc(2 * k))
            save(tmp_path / "b" / f"{name}.png", disc(2 * k + 1))
        return tmp_path / "a", tmp_path / "b"

    return make


@pytest.fixture
def atlas(tmp_path: Path) -> Path:
    """A small Harvard atlas: CT 1 and 2 (one slice is dev), PET in colour of two people, with splits.csv."""
    root = tmp_path / "atlas"
    rows = ["modality,name,case,split,patient"]
    for k, (name, split) in enumerate((("1001", "test"), ("1002", "test"), ("2001", "test"), ("3001", "dev"))):
        save(root / "CT-MRI" / "CT" / f"{name}.png", disc(k))
        save(root / "CT-MRI" / "MRI" / f"{name}.png", disc(k + 10))
        rows.append(f"CT-MRI,{name}.png,{name[0]},{split},case0{name[0]}")
    for k, (name, patient) in enumerate((("41001", "PET-A"), ("41002", "PET-A"), ("sa_21", "PET-D"))):
        save(root / "PET-MRI" / "PET" / f"{name}.png", warm(disc(k + 20)))
        save(root / "PET-MRI" / "MRI" / f"{name}.png", disc(k + 30))
        rows.append(f"PET-MRI,{name}.png,{name[:2]},test,{patient}")
    (root / "splits.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="session")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network."""
    import torch

    from upfusion_med.networks import create
    from upfusion_med.weights import PromptTable, write_checkpoint

    torch.manual_seed(0)
    network = create("upfusion-tiny")
    code = np.random.default_rng(0).normal(size=512).astype(np.float32)
    path = tmp_path_factory.mktemp("weights") / "untrained.safetensors"
    prompts = PromptTable("none", {"universal": "any two pictures"}, {"universal": code})
    write_checkpoint(path, model="upfusion-tiny", state=network.state_dict(), prompts=prompts, card={})
    return path

"""A small set of infrared-visible pairs to train on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from upfusion_med.training.configuration import TrainingConfig

PROMPTS = ("universal", "infrared_visible", "mri_pet", "mri_spect", "mri_ct", "gfp_phase_contrast")


@pytest.fixture
def config(tmp_path: Path) -> TrainingConfig:
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    for kind in ("vi", "ir"):
        (tmp_path / kind).mkdir()
        for i in range(4):
            smooth = rng.integers(0, 255, (12, 12), dtype=np.uint8)
            Image.fromarray(smooth).resize((96, 80)).save(tmp_path / kind / f"street_{i}.png")
    names = np.array(PROMPTS)
    np.savez(tmp_path / "codes.npz", names=names, prompts=names, minilm_512=rng.standard_normal((len(names), 512)))
    return TrainingConfig(
        visible=str(tmp_path / "vi"), infrared=str(tmp_path / "ir"), output=str(tmp_path / "run"),
        text_codes=str(tmp_path / "codes.npz"), steps=4, batch=2, side=64, warmup=1, save_every=2,
        validation_share=0.25, validation_pairs=1, bf16=False,
        overrides={"semantics": False, "widths": (16, 16, 16, 16)},
    )  # fmt: skip

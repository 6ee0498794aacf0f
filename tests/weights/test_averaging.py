from __future__ import annotations

import numpy as np
import pytest
import torch

from upfusion_med.core import InputError, UsageError
from upfusion_med.networks import create
from upfusion_med.weights import PromptTable, read_checkpoint, write_checkpoint
from upfusion_med.weights.averaging import average_weights

SMALL = {"widths": (16, 16, 16, 16), "semantics": False}


@pytest.fixture
def write(tmp_path):
    def write_weights(name, seed, codes=("universal",), entry=1.0, **overrides):
        torch.manual_seed(seed)
        settings = {**SMALL, **overrides}
        table = PromptTable(
            "minilm_512", dict.fromkeys(codes, "a"), {c: np.full(512, entry, np.float32) for c in codes}
        )
        state = create("upfusion-tiny", **settings).state_dict()
        file = tmp_path / f"{name}.safetensors"
        write_checkpoint(
            file, model="upfusion-tiny", state=state, prompts=table, card={"seed": seed}, overrides=settings, half=False
        )
        return file

    return write_weights


def test_every_weight_is_the_mean_by_shares_and_the_card_names_the_sources(write, tmp_path):
    files = [write("a", 0), write("b", 1)]
    sha256 = average_weights(files, tmp_path / "mean.safetensors", [3, 1])
    mean = read_checkpoint(tmp_path / "mean.safetensors")
    a, b = (read_checkpoint(file) for file in files)
    for key, value in mean.state.items():
        wanted = 0.75 * a.state[key] + 0.25 * b.state[key] if value.is_floating_point() else a.state[key]
        torch.testing.assert_close(value, wanted, atol=1e-3, rtol=0)
    assert mean.sha256 == sha256
    assert [(s["sha256"], s["share"]) for s in mean.card["mean_of"]] == [(a.sha256, 0.75), (b.sha256, 0.25)]
    assert mean.overrides == a.overrides
    assert set(mean.prompts.codes) == {"universal"}


def test_equal_shares_are_the_default(write, tmp_path):
    average_weights([write("a", 0), write("b", 1), write("c", 2)], tmp_path / "mean.safetensors")
    card = read_checkpoint(tmp_path / "mean.safetensors").card
    assert [s["share"] for s in card["mean_of"]] == [pytest.approx(1 / 3, abs=1e-5)] * 3


def test_what_has_no_mean_is_refused_and_nothing_is_written(write, tmp_path):
    a, b, out = write("a", 0), write("b", 1), tmp_path / "mean.safetensors"
    with pytest.raises(UsageError, match="1 weights file was given"):
        average_weights([a], out)
    for shares in ([1.0], [1.0, -1.0], [0.0, 0.0], [np.nan, 1.0], [1.0, np.inf]):
        with pytest.raises(UsageError, match="shares"):
            average_weights([a, b], out, shares)
    with pytest.raises(InputError, match=r"wide\.safetensors and a\.safetensors are weights of different networks"):
        average_weights([a, write("wide", 1, widths=(16, 16, 16, 32))], out)
    with pytest.raises(InputError, match="different text codes"):
        average_weights([a, write("codes", 1, codes=("mri_pet",))], out)
    with pytest.raises(InputError, match="different text codes"):
        average_weights([a, write("others", 1, entry=-1.0)], out)
    assert not out.exists()


def test_an_existing_file_is_replaced_only_when_asked_and_a_source_never(write, tmp_path):
    files, out = [write("a", 0), write("b", 1)], write("old", 2)
    with pytest.raises(UsageError, match="--force"):
        average_weights(files, out)
    with pytest.raises(UsageError, match="the checkpoint itself"):
        average_weights(files, files[1], force=True)
    average_weights(files, out, force=True)
    assert "mean_of" in read_checkpoint(out).card

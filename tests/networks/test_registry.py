"""Networks by name, with and without weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from upfusion_med.core import InputError, UsageError
from upfusion_med.networks import ALIASES, canonical_name, create, names

NARROW = {
    "dim": 8,
    "blocks": (1, 1, 1, 1),
    "refinement_blocks": 1,
    "convnext_widths": (4, 8, 8, 16),
    "convnext_blocks": (1, 1, 1, 1),
}


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    return create("upfusion-paper", **NARROW)


def test_the_families_are_listed_and_the_alias_leads_to_one_of_them():
    assert set(names()) == {"upfusion-tiny", "upfusion-base", "upfusion-paper"}
    assert canonical_name("upfusion") == "upfusion-tiny"
    assert set(ALIASES.values()) <= set(names())


@pytest.mark.parametrize("name", [*names(), *ALIASES])
def test_every_listed_name_makes_a_network(name):
    with torch.device("meta"):
        made = create(name)
    assert sum(parameter.numel() for parameter in made.parameters()) > 100_000


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match=r"'upfusion-huge'.*upfusion-tiny, upfusion-base, upfusion-paper"):
        create("upfusion-huge")


def test_an_unknown_setting_is_refused():
    with pytest.raises(UsageError, match="depth"):
        create("upfusion-paper", depth=3)


def test_listing_the_names_imports_no_network_library():
    code = (
        "import sys; from upfusion_med.networks import names; names();"
        "print([m for m in ('torch', 'torchvision', 'timm') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_weights_come_from_a_state_dict_or_a_file(network, tmp_path: Path):
    state = network.state_dict()
    path = tmp_path / "weights.safetensors"
    save_file({**state, "text_code.universal": torch.zeros(512)}, path)
    for weights in (state, path, str(path)):
        copy = create("upfusion-paper", weights=weights, **NARROW)
        assert not copy.training
        assert all(torch.equal(value, state[name]) for name, value in copy.state_dict().items())


def test_missing_and_foreign_weights_are_counted_and_ten_are_named(network):
    state = dict(network.state_dict())
    gone = [name for name in state if name.startswith("latent_vi")] + ["output.weight"]
    assert len(gone) == 12
    for name in gone:
        del state[name]
    state["output.bias"] = torch.zeros(1)
    with pytest.raises(InputError) as caught:
        create("upfusion-paper", weights=state, **NARROW)
    message = str(caught.value)
    assert "12 tensors are missing" in message
    assert sum(name in message for name in gone) == 10
    assert "and 2 more" in message
    assert "1 tensors are not the network's: output.bias" in message


def test_weights_of_another_width_are_refused(network):
    with pytest.raises(InputError, match=r"have another shape: .*instead of"):
        create("upfusion-paper", weights=network.state_dict(), **{**NARROW, "dim": 16})


@pytest.mark.parametrize("damage", ["absent", "truncated", "text", "folder"])
def test_a_file_that_holds_no_weights_is_refused(network, tmp_path: Path, damage):
    path = tmp_path / "weights.safetensors"
    if damage == "truncated":
        save_file(network.state_dict(), path)
        path.write_bytes(path.read_bytes()[:-1000])
    elif damage == "text":
        path.write_text("not weights")
    elif damage == "folder":
        path.mkdir()
    with pytest.raises(InputError, match=r"weights\.safetensors"):
        create("upfusion-paper", weights=path, **NARROW)

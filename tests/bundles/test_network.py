from __future__ import annotations

import pytest
import torch

pytest.importorskip("monai", reason="MONAI is not installed (extra 'monai')")
pytest.importorskip("ignite", reason="pytorch-ignite is not installed (extra 'monai')")

from monai.bundle import verify_net_in_out
from typer.testing import CliRunner

from tests.bundles.conftest import NAMES
from upfusion_med.bundle import PairNetwork
from upfusion_med.cli.main import app
from upfusion_med.core import UsageError
from upfusion_med.networks.semantics import SEMANTIC_SIDE
from upfusion_med.weights import load_checkpoint

EVERY = pytest.mark.parametrize("name", NAMES)


@EVERY
def test_the_weights_agree_with_the_shipped_ones(bundles, name):
    network = PairNetwork(prompt="mri_pet")
    network.load_state_dict(torch.load(bundles / name / "models" / "model.pt", weights_only=True))
    checkpoint = load_checkpoint("upfusion")
    image = torch.rand(1, 2, 48, 40, generator=torch.Generator().manual_seed(0))
    code = torch.from_numpy(checkpoint.prompts.code("mri_pet"))[None]
    with torch.no_grad():
        expected = checkpoint.network()(image[:, :1], image[:, 1:], code)
        torch.testing.assert_close(network.eval()(image), expected, rtol=0, atol=0)


def test_one_command_makes_the_weights_of_a_bundle(bundles, tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "metadata.json").write_text("{}")
    result = CliRunner().invoke(app, ["weights", "bundle", str(tmp_path)])
    assert result.exit_code == 0, result.output
    made = torch.load(tmp_path / "models" / "model.pt", weights_only=True)
    expected = torch.load(bundles / NAMES[0] / "models" / "model.pt", weights_only=True)
    assert made.keys() == expected.keys()
    assert all(torch.equal(value, expected[key]) for key, value in made.items())


def test_a_folder_that_is_no_bundle_gets_no_weights(tmp_path):
    result = CliRunner().invoke(app, ["weights", "bundle", str(tmp_path)])
    assert isinstance(result.exception, UsageError) and "configs/metadata.json" in str(result.exception)
    assert not list(tmp_path.iterdir())


@EVERY
def test_the_network_has_the_inputs_and_outputs_of_the_metadata(bundles, name):
    configs = bundles / name / "configs"
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(configs / "metadata.json"),
        config_file=str(configs / "inference.json"),
        device="cpu",
    )


@pytest.mark.parametrize("side", [64, SEMANTIC_SIDE])
def test_the_traced_network_takes_any_size_that_divides_by_eight_and_any_batch(bundles, side):
    network = PairNetwork(prompt="mri_ct").eval()
    network.load_state_dict(torch.load(bundles / NAMES[0] / "models" / "model.pt", weights_only=True))
    with torch.no_grad():
        traced = torch.jit.trace(network, torch.rand(1, 2, side, side), check_trace=False)
        for batch, *size in ((1, 64, 64), (1, 96, 72), (3, 64, 80)):
            # Slices that differ, or the channel weights of one would do for all.
            image = torch.rand(batch, 2, *size) * torch.linspace(1, 0.1, batch).view(-1, 1, 1, 1)
            torch.testing.assert_close(traced(image), network(image))


def test_an_unknown_prompt_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="mri_spect"):
        PairNetwork(prompt="mri_ultrasound")

"""The published network against the outputs, stages and rank orders of the authors' network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.networks.closed_rule import rule_state, rule_tensor
from upfusion_med.networks.upfusion_paper import UPFusionPaper

pytestmark = pytest.mark.shared

#: Stage of the fixture, and the module whose output it is.
STAGES = {
    "embed_ir": "ir_imb",
    "embed_vi": "patch_embed",
    "scpm": "channel_select",
    "expand": "expand_conv",
    "gam_vi": "GEO_vi",
    "gam_ir": "GEO_ir",
    **{f"enc{n}_{m}": f"encoder_level{n}_{m}" for n in (1, 2, 3) for m in ("vi", "ir")},
    "enc4_vi": "latent_vi",
    "enc4_ir": "latent_ir",
    "tcpm4": "latent_shuffle_channel",
    **{f"tcpm{n}": f"encoder_shuffle_channel{n}" for n in (3, 2, 1)},
    **{f"dec{n}": f"decoder_level{n}" for n in (3, 2, 1)},
    **{up: up for up in ("up4_3", "up3_2", "up2_1")},
    "refine": "refinement",
    "output": "output",
}
#: Rank order of the fixture, and the module that ranks.
ORDERS = {
    "scpm": "channel_select.ranking",
    **{f"tcpm{n}_se": f"{STAGES[f'tcpm{n}']}.ranking" for n in (4, 3, 2, 1)},
    **{f"tcpm{n}_text": f"{STAGES[f'tcpm{n}']}.text_ranking" for n in (4, 3, 2, 1)},
}


@pytest.fixture(scope="module")
def parity(shared: Path) -> Mapping[str, np.ndarray]:
    return dict(np.load(shared / "refs" / "upfusion_parity.npz"))


def fixture_shapes(parity: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    pairs = zip(parity["state_keys"].tolist(), parity["state_shapes"].tolist(), strict=True)
    return {key: tuple(int(n) for n in shape.split("x")) if shape else () for key, shape in pairs}


@pytest.fixture(scope="module")
def released(parity: Mapping[str, np.ndarray]) -> UPFusionPaper:
    with torch.device("meta"):
        network = UPFusionPaper()
    state = rule_state({key: tuple(value.shape) for key, value in network.state_dict().items()})
    network.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()}, assign=True)
    return network.eval()


Hook = Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]


@dataclass
class Run:
    """One case of the fixture, run through our network."""

    case: str
    output: Tensor
    stages: dict[str, Tensor] = field(default_factory=dict)
    orders: dict[str, Tensor] = field(default_factory=dict)
    scores: dict[str, Tensor] = field(default_factory=dict)


@pytest.fixture(scope="module", params=["a", "b", "c", pytest.param("d", marks=pytest.mark.slow)])
def run(request: pytest.FixtureRequest, parity: Mapping[str, np.ndarray], released: UPFusionPaper) -> Run:
    case = request.param
    result = Run(case, torch.empty(0))

    def keep_stage(name: str) -> Hook:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            result.stages[name] = output

        return hook

    def keep_order(name: str) -> Hook:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            result.scores[name], result.orders[name] = inputs[0], output

        return hook

    hooks = [released.get_submodule(m).register_forward_hook(keep_stage(name)) for name, m in STAGES.items()]
    hooks += [released.get_submodule(m).register_forward_hook(keep_order(name)) for name, m in ORDERS.items()]
    visible, infrared = (
        torch.from_numpy(parity[f"{case}_{name}_u8"].astype(np.float32) / 255).permute(0, 3, 1, 2)
        for name in ("visible", "infrared")
    )
    with torch.no_grad():
        result.output = released(visible, infrared, torch.from_numpy(parity[f"{case}_text"]))
    for hook in hooks:
        hook.remove()
    return result


def test_names_and_shapes_are_the_released_ones_without_the_dead_encoder(parity, released):
    live = {key: shape for key, shape in fixture_shapes(parity).items() if "_gt." not in key}
    assert {key: tuple(value.shape) for key, value in released.state_dict().items()} == live


def test_rule_rebuilds_the_weights_of_the_fixture(parity):
    shapes = fixture_shapes(parity)
    total = 0.0
    listed = dict(zip(parity["rule_keys"].tolist(), range(len(parity["rule_keys"])), strict=True))
    seen = set()
    for key, shape in shapes.items():
        value = rule_tensor(key, shape).ravel()
        squares = float(np.square(value, dtype=np.float64).sum())
        total += squares
        if key in listed:
            row = listed[key]
            first = parity["rule_first8"][row]
            np.testing.assert_array_equal(value[:8], first[~np.isnan(first)])
            assert value.sum(dtype=np.float64) == pytest.approx(parity["rule_sum"][row], rel=1e-9, abs=1e-9)
            assert squares == pytest.approx(parity["rule_sumsq"][row], rel=1e-9)
            seen.add(key)
    assert seen == set(listed)
    assert total == pytest.approx(518247.6074, abs=1e-3)


def test_output_is_the_authors(run, parity):
    expected = torch.from_numpy(parity[f"{run.case}_output"])
    assert run.output.shape == expected.shape
    torch.testing.assert_close(run.output, expected, rtol=0, atol=1e-4)


def test_every_stage_is_the_authors(run, parity):
    assert set(run.stages) == set(parity["stages"].tolist())
    for index, name in enumerate(parity["stages"].tolist()):
        stage = run.stages[name]
        assert list(stage.shape) == parity[f"{run.case}_stage_shape"][index].tolist(), name
        first = np.abs(stage.flatten()[:8].numpy() - parity[f"{run.case}_stage_first8"][index]).max()
        assert first <= 5e-4, (name, first)
        assert stage.double().mean().item() == pytest.approx(parity[f"{run.case}_stage_mean"][index], abs=1e-4), name
        spread = stage.double().std(unbiased=False).item()
        assert spread == pytest.approx(parity[f"{run.case}_stage_std"][index], abs=1e-4), name


def test_every_rank_order_is_the_authors(run, parity):
    assert len(run.orders) == 9
    for name, order in run.orders.items():
        np.testing.assert_array_equal(order.numpy(), parity[f"{run.case}_order_{name}"], err_msg=name)
        np.testing.assert_allclose(run.scores[name].numpy(), parity[f"{run.case}_score_{name}"], atol=1e-5)

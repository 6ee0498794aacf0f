from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from upfusion_med.metrics.unexplained import unexplained_structure
from upfusion_med.networks.configuration import SIZES
from upfusion_med.networks.explanation import explained, full_precision
from upfusion_med.networks.upfusion import UPFusion


def scene(seed: int, detail: float) -> torch.Tensor:
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal((64, 72)), detail)
    return torch.from_numpy(np.clip(0.5 + 0.15 * noise / noise.std(), 0, 1).astype(np.float32))[None, None]


@pytest.fixture
def sources() -> tuple[torch.Tensor, torch.Tensor]:
    return scene(0, 3.0), scene(1, 2.0)


def levels(*pictures):
    return [255.0 * x[0, 0].double().numpy() for x in pictures]


def slow_weights(a, b):
    weight = torch.linspace(0.1, 0.9, a.shape[-1])
    return weight * a + (1 - weight) * b


MIXTURES = {
    "first": lambda a, b: a,
    "second": lambda a, b: b,
    "average": lambda a, b: 0.5 * (a + b),
    "weights that change slowly": slow_weights,
    "a difference": lambda a, b: (0.5 + a - 0.8 * b).clamp(0.05, 0.95),
}


@pytest.mark.parametrize("mixture", MIXTURES.values(), ids=MIXTURES)
def test_mixtures_of_the_sources_stay(sources, mixture):
    fused = mixture(*sources)
    assert (explained(fused, *sources) - fused).abs().mean() < 0.5 / 255


def test_what_only_one_source_shows_stays():
    a, b = scene(0, 3.0), torch.zeros(1, 1, 64, 72)
    b[..., 30:34, 40:44] = 1.0  # a hot spot on nothing
    fused = torch.maximum(a, b)
    assert (explained(fused, a, b) - fused)[..., 31:33, 41:43].abs().max() < 0.05


def test_structure_of_its_own_is_taken_back(sources):
    fused = torch.maximum(*sources)
    invented = fused.clone()
    invented[..., 20:40, 30:32] = 1.0
    before, after = (unexplained_structure(*levels(x, *sources)) for x in (invented, explained(invented, *sources)))
    assert before.largest_patch > 100
    assert after.largest_patch < 0.5 * before.largest_patch
    assert after.share < 0.25 * before.share
    far = torch.ones_like(fused, dtype=torch.bool)
    far[..., 5:55, 12:50] = False
    assert (explained(invented, *sources) - explained(fused, *sources))[far].abs().max() < 0.5 / 255


def test_it_does_not_add_anything_to_nothing():
    nothing = torch.zeros(1, 1, 32, 32)
    assert not explained(nothing, nothing, nothing).any()
    spot = nothing.clone()
    spot[..., 10:12, 10:12] = 0.5
    assert explained(spot, nothing, nothing).max() < 0.05


def test_every_picture_is_judged_by_itself(sources):
    others = scene(2, 2.0), scene(3, 1.0)
    fused = torch.maximum(*sources)
    together = explained(
        *(torch.cat(x) for x in ((fused, others[0]), (sources[0], others[1]), (sources[1], others[0])))
    )
    assert torch.allclose(together[:1], explained(fused, *sources), atol=1e-6)


def test_autocast_does_not_make_it_coarse(sources):
    fused = (0.3 + 0.7 * torch.maximum(*sources)).clamp(0, 1)
    plain = explained(fused, *sources)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(explained(fused, *sources), plain)
        with full_precision(fused):
            assert not torch.is_autocast_enabled("cpu")
            assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.allow_tf32


def test_its_cost_can_be_counted_without_pictures():
    nothing = torch.empty(1, 1, 32, 32, device="meta")
    assert explained(nothing, nothing, nothing).shape == (1, 1, 32, 32)


def test_the_network_takes_back_in_evaluation_only_and_can_be_told_not_to():
    torch.manual_seed(0)
    network = UPFusion(replace(SIZES["tiny"], semantics=False))
    network.head.weight.data.mul_(300)  # structure of its own
    raw = UPFusion(replace(network.config, explained=False)).eval()
    raw.load_state_dict(network.state_dict())
    pair, code = (scene(0, 3.0), scene(1, 2.0)), torch.ones(1, 512)
    with torch.no_grad():
        in_training, evaluated, told_not_to = (
            network.train()(*pair, code),
            network.eval()(*pair, code),
            raw(*pair, code),
        )
    assert torch.allclose(in_training, told_not_to, atol=1e-6)
    assert torch.allclose(evaluated, explained(told_not_to, *pair), atol=1e-5)
    shares = [unexplained_structure(*levels(x, *pair)).share for x in (told_not_to, evaluated)]
    assert shares[0] > 1
    assert shares[1] < 0.5 * shares[0]

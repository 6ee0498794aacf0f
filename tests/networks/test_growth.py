from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize

from upfusion_med.core import UsageError
from upfusion_med.networks import create
from upfusion_med.networks.configuration import UPFusionConfig
from upfusion_med.networks.growth import grow
from upfusion_med.networks.upfusion import UPFusion

SMALL = {"widths": (8, 8, 16, 16), "encoder_blocks": (1, 1, 1, 1), "decoder_blocks": (1, 1, 1)}
LARGE = {"widths": (16, 24, 32, 32), "encoder_blocks": (1, 2, 2, 1), "decoder_blocks": (2, 1, 2)}


def network(seed: int, **settings) -> UPFusion:
    torch.manual_seed(seed)
    made = UPFusion(UPFusionConfig(**settings)).eval()
    with torch.no_grad():  # away from the neutral values at which new networks start
        for parameter in made.parameters():
            if parameter.requires_grad and parameter.ndim:
                parameter.add_(0.05 * torch.randn_like(parameter))
    return made


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    first, second = (torch.rand(3, 1, 32, 40, generator=generator) for _ in range(2))
    return first, second, normalize(torch.randn(3, 512, generator=generator), dim=1)


@pytest.mark.parametrize(
    "parts",
    [{}, {"scpm": False}, {"gam": False}, {"tcpm": False}, {"semantics": False}, {"tcpm_attention": False}],
)
def test_a_grown_network_does_what_the_small_one_does(parts):
    small = network(0, **SMALL, **parts)
    large = network(1, **LARGE, **parts, scpm_keep=0.7)
    with torch.no_grad():
        before = large(*inputs())
        expected = small(*inputs())
        got = grow(small, large)(*inputs())
    assert (before - expected).abs().max() > 0.05
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


def test_what_is_new_learns():
    small, large = network(0, **SMALL), network(1, **LARGE, scpm_keep=0.7)
    grow(small, large).train()
    optimizer = torch.optim.SGD([p for p in large.parameters() if p.requires_grad], lr=0.1)
    start = {k: v.clone() for k, v in large.state_dict().items()}
    for _ in range(6):  # what is new is heard by one layer more at every step
        optimizer.zero_grad()
        (large(*inputs()) - 0.3).square().mean().backward()
        optimizer.step()
    for name in ("embed_first.weight", "encoder_first.levels.0.0.first.weight", "decoder1.join.weight"):
        change = (large.state_dict()[name] - start[name]).abs()
        assert change[small.state_dict()[name].shape[0] :].max() > 0, name
    further = "encoder_first.levels.1.1.second.weight"
    assert large.state_dict()[further].abs().max() > 0


def test_only_larger_networks_of_the_same_parts_can_be_grown_into():
    small = network(0, **SMALL)
    with pytest.raises(UsageError, match=r"16, 24, 32, 32.*cannot grow into.*8, 8, 16, 16"):
        grow(network(1, **LARGE), small)
    with pytest.raises(UsageError, match="differ in gam"):
        grow(small, network(1, **LARGE, gam=False))


def test_the_base_network_can_be_grown_out_of_the_tiny_one_and_has_at_most_25_million_parameters():
    tiny, base = (create(f"upfusion-{size}").eval() for size in ("tiny", "base"))
    assert sum(p.numel() for p in base.parameters()) < 25_000_000
    with torch.no_grad():
        wanted = tiny(*inputs())
        torch.testing.assert_close(grow(tiny, base)(*inputs()), wanted, atol=1e-5, rtol=0)

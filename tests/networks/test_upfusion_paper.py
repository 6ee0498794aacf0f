"""The published network: against a second formulation of it, and its own rules."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from tests.networks.plain_upfusion import part, plain_upfusion, pruning_scores
from upfusion_med.core import UsageError
from upfusion_med.networks.ranking import Ranking
from upfusion_med.networks.scope import RecordingScope, VolumeScope
from upfusion_med.networks.upfusion_paper import PaperConfig, UPFusionPaper, create_paper

NARROW = PaperConfig(
    dim=8,
    blocks=(1, 1, 2, 1),
    refinement_blocks=1,
    convnext_widths=(4, 8, 8, 16),
    convnext_blocks=(1, 1, 2, 1),
)


# ---------------------------------------------------------------- against a second formulation


@pytest.fixture(scope="module")
def narrow() -> UPFusionPaper:
    """A narrow network in float64 whose every parameter is away from its neutral initial value."""
    generator = torch.Generator().manual_seed(3)
    network = UPFusionPaper(NARROW).double().eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            if name.endswith("bias"):
                parameter.copy_(0.2 * noise)
            elif parameter.ndim <= 1 or name.endswith(("temperature", "layer_scale")):
                parameter.copy_(0.8 + 0.2 * noise)
            else:
                parameter.copy_(noise * parameter[0].numel() ** -0.5)
    return network


def pictures(batch: int, height: int, width: int, channels: int = 1, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(batch, channels, 6, 6, generator=generator, dtype=torch.float64)
    smooth = F.interpolate(coarse, (height, width), mode="bilinear")
    return (0.8 * smooth + 0.2 * torch.rand(smooth.shape, generator=generator, dtype=torch.float64)).clamp(0, 1)


def codes(batch: int, seed: int = 5) -> Tensor:
    return torch.randn(batch, 512, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@torch.no_grad()
def test_equals_the_same_network_written_with_other_operations(narrow):
    visible, infrared, text = pictures(2, 40, 24, 3), pictures(2, 40, 24, seed=1), codes(2)
    ours = narrow(visible, infrared, text)
    assert ours.std() > 0.01
    torch.testing.assert_close(ours, plain_upfusion(visible, infrared, text, narrow.state_dict()), rtol=0, atol=1e-10)


@torch.no_grad()
@pytest.mark.parametrize("side", [40, 300])
def test_pruning_weights_equal_the_second_formulation(narrow, side):
    features = pictures(2, side, side + 8, NARROW.dim) - 0.5
    state = part(narrow.state_dict(), "channel_select")
    torch.testing.assert_close(
        narrow.channel_select.weights(features), pruning_scores(features, state), rtol=0, atol=1e-12
    )


@torch.no_grad()
@pytest.mark.parametrize("change", ["swapped pictures", "other text", "attn4", "temperature"])
def test_second_formulation_would_notice_a_difference(narrow, change):
    visible, infrared, text, state = pictures(1, 32, 24), pictures(1, 32, 24, seed=1), codes(1), narrow.state_dict()
    ours = narrow(visible, infrared, text)
    if change == "swapped pictures":
        visible, infrared = infrared, visible
    elif change == "other text":
        text = -text
    else:
        state = {name: 1.5 * value if name.endswith(change) else value for name, value in state.items()}
    assert (ours - plain_upfusion(visible, infrared, text, state)).abs().max() > 1e-4


# ---------------------------------------------------------------- pictures, text, errors


@torch.no_grad()
@pytest.mark.parametrize("side", [(17, 33), (16, 16), (23, 40), (32, 31)])
def test_odd_sizes_are_reflected_at_the_right_and_the_bottom_and_cropped(narrow, side):
    height, width = side
    visible, infrared, text = pictures(1, height, width), pictures(1, height, width, seed=1), codes(1)
    pad = (0, -width % 8, 0, -height % 8)
    padded = narrow(F.pad(visible, pad, mode="reflect"), F.pad(infrared, pad, mode="reflect"), text)
    fused = narrow(visible, infrared, text)
    assert fused.shape == (1, 1, height, width)
    assert fused.is_contiguous()
    assert torch.equal(fused, padded[..., :height, :width])


@torch.no_grad()
def test_colour_is_replaced_by_its_luma_on_either_side(narrow):
    colour, grey, text = pictures(1, 24, 24, 3), pictures(1, 24, 24, seed=1), codes(1)
    luma = 0.299 * colour[:, 0:1] + 0.587 * colour[:, 1:2] + 0.114 * colour[:, 2:3]
    assert torch.equal(narrow(colour, grey, text), narrow(luma, grey, text))
    assert torch.equal(narrow(grey, colour, text), narrow(grey, luma, text))


@torch.no_grad()
def test_one_text_code_serves_the_batch_and_several_go_with_their_samples(narrow):
    visible, infrared, text = pictures(2, 24, 32), pictures(2, 24, 32, seed=1), codes(2)
    one = narrow(visible, infrared, text[:1])
    assert torch.equal(one, narrow(visible, infrared, text[:1].expand(2, -1)))
    each = narrow(visible, infrared, text)
    assert torch.equal(one[0], each[0])
    assert (one[1] - each[1]).abs().max() > 1e-4
    torch.testing.assert_close(each[1:], narrow(visible[1:], infrared[1:], text[1:]), rtol=0, atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("channels", [1, 3])
def test_memory_order_of_the_pictures_does_not_touch_the_output(channels):
    network = UPFusionPaper(NARROW).eval()
    visible = pictures(2, 32, 24, channels).float()
    infrared, text = pictures(2, 32, 24, seed=1).float(), codes(1).float()
    swapped = torch.empty(2, 32, 24, channels).permute(0, 3, 1, 2).copy_(visible)
    assert swapped.stride() != visible.stride()
    seen: list[tuple[int, ...]] = []
    network.patch_embed.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].stride()))
    assert torch.equal(network(swapped, infrared, text), network(visible, infrared, text))
    assert seen == [(32 * 24, 32 * 24, 24, 1)] * 2


@pytest.mark.parametrize(
    ("visible", "infrared", "text", "message"),
    [
        ((1, 1, 15, 32), (1, 1, 15, 32), (1, 512), "15x32.*at least 16"),
        ((1, 1, 16, 32), (1, 1, 32, 16), (1, 512), "equal batches and sides"),
        ((2, 1, 16, 16), (1, 1, 16, 16), (1, 512), "equal batches and sides"),
        ((1, 2, 16, 16), (1, 1, 16, 16), (1, 512), "1 or 3"),
        ((1, 16, 16), (1, 16, 16), (1, 512), "1 or 3"),
        ((2, 1, 16, 16), (2, 1, 16, 16), (3, 512), "B = 2"),
        ((1, 1, 16, 16), (1, 1, 16, 16), (1, 384), "512"),
        ((1, 1, 16, 16), (1, 1, 16, 16), (512,), "512"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(narrow, visible, infrared, text, message):
    arguments = [torch.zeros(shape, dtype=torch.float64) for shape in (visible, infrared, text)]
    with pytest.raises(UsageError, match=message):
        narrow(*arguments)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"heads": (1, 2, 5, 8)}, "192 channels has 5 heads"),
        ({"blocks": (1, 1)}, "expected four"),
        ({"dims": 8}, "dims"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        create_paper(**settings)


# ---------------------------------------------------------------- modes and gradients


def test_training_mode_draws_no_random_channel_order():
    network = UPFusionPaper(NARROW).train()
    assert network.refinement.training
    assert not any(module.training for module in network.channel_select.convnext.modules())
    visible, infrared, text = pictures(1, 16, 16).float(), pictures(1, 16, 16, seed=1).float(), codes(1).float()
    first = network(visible, infrared, text)
    assert torch.equal(first, network(visible, infrared, text))
    assert torch.equal(first, network.eval()(visible, infrared, text))


def test_ranking_passes_no_gradient_as_in_the_released_code():
    network = UPFusionPaper(NARROW).train()
    network(
        pictures(1, 16, 16).float(), pictures(1, 16, 16, seed=1).float(), codes(1).float()
    ).square().sum().backward()
    without = {name for name, parameter in network.named_parameters() if parameter.grad is None}
    frozen = ("channel_select.fc.", "channel_select.convnext", "channel_select.suo_conv", "channel_select.alpha")
    ranks = {
        name
        for name, _ in network.named_parameters()
        if name.startswith(frozen) or ".se_fc." in name or ".text_fc." in name
    }
    assert without == ranks


# ---------------------------------------------------------------- statistics of a volume


@torch.no_grad()
def test_kept_statistics_make_a_slice_independent_of_the_others(narrow):
    visible, infrared, text = pictures(4, 24, 32), pictures(4, 24, 32, seed=1), codes(1)
    recording = RecordingScope()
    together = narrow(visible, infrared, text, recording)
    volume = VolumeScope(recording.statistics)
    torch.testing.assert_close(narrow(visible, infrared, text, volume), together, rtol=0, atol=1e-12)
    for index in range(4):
        alone = narrow(visible[index : index + 1], infrared[index : index + 1], text, volume)
        torch.testing.assert_close(alone[0], together[index], rtol=0, atol=1e-12)
    by_slice = narrow(visible, infrared, text)
    assert (by_slice - together).abs().max() > 1e-4


@torch.no_grad()
def test_statistics_of_a_single_slice_change_nothing(narrow):
    visible, infrared, text = pictures(1, 24, 32), pictures(1, 24, 32, seed=1), codes(1)
    recording = RecordingScope()
    assert torch.equal(narrow(visible, infrared, text, recording), narrow(visible, infrared, text))


@torch.no_grad()
def test_every_statistic_has_its_own_name(narrow):
    class Listening(RecordingScope):
        def __init__(self) -> None:
            super().__init__()
            self.asked: list[str] = []

        def reduce(self, name: str, statistic: Tensor) -> Tensor:
            self.asked.append(name)
            return super().reduce(name, statistic)

    scope = Listening()
    narrow(pictures(1, 16, 16), pictures(1, 16, 16, seed=1), codes(1), scope)
    blocks = sum(2 * n for n in NARROW.blocks) + sum(NARROW.blocks[:3]) + NARROW.refinement_blocks
    assert len(scope.asked) == blocks + 2 * 4 + 2 + 1
    assert len(set(scope.asked)) == len(scope.asked)
    assert {
        "channel_select.weights",
        "GEO_vi.pooled",
        "latent_shuffle_channel.scores",
        "latent_shuffle_channel.select_attn.cosines",
        "encoder_level3_ir.1.attn.cosines",
    } <= set(scope.asked)


@torch.no_grad()
def test_kept_statistics_save_what_only_they_need(narrow):
    visible, infrared, text = pictures(2, 24, 24), pictures(2, 24, 24, seed=1), codes(1)
    recording = RecordingScope()
    narrow(visible, infrared, text, recording)
    calls: list[nn.Module] = []
    idle = [narrow.channel_select.convnext, *(m for m in narrow.modules() if isinstance(m, Ranking))]
    hooks = [m.register_forward_hook(lambda module, inputs, output: calls.append(module)) for m in idle]
    narrow(visible, infrared, text, VolumeScope(recording.statistics))
    for hook in hooks:
        hook.remove()
    assert calls == [narrow.channel_select.ranking]


# ---------------------------------------------------------------- size


@pytest.fixture(scope="module")
def weightless() -> UPFusionPaper:
    with torch.device("meta"):
        return UPFusionPaper().eval()


def test_size_is_the_released_one_without_the_dead_encoder(weightless):
    weights = sum(p.numel() for p in weightless.parameters())
    assert weights == 136_874_140
    assert len(weightless.state_dict()) == 1222
    convnext = sum(p.numel() for p in weightless.channel_select.convnext.parameters())
    assert weights - convnext == 49_309_724


@torch.no_grad()
@pytest.mark.parametrize(("side", "giga"), [(64, 28.95), (256, 232.87)])
def test_work_is_that_of_the_released_network(weightless, side, giga):
    picture, text = torch.empty(1, 1, side, side, device="meta"), torch.empty(1, 512, device="meta")
    with FlopCounterMode(display=False) as counter:
        assert weightless(picture, picture, text).shape == picture.shape
    assert counter.get_total_flops() / 2e9 == pytest.approx(giga, abs=0.005)

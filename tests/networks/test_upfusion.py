from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from upfusion_med.core import UsageError
from upfusion_med.networks.blocks import PictureSteering, TextSteering
from upfusion_med.networks.configuration import SIZES
from upfusion_med.networks.scope import RecordingScope, VolumeScope
from upfusion_med.networks.text_perturbation import TextGuidedPerturbation
from upfusion_med.networks.upfusion import UPFusion, create_size


@pytest.fixture(scope="module")
def network() -> UPFusion:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = create_size("tiny").eval()
    for p in net.parameters():  # an untrained head hides what the modules do
        p.data.mul_(1.5)
    return net


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(1)
    return (
        torch.rand(2, 1, 48, 64, generator=g),
        torch.rand(2, 1, 48, 64, generator=g),
        torch.randn(2, 512, generator=g),
    )


def test_output_is_bounded_and_exactly_zero_where_both_inputs_are(network, pair):
    a, b, code = (x.clone() for x in pair)
    a[..., :20], b[..., :20] = 0, 0
    with torch.no_grad():
        fused = network(a, b, code)
    assert fused.shape == a.shape
    assert fused.min() >= 0
    assert fused.max() <= 1
    assert torch.equal(fused[..., :20], torch.zeros_like(fused[..., :20]))


@pytest.mark.parametrize("size", [(16, 16), (17, 33), (50, 41)])
def test_any_size_from_16_gives_what_padding_by_hand_gives(network, size):
    g = torch.Generator().manual_seed(2)
    a, b, code = torch.rand(1, 1, *size, generator=g), torch.rand(1, 1, *size, generator=g), torch.ones(1, 512)
    padded = [torch.nn.functional.pad(x, (0, -size[1] % 8, 0, -size[0] % 8), mode="reflect") for x in (a, b)]
    with torch.no_grad():
        fused, by_hand = network(a, b, code), network(*padded, code)
    assert fused.shape[-2:] == size
    assert torch.equal(fused, by_hand[..., : size[0], : size[1]])


def test_colour_is_taken_as_its_luma(network, pair):
    _, b, code = pair
    rgb = torch.rand(2, 3, 48, 64)
    luma = 0.299 * rgb[:, :1] + 0.587 * rgb[:, 1:2] + 0.114 * rgb[:, 2:]
    with torch.no_grad():
        assert torch.allclose(network(rgb, b, code), network(luma, b, code), atol=1e-6)


def test_one_code_serves_the_whole_batch(network, pair):
    a, b, code = pair
    with torch.no_grad():
        assert torch.allclose(network(a, b, code[:1]), network(a, b, code[:1].expand(2, -1)), atol=1e-6)


def test_the_text_changes_the_result_but_its_length_does_not(network, pair):
    a, b, code = pair
    with torch.no_grad():
        one = network(a, b, code[:1])
        assert torch.allclose(one, network(a, b, 8.8 * code[:1]), atol=1e-6)
        assert (one - network(a, b, code[1:])).abs().max() > 1e-5


@pytest.mark.parametrize(
    ("a", "b", "code", "said"),
    [
        ((1, 1, 15, 64), (1, 1, 15, 64), (1, 512), "at least 16"),
        ((1, 1, 32, 32), (1, 1, 32, 40), (1, 512), "expected equal ones"),
        ((1, 2, 32, 32), (1, 2, 32, 32), (1, 512), "1 or 3"),
        ((1, 1, 32, 32), (1, 1, 32, 32), (1, 384), "text code"),
        ((1, 1, 32, 32), (1, 1, 32, 32), (3, 512), "text code"),
        ((1, 32, 32), (1, 32, 32), (1, 512), "1 or 3"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(network, a, b, code, said):
    with pytest.raises(UsageError, match=said):
        network(torch.zeros(a), torch.zeros(b), torch.zeros(code))


def test_selection_text_and_semantics_get_gradients(pair):
    torch.manual_seed(3)
    net = create_size("tiny").train()
    a, b, code = pair
    (net(a, b, code) - a).abs().mean().backward()
    for part in ("pruning.attention", "pruning.semantic", "pruning.alpha", "perturbations.0.perturb",
                 "perturbations.0.attention", "perturbations.3.perturb", "perturbations.3.attention",
                 "modulate_first", "modulate_second"):  # fmt: skip
        norms = [p.grad.norm().item() for n, p in net.named_parameters() if n.startswith(part)]
        assert norms, part
        assert max(norms) > 0, part
    assert all(p.grad is None for p in net.pruning.backbone.parameters())


def test_the_backbone_stays_as_it_was_trained():
    net = create_size("tiny").train()
    assert net.training
    assert not any(m.training for m in net.pruning.backbone.modules())


def test_a_slice_does_not_depend_on_its_neighbours(network, pair):
    a, b, code = pair
    with torch.no_grad():
        together = network(a, b, code[:1])
        alone = torch.cat([network(a[i : i + 1], b[i : i + 1], code[:1]) for i in range(2)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_channel_weights_do_not_depend_on_the_air_around_a_head(network, pair):
    a, b, _ = pair
    statistics = []
    for margin in (0, 64):
        scope = RecordingScope()
        wide = [torch.nn.functional.pad(x[:1], (margin,) * 4) for x in (a, b)]
        with torch.no_grad():
            network(*wide, torch.ones(1, 512), scope)
        statistics.append(scope.statistics["scpm.attention"] - 0.5)
    assert torch.allclose(*statistics, rtol=0.05)
    assert statistics[0].abs().min() > 0


def test_a_volume_weights_channels_as_its_slices_do_on_average(network, pair):
    a, b, code = pair
    own = [RecordingScope() for _ in a]
    together = RecordingScope()
    with torch.no_grad():
        for i, scope in enumerate(own):
            network(a[i : i + 1], b[i : i + 1], code[:1], scope)
        network(a, b, code[:1], together)
    assert set(together.statistics) == {"scpm.attention", "scpm.semantic"}
    for name, mean in together.statistics.items():
        assert torch.allclose(mean, torch.cat([s.statistics[name] for s in own]).mean(0, keepdim=True), atol=1e-6)


def test_the_skip_of_one_text_is_a_linear_map_of_both_branches():
    torch.manual_seed(4)
    module = TextGuidedPerturbation(16, SIZES["tiny"])
    x, y = torch.randn(2, 1, 16, 5, 4), torch.randn(2, 1, 16, 5, 4)
    text = torch.nn.functional.normalize(torch.randn(1, 512), dim=1)
    with torch.no_grad():
        zero = module(*torch.zeros_like(x), text)
        both = module(*(x + y), text) - zero
        apart = (module(*x, text) - zero) + (module(*y, text) - zero)
        other = module(*x, -text) - module(*x, text)
    assert torch.allclose(both, apart, atol=1e-5)
    assert other.abs().max() > 1e-4


def test_text_steers_as_fast_as_other_layers_and_statistics_a_tenth_as_fast():
    torch.manual_seed(0)
    codes = torch.nn.functional.normalize(torch.randn(20, 512), dim=1)
    text, picture = TextSteering(32), PictureSteering(512, 64, 32)
    assert picture(6 * codes).abs().max() < 0.1 < text(codes).abs().max() < 1
    before = [text(codes).detach(), picture(6 * codes).detach()]
    for steering in (text, picture):
        steering[2].bias.data.add_(0.01)  # the first step of Adam at a rate of 0.01
    assert torch.allclose(text(codes) - before[0], torch.tensor(0.01), atol=1e-6)
    assert torch.allclose(picture(6 * codes) - before[1], torch.tensor(0.001), atol=1e-6)


def test_a_volume_scope_decides_once_for_all_slices(network, pair):
    a, b, code = pair
    scope = RecordingScope()
    with torch.no_grad():
        recorded = network(a, b, code[:1], scope)
        replayed = network(a, b, code[:1], VolumeScope(scope.statistics))
        alone = network(a[:1], b[:1], code[:1], VolumeScope(scope.statistics))
        itself = network(a[:1], b[:1], code[:1])
    assert torch.allclose(recorded, replayed, atol=1e-5)
    assert torch.allclose(recorded[:1], alone, atol=1e-5)
    assert (alone - itself).abs().max() > 1e-5


@pytest.mark.parametrize("switch", ["scpm", "gam", "tcpm", "semantics", "scpm_attention", "tcpm_attention"])
def test_every_module_can_be_switched_off(switch, pair):
    torch.manual_seed(0)
    net = UPFusion(replace(SIZES["tiny"], **{switch: False})).eval()
    a, b, code = pair
    with torch.no_grad():
        assert net(a, b, code).shape == a.shape
    assert sum(p.numel() for p in net.parameters()) < sum(p.numel() for p in create_size("tiny").parameters())


def test_unknown_size_is_named():
    with pytest.raises(UsageError, match="huge"):
        create_size("huge")


@pytest.mark.parametrize(
    ("field", "value"),
    [("explaned", False), ("explained", "no"), ("gam", 0), ("widths", (16, 32)), ("widths", (16, 32, 64, 9.5)),
     ("tcpm_keep", True), ("backbone", None)],
)  # fmt: skip
def test_a_field_that_does_not_exist_or_fit_is_named(field, value):
    with pytest.raises(UsageError, match=field):
        create_size("tiny", **{field: value})


def test_fields_are_replaced_also_by_lists_as_json_has_them():
    network = create_size("tiny", semantics=False, widths=[16, 16, 16, 32], tcpm_keep=1, explained=False)
    assert network.config.widths == (16, 16, 16, 32)
    assert not network.config.explained

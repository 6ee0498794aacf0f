"""A larger ``upfusion`` network that starts as a trained smaller one.

Every channel of the smaller network gets a place in the larger one and hears only its old neighbours; further channels
start at random and are heard by nobody yet; further residual blocks add nothing. So before its first step the larger
network computes what the smaller one does, and training can only add to that (Net2WiderNet and Net2DeeperNet, Chen et
al., ICLR 2016, arXiv 1511.05641, with silent channels in place of copied ones).
"""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

from upfusion_med.core import UsageError
from upfusion_med.networks.blocks import PictureSteering
from upfusion_med.networks.text_perturbation import TextGuidedPerturbation
from upfusion_med.networks.upfusion import UPFusion

#: Into how many groups, each with its own new channels at its end, the rows and columns of a layer fall: a layer that
#: takes or gives two branches, scales and shifts, or scales, shifts and exchanges of two branches.
_GROUPS = {
    r"(pruning\.)?expand": (2, 1),
    r"modulate_(first|second)\.affine\.2": (2, 1),
    r"perturbations\.\d(\.merge)?": (1, 2),
    r"perturbations\.\d\.expand": (2, 2),
    r"perturbations\.\d\.perturb\.2": (6, 1),
    r"perturbations\.\d\.attention\.2": (2, 1),
    r"decoder\d\.join": (1, 2),
}
#: Bias of a new channel that is to be selected, or not to be: a weight of 0.92 or 0.08, beyond those of trained
#: channels near the border.
_SELECTED = 2.5


@torch.no_grad()
def grow(small: UPFusion, large: UPFusion) -> UPFusion:
    """Give a larger network the function of a smaller one.

    Args:
        small: The trained network; unchanged.
        large: A network with random weights and the same switches, nowhere narrower or shallower; changed in place.

    Returns:
        ``large``. Where both select channels, it selects the same ones of the smaller network.

    Raises:
        UsageError: ``large`` is not larger, or has other parts.
    """
    _check(small, large)
    old, new = small.state_dict(), large.state_dict()
    for name, tensor in new.items():
        if name not in old:
            if name.endswith(("second.weight", "second.bias")):  # of a further residual block
                tensor.zero_()
        elif name.endswith("partner"):
            _place_partners(old[name], tensor)
        else:
            _place(old[name], tensor, *_groups(name))
    _place_selections(small, large)
    return large


def _check(small: UPFusion, large: UPFusion) -> None:
    a, b = small.config, large.config
    sizes = zip(
        (*a.widths, *a.encoder_blocks, *a.decoder_blocks),
        (*b.widths, *b.encoder_blocks, *b.decoder_blocks),
        strict=True,
    )
    if any(own > grown for own, grown in sizes):
        raise UsageError(f"A network of widths {a.widths} cannot grow into one of {b.widths}; expected a larger one.")
    switches = ("backbone", "scpm", "gam", "tcpm", "semantics", "scpm_attention", "tcpm_attention")
    if other := [s for s in switches if getattr(a, s) != getattr(b, s)]:
        raise UsageError(f"The smaller and the larger network differ in {', '.join(other)}; expected the same parts.")


def _groups(name: str) -> tuple[int, int]:
    layer = name.rpartition(".")[0]
    return next((groups for pattern, groups in _GROUPS.items() if re.fullmatch(pattern, layer)), (1, 1))


def _positions(old: int, new: int, groups: int) -> Tensor:
    """Where the channels of the smaller network lie in the larger one: at the beginning of every group."""
    return torch.cat([torch.arange(old // groups) + k * (new // groups) for k in range(groups)])


def _place(old: Tensor, new: Tensor, of_rows: int, of_columns: int) -> None:
    """Copy the old entries; an old row hears nothing of new columns."""
    if old.ndim == 0 or old.shape == new.shape:
        new.copy_(old)
        return
    rows = _positions(len(old), len(new), of_rows)
    if old.ndim == 1:
        new[rows] = old
        return
    new[rows] = 0
    new[rows[:, None], _positions(old.shape[1], new.shape[1], of_columns)] = old


def _others(positions: Tensor, size: int) -> Tensor:
    free = torch.ones(size, dtype=torch.bool)
    free[positions] = False
    return free.nonzero().squeeze(1)


def _place_partners(old: Tensor, new: Tensor) -> None:
    """Old channels keep their partners; new ones are each other's."""
    positions = _positions(len(old), len(new), 2)
    new[positions] = positions[old]
    rest = _others(positions, len(new))
    new[rest] = rest.roll(1)


def _place_selections(small: UPFusion, large: UPFusion) -> None:
    """Let new channels be selected, or not, so that of the old ones the same are."""
    for own, grown in zip(small.perturbations, large.perturbations, strict=True):
        if isinstance(own, TextGuidedPerturbation) and isinstance(grown, TextGuidedPerturbation) and grown.attention:
            old = _positions(2 * own.width, 2 * grown.width, 2)
            _select(grown.attention[2], old, grown.keep - own.keep, _SELECTED)
    if small.pruning is None or large.pruning is None:
        return
    old = torch.arange(small.config.widths[0])
    more = large.pruning.keep - small.pruning.keep
    if large.pruning.attention is not None:
        _select(large.pruning.attention[2], old, more, _SELECTED / PictureSteering.SPEED)
    if large.pruning.backbone is not None:
        _select(large.pruning.semantic, old, more, _SELECTED)


def _select(layer: nn.Module, old: Tensor, selected: int, size: float) -> None:
    """Bias evenly spread new channels up so that they are selected, and the other new ones down."""
    bias = layer.bias
    assert isinstance(bias, Tensor)
    rest = _others(old, len(bias))
    bias[rest] -= size
    if selected > 0 and len(rest):
        bias[rest[torch.linspace(0, len(rest) - 1, min(selected, len(rest))).round().long()]] += 2 * size

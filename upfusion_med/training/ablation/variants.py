"""The variants of an ablation, and a plain network that costs as much as the whole one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from upfusion_med.core import UsageError
from upfusion_med.networks import create
from upfusion_med.networks.configuration import TEXT_WIDTH

#: Side of the picture on which costs are compared, that of a Harvard slice.
SIDE = 256
#: Largest difference in cost between the plain network and the whole one, as a share.
TOLERANCE = 0.03
_ALL_OFF = {"scpm": False, "gam": False, "tcpm": False}


@dataclass(frozen=True)
class Variant:
    """One row of the table.

    Attributes:
        name: The word by which it is asked for, and its folder.
        label: Name in tables.
        overrides: Fields of the network's configuration that differ from the whole network.
        part: What is missing, in words; "" for the whole network.
    """

    name: str
    label: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    part: str = ""


FULL, PLAIN = "full", "plain"
#: Rows of Table 3 of the paper, and the plain network; the plain one gets its depth from `equal_cost_plain`.
VARIANTS: tuple[Variant, ...] = (
    Variant(FULL, "whole network"),
    Variant("no-scpm", "w/o SCPM", {"scpm": False}, "semantic channel pruning"),
    Variant("no-gam", "w/o GAM", {"gam": False}, "affine modulation"),
    Variant("no-tcpm", "w/o TCPM", {"tcpm": False}, "text-guided channel perturbation"),
    Variant("no-tcpm-attention", "w/o CA in TCPM", {"tcpm_attention": False}, "channel selection of TCPM"),
    Variant("no-semantics", "w/o semantics", {"semantics": False}, "semantic backbone of SCPM"),
    Variant("no-scpm-attention", "w/o CA in SCPM", {"scpm_attention": False}, "channel attention of SCPM"),
    Variant(PLAIN, "plain, equal cost", _ALL_OFF, "all three modules, at equal cost"),
)


@dataclass(frozen=True)
class Cost:
    """Size of a network.

    Attributes:
        gmacs: 10^9 multiply-accumulates of one pair of 256x256.
        trained: Parameters that are trained.
    """

    gmacs: float
    trained: int


def cost_of(model: str, overrides: Mapping[str, Any]) -> Cost:
    """Count a network; on PyTorch's device ``meta``, which knows shapes only and computes nothing."""
    from torch.utils.flop_counter import FlopCounterMode

    network = create(model, **overrides).eval().to("meta")
    picture, code = torch.empty(1, 1, SIDE, SIDE, device="meta"), torch.empty(1, TEXT_WIDTH, device="meta")
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(picture, picture, code)
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    return Cost(counter.get_total_flops() / 2e9, trained)


def equal_cost_plain(model: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Overrides of the network without modules, its decoder deepened where that brings it nearer to the whole cost.

    Blocks go, one at a time, to the decoder level that has the fewest, the coarsest first.

    Args:
        model: Network name.
        overrides: Configuration fields that the whole network has been given.

    Raises:
        UsageError: no depth comes within `TOLERANCE` of the whole network's cost.
    """
    target = cost_of(model, overrides).gmacs
    plain = {**overrides, **_ALL_OFF}
    depths = list(plain.get("decoder_blocks") or create(model, **plain).config.decoder_blocks)  # type: ignore[union-attr, arg-type]
    best, gap = dict(plain), abs(cost_of(model, plain).gmacs / target - 1)
    while True:
        fewest = max(level for level in range(len(depths)) if depths[level] == min(depths))
        depths[fewest] += 1
        candidate = {**plain, "decoder_blocks": tuple(depths)}
        cost = cost_of(model, candidate).gmacs
        if abs(cost / target - 1) < gap:
            best, gap = candidate, abs(cost / target - 1)
        if cost > target:
            break
    if gap > TOLERANCE:
        raise UsageError(
            f"The closest plain network differs by {gap:.1%} in cost from {model}; expected at most {TOLERANCE:.0%}. "
            "Give the variant's decoder_blocks in the configuration's overrides."
        )
    return best


def variants_of(model: str, overrides: Mapping[str, Any], names: tuple[str, ...] = ()) -> tuple[Variant, ...]:
    """The variants of a network with their full overrides.

    Args:
        model: Network name.
        overrides: Configuration fields that all variants share.
        names: Which ones; none: all.

    Raises:
        UsageError: a name is unknown, or the whole network is not among them.
    """
    known = [v.name for v in VARIANTS]
    if unknown := sorted(set(names) - set(known)):
        raise UsageError(f"There is no variant {', '.join(unknown)}; expected some of {', '.join(known)}.")
    if names and FULL not in names:
        raise UsageError(f"The variants lack '{FULL}', with which the others are compared; add it.")
    chosen = [v for v in VARIANTS if not names or v.name in names]
    return tuple(
        Variant(
            v.name,
            v.label,
            equal_cost_plain(model, overrides) if v.name == PLAIN else {**overrides, **v.overrides},
            v.part,
        )
        for v in chosen
    )

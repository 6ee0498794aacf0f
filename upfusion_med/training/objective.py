"""What a run makes small: named loss components, each with its weight."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from upfusion_med.core import UsageError
from upfusion_med.training import losses
from upfusion_med.training.published_losses import PUBLISHED


def loss_parts(
    fused: Tensor, first: Tensor, second: Tensor, emphasis: Tensor, twins: int, weights: Mapping[str, float]
) -> dict[str, Tensor]:
    """Loss components by name, scalars, of those that have a weight.

    Args:
        fused: (B, 1, H, W) network output.
        first: Visible or functional pictures.
        second: Infrared pictures or MRI.
        emphasis: (B,) share of the first picture in the similarity terms.
        twins: Number of changed copies at the end of the batch.
        weights: Weight of each component; see `upfusion_med.training.losses` and ``published_losses.PUBLISHED``.

    Raises:
        UsageError: a weight names no component.
    """
    if unknown := sorted(set(weights) - {*losses.NAMES, *PUBLISHED}):
        known = ", ".join(sorted({*losses.NAMES, *PUBLISHED}))
        raise UsageError(f"There is no loss component {', '.join(unknown)}; expected some of {known}.")
    parts = {name: PUBLISHED[name](fused, first, second) for name in weights if name in PUBLISHED}
    return parts | losses.components(fused, first, second, emphasis, twins, weights)

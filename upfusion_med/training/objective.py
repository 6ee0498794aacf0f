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
    """Loss components by name, scalars; those of the published method only where they have a weight.

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
    parts = {name: PUBLISHED[name](fused, first, second) for name in weights if name in PUBLISHED}
    if set(weights) - set(parts):
        parts |= losses.components(fused, first, second, emphasis, twins)
    if unknown := sorted(set(weights) - set(parts)):
        known = ", ".join(sorted({*parts, *PUBLISHED}))
        raise UsageError(f"There is no loss component {', '.join(unknown)}; expected some of {known}.")
    return parts

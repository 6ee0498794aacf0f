"""What a run makes small: named loss components, each with its weight."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from upfusion_med.core import UsageError
from upfusion_med.training import losses
from upfusion_med.training.published_losses import PUBLISHED


def loss_parts(
    fused: Tensor,
    first: Tensor,
    second: Tensor,
    emphasis: Tensor,
    twins: int,
    weights: Mapping[str, float],
    factors: Tensor | None = None,
) -> dict[str, Tensor]:
    """Loss components by name, scalars, of those that have a weight.

    Args:
        fused: (B, 1, H, W) network output.
        first: Visible or functional pictures.
        second: Infrared pictures or MRI.
        emphasis: (B,) share of the first picture in the similarity terms.
        twins: Number of changed copies at the end of the batch.
        weights: Weight of each component; see `upfusion_med.training.losses` and ``published_losses.PUBLISHED``.
        factors: (B, components) what each sample counts for each component, in the order of ``weights``; None: 1.

    Raises:
        UsageError: a weight names no component, or one that crops so small do not have; or factors other than 1 of one
            of the published method, which is of whole batches.
    """
    if unknown := sorted(set(weights) - {*losses.NAMES, *PUBLISHED}):
        known = ", ".join(sorted({*losses.NAMES, *PUBLISHED}))
        raise UsageError(f"There is no loss component {', '.join(unknown)}; expected some of {known}.")
    if min(fused.shape[-2:]) < losses.VIF_SIDE and (large := sorted(losses.OF_VIF & set(weights))):
        raise UsageError(
            f"'side' is {min(fused.shape[-2:])}; the loss {', '.join(large)} needs crops of at least {losses.VIF_SIDE} "
            "pixels. Take larger ones, or other components."
        )
    parts = {name: PUBLISHED[name](fused, first, second) for name in weights if name in PUBLISHED}
    for column, name in enumerate(weights):
        if factors is not None and name in PUBLISHED and bool((factors[:, column] != 1).any()):
            raise UsageError(f"'prompt_factors' names {name}, which is of whole batches; expected other components.")
    of_samples = losses.components(fused, first, second, emphasis, twins, weights)
    for column, name in enumerate(weights):
        if name in of_samples:
            values = of_samples[name]
            parts[name] = (values if factors is None else factors[:, column] * values).mean()
    return parts

"""A fusion metric in the shape of MONAI's cumulative metrics, for its trainers and handlers. Importing needs MONAI."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from upfusion_med.core import InputError, package_failure
from upfusion_med.metrics.catalogue import metric_spec
from upfusion_med.metrics.compute import compute_batch
from upfusion_med.metrics.images import round_to_levels

try:
    from monai.metrics import CumulativeIterationMetric
    from monai.metrics.utils import do_metric_reduction
except ImportError as error:  # pragma: no cover - exercised by a test that hides the package
    raise package_failure(error, "monai", "test", "use a fusion metric inside MONAI's engines") from error


class FusionIterationMetric(CumulativeIterationMetric):
    """One fusion metric, called as ``metric(y_pred=fused, y=sources)``, aggregated over all batches.

    Args:
        key: Key of the table of metrics.
        unit_scale: Images come in 0..1 and are multiplied by 255.
        reduction: MONAI's reduction over the batch; undefined values (NaN) are left out by it.
        get_not_nans: Also return the number of defined values.
    """

    def __init__(
        self, key: str, *, unit_scale: bool = True, reduction: str = "mean", get_not_nans: bool = False
    ) -> None:
        super().__init__()
        self.key = metric_spec(key).key
        self.unit_scale = unit_scale
        self.reduction = reduction
        self.get_not_nans = get_not_nans

    def _compute_tensor(self, y_pred: Tensor, y: Tensor | None = None, **_: Any) -> Tensor:
        """(B, 1) values of a batch.

        Args:
            y_pred: (B, 1, H, W) fused images.
            y: (B, 2, H, W): channel 0 visible or functional, channel 1 infrared or MRI.

        Raises:
            InputError: ``y`` is missing or does not have two channels.
        """
        if y is None or y.ndim != 4 or y.shape[1] != 2:
            raise InputError(
                f"The sources have shape {None if y is None else tuple(y.shape)}; expected (B, 2, H, W) with the "
                "visible or functional image first and the infrared image or MRI second."
            )
        fused, a, b = y_pred, y[:, :1], y[:, 1:]
        if self.unit_scale:
            fused, a, b = (round_to_levels((x * 255.0).double()) for x in (fused, a, b))
        return compute_batch(fused, a, b, [self.key])[self.key].view(-1, 1)

    def aggregate(self, reduction: str | None = None) -> Any:
        """The reduced value over everything gathered since the last reset; NaN where no value is defined."""
        data = self.get_buffer()
        if not isinstance(data, torch.Tensor):
            raise InputError("Nothing was gathered yet; call the metric on a batch first.")
        value, not_nans = do_metric_reduction(data, reduction or self.reduction)
        value = value.masked_fill(not_nans == 0, torch.nan)  # MONAI gives 0, which reads as a value
        return (value, not_nans) if self.get_not_nans else value

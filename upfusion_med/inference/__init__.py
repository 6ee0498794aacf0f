"""From two studies to one fused volume."""

from upfusion_med.inference.fusion import fuse
from upfusion_med.inference.result import FusionResult

__all__ = ["FusionResult", "fuse"]

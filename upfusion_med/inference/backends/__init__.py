"""What runs a network: arrays in, arrays out."""

from upfusion_med.inference.backends.base import Backend, Context

__all__ = ["Backend", "Context"]

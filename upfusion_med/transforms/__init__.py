"""Pure functions from volume to volume: resample, register, window, colour."""

from upfusion_med.transforms.colour import compose, legend_colours, lut_chroma, lut_luminance, split_rgb
from upfusion_med.transforms.luts import DEFAULT_LUT, Lut, get_lut, lut_names
from upfusion_med.transforms.resample import resample_to
from upfusion_med.transforms.window import Window, apply_window, robust_window

__all__ = [
    "DEFAULT_LUT",
    "Lut",
    "Window",
    "apply_window",
    "compose",
    "get_lut",
    "legend_colours",
    "lut_chroma",
    "lut_luminance",
    "lut_names",
    "resample_to",
    "robust_window",
    "split_rgb",
]

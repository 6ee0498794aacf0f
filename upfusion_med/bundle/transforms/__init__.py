"""Array and dictionary transforms that are useful on their own in any MONAI pipeline, one pair a file."""

from upfusion_med.bundle.transforms.alignment import AlignToMRI, AlignToMRId
from upfusion_med.bundle.transforms.luminance import FuseLuminance, FuseLuminanced
from upfusion_med.bundle.transforms.pseudo_color import PseudoColor, PseudoColord
from upfusion_med.bundle.transforms.recolor import Recolor, Recolord
from upfusion_med.bundle.transforms.robust_window import RobustWindow, RobustWindowd
from upfusion_med.bundle.transforms.suv import LoadSUV, LoadSUVd

__all__ = [
    "AlignToMRI",
    "AlignToMRId",
    "FuseLuminance",
    "FuseLuminanced",
    "LoadSUV",
    "LoadSUVd",
    "PseudoColor",
    "PseudoColord",
    "Recolor",
    "Recolord",
    "RobustWindow",
    "RobustWindowd",
]

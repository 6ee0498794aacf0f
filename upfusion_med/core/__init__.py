"""Values that every room shares: volumes, geometry, modalities, errors, progress, settings."""

from upfusion_med.core.errors import (
    InputError,
    MissingPackageError,
    RuntimeFailure,
    UpFusionError,
    UsageError,
    package_failure,
)
from upfusion_med.core.geometry import RAS_FROM_LPS, Geometry
from upfusion_med.core.luma import LUMA_WEIGHTS
from upfusion_med.core.modality import Modality
from upfusion_med.core.notice import NOT_FOR_DIAGNOSTIC_USE
from upfusion_med.core.progress import Progress, SilentProgress
from upfusion_med.core.settings import (
    Blend,
    Device,
    FrameChoice,
    FuseSettings,
    OutputFormat,
    Pooling,
    Registering,
    SliceAxis,
)
from upfusion_med.core.volume import GREY_LEVELS, RGB_LEVELS, Volume

__all__ = [
    "GREY_LEVELS",
    "LUMA_WEIGHTS",
    "NOT_FOR_DIAGNOSTIC_USE",
    "RAS_FROM_LPS",
    "RGB_LEVELS",
    "Blend",
    "Device",
    "FrameChoice",
    "FuseSettings",
    "Geometry",
    "InputError",
    "MissingPackageError",
    "Modality",
    "OutputFormat",
    "Pooling",
    "Progress",
    "Registering",
    "RuntimeFailure",
    "SilentProgress",
    "SliceAxis",
    "UpFusionError",
    "UsageError",
    "Volume",
    "package_failure",
]

"""What the MONAI bundles are made of: configurations name these classes and hold no logic. Importing needs MONAI."""

from upfusion_med.core import MissingPackageError

try:
    import ignite  # noqa: F401
    import monai  # noqa: F401
except ImportError as error:
    raise MissingPackageError(error.name or "monai", "monai", "use the MONAI bundles") from error

from upfusion_med.bundle.evaluator import StudyEvaluator
from upfusion_med.bundle.inferer import StudyInferer
from upfusion_med.bundle.network import PairNetwork, bundle_state, save_bundle_weights
from upfusion_med.bundle.pictures import PicturePairs, first_of_batch
from upfusion_med.bundle.studies import FinishStudyd, LoadStudyd, SaveStudyd, StudyDataset, study_list
from upfusion_med.bundle.training import CropDataset, EpochSetter, FusionLoss, pair_as_label
from upfusion_med.bundle.transforms import (
    FuseLuminance,
    FuseLuminanced,
    LoadSUV,
    LoadSUVd,
    PseudoColor,
    PseudoColord,
    RobustWindow,
    RobustWindowd,
)

__all__ = [
    "CropDataset",
    "EpochSetter",
    "FinishStudyd",
    "FuseLuminance",
    "FuseLuminanced",
    "FusionLoss",
    "LoadSUV",
    "LoadSUVd",
    "LoadStudyd",
    "PairNetwork",
    "PicturePairs",
    "PseudoColor",
    "PseudoColord",
    "RobustWindow",
    "RobustWindowd",
    "SaveStudyd",
    "StudyDataset",
    "StudyEvaluator",
    "StudyInferer",
    "bundle_state",
    "first_of_batch",
    "pair_as_label",
    "save_bundle_weights",
    "study_list",
]

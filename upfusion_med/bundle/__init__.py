"""What the MONAI bundles are made of: configurations name these classes and hold no logic. Importing needs MONAI."""

from upfusion_med.core import package_failure

try:
    import ignite  # noqa: F401
    import monai  # noqa: F401
except ImportError as error:
    raise package_failure(error, "monai", "monai", "use the MONAI bundles") from error

from upfusion_med.bundle.devices import (
    across_ranks,
    best_device,
    device_of_rank,
    is_helping_rank,
    join_ranks,
    leave_ranks,
)
from upfusion_med.bundle.evaluator import StudyEvaluator
from upfusion_med.bundle.inferer import StudyInferer
from upfusion_med.bundle.network import PairNetwork, bundle_state, save_bundle_weights
from upfusion_med.bundle.optimisation import adamw, cosine_schedule
from upfusion_med.bundle.pictures import PicturePairs, ToLevelsd, first_of_batch, prepare_pair
from upfusion_med.bundle.plain_errors import tell_errors_plainly
from upfusion_med.bundle.study_dataset import StudyDataset
from upfusion_med.bundle.study_list import study_list
from upfusion_med.bundle.study_settings import fuse_settings
from upfusion_med.bundle.study_transforms import FinishStudyd, LoadStudyd, PrepareStudyd, SaveStudyd
from upfusion_med.bundle.training import CropDataset, EpochSetter, FusionLoss, pair_as_label
from upfusion_med.bundle.transforms import (
    AlignToMRI,
    AlignToMRId,
    FuseLuminance,
    FuseLuminanced,
    LoadSUV,
    LoadSUVd,
    PseudoColor,
    PseudoColord,
    Recolor,
    Recolord,
    RobustWindow,
    RobustWindowd,
)

__all__ = [
    "AlignToMRI",
    "AlignToMRId",
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
    "PrepareStudyd",
    "PseudoColor",
    "PseudoColord",
    "Recolor",
    "Recolord",
    "RobustWindow",
    "RobustWindowd",
    "SaveStudyd",
    "StudyDataset",
    "StudyEvaluator",
    "StudyInferer",
    "ToLevelsd",
    "across_ranks",
    "adamw",
    "best_device",
    "bundle_state",
    "cosine_schedule",
    "device_of_rank",
    "first_of_batch",
    "fuse_settings",
    "is_helping_rank",
    "join_ranks",
    "leave_ranks",
    "pair_as_label",
    "prepare_pair",
    "save_bundle_weights",
    "study_list",
    "tell_errors_plainly",
]

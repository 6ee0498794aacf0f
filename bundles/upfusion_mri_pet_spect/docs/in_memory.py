"""Fuse studies that are in memory: no file is read but the weights, none is written.

    python in_memory.py BUNDLE

`with_configuration` runs the bundle's own inference.json; `FusionWorkflow` is the same without a configuration, for
programs that put their workflows together in Python. The study is simulated. Not for diagnostic use.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import PythonicWorkflow, create_workflow
from monai.data import MetaTensor
from monai.transforms import Compose

from upfusion_med.bundle import FinishStudyd, PairNetwork, PrepareStudyd, StudyDataset, StudyEvaluator, StudyInferer

SETTINGS = {"modality": "pet", "functional_window": [0, 8]}


def simulated_study() -> dict[str, MetaTensor]:
    """An MRI of 1 x 1 x 3 mm and a coarser PET that overlaps it: (1, X, Y, Z), affines RAS+ millimetres."""
    x, y, z = np.mgrid[0:48, 0:48, 0:12]
    mri = np.where(np.hypot(x - 24, y - 24) < 20, 400 + 80 * np.sin(x / 3) * np.cos(y / 4 + z), 0)
    u, v, _ = np.mgrid[0:24, 0:24, 0:12]
    pet = np.where(np.hypot(u - 12, v - 12) < 10, 1.0, 0.0) + 6.0 * (np.hypot(u - 14, v - 11) < 2)
    return {
        name: MetaTensor(torch.from_numpy(array.astype(np.float32))[None], affine=torch.diag(torch.tensor(spacing)))
        for name, array, spacing in (("mri", mri, [1.0, 1.0, 3.0, 1.0]), ("functional", pet, [2.0, 2.0, 3.0, 1.0]))
    }


def with_configuration(bundle: Path, studies: list[dict[str, Any]]) -> torch.Tensor:
    """Fused luminance (1, 1, X, Y, Z) of the last study, by the bundle's configuration."""
    w = create_workflow(
        config_file=str(bundle / "configs" / "inference.json"),
        workflow_type="inference",
        bundle_root=str(bundle),
        settings=SETTINGS,
        output_dir="",  # nothing is written
        logging_file=False,
    )
    w.dataset_data = studies
    w.initialize()
    w.run()
    return w.evaluator.state.output["pred"]


class FusionWorkflow(PythonicWorkflow):
    """The inference workflow, put together in Python.

    Args:
        bundle: Root of the bundle, for its metadata and weights.
        studies: Dictionaries with ``mri`` and ``functional``, tensors or paths.
    """

    def __init__(self, bundle: Path, studies: list[dict[str, Any]]) -> None:
        super().__init__(workflow_type="inference", meta_file=str(bundle / "configs" / "metadata.json"))
        self.bundle, self.studies = bundle, studies

    def run(self) -> None:
        """Fuse all studies; exits with a list where some failed."""
        self.evaluator.run()
        self.evaluator.report()

    def finalize(self) -> None:
        """Nothing is left open."""

    def get_bundle_root(self) -> str:
        """Where the bundle lies."""
        return str(self.bundle)

    def get_dataset_dir(self) -> str:
        """Relative paths of studies start here."""
        return "."

    def get_device(self) -> torch.device:
        """Where the network runs."""
        return torch.device("cpu")

    def get_network_def(self) -> PairNetwork:
        """The network with the bundle's weights."""
        network = PairNetwork(prompt="mri_pet")
        network.load_state_dict(torch.load(self.bundle / "models" / "model.pt", weights_only=True))
        return network.eval()

    def get_inferer(self) -> StudyInferer:
        """Slices through the network, decisions once a volume."""
        return StudyInferer()

    def get_dataset(self) -> StudyDataset:
        """The studies, prepared."""
        return StudyDataset(self.studies, PrepareStudyd(SETTINGS))

    def get_evaluator(self) -> StudyEvaluator:
        """The engine."""
        return StudyEvaluator(
            self.device, self.dataset, self.network_def, inferer=self.inferer, postprocessing=Compose([FinishStudyd()])
        )


def main(bundle: Path) -> None:
    """Fuse the simulated study both ways and say whether they agree."""
    study = simulated_study()
    luminance = with_configuration(bundle, [study])
    w = FusionWorkflow(bundle, [study])
    w.initialize()
    w.run()
    fusion = w.evaluator.state.output["fusion"]
    print("properties that are missing:", w.check_properties())
    print("luminance", tuple(luminance.shape), "colours", fusion.volume.array.shape)
    print("both ways agree:", torch.equal(luminance, w.evaluator.state.output["pred"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Two luminances fused by the network."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.transforms import MapTransform, Transform
from torch import Tensor

from upfusion_med.bundle.inferer import StudyInferer
from upfusion_med.bundle.meta_volume import like, on_one_grid
from upfusion_med.bundle.network import PairNetwork, bundle_state
from upfusion_med.core import InputError, Modality
from upfusion_med.weights import load_checkpoint


class FuseLuminance(Transform):
    """Fuse two luminances in 0..1 with a network of this package: (1, X, Y, Z) twice to (1, X, Y, Z).

    Args:
        model: Shipped model name or weights file.
        modality: Of the functional image; chooses the prompt.
        device: torch device.
        axis: Spatial axis along which slices are stacked.
        batch_size: Slices of 256 x 256 pixels at once; of larger ones as many fewer, one at least.
    """

    def __init__(
        self,
        model: str = "upfusion-tiny",
        modality: str = "pet",
        device: str = "cpu",
        axis: int = 2,
        batch_size: int = 8,
    ) -> None:
        checkpoint = load_checkpoint(model)
        self.network = PairNetwork(checkpoint.model, overrides=checkpoint.overrides)
        self.network.load_state_dict(bundle_state(checkpoint))
        self.network.eval().to(device)
        self.axis, self.device = axis, device
        prompt = self.network.prompt_for(Modality(modality))
        self.inferer = StudyInferer(batch_size=batch_size, axis=axis, prompt=prompt)

    def __call__(self, functional: Tensor, mri: Tensor) -> Tensor:  # type: ignore[override]
        """Fuse; the result lies on the MRI's grid and carries its affine.

        Raises:
            InputError: the grids differ, or there is more than one channel.
        """
        if functional.shape != mri.shape or functional.ndim != 4 or functional.shape[0] != 1:
            raise InputError(
                f"The images have the shapes {tuple(functional.shape)} and {tuple(mri.shape)}; expected (1, X, Y, Z) "
                "of one grid. Resample the functional image first (AlignToMRI)."
            )
        if not on_one_grid(functional, mri):
            raise InputError(
                "The images have one shape, but their affines differ: they lie in two places. Resample the functional "
                "image first (AlignToMRI)."
            )
        pair = torch.cat([torch.as_tensor(x).float().to(self.device) for x in (functional, mri)])[None]
        fused = self.inferer(pair, self.network)[0]
        return like(fused, mri, units="fused luminance")


class FuseLuminanced(MapTransform):
    """Dictionary version of `FuseLuminance`.

    Args:
        functional_key: Key of the functional luminance.
        mri_key: Key of the MRI.
        output_key: Gets the fused luminance.
        allow_missing_keys: Do nothing where one of the two is not there.
        options: Of `FuseLuminance`.
    """

    def __init__(
        self,
        functional_key: str = "functional",
        mri_key: str = "mri",
        output_key: str = "fused",
        allow_missing_keys: bool = False,
        **options: Any,
    ) -> None:
        super().__init__([functional_key, mri_key], allow_missing_keys)
        self.output_key = output_key
        self.transform = FuseLuminance(**options)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add the fused luminance."""
        result = dict(data)
        present = list(self.key_iterator(result))
        if len(present) == len(self.keys):
            result[self.output_key] = self.transform(*(result[key] for key in present))
        return result

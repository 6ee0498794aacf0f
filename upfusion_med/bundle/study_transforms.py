"""The way of a study as dictionary transforms: load, prepare, (the network,) finish, save."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import Transform
from torch import Tensor

from upfusion_med.bundle.meta_volume import to_meta, to_volume
from upfusion_med.bundle.study_settings import as_bool, as_path, fuse_settings
from upfusion_med.core import FuseSettings, InputError, OutputFormat, Volume
from upfusion_med.inference.fusion import finish, load_functional, load_mri, prepare_study


class LoadStudyd(Transform):
    """Read the two images of a study: DICOM (PET as SUV where its headers allow it), NIfTI, NRRD, MHA or pictures.

    ``mri`` and ``functional`` become MetaTensors (1 or 3, X, Y, Z), RAS+ millimetres, in their own units and on their
    own grids; a tensor that is there already is left as it is. Added: ``mri_source`` and ``functional_source`` (headers
    of DICOM series, or None).

    Args:
        settings: As `fuse_settings` takes them; a study's own ``settings`` come on top.
    """

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        self.settings = dict(settings or {})

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Read both.

        Raises:
            InputError: a key is missing, or an image cannot be used; the message says which.
            UsageError: a wrong setting.
        """
        chosen = fuse_settings({**self.settings, **(data.get("settings") or {})})
        return {
            **data,
            **_loaded(data, "mri", load_mri, chosen),
            **_loaded(data, "functional", load_functional, chosen),
        }


def _loaded(
    data: Mapping[str, Any], key: str, load: Callable[..., tuple[Volume, Any]], settings: FuseSettings
) -> dict[str, Any]:
    value = data.get(key)
    if value is None:
        raise InputError(f"The study has no '{key}'; expected a path or a tensor (1, X, Y, Z) under that key.")
    if isinstance(value, Tensor):
        return {key: value, f"{key}_source": data.get(f"{key}_source")}
    volume, source = load(value, settings)
    return {key: to_meta(volume, filename_or_obj=str(value)), f"{key}_source": source}


class PrepareStudyd(Transform):
    """Alignment, intensity windows and colour luminance: what `upfusion_med.inference.fuse` does before the network.

    It adds ``study`` (`upfusion_med.inference.fusion.Study`) and ``image``, a MetaTensor (2, X, Y, Z) in 0..1 on the
    MRI's grid: what the network sees of the functional image and of the MRI.

    Args:
        settings: As `fuse_settings` takes them; a study's own ``settings`` come on top.
        formats: As `SaveStudyd` takes them; what it would refuse is refused before any work is done.
    """

    def __init__(self, settings: Mapping[str, Any] | None = None, formats: Sequence[str] | str = ()) -> None:
        self.settings, self.formats = dict(settings or {}), OutputFormat.named(formats)

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Uses ``mri`` and ``functional`` as `LoadStudyd` leaves them.

        Raises:
            InputError: the images cannot be fused: constant, not finite, of the wrong kind, not in one space, of two
                patients where DICOM is wanted.
            UsageError: a wrong setting.
        """
        settings = fuse_settings({**self.settings, **(data.get("settings") or {})})
        mri, functional = to_volume(data["mri"]), to_volume(data["functional"])
        files = [getattr(data[key], "meta", {}).get("filename_or_obj") for key in ("mri", "functional")]
        mri_path, path = (Path(file) if file else None for file in files)
        sources = (data.get("mri_source"), data.get("functional_source"))
        study = prepare_study(mri, functional, settings, *sources, path=path, mri_path=mri_path, formats=self.formats)
        image = np.stack([study.prepared.functional, study.display_mri])
        place = torch.from_numpy(mri.affine.copy())
        return {**data, "study": study, "image": MetaTensor(torch.from_numpy(image), affine=place)}


class FinishStudyd(Transform):
    """Colours and report of a fused luminance: adds ``fusion``, an `upfusion_med.inference.FusionResult`."""

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Uses ``study``, ``pred`` (1, 1, X, Y, Z) and ``network`` (facts for the report)."""
        luminance = np.ascontiguousarray(torch.as_tensor(data["pred"])[0, 0].cpu().numpy())
        return {**data, "fusion": finish(data["study"], luminance, data.get("network") or {})}


class SaveStudyd(Transform):
    """Write ``fusion`` into a folder of the study's name; whole or not at all.

    Args:
        output_dir: Where to; empty or None: nothing is written.
        formats: Words of `upfusion_med.core.OutputFormat`, a list or separated by commas.
        deidentify: Remove what identifies the patient from DICOM output.
        burn_in_note: Draw the notice into the pixels of DICOM output.
        redo: Replace what an earlier run wrote.

    The last three are truth values, or the words for them.

    Raises:
        UsageError: an unknown format, or a truth value that is none.
    """

    def __init__(
        self,
        output_dir: str | None,
        formats: Sequence[str] | str = ("nifti", "nrrd", "png"),
        deidentify: bool | str = False,
        burn_in_note: bool | str = False,
        redo: bool | str = False,
    ) -> None:
        self.formats = OutputFormat.named(formats)
        self.output_dir, self.redo = as_path(output_dir), as_bool("redo", redo)
        self.options = {
            "deidentify": as_bool("deidentify", deidentify),
            "burn_in_note": as_bool("burn_in_note", burn_in_note),
        }

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Adds ``files``, the written paths."""
        if not self.output_dir:
            return dict(data)
        folder = Path(self.output_dir) / data.get("name", "")
        files = data["fusion"].save(folder, self.formats, force=self.redo, **self.options)
        return {**data, "files": [str(file) for file in files]}

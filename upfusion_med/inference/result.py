"""What a fusion gives back, and how it reaches the disk: whole or not at all."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from upfusion_med.core import OutputFormat, RuntimeFailure, UsageError, Volume
from upfusion_med.inference.contact_sheet import Legend, render_contact_sheet
from upfusion_med.io import (
    Deidentifier,
    SourceStudy,
    save_colour_series,
    save_picture,
    save_rgb_nifti,
    save_rgb_nrrd,
    save_scalar_nifti,
    save_scalar_nrrd,
)
from upfusion_med.transforms.luts import Lut
from upfusion_med.transforms.window import Window

if TYPE_CHECKING:
    from PIL.Image import Image

DEFAULT_FORMATS = (OutputFormat.NIFTI, OutputFormat.NRRD, OutputFormat.PNG)


def check_output(folder: Path, force: bool) -> None:
    """Refuse a folder that holds something, before any work is done.

    Raises:
        UsageError: the folder is a file, or is not empty and ``force`` is not given.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"The output {folder} is a file; expected a folder that is empty or does not exist.")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise UsageError(
            f"The output folder {folder} is not empty; choose another one, or add --force to write into it."
        )


@dataclass(frozen=True, eq=False)
class FusionResult:
    """The fused study.

    Attributes:
        volume: Fused colour, (I, J, K, 3) in 0..255 on the MRI's grid.
        luminance: Fused luminance, (I, J, K) in 0..1.
        report: What was done, JSON values.
        mri: The MRI as the network saw it, 0..1.
        functional: The functional image in its colours, 0..255, on the MRI's grid.
        lut: Colour table of scalar uptake, or None.
        functional_window: Display window of a scalar functional image, or None.
        mri_study: Headers of the MRI's DICOM series that DICOM output belongs to, or None.
        functional_study: Headers of the functional DICOM series, or None.
    """

    volume: Volume
    luminance: Volume
    report: Mapping[str, Any]
    mri: Volume
    functional: Volume
    lut: Lut | None
    functional_window: Window | None
    mri_study: SourceStudy | None = None
    functional_study: SourceStudy | None = None

    def contact_sheet(self) -> Image:
        """MRI, functional and fused image side by side, with the colour bar."""
        window = self.functional_window
        legend = Legend.from_lut(self.lut, window) if self.lut is not None and window is not None else None
        modality = self.report["modality"]["value"]
        # With infrared the visible picture stands where uptake stands otherwise: it gives the colours.
        pictured = {"infrared": ("Infrared", "Visible", "Fused"), "unknown": ("First", "Second", "Fused")}
        names = pictured.get(modality, ("MRI", modality.upper(), "Fused"))
        return render_contact_sheet(
            self.mri.array,
            self.functional.array.astype(np.uint8),
            self.volume.array.astype(np.uint8),
            self.volume.affine,
            legend=legend,
            title=f"{names[0]} + {names[1]}",
            notes=[f"Network {self.report['network'].get('model', '')}. Colour: {self.report['colour']}."],
            labels=names,
        )

    def save(
        self,
        folder: Path | str,
        formats: Iterable[OutputFormat] = DEFAULT_FORMATS,
        *,
        force: bool = False,
        deidentify: bool = False,
    ) -> list[Path]:
        """Write the result: volumes, contact sheet and report, all or nothing.

        Files: ``fused_rgb.nii.gz`` / ``.nrrd`` (colour), ``fused_luminance.nii.gz`` / ``.nrrd`` (0..1),
        ``dicom/`` (RGB Secondary Capture, one file a slice, in the study of a DICOM MRI), ``fused.png`` (pictures
        only), ``contact_sheet.png``, ``report.json``.

        Args:
            folder: Made if it does not exist; must be empty unless ``force``.
            formats: Which volume formats; for a pair of pictures only PNG is written.
            force: Write into a folder that holds something; files of the same name are replaced.
            deidentify: Remove what identifies the patient from DICOM output (PS3.15 basic profile).

        Returns:
            The written files.

        Raises:
            UsageError: see ``check_output``.
            RuntimeFailure: the disk is full or the folder cannot be written.
        """
        folder = Path(folder)
        check_output(folder, force)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        except OSError as error:
            raise RuntimeFailure(f"The output folder {folder} cannot be made: {error.strerror}.") from error
        try:
            names = self._write(beside, set(formats), deidentify)
            folder.mkdir(exist_ok=True)
            for name in names:
                if (folder / name).is_dir():
                    shutil.rmtree(folder / name)
                (beside / name).replace(folder / name)
        except OSError as error:
            raise RuntimeFailure(
                f"The result could not be written to {folder}: {error.strerror}; free disk space or choose "
                "another folder."
            ) from error
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        return [folder / name for name in names]

    def _write(self, folder: Path, formats: set[OutputFormat], deidentify: bool) -> list[str]:
        rgb, luminance = self.volume.array.astype(np.uint8), np.asarray(self.luminance.array, np.float32)
        if self.volume.is_picture:
            save_picture(folder / "fused.png", rgb[:, :, 0])
        else:
            if OutputFormat.NIFTI in formats:
                save_rgb_nifti(folder / "fused_rgb.nii.gz", rgb, self.volume.affine)
                save_scalar_nifti(folder / "fused_luminance.nii.gz", luminance, self.volume.affine)
            if OutputFormat.NRRD in formats:
                save_rgb_nrrd(folder / "fused_rgb.nrrd", rgb, self.volume.affine)
                save_scalar_nrrd(folder / "fused_luminance.nrrd", luminance, self.volume.affine)
            if OutputFormat.DICOM in formats:
                modality = self.report["modality"]["value"].upper()
                save_colour_series(
                    folder / "dicom",
                    rgb,
                    self.volume.affine,
                    study=self.mri_study,
                    functional=self.functional_study,
                    description=f"UP-Fusion MRI + {modality}",
                    derivation=f"MRI and {modality} fused by {self.report['network'].get('model', '')}; "
                    f"colour: {self.report['colour']}",
                    deidentifier=Deidentifier() if deidentify else None,
                )
        if OutputFormat.PNG in formats or self.volume.is_picture:
            self.contact_sheet().save(folder / "contact_sheet.png")
        (folder / "report.json").write_text(json.dumps(self.report, indent=2) + "\n")
        return sorted(f.name for f in folder.iterdir())

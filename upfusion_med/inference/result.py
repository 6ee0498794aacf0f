"""What a fusion gives back, and how it reaches the disk: whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import OutputFormat, SliceAxis, UsageError, Volume
from upfusion_med.inference.attribution import AttributionMap, attribution_colours
from upfusion_med.inference.contact_sheet import Legend, render_contact_sheet
from upfusion_med.inference.output_folder import REPORT, check_output, written_before
from upfusion_med.io import (
    FIRST_SERIES_NUMBER,
    Deidentifier,
    SourceStudy,
    moved_into,
    new_source_study,
    save_cine,
    save_colour_multiframe,
    save_colour_series,
    save_luminance_map,
    save_picture,
    save_picture_stack,
    save_rgb_nifti,
    save_rgb_nrrd,
    save_scalar_nifti,
    save_scalar_nrrd,
    save_transform,
)
from upfusion_med.transforms.colour import luma
from upfusion_med.transforms.luts import Lut
from upfusion_med.transforms.pseudo_colour import Palette
from upfusion_med.transforms.window import Window

if TYPE_CHECKING:
    from PIL.Image import Image

DEFAULT_FORMATS = (OutputFormat.NIFTI, OutputFormat.NRRD, OutputFormat.PNG)


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
        attribution: Where the fused detail comes from, or None: not asked for.
        transform: (4, 4) from the MRI's space to the functional image's, RAS+ mm; None: positions were kept.
        axis: Direction of the slices, for stacks of pictures.
        palette: Known palette of a functional image that keeps its colours, or None.
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
    attribution: AttributionMap | None = None
    transform: NDArray[np.float64] | None = None
    axis: SliceAxis = SliceAxis.AXIAL
    palette: Palette | None = None

    def contact_sheet(self) -> Image:
        """MRI, functional and fused image side by side, with the colour bar."""
        modality = self.report["modality"]["value"]
        # With infrared the visible picture stands where uptake stands otherwise: it gives the colours.
        pictured = {"infrared": ("Infrared", "Visible", "Fused"), "unknown": ("First", "Second", "Fused")}
        names = pictured.get(modality, ("MRI", modality.upper(), "Fused"))
        return render_contact_sheet(
            self.mri.array,
            self.functional.array.astype(np.uint8),
            self.volume.array.astype(np.uint8),
            self.volume.affine,
            legend=self._legend(),
            title=f"{names[0]} + {names[1]}",
            notes=[
                f"Network {self.report['network'].get('model', '')}. Colour: {self.report['colour']}.",
                *self._notes_of_scale(),
                *self._notes_of_origin(),
            ],
            labels=names,
            attribution_rgb=None if self.attribution is None else self.attribution_colours(),
        )

    def _legend(self) -> Legend | None:
        if self.lut is not None and self.functional_window is not None:
            return Legend.from_lut(self.lut, self.functional_window)
        return None if self.palette is None else Legend.from_palette(self.palette)

    def _notes_of_scale(self) -> list[str]:
        """What kept colours mean."""
        if self.palette is not None:
            return ["Colour bar: position on the palette that the picture was drawn with; its unit is not known."]
        if self.lut is None and self.report["modality"]["value"] != "infrared":
            return ["No colour bar: the picture keeps colours whose scale is not known."]
        return []

    def _notes_of_origin(self) -> list[str]:
        """What the colours of the attribution mean."""
        if self.attribution is None:
            return []
        of_infrared = self.report["modality"]["value"] == "infrared"
        first, second = ("visible", "infrared image") if of_infrared else ("MRI", "functional image")
        return [f"Origin of the detail: blue from the {first}, orange from the {second}, grey from both."]

    def idle_options(
        self, formats: Iterable[OutputFormat | str] | str, *, deidentify: bool = False, burn_in_note: bool = False
    ) -> list[str]:
        """Sentences about options of `save` that have no effect on this result."""
        wanted, told = set(OutputFormat.named(formats)), []
        if self.volume.is_picture and wanted != set(DEFAULT_FORMATS):
            told = [
                f"--format {f.value} had no effect: pictures are written as PNG." for f in wanted - {OutputFormat.PNG}
            ]
        dicom = [] if self.volume.is_picture else [f for f in wanted if f.is_dicom]
        if deidentify and not dicom:
            told.append("--deidentify had no effect: no DICOM was written.")
        if burn_in_note and not set(dicom) - {OutputFormat.PARAMETRIC_MAP}:
            told.append("--burn-in-note had no effect: no DICOM in colours was written.")
        return sorted(told)

    def attribution_colours(self) -> NDArray[np.uint8]:
        """(I, J, K, 3) overlay of the attribution on the luminance of the fused colours.

        Raises:
            UsageError: the attribution was not asked for.
        """
        if self.attribution is None:
            raise UsageError("This result has no attribution; ask for it when fusing.")
        return attribution_colours(self.attribution, luma(self.volume.array) / np.float32(255))

    def save(
        self,
        folder: Path | str,
        formats: Iterable[OutputFormat | str] | str = DEFAULT_FORMATS,
        *,
        force: bool = False,
        deidentify: bool = False,
        burn_in_note: bool = False,
    ) -> list[Path]:
        """Write the result: volumes, contact sheet and report, all or nothing.

        Files: ``fused_rgb``, ``fused_luminance`` (0..1) and, where asked for, ``attribution`` (1: from the MRI) as
        ``.nii.gz`` and ``.nrrd``; ``dicom/`` (RGB Secondary Capture, one file a slice, in the study of a DICOM MRI),
        ``fused_multiframe.dcm``, ``luminance_map.dcm`` (Parametric Map); ``slices_png/``, ``slices_tiff/``,
        ``cine.gif``; ``fused.png`` (pictures only); ``contact_sheet.png``; ``mri_to_functional.tfm`` where the
        functional image was moved; ``report.json``.

        Args:
            folder: Made if it does not exist; must be empty unless ``force``.
            formats: Which formats, also by their words; for a pair of pictures only PNG is written.
            force: Write into a folder that holds something; what an earlier run wrote there is replaced, all of it.
            deidentify: Remove what identifies the patient from DICOM output (PS3.15 basic profile).
            burn_in_note: Draw the notice into the pixels of DICOM colour images.

        Returns:
            The written files.

        Raises:
            UsageError: an unknown format; see also ``check_output``.
            RuntimeFailure: the disk is full or the folder cannot be written.
        """
        folder, wanted = Path(folder), set(OutputFormat.named(formats))
        check_output(folder, force)
        with moved_into(folder, written_before(folder), last=REPORT) as new:
            names = self._write(new, wanted, deidentify, burn_in_note)
        return [folder / name for name in names]

    def _write(self, folder: Path, formats: set[OutputFormat], deidentify: bool, burn_in_note: bool) -> list[str]:
        if self.volume.is_picture:
            save_picture(folder / "fused.png", self.volume.array.astype(np.uint8)[:, :, 0])
        else:
            self._write_volumes(folder, formats)
            self._write_stacks(folder, formats)
            self._write_dicom(folder, formats, Deidentifier() if deidentify else None, burn_in_note)
        if OutputFormat.PNG in formats or self.volume.is_picture:
            self.contact_sheet().save(folder / "contact_sheet.png")
        if self.transform is not None:
            save_transform(folder / "mri_to_functional.tfm", self.transform)
        names = sorted([*(f.name for f in folder.iterdir()), REPORT])
        (folder / REPORT).write_text(json.dumps({**self.report, "files": names}, indent=2) + "\n")
        return names

    def _write_volumes(self, folder: Path, formats: set[OutputFormat]) -> None:
        scalars = {"fused_luminance": np.asarray(self.luminance.array, np.float32)}
        if self.attribution is not None:
            scalars["attribution"] = self.attribution.share
        rgb, affine = self.volume.array.astype(np.uint8), self.volume.affine
        if OutputFormat.NIFTI in formats:
            save_rgb_nifti(folder / "fused_rgb.nii.gz", rgb, affine)
            for name, values in scalars.items():
                save_scalar_nifti(folder / f"{name}.nii.gz", values, affine)
        if OutputFormat.NRRD in formats:
            save_rgb_nrrd(folder / "fused_rgb.nrrd", rgb, affine)
            for name, values in scalars.items():
                save_scalar_nrrd(folder / f"{name}.nrrd", values, affine)

    def _write_stacks(self, folder: Path, formats: set[OutputFormat]) -> None:
        rgb, affine = self.volume.array.astype(np.uint8), self.volume.affine
        if OutputFormat.PNG_STACK in formats:
            save_picture_stack(folder / "slices_png", rgb, affine, axis=self.axis)
        if OutputFormat.TIFF_STACK in formats:
            save_picture_stack(folder / "slices_tiff", rgb, affine, axis=self.axis, suffix=".tif")
        if OutputFormat.CINE in formats:
            save_cine(folder / "cine.gif", rgb, affine, axis=self.axis)

    def _write_dicom(
        self, folder: Path, formats: set[OutputFormat], deidentifier: Deidentifier | None, burn_in_note: bool
    ) -> None:
        """The DICOM objects, all in one study, each in a series of its own number."""
        kinds = [f for f in OutputFormat if f.is_dicom and f in formats]
        if not kinds:
            return
        modality = self.report["modality"]["value"].upper()
        study = self.mri_study or new_source_study()
        free = (n for n in count(FIRST_SERIES_NUMBER) if n not in study.series_numbers)
        common: dict[str, Any] = {
            "study": study,
            "functional": self.functional_study,
            "description": f"UP-Fusion MRI + {modality}",
            "derivation": f"MRI and {modality} fused; network: {self.report['network'].get('model', '')}; "
            f"colour: {self.report['colour']}",
            "deidentifier": deidentifier,
        }
        rgb, affine = self.volume.array.astype(np.uint8), self.volume.affine
        for kind in kinds:
            common["series_number"] = next(free)
            if kind is OutputFormat.DICOM:
                save_colour_series(folder / "dicom", rgb, affine, **common, burn_in_note=burn_in_note)
            elif kind is OutputFormat.DICOM_MULTIFRAME:
                path = folder / "fused_multiframe.dcm"
                save_colour_multiframe(path, rgb, affine, **common, burn_in_note=burn_in_note)
            else:
                luminance = np.asarray(self.luminance.array, np.float32)
                save_luminance_map(folder / "luminance_map.dcm", luminance, affine, **common)

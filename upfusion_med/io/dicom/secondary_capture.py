"""Fused colour as DICOM Secondary Capture images with their place in the patient (PS3.3 A.8.1, A.8.5)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import NOT_FOR_DIAGNOSTIC_USE
from upfusion_med.io.atomic_file import atomic_file
from upfusion_med.io.atomic_folder import atomic_folder
from upfusion_med.io.dicom.burned_note import with_note
from upfusion_med.io.dicom.deidentify import Deidentifier
from upfusion_med.io.dicom.fused_header import FusedSeries, dataset, decimals, fused_series, source_items
from upfusion_med.io.dicom.quiet import quiet
from upfusion_med.io.dicom.source_study import SourceStudy, new_uid
from upfusion_med.io.slice_stack import slice_stack
from upfusion_med.io.voxel_types import check_rgb

if TYPE_CHECKING:
    from pydicom import Dataset

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
MULTIFRAME_TRUE_COLOUR = "1.2.840.10008.5.1.4.1.1.7.4"
#: Per-frame Functional Groups Sequence: what Frame Increment Pointer names.
_PER_FRAME = 0x52009230


def save_colour_series(
    folder: str | os.PathLike[str],
    rgb: NDArray[np.uint8],
    affine: NDArray[np.float64],
    *,
    study: SourceStudy | None,
    functional: SourceStudy | None = None,
    description: str = "",
    derivation: str = "",
    burn_in_note: bool = False,
    series_number: int | None = None,
    deidentifier: Deidentifier | None = None,
) -> list[Path]:
    """Write a colour volume as a series of RGB Secondary Capture images, one file a slice.

    The series belongs to the study and the frame of reference of the MRI, so viewers can link it. Slices lie where the
    MRI's do; instance numbers and file names grow along the slice normal. Voxels are never interpolated.

    Args:
        folder: Made; may exist when it is empty. Files: ``0001.dcm`` and so on.
        rgb: (I, J, K, 3) uint8.
        affine: (4, 4) voxel index to RAS+ millimetres.
        study: Series of the MRI (`read_source_study`); slices are cut as they are there. None: the MRI was no DICOM;
            a study of its own is made, patient elements stay empty, slices are cut across the widest spacing and turned
            to radiological display. Give `new_source_study` instead where several outputs belong together.
        functional: Series of the functional image, to refer to.
        description: What it shows, in about 35 characters, without facts about the patient; the notice is added.
        derivation: How it was made, without facts about the patient.
        burn_in_note: Draw the notice into every slice (the bytes then differ from ``rgb`` there).
        series_number: None: the first free one from 9001.
        deidentifier: Removes what identifies the patient; the same one for all outputs of a study.

    Returns:
        The files in the order of the slices.

    Raises:
        InputError: the affine is sheared, or the series are of different patients.
        UsageError: another shape or type, or the folder holds something.
        RuntimeFailure: the folder cannot be written; nothing is left there.

    Source: PS3.3 A.8.1.3 (Image Plane in Secondary Capture), C.7.6.2.

    Example:
        >>> import tempfile, numpy as np
        >>> from pathlib import Path
        >>> from upfusion_med.io import load_volume
        >>> from upfusion_med.io.dicom.secondary_capture import save_colour_series
        >>> from upfusion_med.io.dicom.source_study import read_source_study
        >>> with tempfile.TemporaryDirectory() as place:
        ...     fused, grid = np.zeros((6, 5, 4, 3), np.uint8), np.diag([-1.0, -1.0, 3.0, 1.0])
        ...     files = save_colour_series(Path(place, "fused"), fused, grid, study=None)
        ...     mri = read_source_study(Path(place, "fused"))  # any DICOM series
        ...     again = save_colour_series(Path(place, "again"), fused, grid, study=mri, description="Fused MR + PT")
        ...     [file.name for file in again], load_volume(Path(place, "again")).geometry.spacing_mm
        (['0001.dcm', '0002.dcm', '0003.dcm', '0004.dcm'], (1.0, 1.0, 3.0))
    """
    series = _series(rgb, affine, study, functional, description, derivation, burn_in_note, series_number)
    common = _common(series, SECONDARY_CAPTURE)
    x, y, step = series.stack.spacing_mm
    common.ImageOrientationPatient = decimals(series.stack.orientation)
    common.PixelSpacing = decimals((y, x))
    common.SliceThickness, common.SpacingBetweenSlices = decimals((series.thickness_mm, step))
    with atomic_folder(folder) as beside:
        names = []
        for number, pixels in enumerate(series.stack.pixels):
            slice_ = dataset()
            slice_.update(common)
            slice_.SOPInstanceUID = new_uid()
            slice_.InstanceNumber = number + 1
            slice_.ImagePositionPatient = decimals(series.stack.position_mm(number))
            sources = source_items(series.references(number))
            if sources:
                slice_.SourceImageSequence = sources
            _put_pixels(slice_, pixels, burn_in_note)
            names.append(f"{number + 1:04d}.dcm")
            write_object(slice_, beside / names[-1], deidentifier)
    return [Path(folder) / name for name in names]


def save_colour_multiframe(
    path: str | os.PathLike[str],
    rgb: NDArray[np.uint8],
    affine: NDArray[np.float64],
    *,
    study: SourceStudy | None,
    functional: SourceStudy | None = None,
    description: str = "",
    derivation: str = "",
    burn_in_note: bool = False,
    series_number: int | None = None,
    deidentifier: Deidentifier | None = None,
) -> Path:
    """Write a colour volume as one Multi-frame True Color Secondary Capture image.

    One file instead of many; fewer viewers place it in the patient. Arguments and errors are those of
    `save_colour_series`; ``path`` ends in ``.dcm`` and its folder exists.

    Source: PS3.3 A.8.5, C.7.6.16, C.8.6.3.
    """
    series = _series(rgb, affine, study, functional, description, derivation, burn_in_note, series_number)
    stack = series.stack
    image = _common(series, MULTIFRAME_TRUE_COLOUR)
    image.SOPInstanceUID, image.InstanceNumber = new_uid(), 1
    image.NumberOfFrames = len(stack.pixels)
    image.FrameIncrementPointer = _PER_FRAME
    x, y, step = stack.spacing_mm
    thickness, between = decimals((series.thickness_mm, step))
    measures = dataset(PixelSpacing=decimals((y, x)), SliceThickness=thickness, SpacingBetweenSlices=between)
    orientation = dataset(ImageOrientationPatient=decimals(stack.orientation))
    image.SharedFunctionalGroupsSequence = [
        dataset(PixelMeasuresSequence=[measures], PlaneOrientationSequence=[orientation])
    ]
    image.PerFrameFunctionalGroupsSequence = [
        dataset(PlanePositionSequence=[dataset(ImagePositionPatient=decimals(stack.position_mm(number)))])
        for number in range(len(stack.pixels))
    ]
    sources = source_items(dict.fromkeys(r for n in range(len(stack.pixels)) for r in series.references(n)))
    if sources:
        image.SourceImageSequence = sources
    _put_pixels(image, stack.pixels, burn_in_note)
    with atomic_file(path, (".dcm",)) as temporary:
        write_object(image, temporary, deidentifier)
    return Path(path)


def write_object(image: Dataset, path: Path, deidentifier: Deidentifier | None) -> None:
    """Write a data set as a DICOM file, Explicit VR Little Endian, without what identifies the patient if wanted."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    if deidentifier is not None:
        image = deidentifier.deidentified(image)
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    with quiet():
        image.save_as(path, enforce_file_format=True)


def _series(
    rgb: NDArray[np.uint8],
    affine: NDArray[np.float64],
    study: SourceStudy | None,
    functional: SourceStudy | None,
    description: str,
    derivation: str,
    burn_in_note: bool,
    series_number: int | None,
) -> FusedSeries:
    check_rgb(rgb)
    return fused_series(
        slice_stack(rgb, affine, like=study.orientation if study is not None else None),
        study,
        functional,
        description=description,
        derivation=derivation,
        series_number=series_number,
        burned_in=burn_in_note,
    )


def _common(series: FusedSeries, sop_class_uid: str) -> Dataset:
    """What all slices share: header, conversion, RGB of 8 bits (PS3.3 C.8.6.1, C.7.6.3)."""
    image = series.header(sop_class_uid)
    image.ConversionType = "WSD"
    image.SecondaryCaptureDeviceManufacturer = image.Manufacturer
    image.SecondaryCaptureDeviceManufacturerModelName = image.ManufacturerModelName
    image.SecondaryCaptureDeviceSoftwareVersions = image.SoftwareVersions
    image.SamplesPerPixel, image.PhotometricInterpretation, image.PlanarConfiguration = 3, "RGB", 0
    image.Rows, image.Columns = series.stack.pixels.shape[1:3]
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 8, 8, 7, 0
    return image


def _put_pixels(image: Dataset, pixels: NDArray[np.uint8], burn_in_note: bool) -> None:
    shown = with_note(pixels, NOT_FOR_DIAGNOSTIC_USE) if burn_in_note else pixels
    values = np.ascontiguousarray(shown).tobytes()
    image.add_new("PixelData", "OB", values + b"\0" * (len(values) % 2))

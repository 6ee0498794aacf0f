"""Readers and writers: NIfTI, NRRD, MetaImage, pictures, DICOM. The only room that touches image files."""

from upfusion_med.core import FrameChoice
from upfusion_med.io.atomic_folder import folder_contents, moved_into, was_cut_short
from upfusion_med.io.dicom import (
    Deidentifier,
    SeriesSummary,
    SourceStudy,
    StudySummary,
    SuvRefusedError,
    describe_study,
    list_series,
    new_source_study,
    read_source_study,
    save_colour_multiframe,
    save_colour_series,
    save_luminance_map,
)
from upfusion_med.io.dicom.fused_header import FIRST_SERIES_NUMBER
from upfusion_med.io.file_kind import FileKind, describe_kind
from upfusion_med.io.frames import FrameChoiceError
from upfusion_med.io.itk_image import save_rgb_nrrd, save_scalar_nrrd
from upfusion_med.io.loading import load_source, load_volume
from upfusion_med.io.nifti import save_rgb_nifti, save_scalar_nifti
from upfusion_med.io.picture import save_picture
from upfusion_med.io.picture_stack import save_cine, save_picture_stack
from upfusion_med.io.slice_stack import slice_stack
from upfusion_med.io.transform_file import read_transform, save_transform
from upfusion_med.io.units import ACTIVITY_UNITS, ARBITRARY_UNITS, COUNT_UNITS, HOUNSFIELD_UNITS, SUV_UNITS

__all__ = [
    "ACTIVITY_UNITS",
    "ARBITRARY_UNITS",
    "COUNT_UNITS",
    "FIRST_SERIES_NUMBER",
    "HOUNSFIELD_UNITS",
    "SUV_UNITS",
    "Deidentifier",
    "FileKind",
    "FrameChoice",
    "FrameChoiceError",
    "SeriesSummary",
    "SourceStudy",
    "StudySummary",
    "SuvRefusedError",
    "describe_kind",
    "describe_study",
    "folder_contents",
    "list_series",
    "load_source",
    "load_volume",
    "moved_into",
    "new_source_study",
    "read_source_study",
    "read_transform",
    "save_cine",
    "save_colour_multiframe",
    "save_colour_series",
    "save_luminance_map",
    "save_picture",
    "save_picture_stack",
    "save_rgb_nifti",
    "save_rgb_nrrd",
    "save_scalar_nifti",
    "save_scalar_nrrd",
    "save_transform",
    "slice_stack",
    "was_cut_short",
]

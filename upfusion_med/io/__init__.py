"""Readers and writers: NIfTI, NRRD, MetaImage, pictures, DICOM. The only room that touches image files."""

from upfusion_med.io.dicom import SeriesSummary, StudySummary, describe_study, list_series
from upfusion_med.io.file_kind import FileKind, describe_kind
from upfusion_med.io.frames import FrameChoice, FrameChoiceError
from upfusion_med.io.itk_image import save_rgb_nrrd, save_scalar_nrrd
from upfusion_med.io.loading import load_volume
from upfusion_med.io.nifti import save_rgb_nifti, save_scalar_nifti
from upfusion_med.io.picture import save_picture
from upfusion_med.io.units import ACTIVITY_UNITS, ARBITRARY_UNITS, COUNT_UNITS, HOUNSFIELD_UNITS, SUV_UNITS

__all__ = [
    "ACTIVITY_UNITS",
    "ARBITRARY_UNITS",
    "COUNT_UNITS",
    "HOUNSFIELD_UNITS",
    "SUV_UNITS",
    "FileKind",
    "FrameChoice",
    "FrameChoiceError",
    "SeriesSummary",
    "StudySummary",
    "describe_kind",
    "describe_study",
    "list_series",
    "load_volume",
    "save_picture",
    "save_rgb_nifti",
    "save_rgb_nrrd",
    "save_scalar_nifti",
    "save_scalar_nrrd",
]

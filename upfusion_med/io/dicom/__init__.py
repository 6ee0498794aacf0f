"""DICOM input (finding series, placing slices, decoding pixels, SUV) and output (fused series, de-identification)."""

from upfusion_med.io.dicom.deidentify import Deidentifier
from upfusion_med.io.dicom.parametric_map import save_luminance_map
from upfusion_med.io.dicom.reading import read_dicom
from upfusion_med.io.dicom.secondary_capture import save_colour_multiframe, save_colour_series
from upfusion_med.io.dicom.source import load_dicom_source
from upfusion_med.io.dicom.source_study import SourceStudy, new_source_study, read_source_study
from upfusion_med.io.dicom.summary import SeriesSummary, StudySummary, describe_study, list_series
from upfusion_med.io.dicom.suv_refusal import SuvRefusedError

__all__ = [
    "Deidentifier",
    "SeriesSummary",
    "SourceStudy",
    "StudySummary",
    "SuvRefusedError",
    "describe_study",
    "list_series",
    "load_dicom_source",
    "new_source_study",
    "read_dicom",
    "read_source_study",
    "save_colour_multiframe",
    "save_colour_series",
    "save_luminance_map",
]

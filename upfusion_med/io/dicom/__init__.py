"""DICOM input: finding series, placing slices, decoding pixels, SUV."""

from upfusion_med.io.dicom.reading import read_dicom
from upfusion_med.io.dicom.summary import SeriesSummary, StudySummary, describe_study, list_series

__all__ = ["SeriesSummary", "StudySummary", "describe_study", "list_series", "read_dicom"]

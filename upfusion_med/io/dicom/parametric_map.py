"""Fused luminance as a DICOM Parametric Map, for programs that measure (PS3.3 A.75)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med import __version__
from upfusion_med.core import NOT_FOR_DIAGNOSTIC_USE, InputError, UsageError, package_failure
from upfusion_med.io.atomic_file import atomic_file
from upfusion_med.io.dicom.deidentify import Deidentifier
from upfusion_med.io.dicom.fused_header import (
    FIRST_SERIES_NUMBER,
    MANUFACTURER,
    FusedSeries,
    code,
    dataset,
    decimals,
    fused_series,
    source_items,
)
from upfusion_med.io.dicom.quiet import quiet
from upfusion_med.io.dicom.secondary_capture import write_object
from upfusion_med.io.dicom.source_study import SliceReference, SourceStudy, new_uid
from upfusion_med.io.dicom.study_elements import clean_text
from upfusion_med.io.slice_stack import SliceStack, slice_stack

if TYPE_CHECKING:
    from pydicom import Dataset

PARAMETRIC_MAP = "1.2.840.10008.5.1.4.1.1.30"
_MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
#: Elements of other kinds of image, which the map says in its own way or not at all.
_NOT_OF_A_MAP = ("SOPClassUID", "ImageType", "PatientOrientation", "ImageComments", "DerivationDescription")


def save_luminance_map(
    path: str | os.PathLike[str],
    luminance: NDArray[np.floating[Any]],
    affine: NDArray[np.float64],
    *,
    study: SourceStudy | None,
    functional: SourceStudy | None = None,
    description: str = "",
    derivation: str = "",
    series_number: int | None = None,
    deidentifier: Deidentifier | None = None,
) -> Path:
    """Write fused luminance as one Parametric Map with float32 values without a unit.

    SimpleITK (GDCM) cannot open such files; highdicom and pydicom can.

    Args:
        path: Ends in ``.dcm``; its folder exists.
        luminance: (I, J, K), finite, any floating type.
        affine: (4, 4) voxel index to RAS+ millimetres.
        study: Series of the MRI, or None: a study of its own.
        functional: Series of the functional image, to refer to.
        description: What it shows, without facts about the patient; the notice is added.
        derivation: How it was made, without facts about the patient.
        series_number: None: the first free one from 9002.
        deidentifier: Removes what identifies the patient.

    Returns:
        ``path``.

    Raises:
        InputError: the affine is sheared, values are not finite, or the series are of different patients.
        UsageError: another shape or type.
        MissingPackageError: highdicom is not installed.
        RuntimeFailure: the file cannot be written.
    """
    if luminance.ndim != 3 or not np.issubdtype(luminance.dtype, np.floating):
        raise UsageError(
            f"The luminance has shape {luminance.shape} and type {luminance.dtype}; expected (I, J, K) of a float type."
        )
    if not np.isfinite(luminance).all():
        raise InputError("The luminance holds values that are not finite; expected numbers. Replace them first.")
    series = fused_series(
        slice_stack(luminance, affine, like=study.orientation if study is not None else None),
        study,
        functional,
        description=description or "Fused luminance",
        derivation=derivation,
        series_number=series_number,
        first_number=FIRST_SERIES_NUMBER + 1,
    )
    with quiet():
        image = _map(series)
    with atomic_file(path, (".dcm",)) as temporary:
        write_object(image, temporary, deidentifier)
    return Path(path)


def _map(series: FusedSeries) -> Dataset:
    """The map as highdicom makes it from a stand-in without a patient, then with the header of the series.

    highdicom logs names that it finds odd, so it gets none.
    """
    try:
        from highdicom import (
            PixelMeasuresSequence,
            PlaneOrientationSequence,
            PlanePositionSequence,
            VOILUTTransformation,
        )
        from highdicom.pm import ParametricMap, RealWorldValueMapping
    except ImportError as error:
        raise package_failure(error, "highdicom", "dicom", "write parametric maps") from error
    from pydicom.sr.codedict import codes

    stack = series.stack
    values = np.ascontiguousarray(stack.pixels, dtype=np.float32)
    x, y, step = stack.spacing_mm
    made = ParametricMap(
        source_images=[_stand_in(stack)],
        pixel_array=values,
        series_instance_uid=series.uid,
        series_number=series.number,
        sop_instance_uid=new_uid(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MANUFACTURER,
        software_versions=__version__,
        device_serial_number="0",
        contains_recognizable_visual_features=True,  # a face may be rebuilt from a head
        real_world_value_mappings=[
            RealWorldValueMapping(
                lut_label="LUMINANCE",
                lut_explanation="Fused luminance, display range 0 to 1",
                unit=codes.UCUM.NoUnits,
                value_range=(float(values.min()), float(values.max())),
                slope=1.0,
                intercept=0.0,
            )
        ],
        voi_lut_transformations=[VOILUTTransformation(window_center=0.5, window_width=1.0)],
        content_label="FUSED",
        content_description=NOT_FOR_DIAGNOSTIC_USE,
        pixel_measures=PixelMeasuresSequence((y, x), series.thickness_mm, step),
        plane_orientation=PlaneOrientationSequence("PATIENT", stack.orientation),
        plane_positions=[PlanePositionSequence("PATIENT", stack.position_mm(n)) for n in range(len(values))],
    )
    image = dataset()
    image.update(made)
    header = series.header(PARAMETRIC_MAP)
    for keyword in _NOT_OF_A_MAP:
        del header[keyword]
    image.update(header)
    _put_references(image, series)
    return image


def _stand_in(stack: SliceStack) -> Dataset:
    """A source image with the matrix of the slices, and with nothing about the patient."""
    x, y, step = stack.spacing_mm
    return dataset(
        SOPClassUID=_MR_IMAGE,
        SOPInstanceUID=new_uid(),
        StudyInstanceUID=new_uid(),
        SeriesInstanceUID=new_uid(),
        FrameOfReferenceUID=new_uid(),
        **dict.fromkeys(("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber"), ""),
        **dict.fromkeys(("StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"), ""),
        Rows=stack.pixels.shape[1],
        Columns=stack.pixels.shape[2],
        ImagePositionPatient=decimals(stack.position_mm(0)),
        ImageOrientationPatient=decimals(stack.orientation),
        PixelSpacing=decimals((y, x)),
        SliceThickness=decimals((step,))[0],
    )


def _put_references(image: Dataset, series: FusedSeries) -> None:
    """The true sources of every frame, in place of the stand-in (PS3.3 C.7.6.16.2.6, C.12.2).

    highdicom sorts the frames in its own way, so the slice of a frame is found by its position.
    """
    for keyword in ("SourceImageSequence", "ReferencedSeriesSequence"):
        image.pop(keyword, None)
    image.SharedFunctionalGroupsSequence[0].pop("DerivationImageSequence", None)
    positions = np.array([series.stack.position_mm(n) for n in range(len(series.stack.pixels))])
    used: set[SliceReference] = set()
    for groups in image.PerFrameFunctionalGroupsSequence:
        place = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, dtype=np.float64)
        references = series.references(int(np.argmin(np.linalg.norm(positions - place, axis=1))))
        used.update(references)
        groups.pop("DerivationImageSequence", None)
        if references:
            method = code("112187", "DCM", "Unspecified method of calculation")
            derivation = dataset(DerivationCodeSequence=[method], SourceImageSequence=source_items(references))
            derivation.DerivationDescription = clean_text("DerivationDescription", series.derivation)
            groups.DerivationImageSequence = [derivation]
    here, elsewhere = [], []
    for source in (series.study, series.functional):
        if source is None or not used.intersection(source.slices):
            continue
        items = source_items(reference for reference in source.slices if reference in used)
        for item in items:
            del item.PurposeOfReferenceCodeSequence
        listed = dataset(SeriesInstanceUID=source.series_instance_uid, ReferencedInstanceSequence=items)
        if source.study_instance_uid == series.study.study_instance_uid:
            here.append(listed)
        else:
            elsewhere.append(dataset(StudyInstanceUID=source.study_instance_uid, ReferencedSeriesSequence=[listed]))
    if here:
        image.ReferencedSeriesSequence = here
    if elsewhere:
        image.StudiesContainingOtherReferencedInstancesSequence = elsewhere

"""One slice of a volume, wherever it is stored: a file of its own, or a frame of a multi-frame file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from upfusion_med.core import InputError
from upfusion_med.io.dicom.header import Header, uid_digest
from upfusion_med.io.dicom.sop_class import NUCLEAR_MEDICINE

#: Values that separate volumes whatever the positions are; attribute, what a message calls it.
_SEPARATING = (
    ("EchoTime", "echo time"),
    ("InversionTime", "inversion time"),
    ("DiffusionBValue", "b-value"),
)
_ACQUISITION_TIME = "acquisition time"
#: Values that separate the frames of a time series, and are looked at only where positions coincide; in this order.
_FRAMING = (
    ("TemporalPositionIdentifier", "temporal position"),
    ("TemporalPositionIndex", "temporal position"),
    ("NominalCardiacTriggerDelayTime", "trigger delay"),
    ("TriggerTime", "trigger time"),
    ("FrameReferenceTime", "frame reference time"),
    ("DiffusionGradientOrientation", "diffusion direction"),
    ("AcquisitionNumber", "acquisition number"),
    ("AcquisitionDate", "acquisition date"),
    ("AcquisitionTime", _ACQUISITION_TIME),
    ("AcquisitionDateTime", _ACQUISITION_TIME),
)
#: Between the parts of a value that frames are sorted by.
PARTS = " / "
#: More rows or columns than this has no scanner.
MAX_MATRIX = 16384


@dataclass(frozen=True, eq=False)
class Plane:
    """One slice.

    Attributes:
        header: The file that holds it.
        frame: Its number in the file from 0; None for a file of one frame.
        rows: Number of rows (y).
        columns: Number of columns (x).
        position_mm: LPS position of the centre of the first pixel; None when the file does not say it.
        orientation: Cosines of the row direction and of the column direction; None when the file does not say it.
        spacing_mm: Distance between rows (y), distance between columns (x); None when the file does not say it.
        slope: Rescale slope of this slice.
        intercept: Rescale intercept of this slice.
        separating: Values that separate volumes, by the name that a message gives them.
        framing: Values that separate the frames of a time series.
        missing: Names of the geometry tags that are absent.
    """

    header: Header
    frame: int | None
    rows: int
    columns: int
    position_mm: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing_mm: tuple[float, ...] | None
    slope: float = 1.0
    intercept: float = 0.0
    separating: Mapping[str, Any] = field(default_factory=dict)
    framing: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def single_plane(header: Header) -> Plane:
    """The plane of a file with one frame.

    Raises:
        InputError: a tag is there but malformed.
    """
    position = header.numbers("ImagePositionPatient", 3) or None
    orientation = header.numbers("ImageOrientationPatient", 6) or None
    spacing = header.numbers("PixelSpacing", 2) or None
    missing = tuple(
        name
        for name, value in (
            ("Image Position (Patient) (0020,0032)", position),
            ("Image Orientation (Patient) (0020,0037)", orientation),
            ("Pixel Spacing (0028,0030)", spacing),
        )
        if value is None
    )
    rows, columns = matrix_of(header)
    slope, intercept = rescale_of(header)
    return Plane(
        header=header,
        frame=None,
        rows=rows,
        columns=columns,
        position_mm=position,
        orientation=orientation,
        spacing_mm=spacing,
        slope=slope,
        intercept=intercept,
        separating={"image type": header.texts("ImageType"), **_numbers_of(header, _SEPARATING), **colour_of(header)},
        framing=_texts_of(header),
        missing=missing,
    )


def matrix_of(header: Header) -> tuple[int, int]:
    """Rows and columns.

    Raises:
        InputError: one of them is absent or zero.
    """
    rows, columns = header.count("Rows"), header.count("Columns")
    if not rows or not columns:
        raise InputError(
            f"The image {header.shown} has {rows} rows and {columns} columns; expected at least one of each. "
            "Export the series again."
        )
    if max(rows, columns) > MAX_MATRIX:
        raise InputError(
            f"The image {header.shown} has {rows} rows and {columns} columns; expected at most {MAX_MATRIX} of each. "
            "The header is damaged, or it is no slice of a patient."
        )
    return rows, columns


def rescale_of(header: Header) -> tuple[float, float]:
    """Rescale slope and intercept; 1 and 0 where they are absent.

    Raises:
        InputError: the slope is 0.
    """
    slope, intercept = header.number("RescaleSlope"), header.number("RescaleIntercept")
    if slope == 0:
        raise header.wrong("RescaleSlope", "is 0", "a slope that is not 0")
    return 1.0 if slope is None else slope, intercept or 0.0


def colour_of(header: Header) -> dict[str, Any]:
    """Whether the pixels are grey or colour, as a value that separates volumes."""
    return {"pixels": "colour" if is_colour(header) else "grey"}


def is_colour(header: Header) -> bool:
    """Whether the pixels are colours, or numbers of colours in a palette."""
    return (header.count("SamplesPerPixel") or 1) > 1 or is_palette(header)


def is_palette(header: Header) -> bool:
    """Whether the pixels are numbers of colours in a palette.

    In nuclear medicine they are counts, and the palette only the way to show them (PS3.3 C.8.4.8).
    """
    counts = header.text("SOPClassUID") == NUCLEAR_MEDICINE
    return header.text("PhotometricInterpretation") == "PALETTE COLOR" and not counts


def file_order(header: Header) -> str:
    """What tells files of many frames at one place apart, and sorts them: acquisition, Instance Number, UID digest."""
    parts = _acquired(header), header.text("InstanceNumber"), uid_digest(header.text("SOPInstanceUID"))
    return PARTS.join(parts)


def _acquired(header: Header) -> str:
    """Date and time of the acquisition as far as stated: times without their dates would sort wrong past midnight."""
    hour = header.text("AcquisitionTime")
    return header.text("AcquisitionDate") + hour if hour else header.text("AcquisitionDateTime")


def _numbers_of(header: Header, attributes: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    return {name: header.number(keyword) for keyword, name in attributes}


def _texts_of(header: Header) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for keyword, name in _FRAMING:
        text = header.text(keyword)
        if text:
            found.setdefault(name, _acquired(header) if name == _ACQUISITION_TIME else text)
    return found

"""The header that all DICOM objects made from a fusion share (PS3.3 A.8, C.7, C.8.6)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import TYPE_CHECKING, Any

from upfusion_med import __version__
from upfusion_med.core import NOT_FOR_DIAGNOSTIC_USE, InputError, UsageError
from upfusion_med.io.dicom.source_study import SliceReference, SourceStudy, new_source_study, new_uid
from upfusion_med.io.dicom.study_elements import clean_text
from upfusion_med.io.slice_stack import SliceStack

if TYPE_CHECKING:
    from pydicom import Dataset

#: Series numbers of fused series begin here, far from those that scanners give.
FIRST_SERIES_NUMBER = 9001
MANUFACTURER = "UP-Fusion Med"
_SEPARATOR = " - "
_LONG_STRING = 64
#: Integer String (PS3.5 table 6.2-1).
_LARGEST_INTEGER = 2**31 - 1


@dataclass(frozen=True)
class FusedSeries:
    """The new series that a fusion makes in the study of its MRI.

    Attributes:
        study: Series of the MRI.
        functional: Series of the functional image, or None.
        stack: The slices to be written.
        description: What the series shows, in short; the notice is added.
        derivation: How it was made.
        number: Series number.
        burned_in: Whether a note was drawn into the pixels.
        made: When it was made.
        uid: Series Instance UID.
    """

    study: SourceStudy
    functional: SourceStudy | None
    stack: SliceStack
    description: str
    derivation: str
    number: int
    burned_in: bool = False
    made: datetime = field(default_factory=datetime.now)
    uid: str = field(default_factory=new_uid)

    def header(self, sop_class_uid: str) -> Dataset:
        """A data set with everything but the instance's own UID, number, place and pixels."""
        from pydicom import Dataset

        header = Dataset()
        header.SpecificCharacterSet = "ISO_IR 192"
        header.SOPClassUID = sop_class_uid
        for keyword, value in self.study.elements.items():
            setattr(header, keyword, value)
        header.StudyInstanceUID = self.study.study_instance_uid
        header.SeriesInstanceUID = self.uid
        header.SeriesNumber = self.number
        header.Modality = "OT"
        header.SeriesDescription = series_description(self.description)
        header.FrameOfReferenceUID = self.study.frame_of_reference_uid
        self._put_dates(header)
        self._put_equipment(header)
        self._put_image(header)
        return header

    def references(self, number: int) -> list[SliceReference]:
        """The slices of the MRI and of the functional image that one slice was made from."""
        found = list(self.study.near(self.stack, number))
        if self.functional is not None:
            same = self.functional.frame_of_reference_uid == self.study.frame_of_reference_uid
            found.extend(self.functional.near(self.stack, number, in_same_space=same))
        return found

    @property
    def thickness_mm(self) -> float:
        """Slice Thickness: that of the MRI where its slices are kept, else the distance between slices."""
        step = self.stack.spacing_mm[2]
        return self.study.thickness_mm or step if self.study.has_planes_of(self.stack) else step

    def _put_dates(self, header: Dataset) -> None:
        date, time = self.made.strftime("%Y%m%d"), self.made.strftime("%H%M%S")
        for name in ("InstanceCreation", "Series", "Content"):
            setattr(header, f"{name}Date", date)
            setattr(header, f"{name}Time", time)
        if not self.study.slices and not header.StudyDate:
            header.StudyDate, header.StudyTime = date, time

    @staticmethod
    def _put_equipment(header: Dataset) -> None:
        header.Manufacturer = header.ManufacturerModelName = MANUFACTURER
        header.SoftwareVersions = __version__

    def _put_image(self, header: Dataset) -> None:
        header.ImageType = ["DERIVED", "SECONDARY"]
        header.PatientOrientation = ""
        header.BurnedInAnnotation = "YES" if self.burned_in else "NO"
        header.ImageComments = f"{NOT_FOR_DIAGNOSTIC_USE}. A fused image; its colours are not measured values."
        header.DerivationDescription = clean_text("DerivationDescription", self.derivation)
        losses = [s.lossy for s in (self.study, self.functional) if s is not None and s.lossy is not None]
        header.LossyImageCompression = "01" if losses else "00"
        ratio, method = losses[0] if losses else ("", "")
        if ratio:
            header.LossyImageCompressionRatio = ratio
        if method:
            header.LossyImageCompressionMethod = method


def fused_series(
    stack: SliceStack,
    study: SourceStudy | None,
    functional: SourceStudy | None,
    *,
    description: str,
    derivation: str,
    series_number: int | None,
    first_number: int = FIRST_SERIES_NUMBER,
    burned_in: bool = False,
) -> FusedSeries:
    """The new series, with defaults for what was not given.

    Raises:
        InputError: the two series are of different patients.
        UsageError: the series number is none that DICOM can hold.
    """
    if series_number is not None and not 1 <= series_number <= _LARGEST_INTEGER:
        raise UsageError(f"The series number is {series_number}; expected 1 to {_LARGEST_INTEGER}.")
    study = study or new_source_study()
    if functional is not None and not study.is_same_patient(functional):
        raise InputError(
            "The MRI and the functional series are of different patients by Patient ID (0010,0020) or, where one has "
            "none, by Patient's Name (0010,0010) or Birth Date (0010,0030); expected one patient. "
            "Fuse images of one patient, or write the output without a reference to the functional series."
        )
    kinds = " + ".join(s.modality for s in (study, functional) if s is not None and s.modality)
    used = study.series_numbers | (functional.series_numbers if functional is not None else frozenset())
    free = next(number for number in count(first_number) if number not in used)
    return FusedSeries(
        study=study,
        functional=functional,
        stack=stack,
        description=description or f"Fused {kinds}".strip(),
        derivation=derivation or f"Fused{f' from {kinds}' if kinds else ''} by {MANUFACTURER} {__version__}",
        number=free if series_number is None else series_number,
        burned_in=burned_in,
    )


def series_description(text: str) -> str:
    """A description that ends in the notice and fits into 64 characters (LO)."""
    room = _LONG_STRING - len(NOT_FOR_DIAGNOSTIC_USE) - len(_SEPARATOR)
    return clean_text("SeriesDescription", text)[:room].rstrip() + _SEPARATOR + NOT_FOR_DIAGNOSTIC_USE


def source_items(references: Iterable[SliceReference]) -> list[Dataset]:
    """The items of a Source Image Sequence (0008,2112); frames of one file are put into one item."""
    frames: dict[tuple[str, str], list[int]] = {}
    for reference in references:
        of_file = frames.setdefault((reference.sop_class_uid, reference.sop_instance_uid), [])
        if reference.frame is not None:
            of_file.append(reference.frame)
    items = []
    for (sop_class, instance), numbers in frames.items():
        item = dataset(
            ReferencedSOPClassUID=sop_class,
            ReferencedSOPInstanceUID=instance,
            PurposeOfReferenceCodeSequence=[code("121322", "DCM", "Source image for image processing operation")],
        )
        if numbers:
            item.ReferencedFrameNumber = numbers
        items.append(item)
    return items


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """An item of a code sequence (PS3.3 8.8)."""
    return dataset(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def dataset(**elements: Any) -> Dataset:
    """A data set from keywords and values."""
    from pydicom import Dataset

    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def decimals(values: Iterable[float]) -> list[str]:
    """Numbers as Decimal Strings: the most digits that 16 characters hold (PS3.5 table 6.2-1)."""
    from pydicom.valuerep import format_number_as_ds

    return [format_number_as_ds(float(value) + 0.0) for value in values]

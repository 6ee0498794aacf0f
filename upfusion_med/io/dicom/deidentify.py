"""De-identification of fused objects by the Basic Profile of PS3.15 annex E with the Clean Descriptors Option.

Every element that a fused object may hold has its line here; whatever has none is removed, so nothing passes by being
forgotten. Pixels are not changed: a face can be rebuilt from the slices of a head.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

from upfusion_med import __version__
from upfusion_med.core import NOT_FOR_DIAGNOSTIC_USE, UsageError
from upfusion_med.io.dicom.fused_header import MANUFACTURER, code, dataset
from upfusion_med.io.dicom.study_elements import clean_text

if TYPE_CHECKING:
    from pydicom import DataElement, Dataset

#: Action U: another UID, the same one wherever it stands.
REMADE_UIDS = frozenset(
    {
        "SOPInstanceUID",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "FrameOfReferenceUID",
        "DimensionOrganizationUID",
    }
)
#: Actions Z, D and C: what stands there instead. Dates that must not be empty get one that no study has.
REPLACED = {
    "PatientBirthDate": "",
    "PatientSex": "",
    "StudyDate": "",
    "StudyTime": "",
    "ReferringPhysicianName": "",
    "StudyID": "",
    "AccessionNumber": "",
    "PositionReferenceIndicator": "",
    "ContentDate": "19000101",
    "ContentTime": "000000",
    "DeviceSerialNumber": "0",
    "SeriesDescription": f"Fused image - {NOT_FOR_DIAGNOSTIC_USE}",
    "ImageComments": f"{NOT_FOR_DIAGNOSTIC_USE}.",
    "ContentDescription": NOT_FOR_DIAGNOSTIC_USE,
}
#: The pseudonym stands here.
PSEUDONYMOUS = frozenset({"PatientName", "PatientID"})
_KEPT = """
SpecificCharacterSet ImageType SOPClassUID Modality ConversionType Manufacturer ManufacturerModelName SoftwareVersions
BodyPartExamined Laterality ImageLaterality SliceThickness SpacingBetweenSlices SecondaryCaptureDeviceManufacturer
SecondaryCaptureDeviceManufacturerModelName SecondaryCaptureDeviceSoftwareVersions SeriesNumber InstanceNumber
PatientOrientation ImagePositionPatient ImageOrientationPatient SamplesPerPixel PhotometricInterpretation
PlanarConfiguration Rows Columns PixelSpacing BitsAllocated BitsStored HighBit PixelRepresentation BurnedInAnnotation
LossyImageCompression LossyImageCompressionRatio LossyImageCompressionMethod PixelData FloatPixelData NumberOfFrames
FrameIncrementPointer SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence PlaneOrientationSequence
PixelMeasuresSequence PlanePositionSequence PixelPresentation ContentQualification DimensionOrganizationSequence
DimensionIndexSequence DimensionIndexPointer FunctionalGroupPointer DimensionDescriptionLabel
DimensionOrganizationType RecognizableVisualFeatures ContentLabel PresentationLUTShape FrameVOILUTSequence
WindowCenter WindowWidth PixelValueTransformationSequence RescaleIntercept RescaleSlope RescaleType
ParametricMapFrameTypeSequence FrameType RealWorldValueMappingSequence LUTExplanation LUTLabel
MeasurementUnitsCodeSequence CodeValue CodingSchemeDesignator CodeMeaning DoubleFloatRealWorldValueLastValueMapped
DoubleFloatRealWorldValueFirstValueMapped RealWorldValueIntercept RealWorldValueSlope FrameContentSequence
DimensionIndexValues
"""
#: Kept: elements without a line in table E.1-1, with values that this package or highdicom sets, and geometry.
KEPT = frozenset(_KEPT.split())
#: Empty in every fused object and there only because it must be (Type 2); its content would be about the patient.
_EMPTY_SEQUENCES = frozenset({"AcquisitionContextSequence"})


class Deidentifier:
    """Removes what identifies the patient from the objects of one study, the same way in each.

    One instance gives equal UIDs and one pseudonym to everything that it sees; references to the source images are
    removed, so that the way back is closed. Use one instance for all outputs of a study.

    Attributes:
        pseudonym: Stands for name and ID; None: made from the Patient ID and the key.
    """

    def __init__(self, pseudonym: str | None = None, *, key: str | None = None) -> None:
        """Choose the names that stand for the true ones.

        Args:
            pseudonym: Stands for the patient's name and ID, at most 64 characters.
            key: A secret; the same key gives the same UIDs and pseudonyms again. None: they come once and never again.

        Raises:
            UsageError: the pseudonym is empty, too long, or holds a character with a meaning in DICOM.
        """
        if pseudonym is not None and (
            not pseudonym or clean_text("PatientID", pseudonym) != pseudonym or set(pseudonym) & set("^=")
        ):
            raise UsageError(
                f"The pseudonym has {len(pseudonym)} characters or special ones among them; expected 1 to 64 "
                "characters other than backslash, ^ and =."
            )
        self.pseudonym = pseudonym
        self._key = secrets.token_bytes(32) if key is None else key.encode()

    def deidentified(self, image: Dataset) -> Dataset:
        """A copy of a data set without what identifies the patient; see PS3.15 table E.1-1."""
        clean = self._cleaned(image)
        clean.PatientIdentityRemoved = "YES"
        clean.DeidentificationMethod = f"PS3.15 Basic Profile, Clean Descriptors; {MANUFACTURER} {__version__}"
        clean.DeidentificationMethodCodeSequence = [
            code("113100", "DCM", "Basic Application Confidentiality Profile"),
            code("113105", "DCM", "Clean Descriptors Option"),
        ]
        clean.LongitudinalTemporalInformationModified = "REMOVED"
        return clean

    def _cleaned(self, image: Dataset) -> Dataset:
        clean = dataset()
        for element in image:
            keyword = element.keyword
            if keyword in REPLACED:
                setattr(clean, keyword, REPLACED[keyword])
            elif keyword in PSEUDONYMOUS:
                setattr(clean, keyword, self._pseudonym_of(str(image.get("PatientID", ""))))
            elif keyword in REMADE_UIDS:
                setattr(clean, keyword, self._uid(str(element.value)))
            elif keyword in _EMPTY_SEQUENCES:
                setattr(clean, keyword, [])
            elif keyword in KEPT:
                clean.add(self._cleaned_element(element))
        return clean

    def _cleaned_element(self, element: DataElement) -> DataElement:
        from pydicom import DataElement

        if element.VR != "SQ":
            return element
        return DataElement(element.tag, "SQ", [self._cleaned(item) for item in element.value])

    def _uid(self, uid: str) -> str:
        """A UID of the kind that comes from a UUID (PS3.5 B.2), by the old one and the key."""
        return f"2.25.{int.from_bytes(self._digest('uid', uid)[:16], 'big')}"

    def _pseudonym_of(self, patient_id: str) -> str:
        return self.pseudonym or f"ANON-{self._digest('patient', patient_id).hex()[:10].upper()}"

    def _digest(self, kind: str, text: str) -> bytes:
        return hmac.new(self._key, f"{kind}:{text}".encode(), hashlib.sha256).digest()

"""Small DICOM series whose every voxel says where it lies: value = 2x + 3y + 5z of its LPS position in mm."""

from __future__ import annotations

import copy
import zipfile
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

MR, CT, PT, NM = (f"1.2.840.10008.5.1.4.1.1.{n}" for n in ("4", "2", "128", "20"))
ENHANCED_MR, ENHANCED_CT, ENHANCED_PT = (f"1.2.840.10008.5.1.4.1.1.{n}" for n in ("4.1", "2.1", "130"))
CAPTURE, REPORT = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.88.11"
MODALITY = {MR: "MR", CT: "CT", PT: "PT", NM: "NM", ENHANCED_MR: "MR", ENHANCED_CT: "CT", ENHANCED_PT: "PT"}

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
ORIGIN = (-7.0, -5.0, 20.0)
ROWS, COLUMNS, SLICES = 6, 8, 5
SLOPE = 0.1

PATIENT_FACTS = ("HIDDEN^PERSON", "HIDDEN-ID-77", "19510203")


def uid(*sources: object) -> str:
    return generate_uid(entropy_srcs=[str(s) for s in sources])


def truth(xyz):
    return 2 * xyz[0] + 3 * xyz[1] + 5 * xyz[2]


def plane_pixels(position, orientation=AXIAL, spacing=(1.5, 1.25), rows=ROWS, columns=COLUMNS):
    """Stored values (rows, columns) with slope 0.1; spacing = (between rows, between columns)."""
    r, c = np.mgrid[0:rows, 0:columns]
    place = np.asarray(position)[:, None, None]
    place = place + np.asarray(orientation[:3])[:, None, None] * (c * spacing[1])
    place = place + np.asarray(orientation[3:])[:, None, None] * (r * spacing[0])
    return np.rint(truth(place) / SLOPE).astype("<i2")


def dataset(sop: str = MR, number: int = 0, series: str = "a", study: str = "study") -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop, uid(series, number, sop)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    d.SOPClassUID, d.SOPInstanceUID = sop, meta.MediaStorageSOPInstanceUID
    d.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    d.Modality = MODALITY.get(sop, "OT")
    d.PatientName, d.PatientID, d.PatientBirthDate = PATIENT_FACTS
    d.StudyInstanceUID, d.SeriesInstanceUID = uid(study), uid(study, series)
    d.FrameOfReferenceUID = uid(study, "frame of reference")
    d.SeriesNumber, d.InstanceNumber, d.SeriesDescription = 1, number + 1, f"phantom {series}"
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
    d.Rows, d.Columns = ROWS, COLUMNS
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 16, 15, 1
    d.RescaleIntercept, d.RescaleSlope = 0, SLOPE
    return d


def slices(
    *,
    sop: str = MR,
    series: str = "a",
    positions=None,
    step=(0.0, 0.0, 3.0),
    orientation=AXIAL,
    spacing=(1.5, 1.25),
    tweak=None,
):
    """The data sets of a series of single-frame files."""
    if positions is None:
        positions = [np.add(ORIGIN, np.multiply(step, k)) for k in range(SLICES)]
    made = []
    for k, position in enumerate(positions):
        d = dataset(sop, k, series)
        d.ImagePositionPatient = [ds(v) for v in position]
        d.ImageOrientationPatient = [ds(v) for v in orientation]
        d.PixelSpacing = [ds(v) for v in spacing]
        d.PixelData = plane_pixels(position, orientation, spacing).tobytes()
        if tweak is not None:
            tweak(d, k)
        made.append(d)
    return made


def ds(value: float) -> str:
    """A number as DICOM may write it, at most 16 characters."""
    text = f"{float(value):.10g}"
    return text if len(text) <= 16 else f"{float(value):.8g}"


def write(folder: Path, datasets, names=None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for k, d in enumerate(datasets):
        d.save_as(folder / (names[k] if names else f"{k:03d}.dcm"), enforce_file_format=True)
    return folder


def enhanced(sop: str = ENHANCED_MR, order=(4, 1, 0, 3, 2), orientation=AXIAL, spacing=(1.5, 1.25), step=(0, 0, 3.3)):
    """A multi-frame file with functional groups, frames out of order."""
    d = dataset(sop)
    del d.RescaleSlope, d.RescaleIntercept
    shared = Dataset()
    shared.PlaneOrientationSequence = [item(ImageOrientationPatient=[ds(v) for v in orientation])]
    shared.PixelMeasuresSequence = [item(PixelSpacing=[ds(v) for v in spacing], SliceThickness=9)]
    shared.PixelValueTransformationSequence = [item(RescaleIntercept=0, RescaleSlope=SLOPE, RescaleType="US")]
    d.SharedFunctionalGroupsSequence = [shared]
    frames, pixels = [], []
    for k in order:
        position = np.add(ORIGIN, np.multiply(step, k))
        frame = Dataset()
        frame.PlanePositionSequence = [item(ImagePositionPatient=[ds(v) for v in position])]
        frame.FrameContentSequence = [item(StackID="1", InStackPositionNumber=k + 1)]
        frames.append(frame)
        pixels.append(plane_pixels(position, orientation, spacing))
    d.PerFrameFunctionalGroupsSequence = frames
    d.NumberOfFrames = len(frames)
    d.PixelData = np.stack(pixels).tobytes()
    return d


def nuclear(step_mm: float = 4.4, slice_vector=None, count: int = SLICES):
    """A reconstructed SPECT in one multi-frame file."""
    d = dataset(NM)
    d.ImageType = ["ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"]
    vector = list(slice_vector or range(1, count + 1))
    d.DetectorInformationSequence = [
        item(ImagePositionPatient=[ds(v) for v in ORIGIN], ImageOrientationPatient=[ds(v) for v in AXIAL])
    ]
    d.NumberOfFrames, d.SliceVector = len(vector), vector
    d.PixelSpacing, d.SpacingBetweenSlices = [1.5, 1.25], step_mm
    places = [np.add(ORIGIN, (0, 0, step_mm * (k - vector[0]))) for k in vector]
    d.PixelData = np.stack([plane_pixels(place) for place in places]).tobytes()
    return d


def item(**tags) -> Dataset:
    made = Dataset()
    for name, value in tags.items():
        setattr(made, name, value)
    return made


def pet_tags(d, k: int = 0) -> None:
    """The tags of a PET slice in Bq/ml, corrected to the scan start one hour after the injection."""
    d.Units, d.DecayCorrection, d.CorrectedImage = "BQML", "START", ["ATTN", "DECY", "SCAT"]
    d.PatientWeight, d.PatientSize, d.PatientSex = 70, 1.75, "F"
    d.SeriesDate = d.AcquisitionDate = "20250304"
    d.SeriesTime = d.AcquisitionTime = "100000"
    d.ActualFrameDuration, d.FrameReferenceTime = 180000, 0
    d.Manufacturer = "SYNTHETIC"
    d.RadiopharmaceuticalInformationSequence = [
        item(
            RadiopharmaceuticalStartTime="090000",
            RadiopharmaceuticalStartDateTime="20250304090000",
            RadionuclideTotalDose=370e6,
            RadionuclideHalfLife=6586.2,
            RadionuclideCodeSequence=[item(CodeValue="C-111A1", CodingSchemeDesignator="SRT")],
        )
    ]


def pet_slices(tweak=None, **kwargs):
    def both(d, k):
        pet_tags(d, k)
        if tweak is not None:
            tweak(d, k)

    return slices(sop=PT, tweak=both, **kwargs)


def place_error(volume) -> float:
    """Largest difference between the values and what their places say."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine
    index = np.stack(np.indices(volume.array.shape), axis=0).reshape(3, -1)
    places = lps[:3, :3] @ index + lps[:3, 3:]
    return float(np.abs(volume.array.reshape(-1) - truth(places)).max())


def copied(datasets):
    return [copy.deepcopy(d) for d in datasets]


def zipped(folder: Path, members: dict[str, bytes]) -> Path:
    """``study.zip`` in a folder, of contents by their names."""
    target = folder / "study.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive_file:
        for name, content in members.items():
            archive_file.writestr(name, content)
    return target

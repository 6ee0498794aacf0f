"""What the SOP class of an image says about its kind (PS3.4 annex B.5)."""

from __future__ import annotations

from upfusion_med.core import Modality
from upfusion_med.io.dicom.header import Header

_STORAGE = "1.2.840.10008.5.1.4.1.1."
NUCLEAR_MEDICINE = _STORAGE + "20"
PET = _STORAGE + "128"
SEGMENTATION = _STORAGE + "66.4"
RT_DOSE = _STORAGE + "481.2"

_MODALITIES = {
    _STORAGE + "4": (Modality.MR, "MR"),
    _STORAGE + "4.1": (Modality.MR, "MR"),
    _STORAGE + "4.4": (Modality.MR, "MR"),
    _STORAGE + "2": (Modality.CT, "CT"),
    _STORAGE + "2.1": (Modality.CT, "CT"),
    _STORAGE + "2.2": (Modality.CT, "CT"),
    PET: (Modality.PET, "PT"),
    _STORAGE + "128.1": (Modality.PET, "PT"),
    _STORAGE + "130": (Modality.PET, "PT"),
    NUCLEAR_MEDICINE: (Modality.SPECT, "NM"),
}


def is_secondary_capture(header: Header) -> bool:
    """Whether it is a Secondary Capture of any of the five kinds: a picture, whatever its Modality says."""
    uid = header.text("SOPClassUID")
    return uid == _STORAGE + "7" or uid.startswith(_STORAGE + "7.")


def modality_of(header: Header) -> tuple[Modality, str]:
    """The modality by SOP class and Modality tag together, and a warning when they disagree (else empty)."""
    stated = header.text("Modality").upper()
    modality, tag = _MODALITIES.get(header.text("SOPClassUID"), (Modality.UNKNOWN, ""))
    if modality is not Modality.UNKNOWN and stated != tag:
        return (
            Modality.UNKNOWN,
            f"Modality (0008,0060) says '{stated}' but the SOP class is one of {tag}; the modality was left open.",
        )
    if modality is Modality.UNKNOWN and stated in {tag for _, tag in _MODALITIES.values()}:
        return (
            Modality.UNKNOWN,
            f"Modality (0008,0060) says '{stated}' but the SOP class is none of its image classes; "
            "the modality was left open.",
        )
    return modality, ""

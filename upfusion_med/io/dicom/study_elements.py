"""The elements of a study that its derived images repeat: patient, study, body part; only valid values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upfusion_med.io.dicom.quiet import quiet

if TYPE_CHECKING:
    from pydicom import Dataset

#: Elements that an image must have, be they empty (Type 2 of the modules Patient, General Study, Frame of Reference).
REQUIRED = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
    "PositionReferenceIndicator",
)
#: Elements that are repeated where they say something (Type 3).
OPTIONAL = (
    "IssuerOfPatientID",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "StudyDescription",
    "BodyPartExamined",
    "LongitudinalTemporalInformationModified",
)
#: Read beside the above, and written in another form.
_LATERALITY = ("Laterality", "ImageLaterality")
_METHOD_CODES = "DeidentificationMethodCodeSequence"
#: An identifier that is cut short is another one, so these are left empty when they are too long.
_IDENTIFIERS = ("PatientID", "IssuerOfPatientID", "AccessionNumber", "StudyID")
_ENUMERATED = {"PatientSex": ("M", "F", "O"), "PatientIdentityRemoved": ("YES", "NO")}
#: Longest value in characters (PS3.5 table 6.2-1).
_LONGEST = {"SH": 16, "LO": 64, "CS": 16, "ST": 1024, "LT": 10240}
_PERSON_NAME_GROUP = 64
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_UNPAIRED_PARTS = """
ABDOMEN ABDOMENPELVIS AORTA BACK BLADDER BRAIN CEREBELLUM CERVIX CHEST CHESTABDPELVIS CIRCLEOFWILLIS COCCYX COLON
CSPINE CTSPINE DUODENUM ESOPHAGUS FACE GALLBLADDER HEAD HEADNECK HEART JAW LARYNX LIVER LSPINE LSSPINE MEDIASTINUM
NECK NECKCHEST NECKCHESTABDOMEN NECKCHESTABDPELV PANCREAS PELVIS PHARYNX PROSTATE RECTUM SKULL SPINE SPLEEN SSPINE
STERNUM STOMACH THYMUS THYROID TLSPINE TONGUE TRACHEA TSPINE UTERUS WHOLEBODY
"""
#: Body parts without a left and a right (PS3.16 annex L), for which Laterality must be absent.
_UNPAIRED = frozenset(_UNPAIRED_PARTS.split())


def raw_elements(path: Path, *more: str) -> dict[str, Any]:
    """The values of a file that `clean_elements` looks at, and of ``more`` keywords; absent ones are left out."""
    import pydicom

    wanted = [*REQUIRED, *OPTIONAL, *_LATERALITY, _METHOD_CODES, *more]
    with quiet():
        tags: list[Any] = [*wanted, "SpecificCharacterSet"]
        dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=tags)
        return {keyword: value for keyword in wanted if (value := _value(dataset, keyword)) is not None}


def clean_elements(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Valid elements by keyword; required ones that are absent or invalid are empty text.

    Args:
        raw: Values by keyword, of any type and length.
    """
    with quiet():
        elements: dict[str, Any] = {keyword: clean_text(keyword, raw.get(keyword)) for keyword in REQUIRED}
        elements |= {keyword: text for keyword in OPTIONAL if (text := clean_text(keyword, raw.get(keyword)))}
        sides = (clean_text(keyword, raw.get(keyword)) for keyword in _LATERALITY)
        elements |= _laterality(elements.get("BodyPartExamined", ""), *sides)
        codes = _codes(raw.get(_METHOD_CODES))
    return elements | ({_METHOD_CODES: codes} if codes else {})


def _value(dataset: Dataset, keyword: str) -> Any:
    try:
        return dataset.get(keyword)
    except Exception:  # the parser raises what it likes on a damaged element, and such an element is not repeated
        return None


def clean_text(keyword: str, value: Any) -> str:
    """A valid single value as text; empty when there is none that is valid."""
    from pydicom.config import RAISE
    from pydicom.datadict import dictionary_VR
    from pydicom.multival import MultiValue
    from pydicom.valuerep import validate_value

    if value is None:
        return ""
    vr = dictionary_VR(keyword)
    parts = [str(part) for part in value] if isinstance(value, MultiValue | list | tuple) else [str(value)]
    if len(parts) > 1 and (keyword in _IDENTIFIERS or vr == "PN"):
        return ""
    text = _CONTROL.sub(" ", "; ".join(parts).replace("\\", "/")).strip()
    if vr == "PN":
        text = "=".join(group[:_PERSON_NAME_GROUP] for group in text.split("=")[:3])
    elif len(text) > _LONGEST.get(vr, len(text)):
        text = "" if keyword in _IDENTIFIERS or vr == "CS" else text[: _LONGEST[vr]].rstrip()
    try:
        validate_value(vr, text, RAISE)
    except ValueError:
        return ""
    return text if text in _ENUMERATED.get(keyword, (text,)) else ""


def _laterality(body_part: str, series: str, image: str) -> dict[str, str]:
    """The element that says which side was examined.

    Laterality of the series is an error beside an unpaired body part and an error where it is absent beside a paired
    one; Image Laterality may state the side in every case (PS3.3 C.7.3.1, C.7.6.1).
    """
    side = image or series
    if side in ("R", "L", "U", "B"):
        return {"ImageLaterality": side}
    return {} if body_part in _UNPAIRED else {"Laterality": ""}


def _codes(sequence: Any) -> list[Dataset]:
    from pydicom import Dataset

    codes = []
    for item in sequence or ():
        texts = {k: clean_text(k, _value(item, k)) for k in ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")}
        if all(texts.values()):
            code = Dataset()
            for keyword, text in texts.items():
                setattr(code, keyword, text)
            codes.append(code)
    return codes

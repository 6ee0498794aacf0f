"""What a volume of the scene is: its modality and its units, and how that is known."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

import slicer
from slicer.i18n import tr as _

SUV, ACTIVITY, HOUNSFIELD, UNKNOWN_UNITS = "SUVbw", "Bq/mL", "HU", ""
_UNITS_TAG, _MODALITY_TAG, _FRAME_TAG = "0054,1001", "0008,0060", "0020,0052"
_WORDS = {"pet": "PET", "pt": "PET", "fdg": "PET", "suv": "PET", "spect": "SPECT", "nm": "SPECT", "ct": "CT"}
_MRI_WORDS = {"mr", "mri", "t1", "t1w", "t2", "t2w", "flair", "mprage", "spgr"}
_DICOM = {"PT": "PET", "NM": "SPECT", "CT": "CT", "MR": "MR"}
#: Air is -1000 HU; hardly an MRI, PET or SPECT value is as negative as this.
_AIR_BELOW = -200.0
#: Bone and metal in HU, in parts of the most negative value; uptake in Bq/mL has such values too, but goes higher.
_HOUNSFIELD_SPAN = 10.0


class Role(Enum):
    """What a volume can be in a fusion."""

    MRI = "mri"
    FUNCTIONAL = "functional"


@dataclass(frozen=True)
class Guess:
    """A modality (``MR``, ``PET``, ``SPECT``, ``CT``, or empty), how it is known, and what the volume can be."""

    modality: str
    how: str
    role: Role | None


def words_of(name: str) -> set[str]:
    """The words of a name, in small letters, without numbers that stand alone."""
    return {word for word in re.split(r"[^a-z0-9]+", name.lower()) if word}


def functional_modalities(name: str) -> set[str]:
    """The functional modalities that a name speaks of."""
    return {_WORDS[word] for word in words_of(name) if word in _WORDS}


def role_from_name(name: str) -> Role | None:
    """What a volume of that name can be, even where its name speaks of two functional modalities."""
    if functional_modalities(name):
        return Role.FUNCTIONAL
    return Role.MRI if words_of(name) & _MRI_WORDS else None


def guess_modality(volume: slicer.vtkMRMLScalarVolumeNode) -> Guess:
    """From DICOM, the volume's attributes, its units, its name, its values: the first that says something.

    A name with words of two functional modalities decides nothing, and none makes PET or SPECT of values like those of
    a CT.
    """
    dicom = _DICOM.get(_dicom_modality(volume), "")
    if dicom:
        return _guess(dicom, _("stated by DICOM"))
    stated = _DICOM.get((volume.GetAttribute("UPFusion.Modality") or "").upper(), "")
    if stated:
        return _guess(stated, _("stated by an attribute of the volume"))
    if units_of(volume) == SUV:
        return _guess("PET", _("its values are SUV"))
    name = volume.GetName() or ""
    lowest, highest = volume.GetImageData().GetScalarRange() if volume.GetImageData() else (0.0, 0.0)
    role = role_from_name(name)
    named = functional_modalities(name) or ({"MR"} if role is Role.MRI else set())
    surely_hounsfield = lowest <= _AIR_BELOW and highest <= -_HOUNSFIELD_SPAN * lowest
    if len(named) == 1 and not (named <= {"PET", "SPECT"} and surely_hounsfield):
        return _guess(named.pop(), _("guessed from its name"))
    if lowest <= _AIR_BELOW:
        return _guess("CT", _("guessed from its values"))
    return Guess("", _("unknown"), role)


def _guess(modality: str, how: str) -> Guess:
    return Guess(modality, how, Role.MRI if modality == "MR" else Role.FUNCTIONAL)


def units_of(volume: slicer.vtkMRMLScalarVolumeNode) -> str:
    """``SUVbw``, ``Bq/mL``, ``HU``, another unit as the volume states it, or empty where nothing is known.

    PET that was loaded through a plug-in for SUV carries the unit in the volume; other PET from DICOM states in its
    header what its stored values are.
    """
    entry = volume.GetVoxelValueUnits()
    code = (entry.GetCodeValue() or "") if entry is not None else ""
    stated = code or volume.GetAttribute("UPFusion.Units") or ""
    if "suvbw" in stated.lower():
        return SUV
    if stated.lower() in ("bq/ml", "bqml"):
        return ACTIVITY
    if stated.lower() in ("[hnsf'u]", "hu"):
        return HOUNSFIELD
    if stated:
        return stated
    return ACTIVITY if _dicom_value(volume, _UNITS_TAG) == "BQML" else UNKNOWN_UNITS


def first_instance_uid(volume: slicer.vtkMRMLVolumeNode) -> str:
    """UID of the first DICOM instance that the volume was loaded from, or empty."""
    return (volume.GetAttribute("DICOM.instanceUIDs") or "").split(" ")[0]


def frames_differ(first: slicer.vtkMRMLVolumeNode, second: slicer.vtkMRMLVolumeNode) -> bool:
    """Whether DICOM says that two volumes lie in different spaces, so that their positions do not belong together."""
    frames = [_dicom_value(volume, _FRAME_TAG) for volume in (first, second)]
    return all(frames) and frames[0] != frames[1]


def _dicom_modality(volume: slicer.vtkMRMLScalarVolumeNode) -> str:
    stated = volume.GetAttribute("DICOM.Modality")
    if stated:
        return stated
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    if hierarchy is not None:
        item = hierarchy.GetItemByDataNode(volume)
        if item and hierarchy.GetItemAttribute(item, "DICOM.Modality"):
            return hierarchy.GetItemAttribute(item, "DICOM.Modality")
    return _dicom_value(volume, _MODALITY_TAG)


def _dicom_value(volume: slicer.vtkMRMLVolumeNode, tag: str) -> str:
    database, uid = getattr(slicer, "dicomDatabase", None), first_instance_uid(volume)
    if database is None or not uid or not database.isOpen:
        return ""
    return database.instanceValue(uid, tag) or ""

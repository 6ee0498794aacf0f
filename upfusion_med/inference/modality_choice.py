"""What kind of image the functional one is, where nobody says so, and how that was found out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from upfusion_med.core import Modality, Volume

_WORDS = {
    "pet": Modality.PET,
    "pt": Modality.PET,
    "fdg": Modality.PET,
    "suv": Modality.PET,
    "spect": Modality.SPECT,
    "nm": Modality.SPECT,
    "ct": Modality.CT,
    "ir": Modality.INFRARED,
    "infrared": Modality.INFRARED,
    "thermal": Modality.INFRARED,
}
#: SPM writes what it resliced, normalised or smoothed under its name behind letters.
_WORDS |= {f"{done}{word}": _WORDS[word] for done in ("r", "w", "wr", "sw", "swr") for word in ("pet", "spect", "ct")}
#: These stand for a modality as a word of their own in a file's name only: "Pt01" is a patient.
_SHORT_WORDS = {"pt", "nm"}
#: A name with one of these is that of an MRI, whatever else it says ("t1_in_pet_space").
_MRI_WORDS = {"mr", "mri", "t1", "t1w", "t2", "t2w", "flair", "mprage"}
#: Air in Hounsfield units is −1000; hardly an MRI, PET or SPECT value is as negative as this.
_HOUNSFIELD_AIR = -200.0
#: Bone and metal in Hounsfield units, in parts of the most negative value. Some reconstructions of uptake in Bq/mL have
#: values below −200 too, small beside their largest.
_HOUNSFIELD_SPAN = 10.0


@dataclass(frozen=True)
class ModalityChoice:
    """A modality and the sentence that says why.

    Attributes:
        modality: What the functional image is taken for.
        reason: How that was found out.
        certain: False where it is a guess.
        doubt: What speaks against a modality that was stated, or nothing.
    """

    modality: Modality
    reason: str
    certain: bool
    doubt: str = ""


def choose_modality(stated: Modality | None, functional: Volume, path: Path | None) -> ModalityChoice:
    """Decide the modality of the functional image.

    In this order: the caller, the file (DICOM), a word in the file's name or in its folder's, colour, Hounsfield-like
    values. A name with words of two modalities decides nothing, and none makes PET or SPECT of Hounsfield-like values.
    A scalar volume without any of these is taken for uptake; a grey picture stays unknown and is shown in grey.
    """
    if stated is not None and stated is not Modality.UNKNOWN:
        return ModalityChoice(stated, "stated by the caller", True, _against(stated, functional))
    if functional.modality is not Modality.UNKNOWN:
        return ModalityChoice(functional.modality, "stated by the file", True)
    lowest, highest = float(functional.array.min()), float(functional.array.max())
    named = _named(path) if path is not None else None
    if named is not None and not (named.modality.is_emission and _surely_hounsfield(lowest, highest)):
        return named
    if functional.is_rgb:
        return ModalityChoice(Modality.PET, "guessed: a colour image is taken for pseudo-coloured uptake", False)
    if lowest <= _HOUNSFIELD_AIR:
        return ModalityChoice(Modality.CT, "guessed: values below -200 look like Hounsfield units", False)
    if functional.is_picture:
        return ModalityChoice(Modality.UNKNOWN, "a grey picture; shown in grey", False)
    return ModalityChoice(Modality.PET, "guessed: a scalar volume without values as in CT is taken for uptake", False)


def order_doubt(mri: Volume, mri_path: Path | None, functional_path: Path | None) -> str:
    """A warning where the first image's name says PET, SPECT, CT or infrared and that of the second nothing, or ""."""
    if mri_path is None or functional_path is None or mri.modality is not Modality.UNKNOWN:
        return ""
    if mri_path.parent == functional_path.parent:  # which says nothing about the one or the other
        mri_path, functional_path = Path(mri_path.name), Path(functional_path.name)
    words = re.split(r"[^a-z0-9]+", f"{mri_path.parent.name}/{mri_path.name}".lower())
    named = _named(mri_path)
    if named is None or _MRI_WORDS.intersection(words) or _named(functional_path) is not None:
        return ""
    first = "visible picture" if named.modality is Modality.INFRARED else "MRI"
    kind = named.reason.removeprefix("guessed from ")
    return f"The {first} comes first, but the first image has {kind}; check that the two are not swapped."


def _against(stated: Modality, functional: Volume) -> str:
    """What the file's header or its values say against ``stated``; an MRI may be shown as anything."""
    if functional.modality not in (stated, Modality.UNKNOWN, Modality.MR):
        return f"the file's header says {functional.modality.value.upper()}"
    lowest, highest = float(functional.array.min()), float(functional.array.max())
    if stated.is_emission and _surely_hounsfield(lowest, highest):
        return f"its values, {lowest:g} to {highest:g}, look like Hounsfield units"
    return ""


def _surely_hounsfield(lowest: float, highest: float) -> bool:
    return lowest <= _HOUNSFIELD_AIR and highest <= -_HOUNSFIELD_SPAN * lowest


def _named(path: Path) -> ModalityChoice | None:
    """What the name of the file says, or else that of its folder."""
    name, folder = path.name.lower(), path.parent.name.lower()
    whole = set(re.split(r"[^a-z0-9]+", name)) & _SHORT_WORDS
    for text, also, where in ((name, whole, "file name"), (folder, set(), "folder's name")):
        words = [w for w in re.split(r"[^a-z]+", text) if w in _WORDS and (w in also or w not in _SHORT_WORDS)]
        if len({_WORDS[word] for word in words}) == 1:
            return ModalityChoice(_WORDS[words[0]], f"guessed from '{words[0]}' in the {where}", False)
    return None

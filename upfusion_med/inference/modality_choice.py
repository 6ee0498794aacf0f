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
#: No MRI, PET or SPECT value is that negative; air in Hounsfield units is −1000.
_HOUNSFIELD_AIR = -200.0


@dataclass(frozen=True)
class ModalityChoice:
    """A modality and the sentence that says why; ``certain`` is False where it is a guess."""

    modality: Modality
    reason: str
    certain: bool


def choose_modality(stated: Modality | None, functional: Volume, path: Path | None) -> ModalityChoice:
    """Decide the modality of the functional image.

    In this order: the caller, the file (DICOM), the last two parts of the path, Hounsfield-like values, colour. A
    scalar volume without any of these is taken for uptake; a grey picture stays unknown and is shown in grey.
    """
    if stated is not None and stated is not Modality.UNKNOWN:
        return ModalityChoice(stated, "stated by the caller", True)
    if functional.modality is not Modality.UNKNOWN:
        return ModalityChoice(functional.modality, "stated by the file", True)
    if path is not None:
        for part in (path.name, path.parent.name):
            for word in re.split(r"[^a-z]+", part.lower()):
                if word in _WORDS:
                    return ModalityChoice(_WORDS[word], f"guessed from '{word}' in the file name", False)
    if functional.is_rgb:
        return ModalityChoice(Modality.PET, "guessed: a colour image is taken for pseudo-coloured uptake", False)
    if float(functional.array.min()) <= _HOUNSFIELD_AIR:
        return ModalityChoice(Modality.CT, "guessed: values below -200 look like Hounsfield units", False)
    if functional.is_picture:
        return ModalityChoice(Modality.UNKNOWN, "a grey picture; shown in grey", False)
    return ModalityChoice(Modality.PET, "guessed: a scalar volume without negative values is taken for uptake", False)

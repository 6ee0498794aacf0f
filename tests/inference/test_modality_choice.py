"""What a functional image is taken for, where nobody says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from upfusion_med.core import Modality, Volume
from upfusion_med.inference.modality_choice import choose_modality


def volume(lowest: float, highest: float, **kind: object) -> Volume:
    return Volume(np.array([lowest, highest], np.float32).reshape(2, 1, 1), np.eye(4), **kind)


@pytest.mark.parametrize(
    ("path", "values", "modality", "why"),
    [
        ("a/brain_pet.nii.gz", (0, 8), Modality.PET, "'pet' in the file name"),
        ("a/rest_NM.nii.gz", (0, 8), Modality.SPECT, "'nm' in the file name"),
        ("SPECT/brain.nii.gz", (0, 8), Modality.SPECT, "'spect' in the folder's name"),
        ("CT/brain.nii.gz", (0, 255), Modality.CT, "'ct' in the folder's name"),
        ("Pt01/brain.nii.gz", (0, 8), Modality.PET, "a scalar volume"),
        ("Pt01/brain.nii.gz", (-1000, 1100), Modality.CT, "look like Hounsfield units"),
        ("NM/head_bone.nii.gz", (-1000, 1100), Modality.CT, "look like Hounsfield units"),
        ("PET/head.nii.gz", (-1000, 1100), Modality.CT, "look like Hounsfield units"),
        ("a/head_pet.nii.gz", (-1000, 1100), Modality.CT, "look like Hounsfield units"),
        ("a/bqml_pet.nii.gz", (-500, 30000), Modality.PET, "'pet' in the file name"),
        ("a/CT_AC_PET.nii.gz", (0, 8), Modality.PET, "a scalar volume"),
        ("CT/CT_AC_PET.nii.gz", (0, 8), Modality.CT, "'ct' in the folder's name"),
        ("a/FDG_CT.nii.gz", (-1000, 1100), Modality.CT, "look like Hounsfield units"),
        ("a/fdg_pet.nii.gz", (0, 8), Modality.PET, "'fdg' in the file name"),
        ("a/b.nii.gz", (-3, 8), Modality.PET, "without values as in CT"),
    ],
)
def test_the_values_outweigh_the_name_and_the_name_outweighs_the_folder(path, values, modality, why):
    choice = choose_modality(None, volume(*values), Path(path))
    assert choice.modality is modality
    assert why in choice.reason
    assert not choice.certain


def test_a_grey_picture_of_a_numbered_patient_is_no_pet():
    picture = volume(0, 255, is_picture=True)
    assert choose_modality(None, picture, Path("a/pt01.png")).modality is Modality.UNKNOWN
    assert choose_modality(None, picture, Path("a/01_pt.png")).modality is Modality.PET

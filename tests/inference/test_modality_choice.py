"""What a functional image is taken for, where nobody says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from upfusion_med.core import Modality, Volume
from upfusion_med.inference.modality_choice import choose_modality, order_doubt


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
        ("a/rPET_coreg_to_CT.nii.gz", (0, 8), Modality.PET, "a scalar volume"),
        ("a/swrspect.nii", (0, 8), Modality.SPECT, "'swrspect' in the file name"),
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


@pytest.mark.parametrize(
    ("stated", "header", "values", "doubt"),
    [
        (Modality.PET, Modality.UNKNOWN, (-1000, 1100), "-1000 to 1100, look like Hounsfield units"),
        (Modality.SPECT, Modality.CT, (0, 8), "the file's header says CT"),
        (Modality.CT, Modality.PET, (0, 8), "the file's header says PET"),
        (Modality.PET, Modality.UNKNOWN, (-500, 30000), ""),
        (Modality.PET, Modality.MR, (0, 8), ""),
        (Modality.CT, Modality.CT, (-1000, 1100), ""),
    ],
)
def test_a_stated_modality_is_taken_and_what_speaks_against_it_is_said(stated, header, values, doubt):
    choice = choose_modality(stated, volume(*values, modality=header), None)
    assert choice.modality is stated and choice.certain
    assert doubt in choice.doubt and bool(doubt) == bool(choice.doubt)


@pytest.mark.parametrize(
    ("first", "second", "doubt"),
    [
        ("a/PET.nii.gz", "a/T1.nii.gz", "The MRI comes first, but the first image has 'pet' in the file name"),
        ("CT/41.png", "MRI/41.png", "'ct' in the folder's name"),
        ("ir/01.png", "vi/01.png", "The visible picture comes first, but the first image has 'ir'"),
        ("ct_mri_07/PET.nii.gz", "ct_mri_07/T1.nii.gz", "'pet' in the file name"),
        ("a/T1.nii.gz", "a/PET.nii.gz", ""),
        ("a/t1_in_pet_space.nii.gz", "a/mibi.nii.gz", ""),
        ("fdg_study/head.nii.gz", "fdg_study/uptake.nii.gz", ""),
        ("a/CT.nii.gz", "a/PET.nii.gz", ""),
        (None, "a/PET.nii.gz", ""),
    ],
)
def test_names_tell_that_two_images_are_swapped(first, second, doubt):
    said = order_doubt(volume(0, 8), first and Path(first), Path(second))
    assert doubt in said and bool(doubt) == bool(said)
    assert order_doubt(volume(0, 8, modality=Modality.MR), first and Path(first), Path(second)) == ""

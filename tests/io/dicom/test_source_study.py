from __future__ import annotations

import numpy as np
import pydicom
import pytest

from tests.io import dicom_phantom as phantom
from tests.io.dicom import fused_phantom as fused
from upfusion_med.core import InputError, UsageError
from upfusion_med.io import load_volume, new_source_study, read_source_study, save_scalar_nifti
from upfusion_med.io.slice_stack import slice_stack


@pytest.mark.parametrize("name", fused.STACKS)
def test_slices_come_in_the_order_of_the_volume(tmp_path, name):
    folder = fused.mri_series(tmp_path / "mri", name)
    study, volume = read_source_study(folder), load_volume(folder)
    by_uid = {d.SOPInstanceUID: d for d in map(pydicom.dcmread, folder.iterdir())}
    lps = np.diag([-1.0, -1, 1, 1]) @ volume.affine
    assert len(study.slices) == volume.array.shape[2]
    for k, reference in enumerate(study.slices):
        source = by_uid[reference.sop_instance_uid]
        assert reference.sop_class_uid == source.SOPClassUID
        np.testing.assert_allclose((lps @ (0, 0, k, 1))[:3], source.ImagePositionPatient, atol=1e-6)
    assert study.study_instance_uid == source.StudyInstanceUID
    assert study.series_instance_uid == source.SeriesInstanceUID
    assert study.frame_of_reference_uid == source.FrameOfReferenceUID
    assert (study.modality, study.thickness_mm, study.series_numbers) == ("MR", 2.5, {1})


def test_elements_are_those_of_the_file_and_nothing_more(tmp_path):
    elements = read_source_study(fused.mri_series(tmp_path)).elements
    assert {k: elements[k] for k in fused.SECRETS} == fused.SECRETS
    assert (elements["PatientSex"], elements["PatientWeight"], elements["BodyPartExamined"]) == ("F", "61.5", "BRAIN")
    assert not set(elements) & set(fused.NEVER_REPEATED)


def test_patient_is_not_shown(tmp_path):
    shown = repr(read_source_study(fused.mri_series(tmp_path)))
    assert not [text for text in (*fused.SECRETS.values(), *fused.NEVER_REPEATED.values()) if text in shown]


@pytest.mark.parametrize(
    ("keyword", "raw", "clean"),
    [
        ("AccessionNumber", "A" * 17, ""),
        ("AccessionNumber", "A" * 16, "A" * 16),
        ("StudyID", "IBSI_1_STS_001_MR_T1", ""),
        ("StudyDescription", "D" * 70, "D" * 64),
        ("StudyDescription", ["HEAD", "NECK"], "HEAD; NECK"),
        ("PatientSex", "X", ""),
        ("PatientAge", "71", ""),
        ("PatientBirthDate", "1951.02.03", ""),
        ("StudyTime", "25:00", ""),
        ("PatientWeight", "heavy", ""),
        ("BodyPartExamined", "^Thigh", ""),
        ("PatientID", "P\\7", ""),
        ("PatientName", "A" * 70 + "^B", "A" * 64),
        ("PatientName", "Mueller^Jürgen=漢字", "Mueller^Jürgen=漢字"),
        ("PatientName", "Mueller\\Jürgen", ""),
        ("ReferringPhysicianName", ["Smith^A", "Jones^B"], ""),
    ],
)
def test_invalid_values_are_not_repeated(tmp_path, keyword, raw, clean):
    def spoil(d, k):
        d.SpecificCharacterSet = "ISO_IR 192"
        vr = "LO" if raw == "heavy" else pydicom.datadict.dictionary_VR(keyword)  # no library writes such a number
        d.add_new(keyword, vr, raw)

    with pydicom.config.disable_value_validation():
        folder = fused.mri_series(tmp_path, tweak=spoil)
    assert read_source_study(folder).elements.get(keyword, "") == clean


@pytest.mark.parametrize(
    ("part", "series", "image", "expected"),
    [
        ("BRAIN", "", None, {}),
        ("BRAIN", "L", None, {"ImageLaterality": "L"}),
        ("EXTREMITY", "", None, {"Laterality": ""}),
        ("EXTREMITY", "R", None, {"ImageLaterality": "R"}),
        ("BREAST", None, "L", {"ImageLaterality": "L"}),
        (None, None, None, {"Laterality": ""}),
    ],
)
def test_side_is_said_in_the_form_that_the_body_part_allows(tmp_path, part, series, image, expected):
    def sided(d, k):
        del d.BodyPartExamined
        for keyword, value in (("BodyPartExamined", part), ("Laterality", series), ("ImageLaterality", image)):
            if value is not None:
                setattr(d, keyword, value)

    elements = read_source_study(fused.mri_series(tmp_path, tweak=sided)).elements
    assert {k: v for k, v in elements.items() if "Laterality" in k} == expected


def test_missing_or_broken_uids_are_replaced_by_new_ones(tmp_path):
    def spoil(d, k):
        del d.StudyInstanceUID
        d.FrameOfReferenceUID = ""

    study = read_source_study(fused.mri_series(tmp_path, tweak=spoil))
    for uid in (study.study_instance_uid, study.frame_of_reference_uid):
        assert pydicom.uid.UID(uid).is_valid
    assert study.study_instance_uid != study.frame_of_reference_uid


def test_frames_of_a_multiframe_file_are_counted_from_one(tmp_path):
    phantom.write(tmp_path, [phantom.enhanced(order=(4, 1, 0, 3, 2))])
    study = read_source_study(tmp_path)
    assert [reference.frame for reference in study.slices] == [3, 2, 5, 4, 1]
    assert len({reference.sop_instance_uid for reference in study.slices}) == 1
    assert study.thickness_mm == 9


def test_functional_slices_near_an_output_slice_are_the_two_around_it(tmp_path):
    mri = load_volume(fused.mri_series(tmp_path / "mri"))
    study, pet = read_source_study(tmp_path / "mri"), read_source_study(fused.pet_series(tmp_path / "pet"))
    stack = slice_stack(mri.array, mri.affine, like=study.orientation)
    heights = [20.0 + 3 * k for k in range(5)]
    assert [[s.height_mm for s in study.near(stack, k)] for k in range(5)] == [[pytest.approx(h)] for h in heights]
    around = [[19, 23], [23], [23, 27], [27, 31], [31]]
    assert [[s.height_mm for s in pet.near(stack, k)] for k in range(5)] == around
    assert pet.near(stack, 0, in_same_space=False) == pet.slices


def test_every_functional_slice_that_an_oblique_slice_crosses_is_near(tmp_path):
    mri = load_volume(fused.mri_series(tmp_path / "mri", "sagittal"))
    study, pet = read_source_study(tmp_path / "mri"), read_source_study(fused.pet_series(tmp_path / "pet"))
    stack = slice_stack(mri.array, mri.affine, like=study.orientation)
    # rows run downwards from z = 20 to 12.5
    assert [s.height_mm for s in pet.near(stack, 0)] == [19, 23]


def test_frame_of_a_time_series_is_chosen_as_for_loading(tmp_path):
    made = [d for t in range(2) for d in phantom.slices(series="a", tweak=lambda d, k, t=t: _at(d, k, t))]
    phantom.write(tmp_path, made)
    assert len(read_source_study(tmp_path, frame=1).slices) == phantom.SLICES
    assert len(read_source_study(tmp_path, frame="mean").slices) == 2 * phantom.SLICES
    assert not set(read_source_study(tmp_path, frame=0).slices) & set(read_source_study(tmp_path, frame=1).slices)
    with pytest.raises(InputError, match="2 volumes; expected the choice of one"):
        read_source_study(tmp_path)
    with pytest.raises(UsageError, match="frame 2"):
        read_source_study(tmp_path, frame=2)


def _at(d, k, t):
    d.TemporalPositionIdentifier = t + 1
    d.SOPInstanceUID = d.file_meta.MediaStorageSOPInstanceUID = phantom.uid("time", k, t)


def test_what_is_no_dicom_has_no_study(tmp_path):
    save_scalar_nifti(tmp_path / "mri.nii.gz", np.ones((3, 4, 5), np.float32), np.eye(4))
    assert read_source_study(tmp_path / "mri.nii.gz") is None


def test_new_study_takes_given_elements_and_leaves_the_rest_empty():
    study = new_source_study({"PatientID": "P07", "BodyPartExamined": "BRAIN"})
    assert study.elements["PatientID"] == "P07"
    assert study.elements["PatientName"] == study.elements["StudyDate"] == ""
    assert "Laterality" not in study.elements
    assert new_source_study().study_instance_uid != study.study_instance_uid
    with pytest.raises(UsageError, match="SeriesInstanceUID cannot be given"):
        new_source_study({"SeriesInstanceUID": "1.2"})
    with pytest.raises(UsageError, match="AccessionNumber is not valid"):
        new_source_study({"AccessionNumber": "A" * 17})


def test_patients_are_told_apart_by_their_id(tmp_path):
    def other(d, k):
        d.PatientID = "SOMEONE ELSE"

    mri = read_source_study(fused.mri_series(tmp_path / "mri"))
    assert mri.is_same_patient(read_source_study(fused.pet_series(tmp_path / "pet")))
    assert not mri.is_same_patient(read_source_study(fused.pet_series(tmp_path / "other", tweak=other)))
    assert mri.is_same_patient(new_source_study())


@pytest.mark.parametrize(
    ("mri", "pet", "is_same"),
    [
        (("", "AAA", ""), ("", "BBB", ""), False),
        (("", "AAA", "19510203"), ("", "AAA", "19510204"), False),
        (("", "AAA", "19510203"), ("", "AAA^^", "19510203"), True),
        (("", "AAA", ""), ("", "", "19510203"), True),
        (("", "", ""), ("", "", ""), True),
        (("7", "AAA", ""), ("", "AAA", ""), True),
        (("7", "AAA", ""), ("", "BBB", ""), False),
        (("7", "AAA", "19510203"), ("7", "BBB", ""), True),
        (("7", "AAA", ""), ("8", "AAA", ""), False),
    ],
)
def test_names_and_birth_dates_tell_patients_apart_where_an_id_is_missing(mri, pet, is_same):
    first, second = (
        new_source_study(dict(zip(("PatientID", "PatientName", "PatientBirthDate"), patient, strict=True)))
        for patient in (mri, pet)
    )
    assert first.is_same_patient(second) is second.is_same_patient(first) is is_same

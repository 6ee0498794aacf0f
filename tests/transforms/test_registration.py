"""Rigid registration finds known transforms, and says no where it cannot know."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.coarse_study import coarse_study, errors_mm, moved, rigid
from upfusion_med.core import InputError, UsageError, Volume
from upfusion_med.inference.demo_study import demo_study
from upfusion_med.io import load_volume
from upfusion_med.transforms.registration import objections, register_rigid, rotation_deg
from upfusion_med.transforms.registration_pair import COARSE, RegistrationPair
from upfusion_med.transforms.resample import resample_to

KNOWN = [((8.0, -6.0, 9.0), (12.0, -14.0, 6.0)), ((-10.0, 7.0, -9.0), (-13.0, 10.0, 15.0))]


class Counting:
    """Progress that is counted."""

    total, done = 0, 0

    def stage(self, name, total):
        self.total, self.done = total, 0

    def advance(self, steps=1):
        self.done += steps


def test_a_known_transform_is_found():
    mri, pet = coarse_study()
    truth = rigid(*KNOWN[0])
    progress = Counting()
    result = register_rigid(mri, moved(pet, truth), progress=progress)
    assert result.accepted and result.reasons == ()
    assert errors_mm(result.matrix, truth, mri).mean() < 1.0  # A third of a voxel.
    np.testing.assert_allclose(result.rotation_deg, rotation_deg(truth), atol=0.5)
    assert result.metric_after > 1.5 * result.metric_before > 0
    assert result.overlap_after > result.overlap_before
    assert result.disagreement_mm < 5
    assert progress.done == progress.total > 0
    # The matrix is what the resampler takes: the uptake comes back to where it was.
    back, _ = resample_to(moved(pet, truth), mri, transform=result.matrix)
    straight, _ = resample_to(pet, mri)
    assert np.corrcoef(back.array.ravel(), straight.array.ravel())[0, 1] > 0.995


def test_an_aligned_study_is_left_alone():
    mri, pet = coarse_study()
    progress = Counting()
    result = register_rigid(mri, pet, progress=progress)
    assert not result.accepted
    assert progress.done == progress.total > 0
    assert "nothing better than the alignment in the files" in " ".join(result.reasons)
    np.testing.assert_array_equal(result.matrix, np.eye(4))
    assert errors_mm(result.proposed, np.eye(4), mri).mean() < 1.0


def test_the_same_descent_gives_the_same_result():
    mri, pet = coarse_study()
    pair = RegistrationPair.of(mri, moved(pet, rigid(*KNOWN[0])), 7)
    first, second = (pair.descended(np.eye(4), COARSE) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert pair.information(first) == pair.information(second)
    other = replace(pair, seed=8).descended(np.eye(4), COARSE)
    assert 0 < errors_mm(first, other, mri).max() < 1.0


@pytest.mark.slow
def test_studies_whose_positions_do_not_overlap_are_registered_from_their_centres():
    mri, pet = coarse_study()
    truth = rigid((4.0, -5.0, 6.0), (20.0, 30.0, -700.0))
    result = register_rigid(mri, moved(pet, truth))
    assert result.accepted and result.initial == "centres of the images"
    assert errors_mm(result.matrix, truth, mri).mean() < 1.0
    assert result.translation_mm < 50  # From the centres, not from the positions in the files.


@pytest.mark.slow
def test_a_result_far_from_the_files_is_refused_even_if_right():
    mri, pet = coarse_study()
    truth = rigid((0.0, 0.0, 34.0), (0.0, 0.0, 58.0))
    result = register_rigid(mri, moved(pet, truth))
    assert not result.accepted
    assert "it moves the body by 58 mm" in result.reasons[0] and "it turns the body by 34°" in result.reasons[1]
    np.testing.assert_array_equal(result.matrix, np.eye(4))
    assert errors_mm(result.proposed, truth, mri).mean() < 1.0


@pytest.mark.slow
def test_a_brain_upside_down_is_refused():
    mri, pet = coarse_study()
    result = register_rigid(mri, pet.with_array(pet.array[:, :, ::-1]))
    assert not result.accepted and result.reasons


@pytest.mark.slow
def test_noise_is_refused():
    mri, pet = coarse_study()
    noise = np.random.default_rng(0).permutation(pet.array.ravel()).reshape(pet.array.shape)
    result = register_rigid(mri, pet.with_array(noise))
    assert "next to nothing in common" in " ".join(result.reasons)


def test_halves_that_disagree_refuse_a_result_that_nothing_else_refuses():
    # A body of two parts, one of which moved: no rigid transform is right for both.
    mri, pet = coarse_study()
    lower, _ = resample_to(pet, mri)
    upper, _ = resample_to(moved(pet, rigid((0.0, 0.0, 0.0), (14.0, 0.0, 0.0))), mri)
    low = np.arange(mri.array.shape[2]) < mri.array.shape[2] // 2
    bent = lower.with_array(np.where(low, lower.array, upper.array))
    result = register_rigid(mri, moved(bent, rigid((0.0, 0.0, 0.0), (0.0, 20.0, 0.0))))
    assert not result.accepted
    assert len(result.reasons) == 1 and "the two halves of the body" in result.reasons[0]
    assert result.disagreement_mm > 5


def test_a_half_that_slides_out_of_the_other_image_is_told_without_a_distance(monkeypatch):
    mri, pet = coarse_study()
    descended = RegistrationPair.descended
    monkeypatch.setattr(
        RegistrationPair,
        "descended",
        lambda self, start, level, part=None, **given: descended(self, start, level, **given) if part is None else None,
    )
    result = register_rigid(mri, moved(pet, rigid(*KNOWN[0])))
    assert result.reasons == (
        "a half of the body, registered alone, slides out of the other image: the images do not determine one rigid "
        "transform",
    )


@pytest.mark.slow
def test_colours_count_by_their_luma():
    mri, pet = coarse_study()
    other = moved(pet, rigid(*KNOWN[0]))
    grey = np.clip(other.array * 15, 0, 255)
    coloured = replace(other, array=np.stack([grey, grey, grey], axis=-1), units="RGB levels")
    result = register_rigid(mri, coloured)
    assert result.accepted
    assert errors_mm(result.matrix, rigid(*KNOWN[0]), mri).mean() < 1.0


def test_sliding_out_of_the_field_of_view_is_objected_to():
    mri, pet = coarse_study()
    pair = RegistrationPair.of(mri, pet, 1)
    assert objections(pair, np.eye(4), rigid((2.0, 0.0, 0.0), (0.0, 1.0, 0.0))) == []
    (objection,) = objections(pair, np.eye(4), rigid((0.0, 0.0, 0.0), (0.0, 40.0, 0.0)))
    assert "slides out of the field of view" in objection


def test_overlap_is_the_part_of_the_fixed_body_in_the_moving_one():
    box = np.zeros((60, 60, 60), np.float32)
    box[10:50, 10:50, 10:50] = 100.0
    volume = Volume(box, np.diag([2.0, 2.0, 2.0, 1.0]))
    pair = RegistrationPair.of(volume, volume, 1)
    assert pair.overlap(np.eye(4)) == 1
    # Half of its 80 mm, to the nearest of the 4 mm voxels on which the bodies lie.
    assert pair.overlap(rigid((0, 0, 0), (40.0, 0, 0))) == pytest.approx(0.5, abs=0.06)
    assert pair.overlap(rigid((0, 0, 0), (500.0, 0, 0))) == 0


def test_unusable_images_and_seeds_are_refused():
    mri, pet = coarse_study()
    with pytest.raises(InputError, match="at least 8 along each axis"):
        register_rigid(mri.with_array(mri.array[:, :, :5]), pet)
    with pytest.raises(InputError, match="not finite"):
        register_rigid(mri, pet.with_array(np.where(pet.array > 5, np.nan, pet.array)))
    with pytest.raises(InputError, match=r"moving image \(functional\) is nearly constant"):
        register_rigid(mri, pet.with_array(np.full(pet.array.shape, 3.0)))
    with pytest.raises(UsageError, match="seed is 0"):
        register_rigid(mri, pet, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("angles", "shift"), [*KNOWN, ((6.0, 10.0, -4.0), (15.0, 15.0, -15.0)), ((-14.0, 12.0, 9.0), (-30.0, 20.0, 18.0))]
)
def test_known_transforms_at_full_resolution(angles, shift):
    study = demo_study()
    truth = rigid(angles, shift)
    result = register_rigid(study.mri, moved(study.functional, truth))
    assert result.accepted
    assert errors_mm(result.matrix, truth, study.mri).mean() < 0.5


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("patient", ["STS_001", "STS_003"])
@pytest.mark.parametrize("other", ["PET", "CT"])
def test_a_limb_cut_by_the_field_of_view_is_refused(shared, patient, other):
    # Published in one space. The legs are bent differently in both scanners: mutual information rewards drifting away.
    folder = shared / "data" / "volumes" / "ibsi_sts" / patient
    result = register_rigid(load_volume(folder / "MR_T1.nii.gz"), load_volume(folder / f"{other}.nii.gz"))
    assert not result.accepted and result.reasons
    np.testing.assert_array_equal(result.matrix, np.eye(4))


@pytest.mark.slow
@pytest.mark.shared
def test_the_raw_limb_whose_alignment_mutual_information_does_not_find_is_refused(shared):
    folder = shared / "data" / "volumes" / "sts_001_raw"
    result = register_rigid(load_volume(folder / "T1"), load_volume(folder / "PET"))
    assert not result.accepted and result.reasons
    assert result.initial == "centres of the images"

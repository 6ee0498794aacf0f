"""Alignment does what was asked for, says what it did, and never registers unasked."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.coarse_study import coarse_study, errors_mm, moved, rigid
from upfusion_med.core import InputError, UsageError, Volume
from upfusion_med.inference import alignment
from upfusion_med.inference.alignment import align
from upfusion_med.io import load_volume
from upfusion_med.io.transform_file import save_transform
from upfusion_med.transforms.registration import Registration
from upfusion_med.transforms.resample import resample_to

TRUTH = rigid((3.0, -2.0, 4.0), (6.0, -8.0, 5.0), about_mm=(20.0, 20.0, 20.0))


def _study(mri_frame=None, functional_frame=None) -> tuple[Volume, Volume]:
    rng = np.random.default_rng(0)
    mri = Volume(rng.random((20, 20, 20), dtype=np.float32), np.diag([2.0, 2.0, 2.0, 1.0]))
    functional = Volume(rng.random((12, 12, 12), dtype=np.float32), np.diag([4.0, 4.0, 4.0, 1.0]), units="SUVbw")
    return (
        replace(mri, frame_of_reference_uid=mri_frame),
        replace(functional, frame_of_reference_uid=functional_frame),
    )


def _registration(accepted: bool) -> Registration:
    return Registration(
        matrix=TRUTH if accepted else np.eye(4),
        proposed=TRUTH,
        rotation_deg=5.4,
        translation_mm=11.2,
        metric_before=0.2,
        metric_after=0.4,
        overlap_before=0.8,
        overlap_after=0.9,
        disagreement_mm=1.0 if accepted else float("nan"),
        initial="positions in the files",
        accepted=accepted,
        reasons=() if accepted else ("it moves the body by 60 mm, more than 50 mm", "the images slid apart"),
        seconds=1.0,
    )


@pytest.fixture
def answer(monkeypatch):
    """Lets registration give a chosen answer."""

    def give(accepted: bool) -> None:
        monkeypatch.setattr(alignment, "register_rigid", lambda *_, **__: _registration(accepted))

    return give


@pytest.fixture
def no_registration(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("registered unasked")

    monkeypatch.setattr(alignment, "register_rigid", refuse)


@pytest.mark.parametrize("frames", [(None, None), ("1.2", None), (None, "1.2"), ("1.2", "1.2")])
@pytest.mark.parametrize("mode", ["auto", "never"])
@pytest.mark.usefixtures("no_registration")
def test_one_space_or_an_unknown_one_is_only_resampled(mode, frames):
    mri, functional = _study(*frames)
    result = align(mri, functional, mode)
    expected, inside = resample_to(functional, mri)
    np.testing.assert_array_equal(result.functional.array, expected.array)
    np.testing.assert_array_equal(result.inside, inside)
    assert result.matrix is None and result.warnings == ()
    assert result.facts["mode"] == mode and "not registered" in result.facts["how"]


@pytest.mark.usefixtures("no_registration")
def test_who_vouches_for_the_positions_gets_them():
    result = align(*_study("1.2", "1.3"), "never")
    assert result.matrix is None and result.warnings == ()


def test_different_frames_are_registered_and_the_user_is_told(answer):
    answer(True)
    mri, functional = _study("1.2", "1.3")
    result = align(mri, functional)
    np.testing.assert_array_equal(result.matrix, TRUTH)
    assert "different frames of reference" in result.warnings[0] and "moved by 11.2 mm" in result.warnings[1]
    assert result.facts["mode"] == "auto"


@pytest.mark.parametrize("mode", ["auto", "rigid"])
def test_different_frames_without_a_registration_to_trust_are_refused(answer, mode):
    answer(False)
    with pytest.raises(InputError, match=r"different frames.*moves the body by 60 mm.*--transform.*--register never"):
        align(*_study("1.2", "1.3"), mode)


def test_an_accepted_registration_is_applied(answer):
    answer(True)
    mri, functional = _study("1.2", "1.3")
    result = align(mri, functional, "rigid")
    expected, _ = resample_to(functional, mri, transform=TRUTH)
    np.testing.assert_array_equal(result.functional.array, expected.array)
    np.testing.assert_array_equal(result.matrix, TRUTH)
    assert result.functional.frame_of_reference_uid == "1.2"
    assert "moved by 11.2 mm and turned by 5.4°" in result.warnings[0]
    assert len(result.warnings) == 1
    assert "one frame of reference" in align(*_study("1.2", "1.2"), "rigid").warnings[1]
    assert json.loads(json.dumps(dict(result.facts)))["registration"]["metric_after"] == 0.4


def test_a_refused_registration_keeps_the_positions_and_says_why(answer):
    answer(False)
    mri, functional = _study()
    result = align(mri, functional, "rigid")
    expected, _ = resample_to(functional, mri)
    np.testing.assert_array_equal(result.functional.array, expected.array)
    assert result.matrix is None and result.facts["transform_ras_mm"] is None
    (warning,) = result.warnings
    assert "it moves the body by 60 mm" in warning and "the images slid apart" in warning
    assert json.loads(json.dumps(dict(result.facts), allow_nan=False))["registration"]["disagreement_mm"] is None


def test_a_refused_registration_without_overlap_is_an_error_that_says_what_to_do(answer):
    answer(False)
    mri, functional = _study()
    with pytest.raises(InputError, match=r"it moves the body by 60 mm.*give the transform"):
        align(mri, moved(functional, rigid((0, 0, 0), (0, 0, 900.0))), "rigid")


@pytest.mark.parametrize("as_text", [True, False])
@pytest.mark.usefixtures("no_registration")
def test_a_transform_file_wins_over_the_frames(tmp_path, as_text):
    file = tmp_path / "mri_to_pet.tfm"
    save_transform(file, TRUTH)
    mri, functional = _study("1.2", "1.2")
    result = align(mri, functional, str(file) if as_text else file)
    expected, inside = resample_to(functional, mri, transform=TRUTH)
    np.testing.assert_allclose(result.functional.array, expected.array, atol=1e-5)
    np.testing.assert_array_equal(result.inside, inside)
    np.testing.assert_allclose(result.matrix, TRUTH, atol=1e-9)
    assert result.warnings == () and result.facts["mode"] == "file"
    # Nothing of the file's name, which may be a patient's.
    assert "mri_to_pet" not in json.dumps(dict(result.facts))


def test_a_transform_that_stretches_is_told(tmp_path):
    stretch = np.diag([1.0, 1.0, 1.1, 1.0])
    save_transform(tmp_path / "t.tfm", stretch)
    (warning,) = align(*_study(), tmp_path / "t.tfm").warnings
    assert "up to 10%" in warning


def test_a_transform_saved_the_wrong_way_round_is_recognised(tmp_path):
    mri, functional = _study()
    away = rigid((0, 0, 0), (0, 0, 500.0))
    save_transform(tmp_path / "t.tfm", np.linalg.inv(away))
    with pytest.raises(InputError, match=r"do not overlap after the transform.*the other way round"):
        align(mri, moved(functional, away), tmp_path / "t.tfm")
    save_transform(tmp_path / "t.tfm", rigid((0, 0, 0), (0, 300.0, 0)))
    with pytest.raises(InputError, match="do not overlap after the transform") as error:
        align(mri, moved(functional, away), tmp_path / "t.tfm")
    assert "way round" not in str(error.value)


def test_unknown_modes_and_pictures_are_refused(tmp_path):
    mri, functional = _study()
    with pytest.raises(UsageError, match=r"no transform file 'affine'.*words auto, never, rigid"):
        align(mri, functional, "affine")
    with pytest.raises(InputError, match="cannot be read"):
        align(mri, functional, tmp_path / "absent.tfm")
    picture = Volume(np.ones((9, 8, 1), np.float32), np.eye(4), is_picture=True)
    with pytest.raises(UsageError, match="Pictures cannot be registered"):
        align(picture, picture, "rigid")
    save_transform(tmp_path / "t.tfm", TRUTH)
    with pytest.raises(UsageError, match="cannot be applied to pictures"):
        align(picture, picture, tmp_path / "t.tfm")
    placed = align(picture, picture)
    assert placed.functional is picture
    assert placed.facts["how"] == "pictures of one size, pixel on pixel; not registered"


def test_a_study_with_a_known_shift_is_brought_together():
    mri, pet = coarse_study()
    truth = rigid((5.0, 4.0, -6.0), (10.0, -9.0, 400.0))
    with pytest.raises(InputError, match="do not overlap"):
        align(mri, moved(pet, truth))
    result = align(mri, moved(pet, truth), "rigid")
    assert result.matrix is not None
    assert errors_mm(result.matrix, truth, mri).mean() < 1.0
    straight, _ = resample_to(pet, mri)
    assert np.corrcoef(result.functional.array.ravel(), straight.array.ravel())[0, 1] > 0.995
    assert "from the centres of the images" in result.warnings[0]


@pytest.mark.slow
@pytest.mark.shared
def test_the_raw_limb_needs_a_transform_of_the_user(shared):
    folder = shared / "data" / "volumes" / "sts_001_raw"
    with pytest.raises(InputError, match=r"no alignment that can be trusted.*give the transform"):
        align(load_volume(folder / "T1"), load_volume(folder / "PET"), "rigid")


@pytest.mark.slow
@pytest.mark.shared
def test_a_published_alignment_of_a_limb_is_kept(shared):
    folder = shared / "data" / "volumes" / "ibsi_sts" / "STS_003"
    mri, pet = (load_volume(folder / f"{name}.nii.gz") for name in ("MR_T1", "PET"))
    result = align(mri, pet, "rigid")
    np.testing.assert_array_equal(result.functional.array, resample_to(pet, mri)[0].array)
    assert result.matrix is None and "Registration was refused" in result.warnings[0]

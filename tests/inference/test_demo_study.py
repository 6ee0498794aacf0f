"""The demonstration study is what it says: two brains in one space, one of them simulated."""

from __future__ import annotations

import numpy as np
import pytest

from upfusion_med.core import MissingPackageError, Modality
from upfusion_med.inference import demo_study as module
from upfusion_med.inference.demo_study import SPHERES, demo_study, pet_grid


@pytest.fixture(scope="module")
def study():
    pytest.importorskip("nilearn")
    return demo_study()


def _suv_at(study, point_mm):
    """PET value at a place in the template's space, mean over a voxel and its neighbours."""
    index = np.rint(np.linalg.solve(study.functional.affine, [*point_mm, 1.0])[:3]).astype(int)
    return float(study.functional.array[tuple(slice(i - 1, i + 2) for i in index)].mean())


def test_it_says_that_the_pet_is_simulated(study):
    assert "SIMULATED" in study.description
    assert "simulated" in study.functional.units
    assert study.functional.notes["simulated"] is True
    assert (study.mri.modality, study.functional.modality) == (Modality.MR, Modality.PET)


def test_the_pet_lies_on_its_own_turned_grid(study):
    assert study.mri.array.shape == (197, 233, 189)
    assert study.functional.geometry.spacing_mm == pytest.approx((3.0, 3.0, 3.0))
    assert not study.functional.geometry.same_grid(study.mri.geometry)
    directions = np.abs(study.functional.affine[:3, :3] / 3.0)
    assert 0.95 < np.diag(directions).min() < 0.999


def test_brain_of_pet_and_mri_coincide(study):
    from upfusion_med.transforms.resample import resample_to

    moved, inside = resample_to(study.functional, study.mri)
    brain, hot = study.mri.array > 60, moved.array > 2.5
    dice = 2 * (brain & hot).sum() / (brain.sum() + hot.sum())
    assert dice > 0.9
    assert inside[brain].mean() > 0.999
    centres = [np.argwhere(m).mean(axis=0) for m in (brain, hot)]
    assert np.linalg.norm(centres[0] - centres[1]) < 2.5


def test_grey_to_white_ratio_survives_the_blur_and_noise(study):
    # Occipital cortex and cerebellum against the centre of the frontal and parietal white matter.
    deep_white = [(-27.0, 5.0, 30.0), (27.0, -20.0, 32.0)]
    white = np.mean([_suv_at(study, p) for p in deep_white])
    assert 1.7 < white < 3.5
    grey = float(np.percentile(study.functional.array[study.functional.array > 1], 95))
    assert 6.0 < grey < 8.5


def test_lesions_are_hot_and_the_cold_region_is_cold(study):
    right, left, cold = SPHERES
    white = _suv_at(study, (-27.0, 5.0, 30.0))
    assert _suv_at(study, right.centre_mm) > 4 * white
    assert _suv_at(study, left.centre_mm) > 3 * white
    mirrored = (-cold.centre_mm[0], *cold.centre_mm[1:])
    assert _suv_at(study, cold.centre_mm) < 0.65 * _suv_at(study, mirrored)


def test_nothing_negative_and_the_same_every_time(study):
    assert study.functional.array.min() == 0
    assert 10 < study.functional.array.max() < 20
    np.testing.assert_array_equal(demo_study().functional.array, study.functional.array)
    assert pet_grid().shape == study.functional.array.shape


def test_without_nilearn_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"upfusion-med\[demo\]"):
        demo_study()

from __future__ import annotations

import pytest

from tests.inference.maximum_backend import MaximumBackend
from tests.io.dicom_phantom import CT, MR, PT, slices, write
from upfusion_med.core import FuseSettings, InputError
from upfusion_med.inference import fuse
from upfusion_med.inference.series_choice import FUNCTIONAL_TYPES, MRI_TYPES, choose_series
from upfusion_med.io import list_series


@pytest.fixture
def mixed(tmp_path):
    write(tmp_path / "study" / "x", slices(sop=MR, series="a"))
    write(tmp_path / "study" / "y", slices(sop=CT, series="b"))
    write(tmp_path / "study" / "z", slices(sop=PT, series="c"))
    return tmp_path / "study"


def types_by_key(folder):
    return {series.key: series.modality for series in list_series(folder)}


def test_the_one_mr_and_the_one_pet_of_a_mixed_study_are_found(mixed):
    types = types_by_key(mixed)
    assert types[choose_series(mixed, MRI_TYPES)] == "MR"
    assert types[choose_series(mixed, FUNCTIONAL_TYPES)] == "PT"


def test_two_candidates_are_not_chosen_between(mixed):
    write(mixed / "w", slices(sop=MR, series="d"))
    assert choose_series(mixed, MRI_TYPES) is None
    with pytest.raises(InputError, match="s1"):
        fuse(mixed, mixed, FuseSettings(quantity="raw"), backend=MaximumBackend())


def test_a_folder_with_one_series_needs_no_choice(mixed):
    assert choose_series(mixed / "x", MRI_TYPES) is None


def test_one_folder_serves_both_roles_and_a_stated_series_wins(mixed):
    result = fuse(mixed, mixed, FuseSettings(quantity="raw"), backend=MaximumBackend())
    assert result.report["modality"]["value"] == "pet"
    ct = next(key for key, kind in types_by_key(mixed).items() if kind == "CT")
    stated = fuse(mixed, mixed, FuseSettings(functional_series=ct), backend=MaximumBackend())
    assert stated.report["modality"]["value"] == "ct"

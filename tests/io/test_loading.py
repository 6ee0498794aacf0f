from __future__ import annotations

import numpy as np
import pytest

from upfusion_med.core import InputError, Modality, UsageError
from upfusion_med.io import ARBITRARY_UNITS, load_volume, save_picture, save_scalar_nifti


@pytest.fixture
def nifti(tmp_path):
    save_scalar_nifti(tmp_path / "a.nii.gz", np.ones((4, 3, 2), np.float32), np.eye(4))
    return tmp_path / "a.nii.gz"


def test_modality_of_a_file_is_unknown_unless_stated(nifti):
    assert load_volume(nifti).modality is Modality.UNKNOWN
    assert load_volume(nifti, modality="pet").modality is Modality.PET
    assert load_volume(nifti, modality=Modality.CT).modality is Modality.CT


def test_unknown_modality_names_the_known_ones(nifti):
    with pytest.raises(UsageError, match=r"'xray' is unknown; expected one of mr, pet, spect, ct"):
        load_volume(nifti, modality="xray")


def test_unknown_quantity_is_refused(nifti):
    with pytest.raises(UsageError, match="'kcal'"):
        load_volume(nifti, quantity="kcal")


def test_quantity_suv_states_the_unit_of_a_plain_file(nifti):
    assert load_volume(nifti).units == ARBITRARY_UNITS
    stated = load_volume(nifti, quantity="suv", modality="pet")
    assert stated.units == "SUVbw"
    assert stated.notes["suv"] == {"rule": "stated by the caller"}


def test_series_is_refused_for_a_plain_file(nifti):
    with pytest.raises(UsageError, match="series"):
        load_volume(nifti, series="1")


def test_a_string_path_works(nifti):
    assert load_volume(str(nifti)).array.shape == (4, 3, 2)


def test_path_is_shown_as_it_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b.nii").write_bytes(b"junk" * 200)
    with pytest.raises(InputError) as caught:
        load_volume("b.nii")
    assert str(tmp_path) not in str(caught.value)


def test_picture_volume_may_get_a_modality(tmp_path):
    save_picture(tmp_path / "p.png", np.zeros((4, 5), np.uint8))
    assert load_volume(tmp_path / "p.png", modality="infrared").modality is Modality.INFRARED


def test_frame_of_a_single_volume_must_be_the_first(nifti, tmp_path):
    save_picture(tmp_path / "p.png", np.zeros((4, 5), np.uint8))
    for file in (nifti, tmp_path / "p.png"):
        assert load_volume(file, frame=0).array.shape == load_volume(file, frame="mean").array.shape
        with pytest.raises(UsageError, match=r"frame 1 .* expected 0"):
            load_volume(file, frame=1)


def test_empty_path_is_refused():
    with pytest.raises(InputError, match="empty"):
        load_volume("")

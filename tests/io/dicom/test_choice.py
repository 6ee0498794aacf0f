"""Which volumes a study has, and which one is meant."""

from __future__ import annotations

import pytest

from tests.io import dicom_phantom as phantom
from upfusion_med.core import InputError, Modality, UsageError
from upfusion_med.io import list_series, load_volume


@pytest.fixture
def study(tmp_path):
    """An MR series, a raw PET series and a CT series, in nested folders under odd names."""
    folder = tmp_path / "study"
    phantom.write(folder / "a" / "b", phantom.slices(series="t1"), names=[f"IM{k}" for k in range(5)])
    phantom.write(folder, phantom.pet_slices(series="pet"), names=[f"pet.{k}.xyz" for k in range(5)])
    phantom.write(folder / "a", phantom.slices(sop=phantom.CT, series="ct"), names=[f"{k}" for k in range(5)])
    (folder / "notes.txt").write_text("nothing")
    (folder / "empty").touch()
    return folder


def test_series_of_a_nested_folder_are_told_apart(study):
    found = {s.modality: s for s in list_series(study)}
    assert set(found) == {"MR", "PT", "CT"}
    assert found["MR"].size == (8, 6, 5)
    assert found["MR"].spacing_mm == (1.25, 1.5, 3.0)
    assert found["MR"].orientation == "axial"
    assert found["CT"].units == "HU"
    assert found["PT"].units == "Bq/mL"
    assert found["PT"].is_suv_possible
    assert found["PT"].suv.startswith("activity times weight")
    assert len({s.frame_of_reference for s in found.values()}) == 1
    assert len(next(iter(found.values())).frame_of_reference) == 12


def test_ambiguous_folder_lists_its_candidates(study):
    with pytest.raises(InputError) as caught:
        load_volume(study)
    message = str(caught.value)
    assert "holds 3 volumes" in message
    for text in ("s1 = ", "s2 = ", "s3 = ", "MR", "PT", "CT", "8x6x5", "--functional-series"):
        assert text in message


@pytest.mark.parametrize("word", ["phantom t1", "T1", "MR", "mr", phantom.uid("study", "t1")])
def test_series_is_chosen_by_word_or_uid(study, word):
    volume = load_volume(study, series=word)
    assert volume.modality is Modality.MR
    assert phantom.place_error(volume) < 0.06


def test_series_is_chosen_by_key_and_digest(study):
    for summary in list_series(study):
        for word in (summary.key, summary.key.upper(), summary.series_digest, summary.series_digest[:6]):
            volume = load_volume(study, series=word, quantity="raw")
            assert volume.notes["dicom"]["modality"] == summary.modality


def test_stated_modality_narrows_the_choice(study):
    assert load_volume(study, modality="mr").modality is Modality.MR
    assert load_volume(study, modality="pet").units == "SUVbw"


def test_stated_modality_without_a_match_does_not_guess(study):
    with pytest.raises(InputError, match="3 volumes"):
        load_volume(study, modality="spect")


def test_series_number_chooses(tmp_path):
    for number in (3, 7):
        made = phantom.slices(series=f"n{number}", tweak=lambda d, k, n=number: setattr(d, "SeriesNumber", n))
        phantom.write(tmp_path / str(number), made)
    assert load_volume(tmp_path, series="7").notes["dicom"] == load_volume(tmp_path / "7").notes["dicom"]


def test_unknown_series_is_a_usage_error_that_lists_all(study):
    with pytest.raises(UsageError, match=r"fits 'nothing'.*s1 = .*s3 = "):
        load_volume(study, series="nothing")


def test_word_that_fits_two_series_stays_ambiguous(study):
    with pytest.raises(InputError, match="3 volumes"):
        load_volume(study, series="phantom")


def test_two_patients_in_one_folder_are_refused_until_a_series_is_chosen(tmp_path):
    phantom.write(tmp_path / "1", phantom.slices(series="one"))
    phantom.write(tmp_path / "2", phantom.slices(series="two", tweak=lambda d, k: setattr(d, "PatientID", "OTHER")))
    with pytest.raises(InputError, match="more than one patient"):
        load_volume(tmp_path)
    assert phantom.place_error(load_volume(tmp_path, series="two")) < 0.06


def test_two_patients_in_one_series_are_refused_always(tmp_path):
    phantom.write(tmp_path, phantom.slices(tweak=lambda d, k: setattr(d, "PatientID", f"P{k // 3}")))
    for series in (None, "s1"):
        with pytest.raises(InputError, match="more than one patient"):
            load_volume(tmp_path, series=series)


def screen_capture(modality, series="capture"):
    d = phantom.dataset(phantom.CAPTURE, series=series)
    d.Modality = modality
    d.PixelData = bytes(2 * phantom.ROWS * phantom.COLUMNS)
    return d


@pytest.mark.parametrize("modality", ["NM", "PT"])
def test_screen_capture_is_no_volume_whatever_its_modality(tmp_path, modality):
    phantom.write(tmp_path, [screen_capture(modality)])
    with pytest.raises(InputError, match=f"Secondary Capture .*'{modality}'.*picture of a screen"):
        load_volume(tmp_path)
    assert not list_series(tmp_path)[0].is_suv_possible


def test_real_screen_capture_of_nuclear_medicine_is_refused():
    from pydicom.data import get_testdata_file

    with pytest.raises(InputError, match="picture of a screen"):
        load_volume(get_testdata_file("JPEG2000.dcm", download=False))


def test_screen_capture_beside_a_series_is_no_candidate(tmp_path):
    phantom.write(tmp_path / "1", phantom.slices())
    phantom.write(tmp_path / "2", [screen_capture("PT")])
    assert phantom.place_error(load_volume(tmp_path)) < 0.06

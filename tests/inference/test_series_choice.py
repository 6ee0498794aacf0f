from __future__ import annotations

import shutil

import pytest

from tests.inference.maximum_backend import MaximumBackend
from tests.io.dicom_phantom import CT, MR, PT, nuclear, slices, uid, write
from upfusion_med.core import FuseSettings, InputError, Modality
from upfusion_med.inference import fuse
from upfusion_med.inference.fusion import FUNCTIONAL_ROLES, MRI_ROLES
from upfusion_med.io import list_series, load_source


@pytest.fixture
def mixed(tmp_path):
    write(tmp_path / "study" / "x", slices(sop=MR, series="a"))
    write(tmp_path / "study" / "y", slices(sop=CT, series="b"))
    write(tmp_path / "study" / "z", slices(sop=PT, series="c"))
    return tmp_path / "study"


def types_by_key(folder):
    return {series.key: series.modality for series in list_series(folder)}


def test_the_one_mr_and_the_one_pet_of_a_mixed_study_are_found(mixed):
    volume, study = load_source(mixed, roles=MRI_ROLES)
    assert volume.modality is Modality.MR
    assert study.modality == "MR"
    assert load_source(mixed, roles=FUNCTIONAL_ROLES, quantity="raw")[0].modality is Modality.PET


def test_the_same_holds_in_an_archive(mixed):
    archive = shutil.make_archive(str(mixed.parent / "packed"), "zip", mixed)
    assert load_source(archive, roles=MRI_ROLES)[0].modality is Modality.MR


def test_two_candidates_are_not_chosen_between(mixed):
    write(mixed / "w", slices(sop=MR, series="d"))
    with pytest.raises(InputError, match=r"2 volumes that could be meant.*s1"):
        load_source(mixed, roles=MRI_ROLES)
    with pytest.raises(InputError, match="s1"):
        fuse(mixed, mixed, FuseSettings(quantity="raw"), backend=MaximumBackend())


def without_a_slice(made):
    return [d for k, d in enumerate(made) if k != 2]


def projections():
    made = nuclear()
    made.ImageType = ["ORIGINAL", "PRIMARY", "TOMO", "EMISSION"]
    made.SeriesInstanceUID = uid("projections")
    return made


def test_a_pet_that_lacks_a_slice_is_not_replaced_by_the_ct(mixed):
    (mixed / "z" / "002.dcm").unlink()
    for read in (
        lambda: load_source(mixed, roles=FUNCTIONAL_ROLES),
        lambda: fuse(mixed, mixed, FuseSettings(), backend=MaximumBackend()),
    ):
        with pytest.raises(InputError, match=r"misses 1 slice.*Nothing else was taken.*= CT"):
            read()
    ct = next(key for key, kind in types_by_key(mixed).items() if kind == "CT")
    assert load_source(mixed, series=ct, roles=FUNCTIONAL_ROLES)[0].modality is Modality.CT


def test_an_mri_that_lacks_a_slice_is_not_replaced_by_another_one(mixed):
    write(mixed / "w", without_a_slice(slices(sop=MR, series="d")))
    with pytest.raises(InputError, match=r"misses 1 slice.*Nothing else was taken.*phantom a"):
        load_source(mixed, roles=MRI_ROLES)


def test_projections_alone_are_not_replaced_by_the_ct(mixed):
    shutil.rmtree(mixed / "z")
    write(mixed / "z", [projections()])
    with pytest.raises(InputError, match=r"projections.*Nothing else was taken.*= CT"):
        load_source(mixed, roles=FUNCTIONAL_ROLES)


def test_projections_and_a_localizer_beside_the_volumes_are_no_candidates(mixed):
    write(mixed / "w", [projections()])
    write(mixed / "v", slices(sop=MR, series="localizer")[:1])
    assert load_source(mixed, roles=MRI_ROLES)[0].modality is Modality.MR
    assert load_source(mixed, roles=FUNCTIONAL_ROLES, quantity="raw")[0].modality is Modality.PET


@pytest.mark.parametrize("number", [0, 4])
@pytest.mark.parametrize(("keyword", "value"), [("EchoTime", None), ("ImageType", ["ORIGINAL", "PRIMARY", "NORM"])])
def test_a_slice_at_the_end_that_a_tag_parts_from_its_volume_is_not_lost(mixed, number, keyword, value):
    def tweak(d, k):
        d.EchoTime = 2.5
        if k == number:
            setattr(d, keyword, value)

    write(mixed / "x", slices(sop=MR, series="a", tweak=tweak))
    with pytest.raises(InputError, match=r"one slice that lies where series s\d[ab] .* goes on.*Nothing else was"):
        load_source(mixed, roles=MRI_ROLES)
    key = next(s.key for s in list_series(mixed) if s.modality == "MR" and not s.problem)
    assert load_source(mixed, roles=MRI_ROLES, series=key)[0].array.shape[2] == 4


def test_a_slice_elsewhere_in_the_series_of_a_volume_is_no_candidate(mixed):
    scout = slices(sop=MR, series="a", orientation=(0, 1, 0, 0, 0, -1))[:1]
    scout[0].SOPInstanceUID = scout[0].file_meta.MediaStorageSOPInstanceUID = uid("scout")
    write(mixed / "x" / "scout", scout)
    assert load_source(mixed, roles=MRI_ROLES)[0].array.shape[2] == 5


def test_a_role_that_nothing_can_play_decides_nothing(mixed):
    with pytest.raises(InputError, match="3 volumes that could be meant"):
        load_source(mixed, roles=(("NM",),))


def test_a_folder_with_one_series_needs_no_choice(mixed):
    assert load_source(mixed / "y", roles=MRI_ROLES)[0].modality is Modality.CT


def test_one_folder_serves_both_roles_and_a_stated_series_wins(mixed):
    result = fuse(mixed, mixed, FuseSettings(quantity="raw"), backend=MaximumBackend())
    assert result.report["modality"]["value"] == "pet"
    ct = next(key for key, kind in types_by_key(mixed).items() if kind == "CT")
    stated = fuse(mixed, mixed, FuseSettings(functional_series=ct), backend=MaximumBackend())
    assert stated.report["modality"]["value"] == "ct"

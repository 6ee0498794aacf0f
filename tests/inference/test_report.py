"""The report says enough to repeat a fusion, and nothing that leads to the patient."""

from __future__ import annotations

import json

import numpy as np
import pydicom
import pytest

from tests.inference.maximum_backend import MaximumBackend
from tests.io.dicom_phantom import PATIENT_FACTS, pet_slices, slices, write
from upfusion_med.core import FuseSettings
from upfusion_med.inference import fuse
from upfusion_med.io import save_transform


@pytest.fixture
def study(tmp_path):
    """A folder named after a patient, as folders are."""
    folder = tmp_path / "MILLER^JANE"
    return write(folder / "mr", slices(series="a")), write(folder / "pt", pet_slices(series="b"))


def report_of(study, **settings):
    return fuse(*study, FuseSettings(**settings), backend=MaximumBackend()).report


def uids_of(folder):
    first = pydicom.dcmread(next(folder.iterdir()))
    return {
        "study_instance": first.StudyInstanceUID,
        "series_instance": first.SeriesInstanceUID,
        "frame_of_reference": first.FrameOfReferenceUID,
    }


def test_the_report_holds_what_is_needed_to_repeat_the_fusion(study):
    report = report_of(study, functional_window=(0, 10))
    assert json.loads(json.dumps(report)) == report
    assert report["software"].keys() >= {"upfusion_med", "python", "numpy", "pydicom", "simpleitk", "nibabel"}
    assert report["windows"]["functional"] | {"rule": ""} == {"low": 0, "high": 10, "rule": "", "units": "SUVbw"}
    assert report["settings"]["functional_window"] == [0, 10]
    assert report["colour"].startswith("ember")
    assert report["mri"]["shape"] == [8, 6, 5]
    np.testing.assert_allclose(report["mri"]["spacing_mm"], [1.25, 1.5, 3])
    assert report["seconds"].keys() >= {"read", "prepare", "network", "colour"}


def test_the_report_says_how_the_values_became_suv(study):
    suv = report_of(study)["functional"]["notes"]["suv"]
    assert suv["rule"].startswith("activity times weight over the dose at the reference time (BQML, START)")
    assert suv["factor"] == pytest.approx(70_000 / (370e6 * 2 ** (-3600 / 6586.2)))
    assert (suv["elapsed_min"], suv["dose_bq"], suv["half_life_s"]) == (60.0, 370e6, 6586.2)


def test_uids_are_hashed_unless_asked_for(study):
    mri, pet = map(uids_of, study)
    hidden = json.dumps(report_of(study, functional_series=pet["series_instance"]))
    assert not [uid for uid in (*mri.values(), *pet.values()) if uid in hidden]
    shown = report_of(study, functional_series=pet["series_instance"], report_uids=True)
    assert shown["uids"] == {"mri": mri, "functional": pet}
    assert shown["settings"]["functional_series"] == pet["series_instance"]


def test_names_of_folders_and_patients_stay_out(study):
    transform = study[0].parent / "MILLER.tfm"
    save_transform(transform, np.eye(4))
    report = report_of(study, transform=str(transform), model=str(study[0].parent / "tiny.safetensors"))
    assert report["settings"]["transform"] == "a .tfm file"
    assert report["settings"]["model"] == "tiny.safetensors"
    assert not [fact for fact in ("MILLER", *PATIENT_FACTS) if fact in json.dumps(report)]

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from tests.io import dicom_phantom as phantom
from upfusion_med.cli.inspect import inspect
from upfusion_med.core import InputError
from upfusion_med.io import save_picture, save_scalar_nifti

RUNNER = CliRunner()


@pytest.fixture
def app():
    made = typer.Typer()
    made.command()(inspect)
    return made


def run(app, *arguments):
    return RUNNER.invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"}, catch_exceptions=False)


@pytest.fixture
def study(tmp_path):
    phantom.write(tmp_path / "mr", phantom.slices(series="t1"))
    phantom.write(tmp_path / "pet", phantom.pet_slices(series="pet", tweak=lambda d, k: delattr(d, "PatientWeight")))
    return tmp_path


def test_study_is_shown_as_a_table_with_reasons(app, study):
    result = run(app, study)
    assert result.exit_code == 0
    for text in ("2 volumes", "s1", "s2", "phantom t1", "8x6x5", "1.25x1.5x3", "axial", "Bq/mL"):
        assert text in result.output
    assert "SUV: not possible: Patient's Weight (0010,1030) is missing" in result.output
    for fact in phantom.PATIENT_FACTS:
        assert fact not in result.output


def test_study_as_json(app, study):
    facts = json.loads(run(app, study, "--json").output)
    assert facts["kind"] == "dicom"
    by_type = {s["modality"]: s for s in facts["series"]}
    assert by_type["MR"]["size"] == [8, 6, 5]
    assert by_type["MR"]["problem"] == ""
    assert by_type["PT"]["is_suv_possible"] is False


def test_what_the_conversion_to_suv_puts_up_with_is_shown(app, tmp_path):
    phantom.write(tmp_path, phantom.pet_slices(tweak=lambda d, k: setattr(d, "PatientWeight", 70000)))
    assert "s1 Patient's Weight (0010,1030) is over 1000; it was taken as grams." in run(app, tmp_path).output


def test_problem_files_are_shown(app, study):
    (study / "broken").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 300)
    result = run(app, study)
    assert "problem" in result.output
    assert "broken" in result.output


def test_volume_file_shows_its_facts(app, tmp_path):
    array = np.zeros((4, 3, 2), np.float32)
    array[0, 0, 0], array[1, 1, 1] = np.nan, 5
    save_scalar_nifti(tmp_path / "a.nii.gz", array, np.diag([-1.0, 1, 2, 1]))
    result = run(app, tmp_path / "a.nii.gz")
    for text in ("nifti", "4 x 3 x 2", "1 x 1 x 2 mm", "LAS", "0 to 5", "not finite"):
        assert text in result.output
    facts = json.loads(run(app, tmp_path / "a.nii.gz", "--json").output)
    assert facts["size"] == [4, 3, 2]
    assert facts["not_finite"] == 1
    assert facts["maximum"] == 5.0


def test_time_series_file_shows_the_number_of_frames(app, tmp_path):
    import nibabel

    nibabel.save(nibabel.Nifti1Image(np.ones((2, 3, 4, 6), np.float32), np.eye(4)), tmp_path / "t.nii")
    assert json.loads(run(app, tmp_path / "t.nii", "--json").output)["frames"] == 6


def test_several_patients_are_told(app, study):
    assert "patients" not in run(app, study).output
    phantom.write(study / "other", phantom.slices(series="t2", tweak=lambda d, k: setattr(d, "PatientID", "other")))
    result = run(app, study)
    assert "The images are of 2 patients; a series must be chosen." in result.output
    assert json.loads(run(app, study, "--json").stdout)["patients"] == 2


def test_picture_shows_its_facts_and_no_place_in_a_patient(app, tmp_path):
    save_picture(tmp_path / "p.png", np.arange(12, dtype=np.uint8).reshape(4, 3))
    shown = run(app, tmp_path / "p.png").output
    assert "4 x 3" in shown and "grey levels" in shown
    assert "4 x 3 x 1" not in shown and "mm" not in shown and "LPS" not in shown


def test_missing_path_is_an_input_error(app, tmp_path):
    with pytest.raises(InputError, match="no file or folder"):
        run(app, tmp_path / "gone")


def test_importing_the_command_loads_nothing_heavy():
    import subprocess

    code = (
        "import sys, upfusion_med.cli.inspect; "
        "print([m for m in ('nibabel', 'SimpleITK', 'pydicom', 'numpy', 'rich.table', 'torch') if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from tests.inference.maximum_backend import MaximumBackend
from tests.io.dicom_phantom import CT, MR, PATIENT_FACTS, PT, slices, write
from upfusion_med.core import FuseSettings, InputError, Modality, OutputFormat, UsageError, Volume
from upfusion_med.inference import fuse
from upfusion_med.inference.fusion import read_study
from upfusion_med.io import load_volume


@pytest.fixture
def result(tmp_path):
    write(tmp_path / "mr", slices(sop=MR, series="a"))
    write(tmp_path / "pt", slices(sop=PT, series="b"))
    return fuse(tmp_path / "mr", tmp_path / "pt", FuseSettings(quantity="raw"), backend=MaximumBackend())


def test_the_fused_series_lies_where_the_mri_lies_and_belongs_to_its_study(result, tmp_path):
    result.save(tmp_path / "out", [OutputFormat.DICOM])
    back = load_volume(tmp_path / "out" / "dicom")
    assert np.allclose(back.affine, result.volume.affine, atol=1e-4)
    assert np.array_equal(back.array, result.volume.array)
    mri = pydicom.dcmread(next((tmp_path / "mr").iterdir()))
    fused = pydicom.dcmread(tmp_path / "out" / "dicom" / "0001.dcm")
    assert fused.StudyInstanceUID == mri.StudyInstanceUID
    assert fused.FrameOfReferenceUID == mri.FrameOfReferenceUID
    assert fused.SeriesInstanceUID != mri.SeriesInstanceUID
    assert "Not for diagnostic use" in fused.SeriesDescription
    assert "Not for diagnostic use" in fused.ImageComments


def test_a_tilted_ct_is_fused_where_it_lies_once_it_is_accepted(tmp_path):
    mr = write(tmp_path / "mr", slices(sop=MR, series="a", step=(0, 0, 2.5)))
    ct = write(tmp_path / "ct", slices(sop=CT, series="b", step=(0, 0.8, 3.0)))
    with pytest.raises(InputError, match=r"tilted stack.*--accept-tilt"):
        fuse(mr, ct, backend=MaximumBackend())
    study = read_study(mr, ct, FuseSettings(accept_tilt=True))
    # both hold 2x + 3y + 5z of their place, which linear interpolation between voxel centres keeps
    index = np.stack([*np.indices(study.mri.array.shape), np.ones(study.mri.array.shape)], axis=-1)
    of_ct = index @ (np.linalg.inv(study.functional.affine) @ study.mri.affine).T[:, :3]
    between = ((of_ct >= 0) & (of_ct <= np.array(study.functional.array.shape) - 1)).all(axis=-1)
    assert between.mean() > 0.3
    resampled = study.prepared.alignment.functional.array
    np.testing.assert_allclose(resampled[between], study.mri.array[between], atol=0.15)


def test_deidentified_output_names_nobody(result, tmp_path):
    result.save(tmp_path / "out", [OutputFormat.DICOM], deidentify=True)
    content = b"".join(f.read_bytes() for f in (tmp_path / "out" / "dicom").iterdir())
    assert content.count(b"\0DICM") == result.luminance.array.shape[2]
    assert not any(fact.encode() in content for fact in PATIENT_FACTS)


def test_two_patients_are_warned_of_and_no_dicom_is_written(tmp_path):
    write(tmp_path / "mr", slices(sop=MR, series="a"))
    write(tmp_path / "ct", slices(sop=CT, series="b", tweak=lambda d, k: setattr(d, "PatientID", "SOMEBODY-ELSE")))
    result = fuse(tmp_path / "mr", tmp_path / "ct", backend=MaximumBackend())
    (warning,) = (w for w in result.report["warnings"] if "patients" in w)
    assert "different patients by Patient ID" in warning and "SOMEBODY" not in str(result.report)
    with pytest.raises(InputError, match="expected one patient"):
        result.save(tmp_path / "out", [OutputFormat.DICOM])
    assert not (tmp_path / "out").exists()
    settings = FuseSettings(lut="no table: found after the patients")
    with pytest.raises(InputError, match="Choose other formats"):
        fuse(tmp_path / "mr", tmp_path / "ct", settings, formats=[OutputFormat.NIFTI, OutputFormat.PARAMETRIC_MAP])
    with pytest.raises(UsageError, match="no table"):
        fuse(tmp_path / "mr", tmp_path / "ct", settings, formats=[OutputFormat.NIFTI])


def test_the_report_names_nobody(result):
    assert not any(fact in str(result.report) for fact in PATIENT_FACTS)


def test_a_forced_second_run_replaces_the_series(result, tmp_path):
    result.save(tmp_path / "out", [OutputFormat.DICOM])
    first = pydicom.dcmread(tmp_path / "out" / "dicom" / "0001.dcm").SeriesInstanceUID
    result.save(tmp_path / "out", [OutputFormat.DICOM], force=True)
    assert pydicom.dcmread(tmp_path / "out" / "dicom" / "0001.dcm").SeriesInstanceUID != first


def test_an_mri_that_was_no_dicom_gets_a_study_of_its_own(tmp_path):
    image = np.random.default_rng(0).random((12, 10, 4)).astype(np.float32)
    mri, pet = Volume(image, np.diag([-1.0, -1, 3, 1])), Volume(image[::-1].copy(), np.diag([-1.0, -1, 3, 1]))
    fused = fuse(mri, pet, FuseSettings(modality=Modality.PET), backend=MaximumBackend())
    fused.save(tmp_path / "out", [OutputFormat.DICOM])
    assert np.array_equal(load_volume(tmp_path / "out" / "dicom").array, fused.volume.array)

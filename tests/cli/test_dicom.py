from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest

from tests.io import dicom_phantom as phantom
from upfusion_med.io import load_volume, save_rgb_nifti, save_rgb_nrrd, save_scalar_nrrd


def upfusion(*arguments: object) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-m", "upfusion_med", *map(str, arguments)]
    return subprocess.run(call, capture_output=True, text=True, check=False)


@pytest.fixture
def fused(tmp_path: Path) -> tuple[Path, Path]:
    """A colour volume on the grid of a DICOM MRI, and that MRI's folder."""
    mri = tmp_path / "mri"
    phantom.write(mri, phantom.slices())
    volume = load_volume(mri)
    rgb = np.random.default_rng(1).integers(0, 256, (*volume.array.shape, 3), dtype=np.uint8)
    save_rgb_nrrd(tmp_path / "fused_rgb.nrrd", rgb, volume.affine)
    return tmp_path / "fused_rgb.nrrd", mri


def test_the_series_joins_the_study_and_keeps_every_voxel(fused, tmp_path):
    volume, mri = fused
    report = tmp_path / "report.json"
    told = {"modality": {"value": "pet"}, "network": {"model": "upfusion-tiny"}, "colour": "ember"}
    report.write_text(json.dumps(told))
    done = upfusion("dicom", volume, "--output", tmp_path / "out", "--study", mri, "--report", report)
    assert done.returncode == 0, done.stderr
    written, source = load_volume(tmp_path / "out"), load_volume(volume)
    assert (written.array == source.array).all()
    assert np.allclose(written.affine, source.affine, atol=1e-6)
    first = pydicom.dcmread(tmp_path / "out" / "0001.dcm")
    original = pydicom.dcmread(next(mri.iterdir()))
    assert first.StudyInstanceUID == original.StudyInstanceUID
    assert first.FrameOfReferenceUID == original.FrameOfReferenceUID
    assert first.SeriesInstanceUID != original.SeriesInstanceUID
    assert "MRI + PET" in first.SeriesDescription
    assert "upfusion-tiny" in first.DerivationDescription


def test_a_folder_in_the_way_and_a_series_of_no_study_are_refused(fused, tmp_path):
    volume, mri = fused
    full = upfusion("dicom", volume, "--output", mri)
    assert (full.returncode, "--force" in full.stderr) == (2, False) and "is not empty" in full.stderr
    alone = upfusion("dicom", volume, "--output", tmp_path / "out", "--mri-series", "s2")
    assert (alone.returncode, "add --study" in alone.stderr) == (2, True)


def test_the_folder_of_a_whole_study_is_a_study(fused, tmp_path):
    volume, mri = fused
    phantom.write(tmp_path / "mri" / "pet", phantom.slices(sop=phantom.PT, series="pet", tweak=phantom.pet_tags))
    done = upfusion("dicom", volume, "--output", tmp_path / "out", "--study", mri)
    assert done.returncode == 0, done.stderr
    original = pydicom.dcmread(mri / "000.dcm")
    assert pydicom.dcmread(tmp_path / "out" / "0001.dcm").StudyInstanceUID == original.StudyInstanceUID

    phantom.write(tmp_path / "mri" / "t2", phantom.slices(series="t2", step=(0, 0, 4)))
    call = ("dicom", volume, "--output", tmp_path / "two", "--study", mri)
    assert "--mri-series" in upfusion(*call).stderr
    done = upfusion(*call, "--mri-series", "phantom a")
    assert done.returncode == 0, done.stderr


def test_one_frame_of_an_mri_of_several_is_chosen(fused, tmp_path):
    volume, _ = fused
    made = phantom.slices() + phantom.slices()
    for number, d in enumerate(made):
        d.SOPInstanceUID = d.file_meta.MediaStorageSOPInstanceUID = phantom.uid(number)
        d.TemporalPositionIdentifier = 1 + number // 5
    phantom.write(tmp_path / "frames", made)
    call = ("dicom", volume, "--output", tmp_path / "out", "--study", tmp_path / "frames")
    assert upfusion(*call).returncode == 3
    done = upfusion(*call, "--mri-frame", "1")
    assert done.returncode == 0, done.stderr
    source = pydicom.dcmread(tmp_path / "out" / "0001.dcm").SourceImageSequence[0]
    assert source.ReferencedSOPInstanceUID == phantom.uid(5)


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz"])
def test_a_fused_ct_whose_colours_are_all_grey_keeps_every_voxel(fused, tmp_path, suffix):
    volume, mri = fused
    whole = load_volume(volume)
    grey = np.repeat(whole.array[..., :1], 3, axis=3).astype(np.uint8)
    save = save_rgb_nrrd if suffix == ".nrrd" else save_rgb_nifti
    save(tmp_path / f"grey{suffix}", grey, whole.affine)
    done = upfusion("dicom", tmp_path / f"grey{suffix}", "--output", tmp_path / "out", "--study", mri)
    assert done.returncode == 0, done.stderr
    assert pydicom.dcmread(tmp_path / "out" / "0001.dcm").PhotometricInterpretation == "RGB"
    assert (load_volume(tmp_path / "out").array == grey[..., 0]).all()


def test_without_a_study_it_is_one_of_its_own(fused, tmp_path):
    volume, mri = fused
    assert upfusion("dicom", volume, "--output", tmp_path / "out").returncode == 0
    first = pydicom.dcmread(tmp_path / "out" / "0001.dcm")
    assert first.StudyInstanceUID != pydicom.dcmread(next(mri.iterdir())).StudyInstanceUID
    assert first.PatientID == ""


def test_what_is_no_colour_volume_no_report_or_no_dicom_is_refused(fused, tmp_path):
    volume, _ = fused
    grey = tmp_path / "grey.nrrd"
    save_scalar_nrrd(grey, np.ones((3, 3, 3), np.float32), np.eye(4))
    text = tmp_path / "text.json"
    text.write_text("[]")
    for arguments in ((grey,), (volume, "--report", text), (volume, "--study", grey)):
        done = upfusion("dicom", *arguments, "--output", tmp_path / "out")
        assert done.returncode == 3, done.stderr
        assert done.stderr.startswith("Error: ")
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("origin", [(2.5, -5.0, 20.0), (900.0, -500.0, 700.0)], ids=["aside", "far away"])
def test_a_series_that_the_volume_does_not_lie_on_is_refused(fused, tmp_path, origin):
    volume, _ = fused
    places = [np.add(origin, (0, 0, 3.0 * k)) for k in range(phantom.SLICES)]
    other = phantom.write(tmp_path / "other", phantom.slices(positions=places))
    done = upfusion("dicom", volume, "--output", tmp_path / "out", "--study", other)
    assert done.returncode == 3, done.stderr
    assert "are not voxels of the DICOM series" in done.stderr
    assert "leave --study out" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_part_of_the_mri_joins_its_study(fused, tmp_path):
    volume, mri = fused
    whole = load_volume(volume)
    first = np.eye(4)
    first[:3, 3] = (2, 1, 1)
    save_rgb_nrrd(tmp_path / "part.nrrd", whole.array[2:7, 1:, 1:].astype(np.uint8), whole.affine @ first)
    done = upfusion("dicom", tmp_path / "part.nrrd", "--output", tmp_path / "out", "--study", mri)
    assert done.returncode == 0, done.stderr
    assert (load_volume(tmp_path / "out").array == whole.array[2:7, 1:, 1:]).all()

from __future__ import annotations

import doctest
import errno

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from tests.io.dicom import fused_phantom as fused
from upfusion_med.core import InputError, RuntimeFailure, UsageError
from upfusion_med.io import (
    load_volume,
    new_source_study,
    read_source_study,
    save_colour_multiframe,
    save_colour_series,
)
from upfusion_med.io.dicom import secondary_capture

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
NOTICE = "Not for diagnostic use"


def itk_read(files):
    """(X, Y, Z, 3) bytes and RAS affine as ITK's series (or file) reader sees them."""
    if isinstance(files, list):
        reader = sitk.ImageSeriesReader()
        names = reader.GetGDCMSeriesFileNames(str(files[0].parent))
        assert len(names) == len(files)
        reader.SetFileNames(names)
        image = reader.Execute()
    else:
        image = sitk.ReadImage(str(files))
    lps = np.eye(4)
    lps[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    lps[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image).transpose(2, 1, 0, 3), LPS @ lps


def pydicom_read(files):
    """The same by the equation of PS3.3 C.7.6.2.1.1, from the tags of the files in the order of their numbers."""
    sets = sorted(map(pydicom.dcmread, files), key=lambda d: d.InstanceNumber)
    d = sets[0]
    lps = np.eye(4)
    row, column = np.array(d.ImageOrientationPatient[:3]), np.array(d.ImageOrientationPatient[3:])
    lps[:3, 0], lps[:3, 1] = row * d.PixelSpacing[1], column * d.PixelSpacing[0]
    positions = np.array([s.ImagePositionPatient for s in sets], float)
    steps = np.diff(positions, axis=0)
    np.testing.assert_allclose(steps, np.broadcast_to(steps[0], steps.shape), atol=1e-4)
    assert steps[0] @ np.cross(row, column) > 0, "instance numbers run along the normal"
    lps[:3, 2], lps[:3, 3] = steps.mean(axis=0), positions[0]
    assert float(d.SpacingBetweenSlices) == pytest.approx(np.linalg.norm(steps[0]), abs=1e-6)
    return np.stack([s.pixel_array for s in sets]).transpose(2, 1, 0, 3), LPS @ lps


def our_read(files):
    volume = load_volume(files[0].parent if isinstance(files, list) else files)
    assert "warnings" not in volume.notes
    assert volume.frame_of_reference_uid
    return volume.array.astype(np.uint8), volume.affine


@pytest.mark.parametrize("read", [our_read, itk_read, pydicom_read])
@pytest.mark.parametrize("name", fused.STACKS)
def test_series_reads_back_voxel_for_voxel_on_the_grid_of_the_mri(tmp_path, name, read):
    mri = load_volume(fused.mri_series(tmp_path / "mri", name))
    rgb = fused.colours(mri.array.shape)
    files = save_colour_series(tmp_path / "fused", rgb, mri.affine, study=read_source_study(tmp_path / "mri"))
    written, affine = read(files)
    np.testing.assert_allclose(affine, mri.affine, atol=1e-4)
    np.testing.assert_array_equal(written, rgb)
    assert [f.name for f in files] == [f"{n:04d}.dcm" for n in range(1, 6)]


@pytest.mark.parametrize("read", [our_read, itk_read])
@pytest.mark.parametrize("name", fused.STACKS)
def test_multiframe_file_reads_back_voxel_for_voxel_on_the_grid_of_the_mri(tmp_path, name, read):
    mri = load_volume(fused.mri_series(tmp_path / "mri", name))
    rgb = fused.colours(mri.array.shape)
    study = read_source_study(tmp_path / "mri")
    written, affine = read(save_colour_multiframe(tmp_path / "fused.dcm", rgb, mri.affine, study=study))
    np.testing.assert_allclose(affine, mri.affine, atol=1e-4)
    np.testing.assert_array_equal(written, rgb)


@pytest.mark.parametrize("read", [our_read, itk_read, pydicom_read])
@pytest.mark.parametrize(
    "signs", [(1, 1, 1), (-1, -1, 1), (-1, 1, 1), (1, 1, -1), (-1, -1, -1)], ids=["RAS", "LPS", "LAS", "RAI", "LPI"]
)
@pytest.mark.parametrize("across", [0, 1, 2])
@pytest.mark.parametrize("oblique", [False, True])
def test_volumes_that_were_no_dicom_keep_every_voxel_in_its_place(tmp_path, read, signs, across, oblique):
    spacing = [1.1, 1.3, 0.9]
    spacing[across] = 4.5
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", (12, -9, 21), degrees=True).as_matrix() if oblique else np.eye(3)
    affine[:3, :3] = turn @ np.diag(signs) * spacing
    affine[:3, 3] = (-31.5, 12.25, 100.125)
    rgb = fused.colours((5, 6, 7))
    files = save_colour_series(tmp_path / "fused", rgb, affine, study=None)
    assert len(files) == rgb.shape[across], "slices are cut across the widest spacing"
    fused.assert_same_in_space(rgb, affine, *read(files))


def test_series_belongs_to_the_study_and_space_of_the_mri_and_is_new(tmp_path):
    source = fused.mri_series(tmp_path / "mri")
    mri, study = load_volume(source), read_source_study(source)
    first = save_colour_series(tmp_path / "one", fused.colours(mri.array.shape), mri.affine, study=study)
    second = save_colour_series(tmp_path / "two", fused.colours(mri.array.shape), mri.affine, study=study)
    original = pydicom.dcmread(source / "000.dcm")
    sets = [pydicom.dcmread(f) for f in first]
    for d in sets:
        for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName", "StudyDate", "StudyID"):
            assert d[keyword].value == original[keyword].value
    assert len({d.SeriesInstanceUID for d in sets}) == 1
    series = {pydicom.dcmread(f).SeriesInstanceUID for f in (*first, *second)} | {original.SeriesInstanceUID}
    assert len(series) == 3
    instances = [pydicom.dcmread(f).SOPInstanceUID for f in (*first, *second)]
    assert len(set(instances)) == len(instances)
    assert all(d.file_meta.MediaStorageSOPInstanceUID == d.SOPInstanceUID for d in sets)


def test_elements_of_a_secondary_capture(tmp_path):
    source = fused.mri_series(tmp_path / "mri")
    mri, study = load_volume(source), read_source_study(source)
    pet = read_source_study(fused.pet_series(tmp_path / "pet"))
    rgb = fused.colours(mri.array.shape)
    files = save_colour_series(
        tmp_path / "fused", rgb, mri.affine, study=study, functional=pet, derivation="Network x of model y"
    )
    d = pydicom.dcmread(files[2])
    assert d.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7"
    assert (d.Modality, d.ConversionType, d.ImageType) == ("OT", "WSD", ["DERIVED", "SECONDARY"])
    assert d["PatientOrientation"].is_empty
    assert (d.SamplesPerPixel, d.PhotometricInterpretation, d.PlanarConfiguration) == (3, "RGB", 0)
    assert (d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation) == (8, 8, 7, 0)
    assert (float(d.SliceThickness), float(d.SpacingBetweenSlices)) == (2.5, 3.0)
    assert (d.BurnedInAnnotation, d.LossyImageCompression) == ("NO", "00")
    assert d.SeriesDescription == f"Fused MR + PT - {NOTICE}"
    assert NOTICE in d.ImageComments
    assert d.DerivationDescription == "Network x of model y"
    assert d.SeriesNumber == 9001
    assert "Laterality" not in d
    assert not [k for k in ("RescaleSlope", "WindowCenter", "PixelAspectRatio") if k in d]
    assert d.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert not [e for e in d.iterall() if e.tag.is_private]
    raw = files[2].read_bytes()
    assert not [text for text in (*fused.NEVER_REPEATED.values(), "NEVERPRIVATE") if text.encode() in raw]


@pytest.mark.parametrize(("name", "pet_references"), [("axial", 2 + 1 + 2 + 2 + 1), ("descending", 2 + 1)])
def test_every_slice_names_the_slices_it_was_made_from(tmp_path, name, pet_references):
    source, other = fused.mri_series(tmp_path / "mri", name), fused.pet_series(tmp_path / "pet")
    mri = load_volume(source)
    files = save_colour_series(
        tmp_path / "fused",
        fused.colours(mri.array.shape),
        mri.affine,
        study=read_source_study(source),
        functional=read_source_study(other),
    )
    heights = {
        d.SOPInstanceUID: (d.SOPClassUID, float(d.ImagePositionPatient[2]))
        for d in map(pydicom.dcmread, (*source.iterdir(), *other.iterdir()))
    }
    counted = 0
    for d in map(pydicom.dcmread, files):
        place = float(d.ImagePositionPatient[2])
        found = [heights[item.ReferencedSOPInstanceUID] for item in d.SourceImageSequence]
        assert [c for c, _ in found] == [item.ReferencedSOPClassUID for item in d.SourceImageSequence]
        assert [h for c, h in found if c.endswith(".4")] == [place]
        functional = [h for c, h in found if c.endswith(".128")]
        assert all(abs(h - place) < 4 for h in functional)
        counted += len(functional)
        assert {item.PurposeOfReferenceCodeSequence[0].CodeValue for item in d.SourceImageSequence} == {"121322"}
    assert counted == pet_references


def test_series_numbers_in_use_are_left_free(tmp_path):
    source = fused.mri_series(tmp_path / "mri", tweak=lambda d, k: setattr(d, "SeriesNumber", 9001))
    other = fused.pet_series(tmp_path / "pet", tweak=lambda d, k: setattr(d, "SeriesNumber", 9002))
    mri, study, pet = load_volume(source), read_source_study(source), read_source_study(other)
    rgb = fused.colours(mri.array.shape)
    files = save_colour_series(tmp_path / "a", rgb, mri.affine, study=study, functional=pet)
    assert pydicom.dcmread(files[0]).SeriesNumber == 9003
    files = save_colour_series(tmp_path / "b", rgb, mri.affine, study=study, series_number=77)
    assert pydicom.dcmread(files[0]).SeriesNumber == 77
    with pytest.raises(UsageError, match="series number is 0"):
        save_colour_series(tmp_path / "c", rgb, mri.affine, study=study, series_number=0)


@pytest.mark.filterwarnings("ignore:The value length:UserWarning")  # on reading, pydicom counts the padding byte
def test_long_descriptions_are_cut_and_the_notice_stays(tmp_path):
    files = save_colour_series(
        tmp_path / "f", fused.colours((4, 4, 2)), np.eye(4), study=None, description="Ä" * 80, derivation="d" * 2000
    )
    d = pydicom.dcmread(files[0])
    assert d.SeriesDescription.endswith(NOTICE)
    assert len(d.SeriesDescription) == 64
    assert d.SeriesDescription.startswith("ÄÄÄ")
    assert len(d.DerivationDescription) == 1024


def test_names_keep_their_letters(tmp_path):
    def named(d, k):
        d.SpecificCharacterSet = "ISO_IR 100"
        d.PatientName = "Müller^Jörg"

    source = fused.mri_series(tmp_path / "mri", tweak=named)
    mri = load_volume(source)
    files = save_colour_series(
        tmp_path / "f", fused.colours(mri.array.shape), mri.affine, study=read_source_study(source)
    )
    assert str(pydicom.dcmread(files[0]).PatientName) == "Müller^Jörg"


def test_burned_in_note_is_declared_and_changes_only_the_lower_left(tmp_path):
    rgb = np.full((160, 120, 3, 3), 90, np.uint8)
    study = new_source_study()
    affine = np.diag([-1.0, -1.0, 2.0, 1.0])
    plain = save_colour_series(tmp_path / "plain", rgb, affine, study=study)
    noted = save_colour_series(tmp_path / "noted", rgb, affine, study=study, burn_in_note=True)
    one = save_colour_multiframe(tmp_path / "noted.dcm", rgb, affine, study=study, burn_in_note=True)
    assert [pydicom.dcmread(f).BurnedInAnnotation for f in (plain[0], noted[0], one)] == ["NO", "YES", "YES"]
    for a, b, c in zip(plain, noted, pydicom.dcmread(one).pixel_array, strict=True):
        pixels = pydicom.dcmread(b).pixel_array
        changed = (pixels != pydicom.dcmread(a).pixel_array).any(axis=-1)
        assert 0.005 < changed.mean() < 0.15
        assert not changed[: 120 - 20].any()
        assert pixels.max() > 200
        assert pixels.min() < 20, "the edge is dark"
        np.testing.assert_array_equal(pixels, c)


def test_compression_with_loss_of_a_source_is_passed_on(tmp_path):
    def lossy(d, k):
        d.LossyImageCompression, d.LossyImageCompressionRatio = "01", "9.5"
        d.LossyImageCompressionMethod = "ISO_10918_1"

    mri = load_volume(fused.mri_series(tmp_path / "mri"))
    study, pet = read_source_study(tmp_path / "mri"), read_source_study(fused.pet_series(tmp_path / "pet", lossy))
    files = save_colour_series(tmp_path / "f", fused.colours(mri.array.shape), mri.affine, study=study, functional=pet)
    d = pydicom.dcmread(files[0])
    assert (d.LossyImageCompression, float(d.LossyImageCompressionRatio)) == ("01", 9.5)
    assert d.LossyImageCompressionMethod == "ISO_10918_1"


def test_images_of_another_patient_are_not_referred_to(tmp_path):
    mri = load_volume(fused.mri_series(tmp_path / "mri"))
    other = fused.pet_series(tmp_path / "pet", lambda d, k: setattr(d, "PatientID", "SOMEONE"))
    with pytest.raises(InputError, match=r"different patients by Patient ID \(0010,0020\).*; expected one") as caught:
        save_colour_series(
            tmp_path / "f",
            fused.colours(mri.array.shape),
            mri.affine,
            study=read_source_study(tmp_path / "mri"),
            functional=read_source_study(other),
        )
    assert "SOMEONE" not in str(caught.value)
    assert "SECRET" not in str(caught.value)
    assert not (tmp_path / "f").exists()


def test_new_study_has_its_own_uids_and_no_patient(tmp_path):
    rgb = fused.colours((4, 5, 3))
    one, two = (save_colour_series(tmp_path / n, rgb, np.eye(4), study=None)[0] for n in ("a", "b"))
    d, e = pydicom.dcmread(one), pydicom.dcmread(two)
    assert d.StudyInstanceUID != e.StudyInstanceUID
    assert d.FrameOfReferenceUID != e.FrameOfReferenceUID
    assert d["PatientID"].is_empty
    assert d["PatientName"].is_empty
    assert "SourceImageSequence" not in d
    given = new_source_study({"PatientID": "P07"})
    files = [save_colour_series(tmp_path / n, rgb, np.eye(4), study=given)[0] for n in ("c", "d")]
    assert len({pydicom.dcmread(f).StudyInstanceUID for f in files}) == 1
    assert pydicom.dcmread(files[0]).PatientID == "P07"


def test_odd_number_of_bytes_is_padded(tmp_path):
    files = save_colour_series(tmp_path / "f", fused.colours((3, 3, 3)), np.eye(4), study=None)
    assert len(pydicom.dcmread(files[0]).PixelData) == 28
    assert pydicom.dcmread(files[0]).pixel_array.shape == (3, 3, 3)


def test_nothing_is_left_when_the_disk_is_full(tmp_path, monkeypatch):
    written = []
    save_as = pydicom.Dataset.save_as

    def fails_at_the_third(self, path, **kwargs):
        written.append(path)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        save_as(self, path, **kwargs)

    monkeypatch.setattr(pydicom.Dataset, "save_as", fails_at_the_third)
    with pytest.raises(RuntimeFailure, match="No space left"):
        save_colour_series(tmp_path / "f", fused.colours((3, 4, 5)), np.eye(4), study=None)
    assert len(written) == 3
    assert list(tmp_path.iterdir()) == []


def test_wrong_calls_are_refused(tmp_path):
    rgb = fused.colours((3, 4, 5))
    sheared = np.eye(4)
    sheared[0, 2] = 0.3
    with pytest.raises(InputError, match="sheared"):
        save_colour_series(tmp_path / "f", rgb, sheared, study=None)
    with pytest.raises(UsageError, match="float64"):
        save_colour_series(tmp_path / "f", rgb / 255, np.eye(4), study=None)
    with pytest.raises(UsageError, match=r"ends in \.dcm"):
        save_colour_multiframe(tmp_path / "f.png", rgb, np.eye(4), study=None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["axial", "oblique descending", "sagittal"])
def test_validator_finds_no_error(tmp_path, name):
    mri = load_volume(fused.mri_series(tmp_path / "mri", name))
    study, pet = read_source_study(tmp_path / "mri"), read_source_study(fused.pet_series(tmp_path / "pet"))
    rgb = fused.colours(mri.array.shape)
    files = save_colour_series(tmp_path / "f", rgb, mri.affine, study=study, functional=pet)
    fused.assert_valid(files[1], "SCImage")
    one = save_colour_multiframe(tmp_path / "f.dcm", rgb, mri.affine, study=study, functional=pet)
    fused.assert_valid(one, "MultiframeTrueColorSCImage")


def test_validator_finds_no_error_in_a_new_study(tmp_path):
    rgb = fused.colours((4, 5, 6))
    fused.assert_valid(save_colour_series(tmp_path / "f", rgb, np.eye(4), study=None)[1], "SCImage")
    one = save_colour_multiframe(tmp_path / "f.dcm", rgb, np.eye(4), study=None, burn_in_note=True)
    fused.assert_valid(one, "MultiframeTrueColorSCImage")


@pytest.mark.shared
@pytest.mark.parametrize("study_name", ["sts_001_ibsi_dicom", "sts_001_raw"])
def test_real_study_is_written_on_its_own_grid(tmp_path, shared, study_name):
    place = shared / "data" / "volumes" / study_name
    mri = load_volume(place / "T1")
    study, pet = read_source_study(place / "T1"), read_source_study(place / "PET")
    rgb = fused.colours(mri.array.shape)
    files = save_colour_series(tmp_path / "f", rgb, mri.affine, study=study, functional=pet)
    for read in (our_read, itk_read, pydicom_read):
        written, affine = read(files)
        np.testing.assert_allclose(affine, mri.affine, atol=1e-4)
        np.testing.assert_array_equal(written, rgb)
    originals = {d.SOPInstanceUID: d for d in (pydicom.dcmread(f) for f in (place / "T1").iterdir())}
    for d in map(pydicom.dcmread, files):
        twin = originals[d.SourceImageSequence[0].ReferencedSOPInstanceUID]
        np.testing.assert_allclose(d.ImagePositionPatient, twin.ImagePositionPatient, atol=1e-4)
        assert (d.Rows, d.Columns) == (twin.Rows, twin.Columns)
        assert (d.StudyInstanceUID, d.PatientID) == (twin.StudyInstanceUID, twin.PatientID)
    fused.assert_valid(files[7], "SCImage")


def test_example_of_the_documentation_runs():
    assert doctest.testmod(secondary_capture).failed == 0
    assert doctest.testmod(secondary_capture).attempted > 0

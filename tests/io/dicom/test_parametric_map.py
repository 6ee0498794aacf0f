from __future__ import annotations

import logging
import sys

import numpy as np
import pydicom
import pytest

from tests.io.dicom import fused_phantom as fused
from upfusion_med.core import InputError, MissingPackageError, UsageError
from upfusion_med.io import load_volume, new_source_study, read_source_study, save_luminance_map

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture
def highdicom():
    return pytest.importorskip("highdicom", reason="the extra 'dicom' is not installed")


def luminance(shape):
    return np.random.default_rng(3).random(shape, dtype=np.float32)


@pytest.mark.parametrize("name", fused.STACKS)
def test_map_reads_back_on_the_grid_of_the_mri(tmp_path, highdicom, name):
    mri = load_volume(fused.mri_series(tmp_path / "mri", name))
    values = luminance(mri.array.shape)
    file = save_luminance_map(tmp_path / "map.dcm", values, mri.affine, study=read_source_study(tmp_path / "mri"))
    read = highdicom.imread(file).get_volume()
    fused.assert_same_in_space(
        np.repeat(values[..., None], 3, -1), LPS @ mri.affine, np.repeat(read.array[..., None], 3, -1), read.affine
    )
    ours = load_volume(file)
    np.testing.assert_allclose(ours.affine, mri.affine, atol=1e-4)
    np.testing.assert_array_equal(ours.array, values)


def test_frames_name_the_slices_they_were_made_from(tmp_path, highdicom):
    mri = load_volume(fused.mri_series(tmp_path / "mri"))
    study, pet = read_source_study(tmp_path / "mri"), read_source_study(fused.pet_series(tmp_path / "pet"))
    file = save_luminance_map(
        tmp_path / "map.dcm", luminance(mri.array.shape), mri.affine, study=study, functional=pet, derivation="how"
    )
    d = pydicom.dcmread(file)
    heights = {
        s.SOPInstanceUID: (s.Modality, float(s.ImagePositionPatient[2]))
        for folder in ("mri", "pet")
        for s in map(pydicom.dcmread, (tmp_path / folder).iterdir())
    }
    for frame in d.PerFrameFunctionalGroupsSequence:
        place = float(frame.PlanePositionSequence[0].ImagePositionPatient[2])
        derived = frame.DerivationImageSequence[0]
        assert derived.DerivationDescription == "how"
        assert [c.CodeValue for c in derived.DerivationCodeSequence] == ["112187"]
        found = [heights[item.ReferencedSOPInstanceUID] for item in derived.SourceImageSequence]
        assert [h for m, h in found if m == "MR"] == [place]
        near = [h for m, h in found if m == "PT"]
        assert near and all(abs(h - place) < 4 for h in near)
    listed = {series.SeriesInstanceUID: len(series.ReferencedInstanceSequence) for series in d.ReferencedSeriesSequence}
    assert listed == {study.series_instance_uid: 5, pet.series_instance_uid: 4}
    assert "SourceImageSequence" not in d


def test_sources_of_another_study_are_listed_apart(tmp_path, highdicom):
    mri = load_volume(fused.mri_series(tmp_path / "mri"))
    study = read_source_study(tmp_path / "mri")
    other = fused.pet_series(tmp_path / "pet", lambda d, k: setattr(d, "StudyInstanceUID", "1.2.3.4"))
    pet = read_source_study(other)
    file = save_luminance_map(tmp_path / "map.dcm", luminance(mri.array.shape), mri.affine, study=study, functional=pet)
    d = pydicom.dcmread(file)
    assert [s.SeriesInstanceUID for s in d.ReferencedSeriesSequence] == [study.series_instance_uid]
    elsewhere = d.StudiesContainingOtherReferencedInstancesSequence
    assert [s.StudyInstanceUID for s in elsewhere] == ["1.2.3.4"]
    assert elsewhere[0].ReferencedSeriesSequence[0].SeriesInstanceUID == pet.series_instance_uid
    fused.assert_valid(file, "ParametricMap")


def test_map_belongs_to_the_study_and_says_what_it_is(tmp_path, highdicom, caplog):
    mri = load_volume(fused.mri_series(tmp_path / "mri"))
    study = read_source_study(tmp_path / "mri")
    values = luminance(mri.array.shape)
    with caplog.at_level(logging.DEBUG):
        file = save_luminance_map(tmp_path / "map.dcm", values, mri.affine, study=study)
    assert "SECRET" not in caplog.text
    d = pydicom.dcmread(file)
    assert (d.StudyInstanceUID, d.FrameOfReferenceUID) == (study.study_instance_uid, study.frame_of_reference_uid)
    assert d.PatientID == fused.SECRETS["PatientID"]
    assert d.SeriesDescription == "Fused luminance - Not for diagnostic use"
    assert d.SeriesNumber == 9002
    assert d.RecognizableVisualFeatures == "YES", "a face may be rebuilt from a head"
    shared = d.SharedFunctionalGroupsSequence[0]
    mapping, window, measures = (
        shared[keyword][0]
        for keyword in ("RealWorldValueMappingSequence", "FrameVOILUTSequence", "PixelMeasuresSequence")
    )
    unit = mapping.MeasurementUnitsCodeSequence[0]
    assert (unit.CodeValue, unit.CodingSchemeDesignator) == ("1", "UCUM")
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)
    last, first = (mapping[f"DoubleFloatRealWorldValue{end}ValueMapped"].value for end in ("Last", "First"))
    assert (first, last) == pytest.approx((values.min(), values.max()))
    assert (window.WindowCenter, window.WindowWidth) == (0.5, 1)
    x, y, step = mri.geometry.spacing_mm
    assert list(measures.PixelSpacing) == pytest.approx([y, x])
    assert measures.SpacingBetweenSlices == pytest.approx(step)
    fused.assert_valid(file, "ParametricMap")


def test_volume_that_was_no_dicom_has_no_references(tmp_path, highdicom):
    values = luminance((4, 5, 6))
    file = save_luminance_map(tmp_path / "map.dcm", values, np.eye(4), study=new_source_study())
    d = pydicom.dcmread(file)
    named = ("Referenced", "Derivation", "SourceImage", "StudiesContaining")
    assert not [e.keyword for e in d.iterall() if e.keyword.startswith(named)]
    fused.assert_valid(file, "ParametricMap")


def test_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(MissingPackageError, match=r"upfusion-med\[dicom\]"):
        save_luminance_map(tmp_path / "map.dcm", luminance((4, 5, 6)), np.eye(4), study=None)
    assert list(tmp_path.iterdir()) == []


def test_wrong_calls_are_refused(tmp_path):
    values = luminance((4, 5, 6))
    with pytest.raises(UsageError, match="uint8"):
        save_luminance_map(tmp_path / "m.dcm", values.astype(np.uint8), np.eye(4), study=None)
    values[1, 1, 1] = np.nan
    with pytest.raises(InputError, match="not finite"):
        save_luminance_map(tmp_path / "m.dcm", values, np.eye(4), study=None)
    assert list(tmp_path.iterdir()) == []

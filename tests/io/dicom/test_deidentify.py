from __future__ import annotations

import numpy as np
import pydicom
import pytest
from pydicom.datadict import keyword_dict, tag_for_keyword

from tests.io.dicom import fused_phantom as fused
from upfusion_med.core import UsageError
from upfusion_med.io import (
    Deidentifier,
    load_volume,
    read_source_study,
    save_colour_multiframe,
    save_colour_series,
    save_luminance_map,
)
from upfusion_med.io.dicom import deidentify

IDENTITY = {
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PositionReferenceIndicator",
}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    place = tmp_path_factory.mktemp("source")

    def free_text(d, k):
        d.DeidentificationMethod = "NEVERMETHOD"

    mri = load_volume(fused.mri_series(place / "mri", "oblique", free_text))
    return mri, read_source_study(place / "mri"), read_source_study(fused.pet_series(place / "pet")), place


def every_object(source, folder, deidentifier, kinds=("series", "multiframe", "map")):
    """One file of every kind of object."""
    mri, study, pet, _ = source
    rgb = fused.colours(mri.array.shape)
    texts = {"description": "SECRETNAME PET", "derivation": "of SECRETID-42"}
    common = {"study": study, "functional": pet, "deidentifier": deidentifier, **texts}
    folder.mkdir(exist_ok=True)
    written = []
    if "series" in kinds:
        written += save_colour_series(folder / "series", rgb, mri.affine, **common)[:2]
    if "multiframe" in kinds:
        written.append(save_colour_multiframe(folder / "multiframe.dcm", rgb, mri.affine, **common))
    if "map" in kinds:
        pytest.importorskip("highdicom")
        written.append(save_luminance_map(folder / "map.dcm", rgb[..., 0] / np.float32(255), mri.affine, **common))
    return written


def test_nothing_of_the_source_is_left_in_the_bytes(tmp_path, source):
    original = [d for folder in ("mri", "pet") for d in map(pydicom.dcmread, (source[3] / folder).iterdir())]
    uids = {str(e.value) for d in original for e in d if e.VR == "UI" and "Class" not in e.keyword}
    assert len(uids) > 10
    forbidden = {*fused.SECRETS.values(), *fused.NEVER_REPEATED.values(), *uids, "NEVER", "SECRET", "61.5"}
    for file in every_object(source, tmp_path / "d", Deidentifier()):
        raw = file.read_bytes()
        assert [text for text in forbidden if text.encode() in raw] == []
        assert [e for e in pydicom.dcmread(file).iterall() if e.tag.is_private] == []
    kept = b"".join(f.read_bytes() for f in every_object(source, tmp_path / "k", None))
    assert all(fused.SECRETS[k].encode() in kept for k in fused.SECRETS), "the check sees what it looks for"


def test_object_says_that_it_was_deidentified(tmp_path, source):
    for file in every_object(source, tmp_path / "d", Deidentifier("SUBJECT-07")):
        d = pydicom.dcmread(file)
        assert (d.PatientID, str(d.PatientName), d.PatientIdentityRemoved) == ("SUBJECT-07", "SUBJECT-07", "YES")
        assert d.LongitudinalTemporalInformationModified == "REMOVED"
        assert "PS3.15" in d.DeidentificationMethod
        codes = [(c.CodeValue, c.CodingSchemeDesignator) for c in d.DeidentificationMethodCodeSequence]
        assert codes == [("113100", "DCM"), ("113105", "DCM")]
        assert "Not for diagnostic use" in d.SeriesDescription
        for keyword in IDENTITY - {"PatientID", "PatientName"}:
            assert d[keyword].is_empty
        for keyword in ("PatientAge", "PatientWeight", "IssuerOfPatientID", "StudyDescription", "SeriesDate"):
            assert keyword not in d


def test_pixels_and_geometry_stay(tmp_path, source):
    mri, study, _, _ = source
    rgb = fused.colours(mri.array.shape)
    save_colour_series(tmp_path / "d", rgb, mri.affine, study=study, deidentifier=Deidentifier())
    volume = load_volume(tmp_path / "d")
    np.testing.assert_allclose(volume.affine, mri.affine, atol=1e-4)
    np.testing.assert_array_equal(volume.array, rgb)


def test_outputs_of_one_study_stay_together(tmp_path, source):
    one = Deidentifier()
    sets = [pydicom.dcmread(f) for f in every_object(source, tmp_path / "d", one)]
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID"):
        assert len({str(d[keyword].value) for d in sets}) == 1
    assert sets[0].SeriesInstanceUID == sets[1].SeriesInstanceUID
    assert len({d.SeriesInstanceUID for d in sets}) == 3
    assert len({d.SOPInstanceUID for d in sets}) == 4
    for d in sets:
        assert all(pydicom.uid.UID(e.value).is_valid for e in d.iterall() if e.VR == "UI")


def test_key_decides_uids_and_pseudonym(tmp_path, source):
    def names(number, deidentifier):
        file = every_object(source, tmp_path / str(number), deidentifier, ("series",))[0]
        d = pydicom.dcmread(file)
        return d.StudyInstanceUID, d.FrameOfReferenceUID, d.PatientID

    assert names(1, Deidentifier(key="k")) == names(2, Deidentifier(key="k"))
    assert not set(names(3, Deidentifier(key="other"))) & set(names(4, Deidentifier(key="k")))
    assert not set(names(5, Deidentifier())) & set(names(6, Deidentifier()))


@pytest.mark.parametrize("pseudonym", ["", "A^B", "A\\B", "A" * 65, "A=B", " A"])
def test_unusable_pseudonyms_are_refused(pseudonym):
    with pytest.raises(UsageError, match="pseudonym"):
        Deidentifier(pseudonym)


def test_what_is_unknown_is_removed():
    d = pydicom.Dataset()
    d.PatientID, d.Rows, d.InstitutionName, d.SmokingStatus = "SECRET", 3, "SECRET", "YES"
    item = pydicom.Dataset()
    item.OperatorsName, item.SliceThickness = "SECRET", 3
    d.PixelMeasuresSequence = [item]
    d.AcquisitionContextSequence = [item]
    d.private_block(0x0011, "SECRET", create=True).add_new(1, "LO", "SECRET")
    clean = Deidentifier("P").deidentified(d)
    assert "SECRET" not in str(clean)
    assert {e.keyword for e in clean.PixelMeasuresSequence[0]} == {"SliceThickness"}
    assert clean.Rows == 3
    assert "AcquisitionContextSequence" in clean and not clean.AcquisitionContextSequence
    assert not {"InstitutionName", "SmokingStatus"} & set(clean.dir())
    assert d.InstitutionName == "SECRET", "the input is not changed"


def test_every_element_of_the_rules_exists():
    named = {*deidentify.KEPT, *deidentify.REPLACED, *deidentify.REMADE_UIDS, *deidentify.PSEUDONYMOUS}
    assert named <= set(keyword_dict)


def test_rules_are_at_least_as_strict_as_the_table_of_the_standard():
    """Against the table E.1-1 of the 2026c standard as another library carries it."""
    database = pytest.importorskip("dicomanonymizer.dicom_anonymization_databases.dicomfields_2026c")
    table = {
        tag[:2]: name
        for name in dir(database)
        if name.endswith("_TAGS") and name != "ALL_TAGS"
        for tag in getattr(database, name)
    }

    def action(keyword):
        tag = tag_for_keyword(keyword)
        return table.get((tag >> 16, tag & 0xFFFF))

    assert len(table) > 500
    assert {k for k in deidentify.KEPT if action(k)} == set(), "what the table names is not kept"
    assert {action(k) for k in deidentify.REMADE_UIDS} == {"U_TAGS"}
    assert {action(k) for k in deidentify.PSEUDONYMOUS} <= {"Z_TAGS", "Z_D_TAGS"}
    described = {"SeriesDescription", "ImageComments"}  # X, or C with the Clean Descriptors Option
    unnamed = {"ContentDescription", "PositionReferenceIndicator"}  # replaced although the table does not name them
    for keyword in set(deidentify.REPLACED) - described - unnamed:
        assert action(keyword) in ("Z_TAGS", "Z_D_TAGS", "X_Z_D_TAGS"), keyword
    assert {action(k) for k in described} == {"X_TAGS"}
    assert {action(k) for k in unnamed} == {None}


def test_validator_finds_no_error(tmp_path, source):
    kinds = ("SCImage", "SCImage", "MultiframeTrueColorSCImage", "ParametricMap")
    for file, kind in zip(every_object(source, tmp_path / "d", Deidentifier()), kinds, strict=True):
        fused.assert_valid(file, kind)

"""Finding files, splitting series, choosing one."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest

from tests.io import dicom_phantom as phantom
from upfusion_med.core import InputError, Modality, UsageError
from upfusion_med.io import FileKind, describe_kind, describe_study, list_series, load_volume
from upfusion_med.io.dicom import archive


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


def test_echoes_split_and_each_reads(tmp_path):
    made = phantom.slices() + phantom.slices()
    for number, d in enumerate(made):
        d.SOPInstanceUID = d.file_meta.MediaStorageSOPInstanceUID = phantom.uid(number)
        d.EchoTime = 10 if number < 5 else 80
    phantom.write(tmp_path, made)
    assert [(s.key, s.part) for s in list_series(tmp_path)] == [("s1a", "echo time 10"), ("s1b", "echo time 80")]
    with pytest.raises(InputError, match=r"echo time 10.*echo time 80"):
        load_volume(tmp_path)
    with pytest.raises(InputError, match="2 volumes"):
        load_volume(tmp_path, series="s1")
    assert phantom.place_error(load_volume(tmp_path, series="s1b")) < 0.06


def test_echo_times_that_differ_by_rounding_stay_together(tmp_path):
    phantom.write(tmp_path, phantom.slices(tweak=lambda d, k: setattr(d, "EchoTime", 10 + 0.01 * k)))
    assert phantom.place_error(load_volume(tmp_path)) < 0.06


def dynamic(tmp_path, keyword, values):
    made = []
    for number, value in enumerate(values):
        for d in phantom.slices():
            d.SOPInstanceUID = d.file_meta.MediaStorageSOPInstanceUID = phantom.uid(number, d.InstanceNumber)
            pixels = np.frombuffer(d.PixelData, "<i2") + 100 * number
            d.PixelData = pixels.astype("<i2").tobytes()
            setattr(d, keyword, value)
            made.append(d)
    return phantom.write(tmp_path, made)


@pytest.mark.parametrize(
    ("keyword", "values", "name"),
    [
        ("TemporalPositionIdentifier", [1, 2, 10], "temporal position"),
        ("FrameReferenceTime", [5000, 90000, 1000000], "frame reference time"),
        ("TriggerTime", [0, 300, 700], "trigger time"),
        ("AcquisitionNumber", [1, 2, 3], "acquisition number"),
        ("AcquisitionTime", ["100000", "100500.5", "110000"], "acquisition time"),
    ],
)
def test_time_series_asks_for_a_frame_and_sorts_them(tmp_path, keyword, values, name):
    folder = dynamic(tmp_path, keyword, values)
    with pytest.raises(InputError, match=f"series of 3 volumes by {name}.*0 to 2.*frame=0"):
        load_volume(folder)
    assert phantom.place_error(load_volume(folder, frame=0)) < 0.06
    first = load_volume(folder, frame=0).array
    np.testing.assert_allclose(load_volume(folder, frame=2).array - first, 20, atol=1e-3)
    np.testing.assert_allclose(load_volume(folder, frame="mean").array - first, 10, atol=1e-3)
    assert list_series(folder)[0].frames == 3
    with pytest.raises(UsageError, match="frame 3"):
        load_volume(folder, frame=3)


@pytest.mark.parametrize("lost", [9, 12, 14])
def test_a_time_series_that_lacks_a_slice_says_so(tmp_path, lost):
    folder = dynamic(tmp_path, "TemporalPositionIdentifier", [1, 2, 3])
    (folder / f"{lost:03d}.dcm").unlink()
    with pytest.raises(InputError, match=r"3 volumes by temporal position, and 1 .*: 4 instead of 5\. Copy"):
        load_volume(folder)


def test_frames_by_acquisition_time_go_on_past_midnight(tmp_path):
    folder = dynamic(tmp_path, "AcquisitionTime", ["235000", "235500", "000000", "000500"])
    for file in folder.iterdir():
        d = pydicom.dcmread(file)
        d.AcquisitionDate = "20250304" if d.AcquisitionTime.startswith("23") else "20250305"
        d.save_as(file)
    frames = [load_volume(folder, frame=number).array for number in range(4)]
    np.testing.assert_allclose([(frame - frames[0]).mean() for frame in frames], [0, 10, 20, 30], atol=1e-3)


def test_different_acquisition_numbers_at_different_places_are_one_volume(tmp_path):
    phantom.write(tmp_path, phantom.slices(tweak=lambda d, k: setattr(d, "AcquisitionNumber", k // 2)))
    assert phantom.place_error(load_volume(tmp_path)) < 0.06


def test_overlapping_acquisitions_are_volumes_of_their_own(tmp_path):
    made = phantom.slices() + phantom.slices()[:3]
    for number, d in enumerate(made):
        d.SOPInstanceUID = d.file_meta.MediaStorageSOPInstanceUID = phantom.uid(number)
        d.AcquisitionNumber = 1 if number < 5 else 2
    phantom.write(tmp_path, made)
    assert [s.part for s in list_series(tmp_path)] == ["acquisition number 1", "acquisition number 2"]
    assert load_volume(tmp_path, series="s1a").array.shape[2] == 5


def test_frames_of_reference_are_not_mixed(tmp_path):
    def other(d, k):
        if k > 2:
            d.FrameOfReferenceUID = phantom.uid("another")

    phantom.write(tmp_path, phantom.slices(tweak=other))
    with pytest.raises(InputError, match="2 volumes"):
        load_volume(tmp_path)


def test_exact_copies_of_files_are_left_out_and_said(tmp_path):
    phantom.write(tmp_path, phantom.slices())
    shutil.copy(tmp_path / "001.dcm", tmp_path / "001 (copy).dcm")
    volume = load_volume(tmp_path)
    assert phantom.place_error(volume) < 0.06
    assert volume.notes["warnings"] == ("1 file is a copy of another one; left out.",)


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


def test_empty_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no DICOM file"):
        load_volume(tmp_path)


def test_folder_of_other_files_is_refused(tmp_path):
    (tmp_path / "a.nii").write_bytes(b"\x5c\x01\x00\x00" + b"\0" * 340 + b"n+1\0" + b"\0" * 20)
    with pytest.raises(InputError, match="holds no DICOM file"):
        load_volume(tmp_path)


def report(tmp_path, sop=phantom.REPORT):
    d = phantom.dataset(sop)
    for keyword in ("Rows", "Columns", "BitsAllocated", "SamplesPerPixel"):
        delattr(d, keyword)
    d.Modality, d.SeriesInstanceUID = "SR", phantom.uid("report")
    d.save_as(tmp_path / "report.dcm", enforce_file_format=True)


def test_objects_without_pixels_are_named(tmp_path):
    report(tmp_path)
    for place in (tmp_path, tmp_path / "report.dcm"):
        with pytest.raises(InputError, match="no DICOM image, only: Basic Text SR Storage"):
            load_volume(place)


def test_report_beside_a_series_does_not_disturb(tmp_path):
    phantom.write(tmp_path, phantom.slices())
    report(tmp_path)
    assert phantom.place_error(load_volume(tmp_path)) < 0.06
    assert describe_study(tmp_path).other_objects == ("Basic Text SR Storage",)


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


def test_modality_tag_against_sop_class_is_left_open(tmp_path):
    phantom.write(tmp_path, phantom.slices(tweak=lambda d, k: setattr(d, "Modality", "PT")))
    volume = load_volume(tmp_path)
    assert volume.modality is Modality.UNKNOWN
    assert "says 'PT' but the SOP class" in volume.notes["warnings"][0]


@pytest.mark.parametrize(("uid", "what"), [("66.4", "segmentation"), ("481.2", "radiotherapy dose")])
def test_derived_objects_with_pixels_are_refused(tmp_path, uid, what):
    phantom.write(tmp_path, phantom.slices(sop=f"1.2.840.10008.5.1.4.1.1.{uid}"))
    with pytest.raises(InputError, match=what):
        load_volume(tmp_path)


def test_dicomdir_is_refused_and_its_folder_reads():
    from pydicom.data import get_testdata_file

    directory = Path(get_testdata_file("dicomdirtests/DICOMDIR", download=False))
    with pytest.raises(InputError, match=r"DICOMDIR.*Give the folder"):
        load_volume(directory)
    study = describe_study(directory.parent)
    assert "DICOMDIR" in study.other_objects
    assert len(study.series) > 3


def test_file_without_preamble_reads(tmp_path):
    for k, d in enumerate(phantom.slices()):
        del d.file_meta
        d.preamble = None
        pydicom.dcmwrite(tmp_path / f"{k}", d, implicit_vr=True, little_endian=True)
    assert describe_kind(tmp_path / "0") is FileKind.DICOM
    assert phantom.place_error(load_volume(tmp_path)) < 0.06


@pytest.mark.parametrize("length", [140, 300, 600, 900])
def test_image_with_a_cut_header_stops_the_reading(tmp_path, length):
    phantom.write(tmp_path, phantom.slices())
    file = tmp_path / "004.dcm"
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(InputError, match=r"004\.dcm"):
        load_volume(tmp_path)


def test_damaged_file_in_the_folder_stops_the_reading(tmp_path):
    phantom.write(tmp_path, phantom.slices())
    (tmp_path / "broken").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 300)
    with pytest.raises(InputError, match="broken"):
        load_volume(tmp_path)


LOST = [b"", bytes(100), bytes(4096), b"cut off"]


@pytest.mark.parametrize("content", LOST, ids=["empty", "100 zeros", "4096 zeros", "cut off"])
@pytest.mark.parametrize(
    "names", ["{:03d}.dcm", "{:03d}.IMA", "IM_{:04d}", "1.2.840.{}", "{:08x}"], ids=["dcm", "ima", "IM", "uid", "hex"]
)
def test_a_slice_of_which_nothing_is_left_stops_the_reading(tmp_path, names, content):
    files = [names.format(k + 8) for k in range(phantom.SLICES)]
    folder = phantom.write(tmp_path / "series", phantom.slices(), files)
    (folder / files[-1]).write_bytes(content)
    for place in (folder, zipped(tmp_path, {f"deep/{file.name}": file.read_bytes() for file in folder.iterdir()})):
        with pytest.raises(InputError, match=rf"{files[-1]}.*empty, truncated or damaged.*nothing was read"):
            load_volume(place)
        assert len(describe_study(place).problems) == 1


def test_a_slice_that_is_a_link_to_nowhere_stops_the_reading(tmp_path):
    phantom.write(tmp_path, phantom.slices())
    (tmp_path / "004.dcm").unlink()
    (tmp_path / "004.dcm").symlink_to(tmp_path / "not copied")
    with pytest.raises(InputError, match=r"004\.dcm.*empty, truncated or damaged"):
        load_volume(tmp_path)


def test_strays_beside_a_series_do_not_disturb(tmp_path):
    phantom.write(tmp_path, phantom.slices(), [f"IM{k}" for k in range(phantom.SLICES)])
    strays = {
        **{f"._IM{k}": bytes(120) for k in range(phantom.SLICES)},
        ".DS_Store": bytes(8),
        "Thumbs.db": b"",
        "README": b"a few words",
        "notes 2.txt": b"",
        "._001.dcm": b"\0\5\x16\7",
        "other/IM5": b"",
    }
    (tmp_path / "other").mkdir()
    for name, content in strays.items():
        (tmp_path / name).write_bytes(content)
    assert phantom.place_error(load_volume(tmp_path)) < 0.06
    members = {
        file.relative_to(tmp_path).as_posix(): file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()
    }
    assert phantom.place_error(load_volume(zipped(tmp_path, members))) < 0.06


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_and_folder_are_refused(tmp_path):
    phantom.write(tmp_path, phantom.slices())
    (tmp_path / "001.dcm").chmod(0)
    with pytest.raises(InputError, match=r"001\.dcm.*Permission"):
        load_volume(tmp_path)


def test_file_that_may_not_be_opened_is_refused(tmp_path, monkeypatch):
    phantom.write(tmp_path, phantom.slices())
    real = Path.open

    def opened(self, *args, **kwargs):
        if self.name == "001.dcm":
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(InputError, match=r"001\.dcm cannot be read \(Permission denied\).*nothing was read"):
        load_volume(tmp_path)


def test_folder_that_may_not_be_listed_is_refused(tmp_path, monkeypatch):
    phantom.write(tmp_path / "inner", phantom.slices())
    real = os.scandir

    def listed(path):
        if str(path).endswith("inner"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", listed)
    with pytest.raises(InputError, match=r"folder .*inner cannot be read"):
        load_volume(tmp_path)


def zipped(tmp_path, members):
    target = tmp_path / "study.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive_file:
        for name, content in members.items():
            archive_file.writestr(name, content)
    return target


def series_files(tmp_path):
    folder = phantom.write(tmp_path / "plain", phantom.slices())
    return {f"deep/{file.name}": file.read_bytes() for file in folder.iterdir()}


def test_zip_reads_like_its_folder(tmp_path):
    members = {**series_files(tmp_path), "readme.txt": b"hello", "mask.nii": b"\0" * 600}
    target = zipped(tmp_path, members)
    volume, plain = load_volume(target), load_volume(tmp_path / "plain")
    np.testing.assert_array_equal(volume.array, plain.array)
    np.testing.assert_array_equal(volume.affine, plain.affine)


def test_members_of_one_name_do_not_overwrite_each_other(tmp_path):
    target = tmp_path / "study.zip"
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(target, "w") as archive_file:
        for content in series_files(tmp_path).values():
            archive_file.writestr("IM1", content)
    assert load_volume(target).array.shape[2] == 5


@pytest.mark.parametrize("name", ["../evil.dcm", "a/../../evil.dcm", "/etc/evil.dcm", "C:\\evil.dcm", "..\\evil.dcm"])
def test_archive_that_points_outside_is_refused(tmp_path, name):
    target = zipped(tmp_path, {**series_files(tmp_path), name: b"x"})
    with pytest.raises(InputError, match="points outside"):
        load_volume(target)
    assert not (tmp_path.parent / "evil.dcm").exists()


def test_archive_with_a_link_is_refused(tmp_path):
    target = tmp_path / "study.zip"
    with zipfile.ZipFile(target, "w") as archive_file:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive_file.writestr(link, "/etc/passwd")
    with pytest.raises(InputError, match="symbolic link"):
        load_volume(target)


def test_archive_bomb_is_refused_before_it_unpacks(tmp_path):
    target = tmp_path / "bomb.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive_file, archive_file.open("0", "w") as sink:
        for _ in range(300):
            sink.write(bytes(1 << 20))
    assert target.stat().st_size < 1 << 20
    with pytest.raises(InputError, match="would unpack to 1 files and 300 MiB"):
        load_volume(target)


@pytest.mark.parametrize(("limit", "value"), [("MAX_MEMBERS", 3), ("MAX_BYTES", 1000)])
def test_archive_limits_hold(tmp_path, monkeypatch, limit, value):
    monkeypatch.setattr(archive, limit, value)
    with pytest.raises(InputError, match="which no archive of images does"):
        load_volume(zipped(tmp_path, series_files(tmp_path)))


def test_encrypted_archive_is_refused(tmp_path):
    target = zipped(tmp_path, series_files(tmp_path))
    content = bytearray(target.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = -1
        while (place := content.find(mark, place + 1)) >= 0:
            content[place + offset] |= 1
    target.write_bytes(content)
    with pytest.raises(InputError, match="encrypted"):
        load_volume(target)


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_truncated_archive_is_refused(tmp_path, keep):
    target = zipped(tmp_path, series_files(tmp_path))
    content = target.read_bytes()
    target.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(InputError, match="damaged"):
        load_volume(target)


def test_damaged_member_is_refused(tmp_path):
    target = zipped(tmp_path, series_files(tmp_path))
    content = bytearray(target.read_bytes())
    content[200:260] = b"\xff" * 60
    target.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        load_volume(target)


def test_archive_without_images_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no DICOM file"):
        load_volume(zipped(tmp_path, {"a.txt": b"hello"}))


def test_nothing_is_left_in_the_temporary_folder(tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    load_volume(zipped(tmp_path, series_files(tmp_path)))
    assert list(scratch.iterdir()) == []


def test_mosaic_is_refused(tmp_path):
    mosaic = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    phantom.write(tmp_path, phantom.slices(tweak=lambda d, k: setattr(d, "ImageType", mosaic)))
    with pytest.raises(InputError, match="mosaic"):
        load_volume(tmp_path)

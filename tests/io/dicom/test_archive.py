"""Studies in a zip archive."""

from __future__ import annotations

import stat
import zipfile

import numpy as np
import pytest

from tests.io import dicom_phantom as phantom
from upfusion_med.core import InputError
from upfusion_med.io import load_volume
from upfusion_med.io.dicom import archive


def series_files(tmp_path):
    folder = phantom.write(tmp_path / "plain", phantom.slices())
    return {f"deep/{file.name}": file.read_bytes() for file in folder.iterdir()}


def test_zip_reads_like_its_folder(tmp_path):
    members = {**series_files(tmp_path), "readme.txt": b"hello", "mask.nii": b"\0" * 600}
    target = phantom.zipped(tmp_path, members)
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
    target = phantom.zipped(tmp_path, {**series_files(tmp_path), name: b"x"})
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
        load_volume(phantom.zipped(tmp_path, series_files(tmp_path)))


def test_encrypted_archive_is_refused(tmp_path):
    target = phantom.zipped(tmp_path, series_files(tmp_path))
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
    target = phantom.zipped(tmp_path, series_files(tmp_path))
    content = target.read_bytes()
    target.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(InputError, match="damaged"):
        load_volume(target)


def test_damaged_member_is_refused(tmp_path):
    target = phantom.zipped(tmp_path, series_files(tmp_path))
    content = bytearray(target.read_bytes())
    content[200:260] = b"\xff" * 60
    target.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        load_volume(target)


def test_archive_without_images_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no DICOM file"):
        load_volume(phantom.zipped(tmp_path, {"a.txt": b"hello"}))


def test_nothing_is_left_in_the_temporary_folder(tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    load_volume(phantom.zipped(tmp_path, series_files(tmp_path)))
    assert list(scratch.iterdir()) == []

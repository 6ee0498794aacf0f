from __future__ import annotations

import gzip
import os

import numpy as np
import pytest
from PIL import Image

from upfusion_med.core import InputError
from upfusion_med.io import FileKind, describe_kind, save_scalar_nifti, save_scalar_nrrd

AFFINE = np.diag([1.0, 2.0, 3.0, 1.0])
ARRAY = np.zeros((3, 4, 5), np.float32)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp"])
def test_pictures_are_told_by_content(tmp_path, suffix):
    file = tmp_path / f"p.{suffix}"
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(file)
    renamed = file.rename(tmp_path / "noname")
    assert describe_kind(renamed) is FileKind.PICTURE


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_nifti_is_told_by_content(tmp_path, name):
    save_scalar_nifti(tmp_path / name, ARRAY, AFFINE)
    assert describe_kind((tmp_path / name).rename(tmp_path / "other.bin")) is FileKind.NIFTI


@pytest.mark.parametrize(("name", "kind"), [("a.nrrd", FileKind.NRRD), ("a.mha", FileKind.METAIMAGE)])
def test_itk_formats_are_told_by_content(tmp_path, name, kind):
    save_scalar_nrrd(tmp_path / name, ARRAY, AFFINE)
    assert describe_kind((tmp_path / name).rename(tmp_path / "other")) is kind


def test_folder_counts_as_dicom(tmp_path):
    assert describe_kind(tmp_path) is FileKind.DICOM


def test_missing_path_is_refused_with_its_name(tmp_path):
    with pytest.raises(InputError, match=r"no file or folder .*gone\.nii"):
        describe_kind(tmp_path / "gone.nii")


@pytest.mark.parametrize("content", [b"x", b"hello world" * 100, b"\x00" * 1000, b"%PDF-1.4" + b" " * 600])
def test_wrong_magic_is_refused(tmp_path, content):
    (tmp_path / "a.nii.gz").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.nii\.gz begins with .* no known image format"):
        describe_kind(tmp_path / "a.nii.gz")


def test_gzip_of_something_else_is_refused(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(b"not an image" * 100))
    with pytest.raises(InputError, match="no known image format"):
        describe_kind(tmp_path / "a.nii.gz")


def test_empty_file_is_refused(tmp_path):
    (tmp_path / "a.nii").touch()
    with pytest.raises(InputError, match="empty"):
        describe_kind(tmp_path / "a.nii")


def test_damaged_gzip_is_refused(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(b"\x1f\x8b" + b"\xff" * 50)
    with pytest.raises(InputError, match="gzip"):
        describe_kind(tmp_path / "a.nii.gz")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_without_read_permission_is_refused(tmp_path):
    file = tmp_path / "a.nii"
    file.write_bytes(b"1" * 400)
    file.chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        describe_kind(file)


def test_permission_error_is_an_input_error(tmp_path, monkeypatch):
    file = tmp_path / "a.nii"
    file.write_bytes(b"1" * 400)

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(InputError, match=r"a\.nii cannot be read \(Permission denied\)"):
        describe_kind(file)


def test_named_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="regular file"):
        describe_kind(tmp_path / "pipe")


def test_name_with_a_null_byte_is_refused():
    with pytest.raises(InputError, match=r"not a usable path|no file"):
        describe_kind("a\0b.nii")


def test_analyze_header_is_refused_with_the_reason(tmp_path):
    (tmp_path / "a.hdr").write_bytes((348).to_bytes(4, "little") + b"\0" * 344)
    with pytest.raises(InputError, match="Analyze"):
        describe_kind(tmp_path / "a.hdr")

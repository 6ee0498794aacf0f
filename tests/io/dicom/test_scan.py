"""Finding the DICOM files of a study."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pydicom
import pytest

from tests.io import dicom_phantom as phantom
from upfusion_med.core import InputError, Modality
from upfusion_med.io import FileKind, describe_kind, describe_study, load_volume


def test_exact_copies_of_files_are_left_out_and_said(tmp_path):
    phantom.write(tmp_path, phantom.slices())
    shutil.copy(tmp_path / "001.dcm", tmp_path / "001 (copy).dcm")
    volume = load_volume(tmp_path)
    assert phantom.place_error(volume) < 0.06
    assert volume.notes["warnings"] == ("1 file is a copy of another one; left out.",)


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
    for place in (
        folder,
        phantom.zipped(tmp_path, {f"deep/{file.name}": file.read_bytes() for file in folder.iterdir()}),
    ):
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
    assert phantom.place_error(load_volume(phantom.zipped(tmp_path, members))) < 0.06


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


def test_mosaic_is_refused(tmp_path):
    mosaic = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    phantom.write(tmp_path, phantom.slices(tweak=lambda d, k: setattr(d, "ImageType", mosaic)))
    with pytest.raises(InputError, match="mosaic"):
        load_volume(tmp_path)

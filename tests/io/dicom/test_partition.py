"""Series that fall into volumes, and volumes into frames."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from tests.io import dicom_phantom as phantom
from upfusion_med.core import InputError, UsageError
from upfusion_med.io import list_series, load_volume
from upfusion_med.io.dicom import partition


def test_echoes_split_and_each_reads(tmp_path):
    made = phantom.slices() + phantom.slices()
    for number, d in enumerate(made):
        d.SOPInstanceUID = d.file_meta.MediaStorageSOPInstanceUID = phantom.uid(number)
        d.EchoTime = 10 if number < 5 else 80
        if number >= 5:
            d.PixelData = (np.frombuffer(d.PixelData, "<i2") + 100).astype("<i2").tobytes()
    phantom.write(tmp_path, made)
    assert [(s.key, s.part) for s in list_series(tmp_path)] == [("s1a", "echo time 10"), ("s1b", "echo time 80")]
    with pytest.raises(InputError, match=r"echo time 10.*echo time 80"):
        load_volume(tmp_path)
    with pytest.raises(InputError, match="2 volumes"):
        load_volume(tmp_path, series="s1")
    first, second = (load_volume(tmp_path, series=key) for key in ("s1a", "s1b"))
    assert phantom.place_error(first) < 0.06
    np.testing.assert_allclose(second.array - first.array, 10, atol=1e-3)


def test_echo_times_that_differ_by_rounding_stay_together(tmp_path):
    phantom.write(tmp_path, phantom.slices(tweak=lambda d, k: setattr(d, "EchoTime", 10 + 0.01 * k)))
    assert phantom.place_error(load_volume(tmp_path)) < 0.06


@pytest.mark.parametrize(
    ("keyword", "value", "volumes"),
    [
        ("ImageOrientationPatient", [1, 0.00005, 0, -0.00005, 1, 0], 1),
        ("ImageOrientationPatient", [1, 0.0005, 0, -0.0005, 1, 0], 2),
        ("PixelSpacing", [1.50005, 1.25], 1),
        ("PixelSpacing", [1.5, 1.2505], 2),
        ("EchoTime", 10.05, 1),
        ("EchoTime", 10.2, 2),
        ("EchoTime", None, 2),
        ("InversionTime", 900, 2),
    ],
)
def test_slices_that_differ_by_more_than_rounding_are_volumes_of_their_own(tmp_path, keyword, value, volumes):
    def tweak(d, k):
        d.EchoTime = 10
        if k > 2:
            setattr(d, keyword, value)

    phantom.write(tmp_path, phantom.slices(tweak=tweak))
    assert len(list_series(tmp_path)) == volumes


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


def test_frames_by_two_values_together_are_sorted_by_their_numbers(tmp_path):
    folder = dynamic(tmp_path, "TriggerTime", [900, 1000, 900, 1000])
    for number, file in enumerate(sorted(folder.iterdir())):
        d = pydicom.dcmread(file)
        d.TemporalPositionIdentifier = 9 if number < 2 * phantom.SLICES else 10
        d.save_as(file)
    with pytest.raises(InputError, match="series of 4 volumes by temporal position / trigger time"):
        load_volume(folder)
    frames = [load_volume(folder, frame=number).array for number in range(4)]
    np.testing.assert_allclose([(frame - frames[0]).mean() for frame in frames], [0, 10, 20, 30], atol=1e-3)


def test_a_series_of_more_volumes_than_can_be_chosen_from_is_refused(tmp_path, monkeypatch):
    phantom.write(tmp_path, phantom.slices(tweak=lambda d, k: setattr(d, "EchoTime", 10 * (k + 1))))
    monkeypatch.setattr(partition, "MAX_PARTS", 5)
    assert len(list_series(tmp_path)) == 5
    monkeypatch.setattr(partition, "MAX_PARTS", 4)
    with pytest.raises(InputError, match="falls into more than 4 volumes by image type"):
        load_volume(tmp_path)


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

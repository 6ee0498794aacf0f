from __future__ import annotations

import numpy as np
import pytest

from tests.io import dicom_phantom as phantom
from tests.io.dicom.test_geometry import MATRIX, OBLIQUE
from tests.io.dicom_phantom import item
from upfusion_med.core import InputError, Modality
from upfusion_med.io import list_series, load_volume


def saved(tmp_path, d, name="mf.dcm"):
    d.save_as(tmp_path / name, enforce_file_format=True)
    return tmp_path / name


@pytest.mark.parametrize(
    ("sop", "modality", "units"),
    [
        (phantom.ENHANCED_MR, Modality.MR, "arbitrary units"),
        (phantom.ENHANCED_CT, Modality.CT, "HU"),
    ],
)
def test_enhanced_frames_out_of_order_are_placed_right(tmp_path, sop, modality, units):
    file = saved(tmp_path, phantom.enhanced(sop, orientation=OBLIQUE, step=tuple(MATRIX[:, 2] * 3.3)))
    volume = load_volume(file)
    assert volume.array.shape == (phantom.COLUMNS, phantom.ROWS, phantom.SLICES)
    assert phantom.place_error(volume) < 0.06
    assert volume.modality is modality
    assert volume.units == units


def test_rescale_and_orientation_of_a_frame_go_before_the_shared_ones(tmp_path):
    d = phantom.enhanced()
    frames = d.PerFrameFunctionalGroupsSequence
    pixels = np.frombuffer(d.PixelData, "<i2").reshape(5, phantom.ROWS, phantom.COLUMNS).copy()
    for number, factor in enumerate((1, 2, 4, 5, 10)):
        frames[number].PixelValueTransformationSequence = [
            item(RescaleIntercept=7 * number, RescaleSlope=phantom.SLOPE * factor, RescaleType="US")
        ]
        pixels[number] = np.rint((pixels[number] * phantom.SLOPE - 7 * number) / (phantom.SLOPE * factor))
    d.PixelData = pixels.tobytes()
    d.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence[0].RescaleSlope = 99
    volume = load_volume(saved(tmp_path, d))
    assert phantom.place_error(volume) < 0.51


def test_temporal_index_makes_frames_that_must_be_chosen(tmp_path):
    d = phantom.enhanced(order=(0, 1, 2, 0, 1, 2))
    for number, frame in enumerate(d.PerFrameFunctionalGroupsSequence):
        frame.FrameContentSequence[0].TemporalPositionIndex = 2 - number // 3
    pixels = np.frombuffer(d.PixelData, "<i2").reshape(6, -1).copy()
    pixels[:3] += 100
    d.PixelData = pixels.tobytes()
    file = saved(tmp_path, d)
    with pytest.raises(InputError, match=r"series of 2 volumes by temporal position"):
        load_volume(file)
    assert phantom.place_error(load_volume(file, frame=0)) < 0.06
    difference = load_volume(file, frame=1).array - load_volume(file, frame=0).array
    np.testing.assert_allclose(difference, 10, atol=1e-3)
    mean = load_volume(file, frame="mean").array - load_volume(file, frame=0).array
    np.testing.assert_allclose(mean, 5, atol=1e-3)


@pytest.mark.parametrize("make", [phantom.enhanced, phantom.nuclear])
@pytest.mark.parametrize(
    "facts",
    [
        {"InstanceNumber": [1, 2, 3, 4, 5, 10]},
        {"AcquisitionDateTime": [f"2025030423595{k}.5" for k in range(5)] + ["20250305000001"]},
    ],
)
def test_files_at_one_place_are_frames_in_the_order_of_their_acquisition(tmp_path, make, facts):
    for number in range(6):
        d = make()
        d.SOPInstanceUID = d.file_meta.MediaStorageSOPInstanceUID = phantom.uid("time point", number)
        d.PixelData = (np.frombuffer(d.PixelData, "<i2") + 100 * number).astype("<i2").tobytes()
        for keyword, values in facts.items():
            setattr(d, keyword, values[number])
        saved(tmp_path, d, f"{phantom.uid(number)}.dcm")
    frames = [load_volume(tmp_path, frame=number).array for number in range(6)]
    np.testing.assert_allclose([(frame - frames[0]).mean() for frame in frames], range(0, 60, 10), atol=1e-3)


def second_brighter(d):
    """Make the second half of six frames brighter by 10, so that it can be told from the first."""
    pixels = np.frombuffer(d.PixelData, "<i2").reshape(6, -1).copy()
    pixels[3:] += 100
    d.PixelData = pixels.tobytes()


def test_echo_and_stack_split_into_volumes(tmp_path):
    d = phantom.enhanced(order=(0, 1, 2, 0, 1, 2))
    for number, frame in enumerate(d.PerFrameFunctionalGroupsSequence):
        frame.MREchoSequence = [item(EffectiveEchoTime=10.0 if number < 3 else 80.0)]
    second_brighter(d)
    file = saved(tmp_path, d)
    assert [s.part for s in list_series(file)] == ["echo time 10", "echo time 80"]
    first, second = (load_volume(file, series=key) for key in ("s1a", "s1b"))
    assert phantom.place_error(first) < 0.06
    np.testing.assert_allclose(second.array - first.array, 10, atol=1e-3)

    d = phantom.enhanced(order=(0, 1, 2, 0, 1, 2))
    for number, frame in enumerate(d.PerFrameFunctionalGroupsSequence):
        frame.FrameContentSequence[0].StackID = "1" if number < 3 else "2"
    assert [s.part for s in list_series(saved(tmp_path, d))] == ["stack 1", "stack 2"]


def test_b_value_splits_into_volumes(tmp_path):
    d = phantom.enhanced(order=(0, 1, 2, 0, 1, 2))
    for number, frame in enumerate(d.PerFrameFunctionalGroupsSequence):
        frame.MRDiffusionSequence = [item(DiffusionBValue=0.0 if number < 3 else 1000.0)]
    assert [s.part for s in list_series(saved(tmp_path, d))] == ["b-value 0", "b-value 1000"]


def test_file_without_functional_groups_is_refused(tmp_path):
    d = phantom.enhanced()
    del d.SharedFunctionalGroupsSequence, d.PerFrameFunctionalGroupsSequence
    with pytest.raises(InputError, match=r"\(5 frames\) has no functional groups"):
        load_volume(saved(tmp_path, d))


def test_group_count_must_be_the_frame_count(tmp_path):
    d = phantom.enhanced()
    d.PerFrameFunctionalGroupsSequence = list(d.PerFrameFunctionalGroupsSequence)[:4]
    with pytest.raises(InputError, match="5 frames but functional groups for 4"):
        load_volume(saved(tmp_path, d))


@pytest.mark.parametrize("sequence", ["PlaneOrientationSequence", "PixelMeasuresSequence"])
def test_missing_group_is_named(tmp_path, sequence):
    d = phantom.enhanced()
    delattr(d.SharedFunctionalGroupsSequence[0], sequence)
    with pytest.raises(InputError, match="Sequence \\("):
        load_volume(saved(tmp_path, d))


@pytest.mark.parametrize("step", [4.4, -4.4])
def test_nuclear_spacing_is_signed(tmp_path, step):
    volume = load_volume(saved(tmp_path, phantom.nuclear(step)))
    assert phantom.place_error(volume) < 0.06
    assert volume.modality is Modality.SPECT
    assert volume.units == "counts"


def test_nuclear_frames_follow_the_slice_vector(tmp_path):
    volume = load_volume(saved(tmp_path, phantom.nuclear(4.4, slice_vector=[1, 3, 5, 2, 4])))
    assert phantom.place_error(volume) < 0.06


def test_nuclear_slices_in_files_of_their_own_need_neither_vector_nor_step(tmp_path):
    made = []
    for k in range(phantom.SLICES):
        d = phantom.nuclear(count=1)
        place = np.add(phantom.ORIGIN, (0, 0, 4.4 * k))
        d.SOPInstanceUID = d.file_meta.MediaStorageSOPInstanceUID = phantom.uid("slice", k)
        d.DetectorInformationSequence[0].ImagePositionPatient = [phantom.ds(v) for v in place]
        d.PixelData = phantom.plane_pixels(place).tobytes()
        del d.NumberOfFrames, d.SliceVector, d.SpacingBetweenSlices
        made.append(d)
    volume = load_volume(phantom.write(tmp_path, made))
    assert phantom.place_error(volume) < 0.06
    assert volume.geometry.spacing_mm == pytest.approx((1.25, 1.5, 4.4))


@pytest.mark.parametrize("kind", ["TOMO", "STATIC", "WHOLE BODY", "DYNAMIC", None])
def test_projections_are_refused(tmp_path, kind):
    d = phantom.nuclear()
    d.ImageType = ["ORIGINAL", "PRIMARY", kind, "EMISSION"] if kind else ["ORIGINAL", "PRIMARY"]
    with pytest.raises(InputError, match=f"'{kind or 'nothing'}'.*RECON TOMO"):
        load_volume(saved(tmp_path, d))


def test_nuclear_without_position_is_refused(tmp_path):
    d = phantom.nuclear()
    del d.DetectorInformationSequence[0].ImagePositionPatient
    with pytest.raises(InputError, match=r"missing Image Position .* in Detector Information Sequence"):
        load_volume(saved(tmp_path, d))


@pytest.mark.parametrize(
    ("keyword", "name"), [("SpacingBetweenSlices", "Spacing Between Slices"), ("SliceVector", "Slice Vector")]
)
def test_nuclear_without_step_or_order_is_refused(tmp_path, keyword, name):
    d = phantom.nuclear()
    delattr(d, keyword)
    with pytest.raises(InputError, match=name):
        load_volume(saved(tmp_path, d))


def test_gates_must_be_chosen(tmp_path):
    d = phantom.nuclear(slice_vector=[1, 2, 3, 1, 2, 3])
    d.ImageType = ["ORIGINAL", "PRIMARY", "RECON GATED TOMO", "EMISSION"]
    d.TimeSlotVector = [1, 1, 1, 2, 2, 2]
    second_brighter(d)
    file = saved(tmp_path, d)
    with pytest.raises(InputError, match="series of 2 volumes by gate"):
        load_volume(file)
    first = load_volume(file, frame=0)
    assert phantom.place_error(first) < 0.06
    np.testing.assert_allclose(load_volume(file, frame=1).array - first.array, 10, atol=1e-3)


def test_energy_windows_split_into_volumes(tmp_path):
    d = phantom.nuclear(slice_vector=[1, 2, 3, 1, 2, 3])
    d.EnergyWindowVector = [1, 1, 1, 2, 2, 2]
    assert [s.part for s in list_series(saved(tmp_path, d))] == ["energy window 1", "energy window 2"]


def test_vector_of_wrong_length_is_refused(tmp_path):
    d = phantom.nuclear()
    d.SliceVector = [1, 2]
    with pytest.raises(InputError, match="has 2 values"):
        load_volume(saved(tmp_path, d))


@pytest.mark.shared
def test_enhanced_mr_without_geometry_is_refused_as_a_volume(shared):
    files = sorted((shared / "data" / "dicom_odd" / "pydicom_data").glob("emri_small*.dcm"))
    assert len(files) == 4
    for file in files:
        with pytest.raises(InputError, match="no functional groups"):
            load_volume(file)

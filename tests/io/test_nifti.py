from __future__ import annotations

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from upfusion_med.core import GREY_LEVELS, RAS_FROM_LPS, RGB_LEVELS, InputError, UsageError
from upfusion_med.io import (
    ARBITRARY_UNITS,
    load_volume,
    save_rgb_nifti,
    save_rgb_nrrd,
    save_scalar_nifti,
    save_scalar_nrrd,
)

RNG = np.random.default_rng(7)


def oblique(angles=(20, 15, 10), spacing=(1.2, 0.9, 3.3), flips=(1, 1, 1), origin=(-80.5, 33.25, 12.0)):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * np.multiply(spacing, flips)
    affine[:3, 3] = origin
    return affine


AFFINES = {
    "ras": np.diag([1.0, 2.0, 3.0, 1.0]),
    "lps": np.diag([-1.0, -2.0, 3.0, 1.0]),
    "left-handed": np.diag([-1.0, 2.0, 3.0, 1.0]),
    "oblique": oblique(),
    "oblique left-handed": oblique(flips=(1, -1, 1)),
    "steep": oblique(angles=(95, -100, 170)),
    "sagittal": np.array([[0, 0, 3.0, 5], [1.5, 0, 0, -9], [0, -1.5, 0, 40], [0, 0, 0, 1]]),
}


def itk_affine_ras(image):
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    lps[:3, 3] = image.GetOrigin()
    return RAS_FROM_LPS @ lps


def far_corner_error(a, b, shape):
    corner = np.array([*(n - 1 for n in shape), 1.0])
    return max(np.abs((a - b) @ corner).max(), np.abs(a - b)[:3, 3].max())


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha"])
@pytest.mark.parametrize("colour", [False, True])
def test_written_volume_reads_back_with_place_and_values(tmp_path, affine, name, colour):
    shape = (7, 6, 5)
    file = tmp_path / name
    if colour:
        array = RNG.integers(0, 256, (*shape, 3), dtype=np.uint8)
        (save_rgb_nifti if "nii" in name else save_rgb_nrrd)(file, array, affine)
    else:
        array = RNG.normal(size=shape).astype(np.float32)
        (save_scalar_nifti if "nii" in name else save_scalar_nrrd)(file, array, affine)

    ours = load_volume(file)
    assert ours.units == (RGB_LEVELS if colour else ARBITRARY_UNITS)
    assert ours.array.dtype == np.float32
    np.testing.assert_array_equal(ours.array, array)
    assert far_corner_error(ours.affine, affine, shape) < 1e-4

    image = sitk.ReadImage(str(file))
    assert image.GetNumberOfComponentsPerPixel() == (3 if colour else 1)
    voxels = sitk.GetArrayFromImage(image)
    np.testing.assert_array_equal(np.transpose(voxels, (2, 1, 0, 3) if colour else (2, 1, 0)), array)
    assert far_corner_error(itk_affine_ras(image), affine, shape) < 1e-4

    if "nii" in name:
        image = nibabel.load(file)
        assert far_corner_error(image.get_sform(), affine, shape) < 1e-4
        assert far_corner_error(image.get_qform(), affine, shape) < 1e-4
        assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (1, 1)
        assert int(image.header["xyzt_units"]) & 7 == 2
        assert int(image.header["datatype"]) == (128 if colour else 16)


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(*[st.floats(-179, 179)] * 3),
    st.tuples(*[st.floats(0.2, 8)] * 3),
    st.tuples(*[st.sampled_from([-1, 1])] * 3),
    st.tuples(*[st.floats(-900, 900)] * 3),
)
def test_any_rigid_place_survives_nifti_and_nrrd(tmp_path_factory, angles, spacing, flips, origin):
    affine, folder = oblique(angles, spacing, flips, origin), tmp_path_factory.mktemp("place")
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    save_scalar_nifti(folder / "a.nii", array, affine)
    save_scalar_nrrd(folder / "a.nrrd", array, affine)
    for name in ("a.nii", "a.nrrd"):
        back = load_volume(folder / name)
        np.testing.assert_array_equal(back.array, array)
        assert far_corner_error(back.affine, affine, array.shape) < 1e-4


def test_sheared_affine_is_kept_by_the_sform(tmp_path):
    affine = np.array([[1, 0, 0, 0], [0, 1, 0.3, 0], [0, 0, 3, 0], [0, 0, 0, 1.0]])
    save_scalar_nifti(tmp_path / "a.nii", np.zeros((3, 3, 3), np.float32), affine)
    assert int(nibabel.load(tmp_path / "a.nii").header["qform_code"]) == 0
    np.testing.assert_allclose(load_volume(tmp_path / "a.nii").affine, affine, atol=1e-6)


def test_uint8_and_bool_are_written_as_uint8_and_other_integers_refused(tmp_path):
    for array in (np.full((2, 2, 2), 200, np.uint8), np.ones((2, 2, 2), bool)):
        save_scalar_nifti(tmp_path / "a.nii", array, np.eye(4))
        assert nibabel.load(tmp_path / "a.nii").get_data_dtype() == np.uint8
        np.testing.assert_array_equal(load_volume(tmp_path / "a.nii").array, array)
    with pytest.raises(UsageError, match="int16"):
        save_scalar_nifti(tmp_path / "a.nii", np.ones((2, 2, 2), np.int16), np.eye(4))


def test_slope_and_intercept_are_applied(tmp_path):
    image = nibabel.Nifti1Image(np.arange(8, dtype=np.int16).reshape(2, 2, 2), np.eye(4))
    image.header.set_slope_inter(0.5, -3.0)
    raw = image.to_bytes()
    # nibabel resets the slope when it writes: patch it into the bytes, as a converter would have stored it
    stored = bytearray(raw)
    stored[112:120] = np.array([0.5, -3.0], "<f4").tobytes()
    (tmp_path / "a.nii").write_bytes(stored)
    np.testing.assert_allclose(load_volume(tmp_path / "a.nii").array.ravel(), np.arange(8) * 0.5 - 3.0)


def test_values_that_are_not_finite_are_kept(tmp_path):
    array = np.zeros((2, 2, 2), np.float32)
    array[0, 0, 0], array[1, 1, 1] = np.nan, np.inf
    save_scalar_nifti(tmp_path / "a.nii", array, np.eye(4))
    np.testing.assert_array_equal(load_volume(tmp_path / "a.nii").array, array)


def test_plain_nifti_under_a_compressed_name_reads(tmp_path):
    save_scalar_nifti(tmp_path / "a.nii", np.ones((2, 3, 4), np.float32), np.eye(4))
    (tmp_path / "a.nii").rename(tmp_path / "b.nii.gz")
    assert load_volume(tmp_path / "b.nii.gz").array.sum() == 24


def test_big_endian_header_data_pair_reads(tmp_path):
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(np.int16)
    image = nibabel.Nifti1Pair(np.arange(24, dtype=">i2").reshape(2, 3, 4), np.diag([2.0, 2, 2, 1]), header)
    nibabel.save(image, tmp_path / "a.img")
    np.testing.assert_array_equal(load_volume(tmp_path / "a.hdr").array.ravel(), np.arange(24))
    (tmp_path / "a.img").unlink()
    with pytest.raises(InputError, match=r"a\.hdr"):
        load_volume(tmp_path / "a.hdr")


def test_rgba_is_dropped_when_opaque_and_put_on_black_otherwise(tmp_path):
    rgba = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1"), ("A", "u1")])
    voxels = np.zeros((2, 2, 2), rgba)
    voxels["R"], voxels["G"], voxels["A"] = 200, 100, 255
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "a.nii")
    volume = load_volume(tmp_path / "a.nii")
    assert volume.array[0, 0, 0].tolist() == [200, 100, 0]
    assert "warnings" not in volume.notes

    voxels["A"][0, 0, 0] = 51
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "a.nii")
    volume = load_volume(tmp_path / "a.nii")
    np.testing.assert_allclose(volume.array[0, 0, 0], [40, 20, 0], atol=1e-4)
    assert volume.array[1, 1, 1].tolist() == [200, 100, 0]
    assert "alpha" in volume.notes["warnings"][0]


def test_colour_vector_of_simpleitk_reads_as_colour(tmp_path):
    array = RNG.integers(0, 256, (4, 3, 5, 3), dtype=np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(array.transpose(2, 1, 0, 3), isVector=True), str(tmp_path / "v.nii.gz"))
    assert nibabel.load(tmp_path / "v.nii.gz").shape == (4, 3, 5, 1, 3)
    volume = load_volume(tmp_path / "v.nii.gz")
    assert volume.units == RGB_LEVELS
    np.testing.assert_array_equal(volume.array, array)


def test_vector_of_floats_is_refused(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((5, 3, 4, 3), np.float32), isVector=True), str(tmp_path / "v.nii"))
    with pytest.raises(InputError, match="3 components"):
        load_volume(tmp_path / "v.nii")


def test_colour_of_equal_channels_is_grey(tmp_path):
    save_rgb_nifti(tmp_path / "a.nii", np.full((2, 3, 4, 3), 77, np.uint8), np.eye(4))
    volume = load_volume(tmp_path / "a.nii")
    assert not volume.is_rgb
    assert volume.units == GREY_LEVELS
    assert (volume.array == 77).all()


def test_time_series_is_refused_until_a_frame_is_chosen(tmp_path):
    array = np.stack([np.full((2, 3, 4), v, np.float32) for v in (1, 2, 6)], axis=-1)
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), tmp_path / "t.nii")
    with pytest.raises(InputError, match=r"3 volumes .*0 to 2.*--frame"):
        load_volume(tmp_path / "t.nii")
    assert (load_volume(tmp_path / "t.nii", frame=1).array == 2).all()
    assert (load_volume(tmp_path / "t.nii", frame="mean").array == 3).all()
    with pytest.raises(UsageError, match="frame 3"):
        load_volume(tmp_path / "t.nii", frame=3)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.hdr"])
def test_second_version_of_nifti_reads(tmp_path, name):
    array, kind = (
        RNG.normal(size=(4, 3, 5)).astype(np.float32),
        nibabel.Nifti2Pair if "hdr" in name else nibabel.Nifti2Image,
    )
    nibabel.save(kind(array, oblique()), tmp_path / name)
    volume = load_volume(tmp_path / name)
    np.testing.assert_array_equal(volume.array, array)
    assert far_corner_error(volume.affine, oblique(), array.shape) < 1e-9


def test_slope_and_intercept_are_applied_to_every_frame(tmp_path):
    stored = np.arange(24, dtype=np.int16).reshape(2, 2, 2, 3)
    image = bytearray(nibabel.Nifti1Image(stored, np.eye(4)).to_bytes())
    image[112:120] = np.array([0.5, -3.0], "<f4").tobytes()
    (tmp_path / "t.nii").write_bytes(image)
    values = stored * 0.5 - 3.0
    np.testing.assert_array_equal(load_volume(tmp_path / "t.nii", frame=2).array, values[..., 2])
    np.testing.assert_allclose(load_volume(tmp_path / "t.nii", frame="mean").array, values.mean(axis=-1), rtol=1e-6)


def test_a_series_of_colour_volumes_is_chosen_from(tmp_path):
    rgb = RNG.integers(0, 256, (3, 2, 4, 2, 3), dtype=np.uint8)
    voxels = rgb.view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "t.nii")
    with pytest.raises(InputError, match="2 volumes"):
        load_volume(tmp_path / "t.nii")
    np.testing.assert_array_equal(load_volume(tmp_path / "t.nii", frame=1).array, rgb[:, :, :, 1])


@pytest.mark.parametrize("shape", [(3, 2), (3, 2, 4)])
def test_of_a_single_volume_only_the_first_frame_exists(tmp_path, shape):
    rgb = RNG.integers(0, 256, (*shape, 3), dtype=np.uint8)
    for name, voxels in (
        ("colour.nii", rgb.view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]), ("grey.nii", rgb[..., 0]),
    ):  # fmt: skip
        nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / name)
        for frame in (None, 0, "mean"):
            assert load_volume(tmp_path / name, frame=frame).array.shape[:3] == (*shape, 1)[:3]
        with pytest.raises(UsageError, match=r"frame 1 .* does not exist"):
            load_volume(tmp_path / name, frame=1)
    np.testing.assert_array_equal(load_volume(tmp_path / "colour.nii").array.reshape(rgb.shape), rgb)


def test_a_vector_of_one_component_is_a_volume(tmp_path):
    array = RNG.normal(size=(3, 2, 4, 1, 1)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), tmp_path / "v.nii")
    np.testing.assert_array_equal(load_volume(tmp_path / "v.nii").array, array[..., 0, 0])


def test_fourth_axis_of_one_is_a_volume(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.ones((2, 3, 4, 1), np.float32), np.eye(4)), tmp_path / "t.nii")
    assert load_volume(tmp_path / "t.nii").array.shape == (2, 3, 4)


def test_two_dimensional_nifti_is_one_slice(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.ones((2, 3), np.float32), np.eye(4)), tmp_path / "t.nii")
    assert load_volume(tmp_path / "t.nii").array.shape == (2, 3, 1)


def test_complex_values_are_refused(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.ones((2, 3, 4), np.complex64), np.eye(4)), tmp_path / "c.nii")
    with pytest.raises(InputError, match="complex"):
        load_volume(tmp_path / "c.nii")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.95])
def test_truncated_file_is_refused_at_any_length(tmp_path, name, keep):
    file = tmp_path / name
    save_scalar_nifti(file, RNG.normal(size=(20, 20, 20)).astype(np.float32), np.eye(4))
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(InputError, match=r"a\.nii.*truncated"):
        load_volume(file)


def test_header_without_orientation_is_read_with_a_warning(tmp_path):
    image = nibabel.Nifti1Image(np.ones((2, 3, 4), np.float32), None)
    image.header.set_zooms((2, 2, 3))
    nibabel.save(image, tmp_path / "a.nii")
    volume = load_volume(tmp_path / "a.nii")
    assert volume.geometry.spacing_mm == (2, 2, 3)
    assert "orientation" in volume.notes["warnings"][0]


def test_disagreeing_qform_is_said(tmp_path):
    image = nibabel.Nifti1Image(np.ones((2, 3, 4), np.float32), np.eye(4))
    image.set_sform(np.diag([2.0, 2, 2, 1]), code=1)
    image.set_qform(np.eye(4), code=1)
    nibabel.save(image, tmp_path / "a.nii")
    volume = load_volume(tmp_path / "a.nii")
    assert volume.geometry.spacing_mm == (2, 2, 2)
    assert "disagree" in volume.notes["warnings"][0]


@pytest.mark.parametrize(("unit", "millimetres"), [("meter", 1e3), ("micron", 1e-3), ("mm", 1.0), ("unknown", 1.0)])
def test_lengths_become_millimetres(tmp_path, unit, millimetres):
    affine = np.diag([2.0, 2.0, 3.0, 1])
    affine[:3, 3] = (5, -6, 7)
    affine[:3] /= millimetres
    image = nibabel.Nifti1Image(np.ones((2, 3, 4), np.float32), affine)
    image.header.set_xyzt_units(unit, "sec")
    nibabel.save(image, tmp_path / "a.nii")
    volume = load_volume(tmp_path / "a.nii")
    np.testing.assert_allclose(volume.geometry.spacing_mm, (2, 2, 3), rtol=1e-6)
    np.testing.assert_allclose(volume.affine[:3, 3], (5, -6, 7), rtol=1e-6)
    assert ("warnings" in volume.notes) == (millimetres != 1)


def test_zero_spacing_is_refused(tmp_path):
    image = nibabel.Nifti1Image(np.ones((2, 3, 4), np.float32), np.eye(4))
    nibabel.save(image, tmp_path / "a.nii")
    stored = bytearray((tmp_path / "a.nii").read_bytes())
    stored[280:328] = np.zeros(12, "<f4").tobytes()  # srow_x, srow_y, srow_z
    (tmp_path / "a.nii").write_bytes(stored)
    with pytest.raises(InputError, match="singular"):
        load_volume(tmp_path / "a.nii")


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_damaged_header_never_ends_in_another_error(tmp_path_factory, data):
    file = tmp_path_factory.mktemp("damage") / "a.nii"
    save_scalar_nifti(file, np.ones((3, 4, 5), np.float32), oblique())
    stored = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        stored[data.draw(st.integers(0, 351))] = data.draw(st.integers(0, 255))
    file.write_bytes(stored)
    try:
        load_volume(file, frame=data.draw(st.sampled_from([None, "mean"])))
    except InputError as error:
        assert "a.nii" in str(error)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    file = tmp_path / "a.nii.gz"
    save_scalar_nifti(file, np.ones((2, 2, 2), np.float32), np.eye(4))
    before = file.read_bytes()

    def fail(image, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nibabel, "save", fail)
    with pytest.raises(Exception, match="No space left") as caught:
        save_scalar_nifti(file, np.zeros((2, 2, 2), np.float32), np.eye(4))
    assert type(caught.value).__name__ == "RuntimeFailure"
    assert file.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.nii.gz"]


def test_wrong_ending_and_missing_folder_are_usage_errors(tmp_path):
    with pytest.raises(UsageError, match=r"\.nii or \.nii\.gz"):
        save_scalar_nifti(tmp_path / "a.nrrd", np.zeros((2, 2, 2), np.float32), np.eye(4))
    with pytest.raises(UsageError, match="does not exist"):
        save_scalar_nifti(tmp_path / "gone" / "a.nii", np.zeros((2, 2, 2), np.float32), np.eye(4))


@pytest.mark.shared
@pytest.mark.parametrize("name", ["STS_001/MR_T1", "STS_001/PET", "STS_003/CT"])
def test_real_nifti_agrees_with_simpleitk(shared, name):
    file = shared / "data" / "volumes" / "ibsi_sts" / f"{name}.nii.gz"
    volume, image = load_volume(file), sitk.ReadImage(str(file))
    np.testing.assert_array_equal(volume.array, sitk.GetArrayFromImage(image).T.astype(np.float32))
    assert far_corner_error(volume.affine, itk_affine_ras(image), volume.array.shape) < 1e-4


@pytest.mark.shared
def test_harvard_pet_is_colour(shared):
    volume = load_volume(shared / "data/volumes/harvard_normal_axial/PET_rgb.nii.gz")
    assert volume.array.shape == (256, 256, 94, 3)
    assert volume.geometry.axis_codes == ("L", "P", "S")

from __future__ import annotations

import bz2
import gzip
import os
import sys

import numpy as np
import pytest
import SimpleITK as sitk

from upfusion_med.core import RGB_LEVELS, InputError, UsageError
from upfusion_med.io import load_volume, save_rgb_nrrd, save_scalar_nrrd

RNG = np.random.default_rng(3)


def scalar_image(shape=(3, 4, 5)):
    return sitk.GetImageFromArray(RNG.normal(size=shape).astype(np.float32))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not take such names")
@pytest.mark.parametrize("name", ["a.nrrd", "a.mha", os.fsdecode(b"\xe9.nrrd")])
def test_a_folder_or_file_whose_name_is_no_utf8_does_not_end_the_process(tmp_path, name):
    file, values = tmp_path / os.fsdecode(b"M\xfcller") / name, RNG.normal(size=(3, 4, 5)).astype(np.float32)
    file.parent.mkdir()
    for _ in range(2):
        save_scalar_nrrd(file, values, np.eye(4))
    np.testing.assert_array_equal(load_volume(file).array, values)
    assert [f.name for f in file.parent.iterdir()] == [name] and not file.is_symlink()


@pytest.mark.parametrize("suffix", ["nrrd", "mha"])
@pytest.mark.parametrize("keep", [0.2, 0.6, 0.98])
def test_truncated_file_is_refused(tmp_path, suffix, keep):
    file = tmp_path / f"a.{suffix}"
    save_scalar_nrrd(file, RNG.normal(size=(20, 20, 20)).astype(np.float32), np.eye(4))
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(InputError, match=rf"a\.{suffix} could not be read"):
        load_volume(file)


@pytest.mark.parametrize("suffix", ["nrrd", "mha"])
def test_truncated_uncompressed_file_is_refused(tmp_path, suffix):
    file = tmp_path / f"a.{suffix}"
    sitk.WriteImage(scalar_image((20, 20, 20)), str(file))
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=rf"a\.{suffix} could not be read"):
        load_volume(file)


@pytest.mark.parametrize("name", ["Müller.mhd", "Müller.nhdr", "頭 1.mhd", "頭 1.nhdr"])
def test_a_data_file_with_a_name_beyond_ascii_is_found(tmp_path, name):
    image = scalar_image()
    sitk.WriteImage(image, str(tmp_path / name))
    np.testing.assert_array_equal(load_volume(tmp_path / name).array, sitk.GetArrayFromImage(image).T)


def test_detached_data_file_beside_the_header_is_read(tmp_path):
    image = scalar_image()
    for name in ("a.mhd", "a.nhdr"):
        sitk.WriteImage(image, str(tmp_path / name))
        np.testing.assert_array_equal(load_volume(tmp_path / name).array, sitk.GetArrayFromImage(image).T)


def test_missing_data_file_is_named(tmp_path):
    sitk.WriteImage(scalar_image(), str(tmp_path / "a.mhd"))
    (tmp_path / "a.raw").unlink()
    with pytest.raises(InputError, match=r"data file 'a\.raw', which is not there"):
        load_volume(tmp_path / "a.mhd")


@pytest.mark.parametrize("target", ["../secret.raw", "/etc/hostname"])
def test_data_file_outside_the_folder_is_not_followed(tmp_path, target):
    folder = tmp_path / "study"
    folder.mkdir()
    (tmp_path / "secret.raw").write_bytes(b"\0" * 240)
    sitk.WriteImage(scalar_image(), str(folder / "a.mhd"))
    text = (folder / "a.mhd").read_text().replace("a.raw", target)
    (folder / "a.mhd").write_text(text)
    with pytest.raises(InputError, match="outside its own folder"):
        load_volume(folder / "a.mhd")


def test_time_series_is_refused_until_a_frame_is_chosen(tmp_path):
    frames = [scalar_image(), scalar_image()]
    sitk.WriteImage(sitk.JoinSeries(frames), str(tmp_path / "t.nrrd"))
    with pytest.raises(InputError, match="2 volumes"):
        load_volume(tmp_path / "t.nrrd")
    np.testing.assert_array_equal(load_volume(tmp_path / "t.nrrd", frame=1).array, sitk.GetArrayFromImage(frames[1]).T)


def test_two_dimensional_file_is_refused(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4), np.float32)), str(tmp_path / "a.nrrd"))
    with pytest.raises(InputError, match="2 dimensions"):
        load_volume(tmp_path / "a.nrrd")


def test_vector_of_floats_is_refused(tmp_path):
    image = sitk.GetImageFromArray(np.zeros((3, 4, 5, 3), np.float32), isVector=True)
    sitk.WriteImage(image, str(tmp_path / "a.nrrd"))
    with pytest.raises(InputError, match="3 components"):
        load_volume(tmp_path / "a.nrrd")


def test_complex_values_are_refused(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5), np.complex64)), str(tmp_path / "a.mha"))
    with pytest.raises(InputError, match=r"complex|could not be read"):
        load_volume(tmp_path / "a.mha")


def test_nrrd_in_ras_space_is_placed_right(tmp_path):
    header = (
        "NRRD0004\ntype: uint8\ndimension: 3\nspace: right-anterior-superior\nsizes: 2 2 2\n"
        "space directions: (2,0,0) (0,2,0) (0,0,3)\nspace origin: (10,20,30)\nencoding: raw\n\n"
    )
    (tmp_path / "a.nrrd").write_bytes(header.encode() + bytes(range(8)))
    volume = load_volume(tmp_path / "a.nrrd")
    np.testing.assert_allclose(volume.affine, [[2, 0, 0, 10], [0, 2, 0, 20], [0, 0, 3, 30], [0, 0, 0, 1]], atol=1e-9)


@pytest.mark.parametrize(
    ("space", "signs", "is_known"),
    [
        ("RAS", (1, 1, 1), True),
        ("left-anterior-superior", (-1, 1, 1), True),
        ("LAS-time", (-1, 1, 1), True),
        ("left-posterior-superior-time", (-1, -1, 1), True),
        ("lps", (-1, -1, 1), True),
        ("scanner-xyz", (-1, -1, 1), False),
        ("", (-1, -1, 1), False),
    ],
)
def test_nrrd_in_any_space_is_placed_right(tmp_path, space, signs, is_known):
    header = (
        f"NRRD0004\ntype: uint8\ndimension: 3\nspace: {space}\nsizes: 2 2 2\n"
        "space directions: (2,0,0) (0,0,-2) (1,3,0)\nspace origin: (10,20,30)\nencoding: raw\n\n"
    )
    (tmp_path / "a.nrrd").write_bytes(header.encode() + bytes(range(8)))
    volume = load_volume(tmp_path / "a.nrrd")
    stated = np.array([[2, 0, 1, 10], [0, 0, 3, 20], [0, -2, 0, 30], [0, 0, 0, 1]])
    np.testing.assert_allclose(volume.affine, np.diag([*signs, 1]) @ stated, atol=1e-9)
    said = "LPS was taken" in " ".join(volume.notes.get("warnings", ()))
    assert said is not is_known


@pytest.mark.parametrize(
    ("stated", "factors", "warning"),
    [
        ('"cm" "cm" "cm"', (10, 10, 10), "converted"),
        ('"um" "\u00b5m" "microns"', (1e-3, 1e-3, 1e-3), "converted"),
        ('"mm" "mm" "m"', (1, 1, 1000), "converted"),
        ('"" "mm" "mm"', (1, 1, 1), None),
        ('"inch" "mm" "mm"', (1, 1, 1), "lengths in 'inch'"),
    ],
)
@pytest.mark.parametrize("with_directions", [True, False])
def test_nrrd_in_other_units_of_length_becomes_millimetres(tmp_path, stated, factors, warning, with_directions):
    place = (
        f"space: right-anterior-superior\nspace directions: (2,0,0) (0,2,0) (0,0,3)\nspace origin: (10,20,30)\n"
        f"space units: {stated}\n"
        if with_directions
        else f"spacings: 2 2 3\nunits: {stated}\n"
    )
    header = f"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 2 2 2\n{place}encoding: raw\n\n"
    (tmp_path / "a.nrrd").write_bytes(header.encode() + bytes(range(8)))
    volume = load_volume(tmp_path / "a.nrrd")
    np.testing.assert_allclose(volume.geometry.spacing_mm, np.multiply((2, 2, 3), factors), rtol=1e-9)
    if with_directions:
        np.testing.assert_allclose(volume.affine[:3, 3], np.multiply((10, 20, 30), factors), rtol=1e-9)
    else:
        assert volume.geometry.axis_codes == ("L", "P", "S"), "as ITK takes it"
    warnings = " ".join(volume.notes.get("warnings", ()))
    assert (warning in warnings) if warning else ("converted" not in warnings and "lengths" not in warnings)


def test_component_axis_last_reads_as_colour(tmp_path):
    header = (
        "NRRD0004\ntype: uint8\ndimension: 4\nspace: left-posterior-superior\nsizes: 3 2 2 2\n"
        "space directions: none (2,0,0) (0,2,0) (0,0,3)\nkinds: RGB-color domain domain domain\n"
        "space origin: (0,0,0)\nencoding: raw\n\n"
    )
    (tmp_path / "a.nrrd").write_bytes(header.encode() + bytes(range(24)))
    volume = load_volume(tmp_path / "a.nrrd")
    assert volume.units == RGB_LEVELS
    assert volume.array[1, 0, 0].tolist() == [3, 4, 5]


def test_a_series_without_directions_counts_its_volumes_along_the_slowest_axis(tmp_path):
    header = "NRRD0004\ntype: uint8\ndimension: 4\nsizes: 2 3 4 5\nspacings: 1 1 2 nan\nencoding: raw\n\n"
    values = RNG.integers(0, 256, (5, 4, 3, 2), dtype=np.uint8)
    (tmp_path / "a.nrrd").write_bytes(header.encode() + values.tobytes())
    volume = load_volume(tmp_path / "a.nrrd", frame=3)
    np.testing.assert_array_equal(volume.array, values[3].T)
    assert volume.geometry.spacing_mm == (1, 1, 2)


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("space directions: (2,0,0) (0,2,0)", "3 axes and 2 space directions"),
        ("space directions: (2,0) (0,2) (0,1)", "do not have three numbers"),
        ("space directions: (2,0,0) (0,0,0) (0,0,3)", "expected positive distances"),
        ("space directions: (2,0,0) (0,2,0) (0,0,3)\nspace origin: (1,2)", "origin does not have three numbers"),
        ("spacings: 2 2", "3 axes and 2 spacings"),
        ("spacings: 2 0 2", "expected positive distances"),
        ("kinds: domain domain", "3 axes and 2 kinds"),
        ("byte skip: -2", "no small number"),
        ("line skip: -1", "no small number"),
    ],
)
def test_a_header_that_contradicts_itself_is_refused(tmp_path, field, reason):
    header = f"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 2 2 2\n{field}\nencoding: raw\n\n"
    (tmp_path / "a.nrrd").write_bytes(header.encode() + bytes(range(8)))
    with pytest.raises(InputError, match=reason):
        load_volume(tmp_path / "a.nrrd")


@pytest.mark.parametrize(("name", "byte_skip", "line_skip"), [("a.nrrd", 3, 0), ("a.nrrd", 0, 2), ("a.nhdr", 4, 1)])
def test_what_a_header_says_to_skip_is_skipped(tmp_path, name, byte_skip, line_skip):
    detached = "data file: a.bin\n" if name.endswith("nhdr") else ""
    header = (
        f"NRRD0004\ntype: uint16\nendian: big\ndimension: 3\nsizes: 2 2 2\nspacings: 1 1 1\n{detached}"
        f"byte skip: {byte_skip}\nline skip: {line_skip}\nencoding: raw\n\n"
    ).encode()
    content = b"a line\n" * line_skip + b"x" * byte_skip + np.arange(500, 508, dtype=">u2").tobytes()
    (tmp_path / name).write_bytes(header if detached else header + content)
    (tmp_path / "a.bin").write_bytes(content)
    np.testing.assert_array_equal(load_volume(tmp_path / name).array.T.ravel(), np.arange(500, 508))


def test_a_byte_skip_of_minus_one_takes_the_end_of_the_file(tmp_path):
    header = b"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 2 2 2\nspacings: 1 1 1\nbyte skip: -1\nencoding: raw\n\n"
    (tmp_path / "a.nrrd").write_bytes(header + b"some more" + bytes(range(8)))
    np.testing.assert_array_equal(load_volume(tmp_path / "a.nrrd").array.T.ravel(), np.arange(8))


@pytest.mark.parametrize(("dtype", "kind"), [(">i2", "int16"), ("<f4", "float"), ("u1", "uint8")])
@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("raw", bytes),
        ("gzip", gzip.compress),
        ("bz2", bz2.compress),
        ("hex", lambda content: content.hex().encode()),
        ("text", None),
    ],
)
def test_every_encoding_of_nrrd_gives_the_same_values(tmp_path, encoding, encode, dtype, kind):
    values = RNG.integers(0 if dtype == "u1" else -100, 100, 24).astype(dtype)
    content = encode(values.tobytes()) if encode else "\n".join(f"{v:g}" for v in values).encode()
    header = (
        f"NRRD0004\ntype: {kind}\ndimension: 3\nsizes: 2 3 4\n"
        f"endian: {'big' if dtype[0] == '>' else 'little'}\nspacings: 1 1 1\nencoding: {encoding}\n\n"
    )
    (tmp_path / "a.nrrd").write_bytes(header.encode() + content)
    np.testing.assert_array_equal(load_volume(tmp_path / "a.nrrd").array, values.reshape(4, 3, 2).T)
    cut = content[: len(content) // 2]
    (tmp_path / "a.nrrd").write_bytes(header.encode() + cut)
    with pytest.raises(InputError, match=r"a\.nrrd could not be read"):
        load_volume(tmp_path / "a.nrrd")


@pytest.mark.parametrize("frames_first", [True, False])
def test_volumes_of_a_series_are_told_by_the_axis_without_direction(tmp_path, frames_first):
    vectors = "(2,0,0) (0,2,0) (0,0,3)"
    values = RNG.integers(0, 256, (2, 3, 4, 5), dtype=np.uint8)  # x, y, z, frame
    sizes, directions = ("5 2 3 4", f"none {vectors}") if frames_first else ("2 3 4 5", f"{vectors} none")
    header = (
        f"NRRD0004\ntype: uint8\ndimension: 4\nspace: RAS\nsizes: {sizes}\nspace directions: {directions}\n"
        "space origin: (1,2,3)\nencoding: raw\n\n"
    )
    stored = np.moveaxis(values, 3, 0) if frames_first else values
    (tmp_path / "a.nrrd").write_bytes(header.encode() + stored.tobytes(order="F"))
    volume = load_volume(tmp_path / "a.nrrd", frame=3)
    np.testing.assert_array_equal(volume.array, values[..., 3])
    np.testing.assert_allclose(volume.geometry.spacing_mm, (2, 2, 3))
    np.testing.assert_allclose(load_volume(tmp_path / "a.nrrd", frame="mean").array, values.mean(axis=3), rtol=1e-6)


def metaimage(tmp_path, fields, values):
    lines = {"ObjectType": "Image", "NDims": "3", "DimSize": "2 3 2", "ElementType": "MET_SHORT", **fields}
    (tmp_path / "a.mha").write_bytes(
        "".join(f"{name} = {value}\n" for name, value in lines.items()).encode() + b"ElementDataFile = LOCAL\n" + values
    )
    return tmp_path / "a.mha"


@pytest.mark.parametrize(
    ("matrix", "origin"), [("TransformMatrix", "Offset"), ("Rotation", "Position"), ("Orientation", "Origin")]
)
@pytest.mark.parametrize("msb", ["BinaryDataByteOrderMSB", "ElementByteOrderMSB"])
def test_metaimage_by_any_name_of_its_fields_is_placed_as_itk_places_it(tmp_path, matrix, origin, msb):
    values = (np.arange(12) - 5).astype(">i2")
    fields = {
        msb: "True", matrix: "0.6 0.8 0 0 0 1 0.8 -0.6 0", origin: "10 20 30", "ElementSpacing": "1 2 3",
    }  # fmt: skip
    file = metaimage(tmp_path, fields, values.tobytes())
    volume, image = load_volume(file), sitk.ReadImage(str(file))
    np.testing.assert_array_equal(volume.array, sitk.GetArrayFromImage(image).T)
    np.testing.assert_array_equal(volume.array.T.ravel(), np.arange(12) - 5)
    lps = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    np.testing.assert_allclose(volume.affine[:3, :3], np.diag([-1, -1, 1]) @ lps, atol=1e-9)
    np.testing.assert_allclose(volume.affine[:3, 3], (-10, -20, 30), atol=1e-9)
    assert "warnings" not in volume.notes


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"ElementSpacing": "1 2"}, "not those of 3 axes"),
        ({"TransformMatrix": "1 0 0 1"}, "not those of 3 axes"),
        ({"Offset": "1 2 3 4"}, "not those of 3 axes"),
        ({"ElementSpacing": "1 0 1"}, "expected positive ones"),
        ({"NDims": "4"}, "3 sizes and its NDims is '4'"),
        ({"ElementNumberOfChannels": "0"}, "no such number"),
        ({"HeaderSize": "-2"}, "no such number"),
        ({"ElementType": "MET_STRING"}, "values are of type 'MET_STRING'"),
        ({"ObjectType": "Tube"}, "of type 'Tube' and no image"),
    ],
)
def test_a_metaimage_header_that_contradicts_itself_is_refused(tmp_path, fields, reason):
    with pytest.raises(InputError, match=reason):
        load_volume(metaimage(tmp_path, {"ElementSpacing": "1 1 1", **fields}, bytes(24)))


@pytest.mark.parametrize(("skip", "junk"), [("5", b"12345"), ("-1", b"of any length")])
def test_a_metaimage_may_begin_later(tmp_path, skip, junk):
    values = np.arange(12, dtype="<i2")
    file = metaimage(tmp_path, {"HeaderSize": skip}, junk + values.tobytes())
    volume = load_volume(file)
    np.testing.assert_array_equal(volume.array.T.ravel(), values)
    assert "nothing about the spacing" in volume.notes["warnings"][0]


def test_header_without_spacing_is_read_with_a_warning(tmp_path):
    header = "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 2 2 2\nencoding: raw\n\n"
    (tmp_path / "a.nrrd").write_bytes(header.encode() + bytes(range(8)))
    assert "spacing" in load_volume(tmp_path / "a.nrrd").notes["warnings"][0]


def test_wrong_colour_shape_and_wrong_ending_are_usage_errors(tmp_path):
    with pytest.raises(UsageError, match="uint8"):
        save_rgb_nrrd(tmp_path / "a.nrrd", np.zeros((2, 2, 2), np.uint8), np.eye(4))
    with pytest.raises(UsageError, match=r"\.nrrd"):
        save_scalar_nrrd(tmp_path / "a.nhdr", np.zeros((2, 2, 2), np.float32), np.eye(4))
    assert list(tmp_path.iterdir()) == []
